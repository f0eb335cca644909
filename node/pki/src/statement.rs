//! What an authority says to the whole cluster: bytes under its signature.
//!
//! A statement is signed by the key of a mesh intermediate over a domain string, the context's length, the
//! context and the body, so that no signature made for a certificate, a list or another kind of
//! statement counts here. Whether a statement is newer than another is the caller's to see.

use std::time::SystemTime;

use crate::CertificateDer;
use crate::authority::{Authority, IssueError};
use crate::issuer::IssuerId;
use crate::key::{PublicKey, Signer};
use crate::summary::parse_certificate;
use crate::validity::Validity;

/// What stands before everything that is signed here. Certificates and lists begin with `0x30`.
const DOMAIN: &[u8] = b"caxton statement 1\0";

fn signed_bytes(context: &str, body: &[u8]) -> Vec<u8> {
    let length = u64::try_from(context.len()).unwrap_or(u64::MAX);
    [DOMAIN, &length.to_be_bytes(), context.as_bytes(), body].concat()
}

/// A signature by an authority over `body`, for this context. ML-DSA-87: 4,627 bytes.
///
/// # Errors
/// [`IssueError::Sign`] when the key does not sign.
pub fn sign_statement<S: Signer>(
    authority: &Authority<S>,
    context: &str,
    body: &[u8],
) -> Result<Vec<u8>, IssueError> {
    authority
        .signer()
        .sign(&signed_bytes(context, body))
        .map_err(|_rcgen| IssueError::Sign)
}

/// The authority among `issuers` that signed `body` for this context and whose certificate holds now;
/// none where there is no such one. Whether it was revoked is not looked at.
#[must_use]
pub fn statement_issuer(
    issuers: &[CertificateDer<'_>],
    context: &str,
    body: &[u8],
    signature: &[u8],
    now: SystemTime,
) -> Option<IssuerId> {
    let message = signed_bytes(context, body);
    issuers.iter().find_map(|issuer| {
        let parsed = parse_certificate(issuer).ok()?;
        let holds = Validity::from_parsed(parsed.validity())?
            .holds_at(now)
            .ok()?;
        let key = PublicKey::from_parsed(parsed.public_key())?;
        (holds && key.key_algorithm().is_post_quantum() && key.verifies(&message, signature))
            .then(|| IssuerId::of_parsed(&parsed))
    })
}
