//! The store through its public face: what it promises, against a model, through `kill -9`, and what
//! it says of files that are not its own.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on is to stop"
)]

mod crash;
mod files;
mod garbage;
mod model;
mod promises;
mod removal;
mod sample;
