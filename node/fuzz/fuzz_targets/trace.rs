//! Traces of hops that were read from disk.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_node::fuzz::trace(bytes);
});
