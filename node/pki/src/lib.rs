//! Certificates of a Caxton cluster: keys, authorities, requests, leaves and their verification.
//!
//! This crate decides what a certificate says and whether one may be believed. It opens no file
//! and no socket and reads no clock: bytes and `now` come in, bytes and verdicts go out, so each
//! rule below is proven by a unit test. Keys are drawn from the system's generator by aws-lc-rs.
//!
//! # What is post-quantum here, and what is not
//!
//! | part | keys and signatures | against a quantum computer |
//! |---|---|---|
//! | mesh root, mesh intermediate, mesh leaves, their requests | ML-DSA-87 (FIPS 204; X.509 by RFC 9881) | holds |
//! | web root and web leaves | P-384, ECDSA with SHA-384 | does **not** hold |
//!
//! The two sides share no key and no signature. [`Purpose::MeshServer`] and
//! [`Purpose::MeshClient`] believe nothing classical anywhere in the chain, so breaking P-384 lets
//! nobody into the mesh; it would let an active attacker pose as the HTTPS API towards a browser.
//! The web side exists because browsers and the OpenSSL 3.0 of today's distributions know no
//! ML-DSA. Certificates say nothing about key exchange: that is the business of the TLS profile,
//! which prefers a hybrid with ML-KEM for both sides. The use of ML-DSA *in TLS* is still an IETF
//! draft (draft-ietf-tls-mldsa), with code points registered. Nothing here is "FIPS validated".
//!
//! # Map
//!
//! - `algorithm`: the two key algorithms, their object identifiers, signature checks
//! - `key`: private keys; [`Signer`], what an authority needs of one; [`PublicKey`]
//! - `sealed`: [`seal_key`] and [`open_key`], private keys under a passphrase
//! - `spiffe`: [`SpiffeId`], the only identity that counts
//! - `request`: [`CertificateRequest`], a public key whose owner proved to hold the private one
//! - `authority`: [`Authority`], a certificate and a signer that may issue others
//! - `leaf`: what a leaf certificate says
//! - `cluster`: [`ClusterAuthority`], all authorities at once, their lists and their rotation
//! - `bundle`: [`TrustBundle`], what members are told to trust
//! - `development`: [`DevelopmentAuthority`], the same for a first run, in six files
//! - `revocation`: [`RevocationList`], what an authority took back; [`Revocations`], the newest lists
//! - `verify`: [`verify_chain`], from a chain to a [`SpiffeId`]; `chain`: [`VerifiedChain`], its result;
//!   [`FirstContact`], the same of a peer met before any list was
//! - `issuer`: [`IssuerId`], an authority by its name and key
//! - `statement`: [`sign_statement`], what an authority says to the whole cluster
//! - `inspect`: [`inspect()`], what a file of which nobody has said what it is holds
//! - `summary`, `fingerprint`, `pem`, `validity`: looking at certificates and moving them about

#![forbid(unsafe_code)]

mod algorithm;
mod authority;
mod bundle;
mod chain;
mod cluster;
mod development;
mod fingerprint;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
mod inspect;
mod issuer;
mod key;
mod leaf;
pub mod pem;
mod request;
mod revocation;
mod sealed;
mod spiffe;
mod statement;
mod summary;
mod validity;
mod verify;

pub use algorithm::KeyAlgorithm;
pub use authority::{Authority, IssueError, LoadAuthorityError};
pub use bundle::{TrustBundle, TrustBundleError};
pub use chain::VerifiedChain;
pub use cluster::{
    AuthorityLifetimes, ClusterAuthority, ClusterError, ListTerms, LoadClusterError,
};
pub use development::{AuthorityPem, DevelopmentAuthority, PemFile};
pub use fingerprint::{Fingerprint, ParseFingerprintError, fingerprint};
pub use inspect::{Artefact, INSPECT_BYTES_MAX, InspectError, inspect};
pub use issuer::{IssuerId, issued_by};
pub use key::{Custody, ExportableKey, KeyError, MlDsa87Key, P384Key, PublicKey, Signer};
pub use leaf::loopback_hosts;
pub use request::{CertificateRequest, RequestError};
pub use revocation::{
    ListSummary, ParseSerialError, ReplaceListError, Revocation, RevocationList,
    RevocationListError, RevocationReason, RevocationStatus, Revocations, Serial,
};
pub use sealed::{
    OpenKeyError, OpenedKey, PASSPHRASE_BYTES_MAX, PASSPHRASE_BYTES_MIN, SealCost, SealCostError,
    SealKeyError, open_key, seal_key,
};
pub use spiffe::{ParseSpiffeIdError, Role, SpiffeId, TrustDomain};
pub use statement::{sign_statement, statement_issuer};
pub use summary::{CertificateSummary, SummaryError};
pub use validity::InvalidValidity;
pub use verify::{FirstContact, Purpose, VerifyChainError, verify_chain};

/// A certificate as DER bytes, the type that rustls takes as well.
pub use rustls_pki_types::CertificateDer;
/// A DNS name or an IP address, the type that rustls takes as well.
pub use rustls_pki_types::ServerName;
