//! Signed manifests from outside: properties against a model written apart, every flipped bit, and the vectors that
//! strangers check too (`../peers`).
#![expect(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

mod cast;
mod forge;
mod model;
mod properties;
mod recipes;
mod vectors;
