//! Policy documents, with the Cedar text in them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_policy::fuzz::document(bytes);
});
