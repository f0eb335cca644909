//! Cursors of lists.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_node::fuzz::cursor(bytes);
});
