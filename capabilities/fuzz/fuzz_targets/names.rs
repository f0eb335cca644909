//! Names, addresses and principals.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_capabilities::fuzz::names(bytes);
});
