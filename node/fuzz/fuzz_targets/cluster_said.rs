//! What members say to the CA, and the CA's book.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_node::fuzz::cluster_said(bytes);
});
