//! Key sets with a token under them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_jwt::fuzz::token(bytes);
});
