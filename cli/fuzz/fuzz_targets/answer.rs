//! Answers of a node, as they are shown.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_cli::fuzz::answer(bytes);
});
