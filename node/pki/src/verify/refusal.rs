//! Why a chain is not believed: our words for it, and for what webpki says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::UnixTime;

use super::{INTERMEDIATES_MAX, Purpose};
use crate::algorithm::KeyAlgorithm;
use crate::revocation::RevocationReason;
use crate::spiffe::ParseSpiffeIdError;

/// Why a chain was not believed. Save for the last three the peer is at fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyChainError {
    /// A certificate of the chain is no certificate, or too long to be one of ours.
    #[error("a certificate of the chain is malformed")]
    Malformed,
    /// The peer sent more certificates than any chain of ours has.
    #[error("the chain has more than {INTERMEDIATES_MAX} certificates beside the leaf")]
    TooManyCertificates,
    /// A certificate of the chain, or its root, is past its time.
    #[error("a certificate of the chain is expired")]
    Expired {
        /// The last second in which it held.
        not_after: SystemTime,
    },
    /// A certificate of the chain, or its root, is used before its time.
    #[error("a certificate of the chain is not yet valid")]
    NotYetValid {
        /// The first second in which it will hold.
        not_before: SystemTime,
    },
    /// No root that we trust stands above the leaf.
    #[error("no trusted root stands above the certificate")]
    UnknownIssuer,
    /// A signature of the chain was not made by the key above it.
    #[error("a signature of the chain is forged or damaged")]
    BadSignature,
    /// Some key or signature of the chain is not of the kind that the purpose demands: in the
    /// mesh, something classical.
    #[error("the chain is not {expected} throughout")]
    WrongAlgorithm {
        /// The only kind that counts for the purpose.
        expected: KeyAlgorithm,
    },
    /// The leaf is an authority's certificate.
    #[error("an authority's certificate is used as a leaf")]
    AuthorityAsLeaf,
    /// A certificate of the chain was signed by one that may not sign.
    #[error("a certificate of the chain was issued by one that is no authority")]
    LeafAsAuthority,
    /// An authority stands below one that allows none.
    #[error("the chain has more authorities than its root allows")]
    PathTooLong,
    /// The leaf does not say that it may be used so.
    #[error("the certificate is not meant for this purpose")]
    WrongPurpose,
    /// The leaf does not have exactly one URI name.
    #[error("a certificate has exactly one URI name; this one has {count}")]
    WrongUriCount {
        /// How many it has.
        count: usize,
    },
    /// The one URI name is no identity of ours.
    #[error("the certificate's URI name is no SPIFFE ID of a node, agent or operator")]
    Identity(#[source] ParseSpiffeIdError),
    /// The identity is of another trust domain than the root that vouches for it.
    #[error("the certificate's identity is not of its root's trust domain")]
    ForeignTrustDomain,
    /// A certificate of the chain was taken back by its issuer.
    #[error("a certificate of the chain was revoked ({reason})")]
    Revoked {
        /// Why.
        reason: RevocationReason,
        /// When.
        at: SystemTime,
    },
    /// No revocation list of an authority of the chain is held, so nobody knows what it took
    /// back. We may be behind, or the authority is retired.
    #[error("there is no revocation list of an authority of the chain")]
    RevocationUnknown,
    /// The revocation list held of an authority of the chain does not count now: we have not
    /// heard of the next one, or our clock is wrong.
    #[error("the revocation list of an authority of the chain does not count at this time")]
    RevocationStale {
        /// The last second in which it counted.
        next_update: SystemTime,
    },
    /// The chain breaks a rule of X.509 that has no name of its own here.
    #[error("the chain breaks a rule of X.509")]
    Refused(#[source] webpki::Error),
    /// A root that we were told to trust is unusable. The configuration is at fault.
    #[error("a trusted root is malformed or names no trust domain")]
    UnusableRoot,
    /// Our own clock stands before 1970.
    #[error("the clock stands before 1970 or after 9999")]
    Clock,
}

pub(super) fn translate(error: webpki::Error, purpose: Purpose) -> VerifyChainError {
    use webpki::Error as E;
    let time = |unix: UnixTime| UNIX_EPOCH + Duration::from_secs(unix.as_secs());
    match error {
        E::CertExpired { not_after, .. } => VerifyChainError::Expired {
            not_after: time(not_after),
        },
        E::CertNotValidYet { not_before, .. } => VerifyChainError::NotYetValid {
            not_before: time(not_before),
        },
        E::UnknownIssuer => VerifyChainError::UnknownIssuer,
        E::InvalidSignatureForPublicKey => VerifyChainError::BadSignature,
        E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            VerifyChainError::WrongAlgorithm {
                expected: purpose.key_algorithm(),
            }
        }
        E::CaUsedAsEndEntity => VerifyChainError::AuthorityAsLeaf,
        E::EndEntityUsedAsCa => VerifyChainError::LeafAsAuthority,
        E::PathLenConstraintViolated => VerifyChainError::PathTooLong,
        E::RequiredEkuNotFoundContext(_) | E::EmptyEkuExtension => VerifyChainError::WrongPurpose,
        E::BadDer | E::BadDerTime => VerifyChainError::Malformed,
        other => VerifyChainError::Refused(other),
    }
}
