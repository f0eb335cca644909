//! Bodies of requests.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_node::fuzz::request_body(bytes);
});
