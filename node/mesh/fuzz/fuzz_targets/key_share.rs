//! Key shares of the hybrid, of a dialler and of an answerer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_mesh::fuzz::key_share(bytes);
});
