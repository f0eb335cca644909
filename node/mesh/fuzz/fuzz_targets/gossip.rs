//! Messages of gossip, up to where chitchat has them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_mesh::fuzz::gossip(bytes);
});
