//! What this node saw of other members' audit logs. It cosigns what continues that, and is not silent about anything else.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use caxton_actors::ports::LedgerError;
use caxton_audit::{
    AuditKey, Ending, EventType, Origin, PROOF_HASHES_MAX, Severity, Text, VerifierKey, Witness,
    WitnessError,
};
use caxton_mesh::Caller;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::{REQUEST_BYTES_MAX, Wish, Word};
use crate::{audit::Audit, cluster::decode, environment::Environment, store::Store};

/// Row of the store: what was seen, as JSON.
const ROW: &str = "audit-witness";

/// Why this node does not become a witness.
#[derive(Debug, thiserror::Error)]
pub enum OpenNotaryError {
    /// The store cannot be read.
    #[error("what was seen of other nodes' audit logs cannot be read")]
    Ledger(#[from] LedgerError),
    /// The row is not what was written.
    #[error("what was seen of other nodes' audit logs is damaged")]
    Damaged(#[from] serde_json::Error),
}

/// Why a wish is not granted. What was seen is as before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Doubt {
    #[error("the wish is malformed")]
    Malformed,
    #[error("it is the log of `{0}`, not of who asks")]
    Foreign(String),
    #[error("the log has another key than before")]
    OtherKey,
    #[error(transparent)]
    Witness(#[from] WitnessError),
}

impl Doubt {
    /// It contradicts what was seen, and is not merely wrong.
    fn is_contradiction(&self) -> bool {
        match self {
            Self::Foreign(_) | Self::OtherKey => true,
            Self::Witness(error) => matches!(
                error,
                WitnessError::Older { .. }
                    | WitnessError::Forked { .. }
                    | WitnessError::NotProven { .. }
            ),
            Self::Malformed => false,
        }
    }
}

/// What was seen of each log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    witness: Witness,
    /// The key of each, as it was first shown.
    keys: BTreeMap<String, String>,
}

impl Seen {
    /// What is said to the member whose log is `origin`.
    fn answer(
        &mut self,
        origin: &Origin,
        wish: &Wish,
        by: &AuditKey,
        now_seconds: u64,
    ) -> Result<Word, Doubt> {
        let key: VerifierKey = wish.key.parse().map_err(|_no_key| Doubt::Malformed)?;
        // SECURITY: nobody speaks for another's log, or it could be made to look forked.
        if key.name() != origin.as_str() {
            return Err(Doubt::Foreign(key.name().to_owned()));
        }
        let known = self.keys.get(origin.as_str());
        if known.is_some_and(|known| *known != wish.key) {
            return Err(Doubt::OtherKey);
        }
        if wish.proof.len() > PROOF_HASHES_MAX {
            return Err(Doubt::Malformed);
        }
        let note = wish.note.as_bytes();
        match (self.witness).cosign(note, &key, &wish.proof, by, now_seconds) {
            Ok(line) => {
                self.keys.insert(origin.to_string(), wish.key.clone());
                let line = line.to_line().trim_end().to_owned();
                let key = by.verifier().to_string();
                Ok(Word::Cosigned { line, key })
            }
            // They could not know from where it must lead.
            Err(WitnessError::NotProven { seen }) if seen != wish.from => Ok(Word::From(seen)),
            Err(error) => Err(error.into()),
        }
    }

    fn forget(&mut self, origin: &Origin) {
        self.witness.forget(origin.as_str());
        self.keys.remove(origin.as_str());
    }
}

/// This node as a witness.
pub(crate) struct Notary {
    trust_domain: String,
    store: Arc<Store>,
    audit: Arc<Audit>,
    environment: Arc<Environment>,
    seen: Mutex<Seen>,
}

impl fmt::Debug for Notary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notary").finish_non_exhaustive()
    }
}

impl Notary {
    /// Goes on from what was seen before.
    ///
    /// # Errors
    /// It cannot be read: who has forgotten would cosign a fork.
    pub(crate) fn open(
        store: &Arc<Store>,
        audit: &Arc<Audit>,
        environment: &Arc<Environment>,
    ) -> Result<Self, OpenNotaryError> {
        let seen = match store.meta_get(ROW)? {
            Some(row) => serde_json::from_slice(&row)?,
            None => Seen::default(),
        };
        Ok(Self {
            trust_domain: audit
                .checkpoint()
                .checkpoint()
                .origin
                .trust_domain()
                .to_owned(),
            store: Arc::clone(store),
            audit: Arc::clone(audit),
            environment: Arc::clone(environment),
            seen: Mutex::new(seen),
        })
    }

    /// Cosigns what continues what was seen of the caller's log, which is on the disk before the answer is given.
    ///
    /// # Errors
    /// Why not, for the caller. A contradiction is told to this node's own log.
    ///
    /// # Cancel safety
    /// A dropped call may have been seen; the same wish is cosigned again.
    pub(crate) async fn answer(&self, from: &Caller, body: &[u8]) -> Result<Vec<u8>, String> {
        let wish = Some(body).filter(|body| body.len() <= REQUEST_BYTES_MAX);
        let wish: Option<Wish> = wish.and_then(|body| decode(body).ok());
        let wish = wish.ok_or_else(|| Doubt::Malformed.to_string())?;
        let origin = Origin::of_node(&self.trust_domain, &from.name);
        let origin = origin.map_err(|error| error.to_string())?;
        let mut seen = self.seen.lock().await;
        let mut next = seen.clone();
        let now = self.environment.now();
        match next.answer(&origin, &wish, self.audit.witness(), seconds(now)) {
            Ok(word) => {
                self.keep(&mut seen, next).await?;
                postcard::to_allocvec(&word).map_err(|error| error.to_string())
            }
            Err(doubt) => {
                drop(seen);
                self.doubt(from, &origin, &doubt);
                Err(doubt.to_string())
            }
        }
    }

    /// Forgets the logs of nodes that were taken out: their names are free for others, whose logs begin anew.
    pub(crate) async fn forget(&self, nodes: &[String]) {
        let mut seen = self.seen.lock().await;
        let mut next = seen.clone();
        for node in nodes {
            if let Ok(origin) = Origin::of_node(&self.trust_domain, node) {
                next.forget(&origin);
            }
        }
        let _said = self.keep(&mut seen, next).await;
    }

    /// Puts `next` in the place of what was seen, on the disk first.
    async fn keep(&self, seen: &mut Seen, next: Seen) -> Result<(), String> {
        if *seen == next {
            return Ok(());
        }
        let row = serde_json::to_vec(&next).expect("maps have string keys");
        match self.store.meta_put(ROW, row).await {
            Ok(()) => {
                *seen = next;
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "what was seen of others' audit logs cannot be written");
                Err("the witness cannot write now: try again".to_owned())
            }
        }
    }

    fn doubt(&self, from: &Caller, origin: &Origin, doubt: &Doubt) {
        let peer = &*from.name;
        if !doubt.is_contradiction() {
            tracing::warn!(peer, %doubt, "a member's audit log is not cosigned");
            return;
        }
        tracing::error!(peer, %doubt, "a member's audit log is not what was seen of it before");
        let kind = EventType::AuditDoubted;
        let event = self.audit.event(kind, "cosign", origin.as_str());
        let mut event = event.ended(Ending::Denied, &doubt.to_string());
        event.actor = Text::escape(&format!("node:{peer}"));
        event.severity = Severity::High;
        event.context.address = Some(Text::escape(&from.address.to_string()));
        self.audit.tell(event);
    }
}

fn seconds(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests;
