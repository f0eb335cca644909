//! Streams of events.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_cli::fuzz::event_stream(bytes);
});
