//! What is said on a lane, both ways, as it comes off the wire.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_mesh::fuzz::lane(bytes);
});
