//! Segments.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_audit::fuzz::segment(bytes);
});
