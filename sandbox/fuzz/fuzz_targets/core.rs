//! Core modules that are to become components.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_sandbox::fuzz::core(bytes);
});
