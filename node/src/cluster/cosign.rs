//! Members cosign each other's audit logs: whoever rewrites or cuts back the log of one node is contradicted by all others.
//!
//! - `notary`: what this node saw of others' logs, and what it cosigns
//! - `asking`: has the others cosign this node's log
//!
//! One call: the log's key, its signed checkpoint, and a proof from some size. The answer is a cosignature, or from which size the
//! proof must lead. A log is known by the name of the member that calls, which its certificate says, and by the key that was
//! first seen of it. INVARIANT: what is cosigned is no event of any log, or two members would give each other work for ever.

pub(crate) mod asking;
pub(crate) mod notary;

use caxton_audit::Hash;
use serde::{Deserialize, Serialize};

/// Largest request: a checkpoint with its signature, its key and 64 hashes have 6 KiB.
const REQUEST_BYTES_MAX: usize = 16 << 10;

/// What a member wants cosigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wish {
    /// The log's key, as C2SP writes it.
    key: String,
    /// The signed checkpoint, a note.
    note: String,
    /// From which size the proof leads.
    from: u64,
    proof: Vec<Hash>,
}

/// What the witness says to it; a refusal is an error of the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// The line below the note, and the key that it is verified with.
    Cosigned { line: String, key: String },
    /// The proof must lead from this size.
    From(u64),
}
