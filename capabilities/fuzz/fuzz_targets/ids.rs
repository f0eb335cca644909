//! Ids of every kind.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_capabilities::fuzz::ids(bytes);
});
