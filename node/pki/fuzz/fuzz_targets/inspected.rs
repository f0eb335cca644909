//! Files of which nobody has said what they are.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_pki::fuzz::inspected(bytes);
});
