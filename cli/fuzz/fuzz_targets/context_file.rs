//! Context files.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_cli::fuzz::context_file(bytes);
});
