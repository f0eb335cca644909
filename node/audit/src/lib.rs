//! Caxton's audit log: what happened, in a log that cannot be altered unseen, and the means to check that offline.
//!
//! This crate writes and reads the files of one node's log and judges them. It opens no socket, starts no task and
//! reads no clock; the caller gathers batches, hands over the time, carries checkpoints to witnesses and
//! exports to collectors. An auditor uses [`verify()`] alone.
//!
//! What stands against what: a line that was written is under a signed checkpoint before it is
//! acknowledged, so who has the disk but not the log's key can destroy evidence, but not change, add,
//! reorder or remove it unseen. Cutting the log back to an older checkpoint of its own is seen by who kept a newer one,
//! and a second history by the key's holder is seen by witnesses: those checkpoints must lie elsewhere.
//!
//! # Map
//!
//! - `event`: [`Event`], its bounds, its one written form; how long each kind is kept
//! - `merkle`: the tree of RFC 6962, its proofs; `note`, `key`, `checkpoint`: C2SP signed notes over it
//! - `witness`: [`Witness`], who cosigns only what continues what it saw; `cosigned`: [`Cosigned`], what was cosigned of a log
//! - `segment`, `walk`: lines in files; `reader`: [`Reader`], a cursor for exporters
//! - `log`: [`Log`], appending, opening after a crash, erasing old text
//! - `verify`: [`verify()`] and [`verify_export`], and what they find
//! - `export`: NDJSON, OCSF and syslog; `flood`: [`Flood`], refusals without end
//! - `recorder`: [`Recorder`], a log that goes on after its disk failed, and tells what it owes

#![forbid(unsafe_code)]

mod checkpoint;
mod cosigned;
mod event;
pub mod export;
mod flood;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
mod key;
mod log;
mod merkle;
mod note;
mod reader;
mod recorder;
mod segment;
mod verify;
mod walk;
mod witness;

pub use checkpoint::{Checkpoint, CheckpointError, Origin, ParseOriginError, SignedCheckpoint};
pub use cosigned::{Cosigned, KeepCosignatureError};
pub use event::{
    ACTION_BYTES_MAX, ACTOR_BYTES_MAX, CHAIN_MAX, Category, Chain, ChainTooLong, Context, Ending,
    Event, EventType, ID_BYTES_MAX, LINE_BYTES_MAX, NAME_BYTES_MAX, Outcome, ParseEventTypeError,
    REASON_BYTES_MAX, RESOURCE_BYTES_MAX, RULE_BYTES_MAX, ReadEventError, Retention, Severity,
    Text, TextError, Timestamp, TimestampError,
};
pub use flood::{Flood, SOURCES_MAX};
pub use key::{AuditKey, AuditKeyError, KeyKind, VerifierKey};
pub use log::{
    AppendError, Appended, BATCH_BYTES_MAX, BATCH_EVENTS_MAX, ExpireError, Expired, Log,
    OpenLogError, Opened, Repair, SEGMENT_BYTES,
};
pub use merkle::{
    Frontier, HASH_BYTES, Hash, PROOF_HASHES_MAX, ParseHashError, Prover, empty_root,
    is_consistent, is_included, leaf_hash, node_hash, stored_count, stored_index,
};
pub use note::{
    KEY_NAME_BYTES_MAX, NOTE_BYTES_MAX, Note, NoteError, NoteSignature, SIGNATURES_MAX, is_key_name,
};
pub use reader::{ReadLogError, Reader, Record, consistency};
pub use recorder::{Reason, RecordError, Recorder, Reopen, may_erase};
pub use segment::{Line, Lines, SegmentError};
pub use verify::{
    Finding, Report, Standing, Terms, VerifyExportError, What, verify, verify_export,
};
pub use witness::{Seen, WITNESSED_LOGS_MAX, Witness, WitnessError};
