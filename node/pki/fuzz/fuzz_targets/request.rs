//! Requests for certificates.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_pki::fuzz::request(bytes);
});
