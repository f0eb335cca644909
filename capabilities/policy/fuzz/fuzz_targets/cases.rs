//! Files of cases.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_policy::fuzz::cases(bytes);
});
