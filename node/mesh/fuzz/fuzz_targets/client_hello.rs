//! What a dialler says first in TLS.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    caxton_mesh::fuzz::client_hello(bytes);
});
