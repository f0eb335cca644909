//! Signed manifests: their bytes, and whether they count.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_capabilities::fuzz::manifests(bytes);
});
