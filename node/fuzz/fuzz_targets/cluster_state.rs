//! What the CA says to the cluster.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_node::fuzz::cluster_state(bytes);
});
