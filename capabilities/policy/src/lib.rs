//! Policies in Cedar: what the words mean ([`schema`]), what an operator writes ([`PolicyDocument`]), and
//! what is decided ([`Engine`]), with the reasons.
//!
//! Pure, as `caxton-capabilities` is: no clock, no socket, no file and no random number is read here. The
//! time comes in with each request and time zones are inside the binary, so that every node decides alike.
//! An engine is made whole by [`load`] or not at all, and replaced, never changed. It does not know who may
//! sign a document, where documents lie or how they travel.
#![forbid(unsafe_code)]

mod cache;
mod cases;
mod clock;
mod document;
mod engine;
mod facts;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
mod import;
mod lint;
mod load;
mod problem;
mod reads;
pub mod schema;
mod slice;
mod stack;
#[cfg(test)]
mod tests;
mod yaml;

pub use cases::{CASES_BYTES_MAX, Case, Cases, Outcome, decode_request};
pub use clock::ZONES_MAX;
pub use document::{
    BUILTIN, DOCUMENT_BYTES_MAX, NESTING_MAX, OPERATORS_MAX, PolicyDocument, TEXT_BYTES_MAX,
};
pub use engine::{Considered, Engine, Explanation, Said};
pub use import::{Imported, RULES_MAX, import};
pub use lint::{Code, Known, Lint, lint};
pub use load::{DOCUMENTS_MAX, POLICIES_MAX, Source, builtin, load};
pub use problem::{PROBLEMS_MAX, Place, Problem, Problems};
