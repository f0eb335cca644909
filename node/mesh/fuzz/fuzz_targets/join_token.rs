//! Join tokens.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_mesh::fuzz::join_token(bytes);
});
