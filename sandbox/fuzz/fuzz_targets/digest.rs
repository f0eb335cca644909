//! Names of programs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_sandbox::fuzz::digest(bytes);
});
