//! Key sets.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_jwt::fuzz::key_set(bytes);
});
