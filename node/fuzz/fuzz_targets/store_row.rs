//! Rows of the store.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_node::fuzz::store_row(bytes);
});
