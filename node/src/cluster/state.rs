//! What the CA says to the whole cluster, under its signature: whom to trust, what was taken back, who
//! belongs to it, who may do what. Any member may carry it to any other, and none can change it. Pure.

use std::{
    fmt,
    str::FromStr,
    time::{SystemTime, UNIX_EPOCH},
};

use caxton_pki::{
    CertificateDer, CertificateSummary, IssuerId, RevocationStatus, TrustBundle, TrustBundleError,
    fingerprint, issued_by, statement_issuer,
};
use serde::{Deserialize, Serialize};

use super::decode;

/// What the signature is for.
pub(crate) const CONTEXT: &str = "cluster state";
/// 4 MiB: a bundle with two roots has 58 KB, a full revocation list 406 KB, 1,024 names 64 KB.
pub(crate) const STATE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Grows with each state; at least the Unix milliseconds of its making, so that a CA that was restored from
    /// an old copy is heard all the same.
    pub(crate) version: u64,
    /// The cluster's name.
    pub(crate) cluster: String,
    /// The canonical encoding of the trust bundle.
    pub(crate) bundle: Vec<u8>,
    /// The members, there or not, by name.
    pub(crate) members: Vec<String>,
    /// Names that were taken back and are nobody's now.
    pub(crate) removed: Vec<String>,
    /// Who may do what, as `access` writes it; empty where nothing was said yet.
    pub(crate) access: Vec<u8>,
}

/// As it travels and lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signed {
    state: Vec<u8>,
    signature: Vec<u8>,
}

/// Which of two states is the later one.
///
/// SECURITY: the age of the authority that signed comes first. Who has stolen the key of one can sign any
/// version, but has no say once a root has certified the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// From when on the authority's certificate holds, in Unix seconds.
    since_s: u64,
    version: u64,
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.since_s, self.version)
    }
}

/// A text is no rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParseRankError;

impl FromStr for Rank {
    type Err = ParseRankError;

    /// The rank in a mark that another node tells, or a rank by itself.
    fn from_str(mark: &str) -> Result<Self, Self::Err> {
        let mut parts = mark.split('.').map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(since_s)), Some(Ok(version))) => Ok(Self { since_s, version }),
            _ => Err(ParseRankError),
        }
    }
}

/// A state that was checked, with the bytes that prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) state: State,
    pub(crate) bundle: TrustBundle,
    pub(crate) bytes: Vec<u8>,
    pub(crate) rank: Rank,
}

/// A state is not one, or is not to be taken. What is held stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StateError {
    #[error("the cluster's state is malformed")]
    Malformed,
    #[error("the trust bundle of the cluster's state is unusable")]
    Bundle(#[source] TrustBundleError),
    #[error("the cluster's state is not signed by an authority that is trusted")]
    Signature,
    #[error("the state is of another cluster")]
    OtherCluster,
    #[error("no root of the state is the one that was expected")]
    OtherRoot,
    #[error("no root that is trusted now vouches for a root of the state")]
    Root,
    #[error("the state's number is that of the one held, and it says something else")]
    Conflict,
}

/// The bytes of a signed state.
pub(crate) fn assemble(
    state: &State,
    sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let body = postcard::to_allocvec(state).ok()?;
    let signature = sign(&body)?;
    let signed = Signed {
        state: body,
        signature,
    };
    postcard::to_allocvec(&signed).ok()
}

fn parse(bytes: &[u8]) -> Result<(State, TrustBundle, Signed), StateError> {
    if bytes.len() > STATE_BYTES_MAX {
        return Err(StateError::Malformed);
    }
    let malformed = |_error: postcard::Error| StateError::Malformed;
    let signed: Signed = decode(bytes).map_err(malformed)?;
    let state: State = decode(&signed.state).map_err(malformed)?;
    let bundle = TrustBundle::decode(&state.bundle).map_err(StateError::Bundle)?;
    Ok((state, bundle, signed))
}

/// Who of `authorities` signed, and from when on its certificate holds. `trusted` must not have taken it back.
fn signer(
    signed: &Signed,
    authorities: &[CertificateDer<'static>],
    trusted: &TrustBundle,
    now: SystemTime,
) -> Result<(IssuerId, u64), StateError> {
    let found = statement_issuer(authorities, CONTEXT, &signed.state, &signed.signature, now)
        .ok_or(StateError::Signature)?;
    let own = || {
        let is_own = |one: &&CertificateDer<'static>| IssuerId::of(one) == Ok(found);
        authorities.iter().filter(is_own)
    };
    if own().any(|one| is_revoked(one, trusted, now)) {
        return Err(StateError::Signature);
    }
    Ok((found, own().map(since).max().unwrap_or_default()))
}

fn is_revoked(certificate: &CertificateDer<'_>, trusted: &TrustBundle, now: SystemTime) -> bool {
    let roots = trusted.mesh_roots().iter();
    let mut above = roots.chain(trusted.intermediates());
    above.any(|above| {
        let status = trusted.revocations().status(certificate, above, now);
        matches!(status, RevocationStatus::Revoked { .. })
    })
}

fn since(certificate: &CertificateDer<'static>) -> u64 {
    CertificateSummary::parse(certificate)
        .ok()
        .and_then(|summary| summary.not_before.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_secs())
}

/// Whether a root that is trusted now signed the certificate.
fn is_under(certificate: &CertificateDer<'_>, trusted: &TrustBundle) -> bool {
    let mut roots = trusted.mesh_roots().iter();
    roots.any(|root| issued_by(certificate, root))
}

/// Whether roots that are trusted now vouch for those that `offered` brings.
///
/// SECURITY: an authority can sign a state and cannot make a root. A new root comes with a new intermediate that the
/// old root certified as well, which nobody without the old root's key can make; one that was known before
/// does not count, since whoever has its key could put any root above it.
fn vouched(trusted: &TrustBundle, offered: &TrustBundle, now: SystemTime) -> bool {
    let known = |id: &IssuerId| {
        let mut held = trusted.intermediates().iter();
        held.any(|one| IssuerId::of(one) == Ok(*id))
    };
    let is_vouched = |root: &CertificateDer<'static>| {
        let all = || offered.intermediates().iter();
        all().filter(|one| issued_by(one, root)).any(|below| {
            let Ok(id) = IssuerId::of(below) else {
                return false;
            };
            let mut same = all().filter(|one| IssuerId::of(one) == Ok(id));
            !known(&id) && same.any(|one| is_under(one, trusted) && !is_revoked(one, trusted, now))
        })
    };
    let mut roots = offered.mesh_roots().iter();
    let mut web = offered.web_roots().iter();
    roots.all(|root| trusted.mesh_roots().contains(root) || is_vouched(root))
        && web.all(|root| trusted.web_roots().contains(root))
}

/// The first state of a node that joins: it knows the root's SHA-256 and nothing else. An
/// authority that this very root certified must have signed it.
pub(crate) fn first(bytes: &[u8], root: &[u8; 32], now: SystemTime) -> Result<Held, StateError> {
    let (state, bundle, signed) = parse(bytes)?;
    let mut roots = bundle.mesh_roots().iter();
    let root = roots
        .find(|known| fingerprint(known).as_bytes() == root)
        .ok_or(StateError::OtherRoot)?;
    let (found, since_s) = signer(&signed, bundle.intermediates(), &bundle, now)?;
    // SECURITY: a member could put roots and authorities of its own beside the real ones.
    let mut authorities = bundle.intermediates().iter();
    if !authorities.any(|one| IssuerId::of(one) == Ok(found) && issued_by(one, root)) {
        return Err(StateError::Signature);
    }
    Ok(held(state, bundle, bytes, since_s))
}

/// The state on this node's own disk, where it lies among its keys. Its signature is not asked for: who can
/// write there has the node.
pub(crate) fn own(bytes: &[u8], now: SystemTime) -> Result<Held, StateError> {
    let (state, bundle, signed) = parse(bytes)?;
    // One that has ended meanwhile is older than any that signs now.
    let found = signer(&signed, bundle.intermediates(), &bundle, now);
    let since_s = found.map_or(0, |(_, since_s)| since_s);
    Ok(held(state, bundle, bytes, since_s))
}

fn held(state: State, bundle: TrustBundle, bytes: &[u8], since_s: u64) -> Held {
    let version = state.version;
    Held {
        state,
        bundle,
        bytes: bytes.to_vec(),
        rank: Rank { since_s, version },
    }
}

impl Held {
    /// The state that is held from now on, when `bytes` are a later one; none when they are older or the same.
    ///
    /// SECURITY: signed by an authority under a root that is trusted *now*, before anything that the state itself
    /// brings.
    pub(crate) fn next(&self, bytes: &[u8], now: SystemTime) -> Result<Option<Self>, StateError> {
        let (state, offered, signed) = parse(bytes)?;
        if state.cluster != self.state.cluster {
            return Err(StateError::OtherCluster);
        }
        let brought = offered.intermediates().iter();
        let brought = brought.filter(|one| is_under(one, &self.bundle)).cloned();
        let authorities: Vec<_> = self
            .bundle
            .intermediates()
            .iter()
            .cloned()
            .chain(brought)
            .collect();
        let (_, since_s) = signer(&signed, &authorities, &self.bundle, now)?;
        let version = state.version;
        let rank = Rank { since_s, version };
        if rank < self.rank {
            return Ok(None);
        }
        if rank == self.rank {
            return match state == self.state {
                true => Ok(None),
                false => Err(StateError::Conflict),
            };
        }
        if !vouched(&self.bundle, &offered, now) {
            return Err(StateError::Root);
        }
        // Lists that are newer here than there stay.
        let bundle = self
            .bundle
            .replaced_by(offered)
            .map_err(StateError::Bundle)?;
        Ok(Some(held(state, bundle, bytes, since_s)))
    }

    /// What it is known by: rank and the beginning of its hash.
    pub(crate) fn mark(&self) -> String {
        let hash = fingerprint(&self.bytes).to_string();
        let start: String = hash.chars().take(16).collect();
        format!("{}.{start}", self.rank)
    }

    /// Whether a chain is by the newest authority of this state, so that it outlives the older ones.
    pub(crate) fn is_newest(&self, chain: &[CertificateDer<'static>]) -> bool {
        let intermediates = self.bundle.intermediates();
        // Of those that were made in one second any will do.
        let newest = intermediates.iter().map(since).max();
        let mut of_newest = intermediates
            .iter()
            .filter(|one| Some(since(one)) == newest);
        chain
            .first()
            .is_none_or(|leaf| of_newest.any(|one| issued_by(leaf, one)))
    }
}

#[cfg(test)]
mod tests;
