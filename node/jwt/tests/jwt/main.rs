//! Every way to be taken for somebody else that RFC 8725 names, and some that came after it. Keys are made here.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

mod claims;
mod confusion;
mod fixture;
mod forms;
mod header;
mod keys;
mod properties;
mod signatures;
