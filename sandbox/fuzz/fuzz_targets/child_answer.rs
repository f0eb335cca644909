//! Answers of a compile child.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_sandbox::fuzz::child_answer(bytes);
});
