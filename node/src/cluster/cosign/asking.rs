//! Has every member that is up cosign this node's audit log, and keeps what they cosigned beside it.

use std::{collections::BTreeMap, io, sync::Arc, time::Duration};

use caxton_audit::{
    Cosigned, KeepCosignatureError, KeyKind, NoteSignature, Origin, SignedCheckpoint, VerifierKey,
    consistency,
};
use caxton_mesh::{CallError, Mesh, PeerName, membership::State};
use futures_util::future::join_all;
use tokio::{task::spawn_blocking, time::MissedTickBehavior};

use super::{Wish, Word};
use crate::{
    app::App,
    audit::{Audit, home::witness_name},
    cluster::{decode, service::COSIGN},
};

/// How often members are asked, when there is something new.
const EVERY: Duration = Duration::from_secs(10);
/// How long one may take for an answer. All are asked at once, so one that is slow delays nobody else's.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often one is asked for the same checkpoint: once to hear from where the proof must lead.
const TRIES: usize = 2;

/// A member did not cosign.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("the log cannot be read")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the answer is malformed")]
    Malformed,
    #[error("what it says is no cosignature of this log by that member")]
    NotCosigned,
    #[error("it asks for one proof after the other")]
    Unsettled,
    #[error("the node stops")]
    Stopping,
}

/// A cosignature, with the key that it holds by.
type Line = (NoteSignature, VerifierKey);

/// What is to be done after an answer.
#[derive(Debug, PartialEq)]
enum Next {
    Keep(Line),
    ProveFrom(u64),
}

/// What an answer of `witness` to a wish for `checkpoint` means.
fn next(checkpoint: &SignedCheckpoint, witness: &str, answer: &[u8]) -> Result<Next, AskError> {
    let word = decode(answer).map_err(|_malformed| AskError::Malformed)?;
    let (line, key) = match word {
        // A later one cannot be led to: the log was cut back, and the witness refuses what is older.
        Word::From(size) if size > checkpoint.checkpoint().size => return Err(AskError::Malformed),
        Word::From(size) => return Ok(Next::ProveFrom(size)),
        Word::Cosigned { line, key } => (line, key),
    };
    let line = NoteSignature::parse(&line).map_err(|_malformed| AskError::Malformed)?;
    let key: VerifierKey = key.parse().map_err(|_malformed| AskError::Malformed)?;
    // A member signs in its own name alone, or one could be taken for many.
    let is_its_own = key.name() == witness && key.kind() == KeyKind::Witness;
    match is_its_own && checkpoint.with_cosignature(&line, &key).is_some() {
        true => Ok(Next::Keep((line, key))),
        false => Err(AskError::NotCosigned),
    }
}

/// Asks until the node stops.
pub(crate) async fn ask(app: Arc<App>) {
    let Some(cluster) = &app.cluster else {
        return;
    };
    let mut asking = Asking::default();
    let mut held = cluster.held();
    held.mark_changed();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            Ok(()) = held.changed() => {
                let said = Arc::clone(&held.borrow_and_update());
                cluster.notary.forget(&said.state.removed).await;
            }
            _ = tick.tick() => {
                let round = asking.round(&app.audit, &cluster.mesh);
                if app.stop.run_until_cancelled(round).await.is_none() {
                    return;
                }
            }
        }
    }
}

/// What is known of the members as witnesses.
#[derive(Debug, Default)]
struct Asking {
    /// How many lines each cosigned last.
    cosigned: BTreeMap<PeerName, u64>,
    /// Why one did not, so that it is said once.
    refused: BTreeMap<PeerName, String>,
}

impl Asking {
    async fn round(&mut self, audit: &Arc<Audit>, mesh: &Mesh) {
        let checkpoint = audit.checkpoint();
        let size = checkpoint.checkpoint().size;
        let view = mesh.view().borrow().clone();
        let up = view.members.iter().filter(|member| {
            let is_behind = self.cosigned.get(&member.name) != Some(&size);
            !member.is_own && member.state == State::Alive && is_behind
        });
        let calls = up.map(|member| {
            let (name, checkpoint) = (Arc::clone(&member.name), &checkpoint);
            let from = self.cosigned.get(&name).copied().unwrap_or(0);
            async move {
                let line = settle((audit, mesh), &name, checkpoint, from).await;
                (name, line)
            }
        });
        let mut lines = Vec::new();
        for (name, line) in join_all(calls).await {
            match line {
                Ok(line) => {
                    self.refused.remove(&name);
                    lines.push((name, line));
                }
                Err(error) => self.say(name, &error),
            }
        }
        if lines.is_empty() {
            return;
        }
        let names: Vec<PeerName> = lines.iter().map(|(name, _)| Arc::clone(name)).collect();
        let audit = Arc::clone(audit);
        let kept = spawn_blocking(move || keep(&audit, &checkpoint, lines)).await;
        match kept {
            Ok(Ok(())) => self
                .cosigned
                .extend(names.into_iter().map(|name| (name, size))),
            Ok(Err(error)) => tracing::error!(%error, "cosignatures of the audit log are not kept"),
            Err(_stopping) => {}
        }
    }

    /// Says why a member did not cosign, when that is news.
    fn say(&mut self, name: PeerName, error: &AskError) {
        let (peer, text) = (&*name, error.to_string());
        if self.refused.get(&name) == Some(&text) {
            return;
        }
        match error {
            AskError::Call(CallError::Refused(_)) => {
                tracing::error!(peer, %error, "a member does not cosign this node's audit log");
            }
            _ => tracing::warn!(peer, %error, "a member did not cosign this node's audit log"),
        }
        self.refused.insert(name, text);
    }
}

/// Asks one member, with a second proof where it asks for that.
async fn settle(
    (audit, mesh): (&Arc<Audit>, &Mesh),
    member: &PeerName,
    checkpoint: &SignedCheckpoint,
    mut from: u64,
) -> Result<Line, AskError> {
    let signed = checkpoint.checkpoint();
    let theirs = Origin::of_node(signed.origin.trust_domain(), member);
    let witness = witness_name(&theirs.map_err(|_no_name| AskError::Malformed)?);
    for _ in 0..TRIES {
        let (folder, size) = (audit.folder().to_owned(), signed.size);
        let proof = spawn_blocking(move || consistency(&folder, from, size)).await;
        let wish = Wish {
            key: audit.verifier().to_string(),
            note: checkpoint.note(),
            from,
            proof: proof.map_err(|_stopping| AskError::Stopping)??,
        };
        let body = postcard::to_allocvec(&wish).map_err(|_too_large| AskError::Malformed)?;
        let answer = mesh.call(member, COSIGN, body, PATIENCE).await?;
        match next(checkpoint, &witness, &answer)? {
            Next::Keep(line) => return Ok(line),
            Next::ProveFrom(size) => from = size,
        }
    }
    Err(AskError::Unsettled)
}

/// Why what was cosigned is not kept.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error(transparent)]
    Keep(#[from] KeepCosignatureError),
}

fn keep(
    audit: &Audit,
    checkpoint: &SignedCheckpoint,
    lines: Vec<(PeerName, Line)>,
) -> Result<(), KeepError> {
    let mut kept = Cosigned::open(audit.folder(), audit.verifier())?;
    for (_, (line, key)) in lines {
        kept.keep(checkpoint, &line, &key)?;
    }
    Ok(kept.write()?)
}

#[cfg(test)]
mod tests;
