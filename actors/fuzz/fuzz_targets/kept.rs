//! Open conversations in an agent's store.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_actors::fuzz::kept(bytes);
});
