//! What a client and a node say to each other: the shapes of the REST API, its paths and its error
//! codes. No behaviour, no other crate of Caxton: a client needs the words, not the machine.
#![forbid(unsafe_code)]

pub mod codes;
pub mod paths;
pub mod types;
pub mod whole;
