//! The certificate authority of a cluster in a folder, and what an operator does with it: all of it
//! offline, no node takes part.
//!
//! `caxton security …` and `caxton cluster init` call what is here; a node with the ca role opens the
//! same folder. What a certificate says is `caxton-pki`'s to decide; here it becomes files.
//!
//! ```text
//! DIR/            0700, locked while a command works in it
//!   ca.json       the whole state: trust domain, order of the keys, lists, what was issued
//!   keys/         private keys, each under the passphrase; a root's may be taken elsewhere
//!   trust.pem     what members are to trust, made from ca.json
//! ```
//!
//! - `ca`: [`CaFolder`], opened with its keys; [`CaView`], read without them
//! - `keys`: made, sealed, opened again; `refusal`: why a step was not taken
//! - `state`: what stands in `ca.json`
//! - `issuing`: certificates for nodes; `revoking`: taking them back, lists; `rotating`: from one authority
//!   to the next
//! - `serving`: what a node with the ca role does with it while it runs
//! - `looking`: files and chains, for people; `founding`: a cluster and its first member
//! - `passphrase`, `files`, `rows`: where passphrases come from, files that last, what is told

mod ca;
mod files;
mod founding;
mod issuing;
mod keys;
mod looking;
mod passphrase;
mod refusal;
mod revoking;
mod rotating;
mod rows;
mod serving;
mod state;
#[cfg(test)]
mod tests;

pub use ca::{CaFolder, CaView, Terms};
pub use files::FileError;
pub use founding::{Founded, found};
pub(crate) use founding::{authority_folder, found_with};
pub use issuing::{Issue, IssuedCertificate, Renew, Renewal};
pub use keys::Protection;
pub use looking::{Seen, Verdict, look, verify};
pub use passphrase::{Passphrase, PassphraseError};
pub use refusal::{CaError, Fault};
pub use revoking::{Lists, REASONS, Revoked, Which};
pub use rows::{AuthorityRow, CaReport, CertificateRow, ListRow};
pub(crate) use serving::Chains;
pub use state::StateError;
