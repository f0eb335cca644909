//! Requests of members and answers to them, as they come off the wire.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_mesh::fuzz::request(bytes);
});
