//! The closed vocabularies of messages.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_actors::fuzz::words(bytes);
});
