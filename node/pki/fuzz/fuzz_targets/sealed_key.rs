//! Keys under a passphrase.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_pki::fuzz::sealed_key(bytes);
});
