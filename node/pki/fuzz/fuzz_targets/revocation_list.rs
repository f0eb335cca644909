//! Revocation lists.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_pki::fuzz::revocation_list(bytes);
});
