//! The crate as others use it: logs, what is done to them by those who should not, and what the verifier says.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

mod attacks;
mod damage;
mod exports;
mod fixture;
mod retention;
mod witnesses;
