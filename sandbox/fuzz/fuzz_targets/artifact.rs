//! Files of compiled programs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_sandbox::fuzz::artifact(bytes);
});
