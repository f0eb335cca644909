//! The YAML form of earlier systems.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_policy::fuzz::import(bytes);
});
