//! Taking certificates back: lists signed by an authority (RFC 5280, section 5), and the set of
//! them that a verifier holds.
//!
//! A list says which certificates of *one* authority no longer count. [`verify_chain`] looks up
//! every certificate below the root, and what it cannot look up it does not believe: without a
//! list, or with one that is past its time, a node stops trusting. Carrying lists from node to
//! node, keeping them on disk and deciding when a new one is due are the caller's.
//!
//! - `serial`: [`Serial`], the number by which a list names a certificate
//! - `reason`: [`RevocationReason`]
//! - `list`: [`RevocationList`], parsed and its signature checked; [`Revocation`], one entry
//! - `summary`: [`ListSummary`], what a list says, unverified
//! - `set`: [`Revocations`], the newest list of each authority, never an older one
//!
//! [`verify_chain`]: crate::verify_chain

mod list;
mod reason;
mod serial;
mod set;
mod summary;

pub(crate) use list::REVOCATIONS_MAX;
pub use list::{Revocation, RevocationList, RevocationListError};
pub use reason::RevocationReason;
pub use serial::{ParseSerialError, Serial};
pub use set::{ReplaceListError, RevocationStatus, Revocations};
pub use summary::ListSummary;
