//! What the CA says to the whole cluster, under its signature: whom to trust, what was taken back, who
//! belongs to it. Any member may carry it to any other, and none can change it. Pure.

use std::time::SystemTime;

use caxton_pki::{
    IssuerId, RevocationStatus, TrustBundle, TrustBundleError, fingerprint, issued_by,
    statement_issuer,
};
use serde::{Deserialize, Serialize};

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
}

/// As it travels and lies on the disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Signed {
    state: Vec<u8>,
    signature: Vec<u8>,
}

/// A state that was checked, with the bytes that prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) state: State,
    pub(crate) bundle: TrustBundle,
    pub(crate) bytes: Vec<u8>,
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
    let whole = |taken: Result<(_, &[u8]), postcard::Error>| match taken {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(StateError::Malformed),
    };
    let signed: Signed = whole(postcard::take_from_bytes(bytes))?;
    let state: State = match postcard::take_from_bytes(&signed.state) {
        Ok((state, [])) => state,
        Ok(_) | Err(_) => return Err(StateError::Malformed),
    };
    let bundle = TrustBundle::decode(&state.bundle).map_err(StateError::Bundle)?;
    Ok((state, bundle, signed))
}

/// Who signed, if it is one of the authorities of `trusted` that was not taken back.
fn signer(signed: &Signed, trusted: &TrustBundle, now: SystemTime) -> Result<IssuerId, StateError> {
    let issuers = trusted.intermediates();
    let found = statement_issuer(issuers, CONTEXT, &signed.state, &signed.signature, now)
        .ok_or(StateError::Signature)?;
    let authorities = || issuers.iter().chain(trusted.mesh_roots());
    let revoked = issuers
        .iter()
        .filter(|issuer| IssuerId::of(issuer) == Ok(found))
        .any(|issuer| {
            authorities().any(|above| {
                let status = trusted.revocations().status(issuer, above, now);
                matches!(status, RevocationStatus::Revoked { .. })
            })
        });
    if revoked {
        return Err(StateError::Signature);
    }
    Ok(found)
}

/// The first state of a node that joins: it knows the root's SHA-256 and nothing else. An
/// authority that this very root certified must have signed it.
pub(crate) fn first(bytes: &[u8], root: &[u8; 32], now: SystemTime) -> Result<Held, StateError> {
    let (state, bundle, signed) = parse(bytes)?;
    let mut roots = bundle.mesh_roots().iter();
    let root = roots
        .find(|known| fingerprint(known).as_bytes() == root)
        .ok_or(StateError::OtherRoot)?;
    let found = signer(&signed, &bundle, now)?;
    // SECURITY: a member could put roots and authorities of its own beside the real ones.
    let mut authorities = bundle.intermediates().iter();
    if !authorities.any(|one| IssuerId::of(one) == Ok(found) && issued_by(one, root)) {
        return Err(StateError::Signature);
    }
    Ok(Held {
        state,
        bundle,
        bytes: bytes.to_vec(),
    })
}

/// The state on this node's own disk, where it lies among its keys. Its signature is not asked for: who can
/// write there has the node.
pub(crate) fn own(bytes: &[u8]) -> Result<Held, StateError> {
    let (state, bundle, _) = parse(bytes)?;
    Ok(Held {
        state,
        bundle,
        bytes: bytes.to_vec(),
    })
}

impl Held {
    /// The state that is held from now on, when `bytes` are a newer one; none when they are older or the same.
    ///
    /// SECURITY: signed by an authority that is trusted *now*, before anything that the state itself brings.
    pub(crate) fn next(&self, bytes: &[u8], now: SystemTime) -> Result<Option<Self>, StateError> {
        let (state, offered, signed) = parse(bytes)?;
        if state.cluster != self.state.cluster {
            return Err(StateError::OtherCluster);
        }
        if state.version < self.state.version {
            return Ok(None);
        }
        signer(&signed, &self.bundle, now)?;
        if state.version == self.state.version {
            return match state == self.state {
                true => Ok(None),
                false => Err(StateError::Conflict),
            };
        }
        // Lists that are newer here than there stay.
        let bundle = self
            .bundle
            .replaced_by(offered)
            .map_err(StateError::Bundle)?;
        Ok(Some(Self {
            state,
            bundle,
            bytes: bytes.to_vec(),
        }))
    }

    /// What it is known by: version and the beginning of its hash.
    pub(crate) fn mark(&self) -> String {
        let hash = fingerprint(&self.bytes).to_string();
        let start: String = hash.chars().take(16).collect();
        format!("{}.{start}", self.state.version)
    }
}

/// The version in a mark that another node tells; none in what is no mark.
pub(crate) fn version_of(mark: &str) -> Option<u64> {
    mark.split_once('.')?.0.parse().ok()
}
