//! Files of hops and logs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_node::fuzz::history(bytes);
});
