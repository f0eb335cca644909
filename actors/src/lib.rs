//! What a node decides. Each actor is a pure core and a thin shell; decisions do not know how bytes
//! travel, are stored or are run: those are [`ports`].
#![forbid(unsafe_code)]

pub mod envelope;
pub mod ports;
