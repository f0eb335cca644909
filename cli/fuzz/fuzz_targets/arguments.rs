//! Sizes, durations and pairs that are typed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_cli::fuzz::arguments(bytes);
});
