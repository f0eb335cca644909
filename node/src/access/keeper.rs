//! Makes a change of who may do what count: checked, durable, in force on this node, told to the cluster.
//!
//! INVARIANT: what is in force here was durable before, on this node or on the CA. A set of policies that does not load is
//! never in force: who changes it hears why, and a node that follows keeps the policies it had and takes the rest.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use caxton_actors::{
    auth::PublishedTrust,
    policy::PolicyMessage,
    ports::{LedgerError, unix_ms},
    supervision::BoundedRef,
    tree::Tree,
};
use caxton_capabilities::{
    Issuers, Name, Policies as _, PolicyAction, PolicyContext, PolicyRequest, PolicyResource,
    Principal, ResourceId, Trust,
};
use caxton_policy::{Engine, PolicyDocument, Problems, Source, load};
use tokio::sync::{Mutex, watch};

use super::{
    book::{Access, ChangeError, PolicyRow},
    keys::Keys,
};
use crate::{
    app::App,
    cluster::{
        ca::{Ca, CaServiceError, Reached},
        state::Held,
    },
    environment::Environment,
    store::Store,
};

/// Row of the store with the document, on the node that writes it.
pub(crate) const ROW: &str = "access";
/// How long this node may take to decide by what was changed.
const IN_FORCE: Duration = Duration::from_secs(5);

/// A change does not count. What was in force still is, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error("the policies do not load")]
    Policies(#[from] Problems),
    #[error(
        "with these policies you could not change policies any more: leave yourself `policy-write`"
    )]
    LockedOut,
    #[error("this node does not change who may do what: ask {0}")]
    Elsewhere(String),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// It is durable, and counts here from the next start on at the latest.
    #[error("it counts on this node and could not be told to the cluster: {0}")]
    Untold(#[from] CaServiceError),
    /// It is durable, and counts here from the next start on at the latest.
    #[error("the node stops")]
    Stopping,
    #[error("the document of who may do what is damaged")]
    Damaged(#[source] serde_json::Error),
}

/// A change that was made, or that changed nothing.
#[derive(Debug)]
pub(crate) struct Changed<T> {
    /// What the change answered.
    pub(crate) answer: T,
    /// Where it counts.
    pub(crate) reached: Reached,
    /// The epoch that it began; none where nothing was changed.
    pub(crate) epoch: Option<u64>,
}

/// Who writes the document.
#[derive(Clone)]
pub(crate) enum Writer {
    /// This node, which is by itself.
    Alone,
    /// This node, which holds the cluster's authority.
    Ca(Arc<Ca>),
    /// Another.
    Elsewhere,
}

/// What decisions are made from now.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) access: Arc<Access>,
    pub(crate) engine: Arc<Engine>,
    /// The document whose policies the engine was made of: an earlier one, where the newest do not load here.
    engine_of: Arc<Access>,
    pub(crate) keys: Keys,
    trust: Trust,
}

/// A document, and the engine to decide by beside it.
struct Loaded {
    access: Arc<Access>,
    engine: Arc<Engine>,
    engine_of: Arc<Access>,
}

impl Loaded {
    fn new(access: Access, engine: Arc<Engine>) -> Self {
        let access = Arc::new(access);
        Self {
            engine_of: Arc::clone(&access),
            access,
            engine,
        }
    }
}

/// What does not change while the node runs.
pub(crate) struct Ground {
    /// The operator whom the node was founded for.
    pub(crate) owner: Name,
    /// SHA-256 of their key.
    pub(crate) founding: [u8; 32],
    /// Whose tokens count.
    pub(crate) issuers: Issuers,
    pub(crate) store: Arc<Store>,
    pub(crate) environment: Arc<Environment>,
}

/// Keeps the document.
pub(crate) struct Keeper {
    ground: Ground,
    writer: Writer,
    /// One change at a time.
    turn: Mutex<()>,
    in_force: watch::Sender<Arc<InForce>>,
    /// The epoch by which this node decides, for those who wait for it.
    epoch: watch::Sender<u64>,
    /// The way to what decides. Not the whole tree: its programs hold this keeper.
    deciding: OnceLock<(BoundedRef<PolicyMessage>, PublishedTrust)>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keeper {
    /// Loads what is in force: the document of the store on a node that writes it, else what the CA last said.
    pub(crate) async fn open(
        ground: Ground,
        writer: Writer,
        said: Option<&Held>,
        epoch: watch::Sender<u64>,
    ) -> Result<Arc<Self>, KeepError> {
        let bytes = match (&writer, said) {
            (Writer::Elsewhere, Some(held)) => held.state.access.clone(),
            _ => ground.store.meta_get(ROW)?.unwrap_or_default(),
        };
        let access = Access::decode(&bytes).map_err(KeepError::Damaged)?;
        let engine = engine(&ground.owner, &access).await?;
        let until = fresh_until(&writer, said);
        let first = in_force(&ground, Loaded::new(access, engine), until);
        Ok(Arc::new(Self {
            ground,
            writer,
            turn: Mutex::new(()),
            in_force: watch::Sender::new(Arc::new(first)),
            epoch,
            deciding: OnceLock::new(),
        }))
    }

    /// What is in force.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.borrow())
    }

    /// Tells when it changes.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<InForce>> {
        self.in_force.subscribe()
    }

    /// The trust to start the tree with.
    pub(crate) fn trust(&self) -> Trust {
        self.in_force.borrow().trust.clone()
    }

    /// The operator whom the node was founded for.
    pub(crate) fn owner(&self) -> &Name {
        &self.ground.owner
    }

    /// From now on changes count in the tree.
    pub(crate) fn attach(&self, tree: &Tree) {
        let _once = (self.deciding).set((tree.policy.clone(), tree.trust.clone()));
        self.epoch.send_replace(self.in_force().access.epoch);
    }

    /// Changes the document. It counts on this node when this answers, and on the members that `Reached` names.
    ///
    /// # Errors
    /// See [`KeepError`].
    ///
    /// # Cancel safety
    /// A dropped call may have made the change.
    pub(crate) async fn change<T>(
        &self,
        by: &Name,
        change: impl FnOnce(&mut Access) -> Result<T, ChangeError>,
    ) -> Result<Changed<T>, KeepError> {
        if let Writer::Elsewhere = self.writer {
            return Err(KeepError::Elsewhere("the node that is the CA".to_owned()));
        }
        let (answer, epoch) = self.change_here(by, change).await?;
        let reached = match (&self.writer, epoch) {
            // Beside the turn: a member that does not answer holds up no other change.
            (Writer::Ca(ca), Some(_)) => ca.push().await,
            _ => Reached::default(),
        };
        Ok(Changed {
            answer,
            reached,
            epoch,
        })
    }

    /// Makes a change count on this node, and has it said to whoever asks. Answers the epoch that it begins.
    async fn change_here<T>(
        &self,
        by: &Name,
        change: impl FnOnce(&mut Access) -> Result<T, ChangeError>,
    ) -> Result<(T, Option<u64>), KeepError> {
        let _turn = self.turn.lock().await;
        let before = self.in_force();
        let mut next = Access::clone(&before.access);
        let answer = change(&mut next)?;
        if next == *before.access {
            return Ok((answer, None));
        }
        next.epoch = unix_ms(self.ground.environment.now()).max(before.access.epoch + 1);
        let engine = match next.policies == before.access.policies {
            true => Arc::clone(&before.engine),
            false => self.tried(by, &next).await?,
        };
        let (bytes, epoch) = (next.encode(), Some(next.epoch));
        self.ground.store.meta_put(ROW, bytes.clone()).await?;
        let next = Loaded::new(next, engine);
        self.put_in_force(in_force(&self.ground, next, None))
            .await?;
        if let Writer::Ca(ca) = &self.writer {
            ca.say_access(bytes).await?;
        }
        Ok((answer, epoch))
    }

    /// Looks at policies as if they were in force.
    pub(crate) async fn try_policies(
        &self,
        by: &Name,
        change: impl FnOnce(&mut Access) -> Result<(), ChangeError>,
    ) -> Result<Arc<Engine>, KeepError> {
        let mut next = Access::clone(&self.in_force().access);
        change(&mut next)?;
        self.tried(by, &next).await
    }

    /// The engine of changed policies, by which whoever changes them may change them again.
    async fn tried(&self, by: &Name, access: &Access) -> Result<Arc<Engine>, KeepError> {
        let engine = engine(&self.ground.owner, access).await?;
        let standing = access.standing(self.ground.issuers.clone());
        let principal = Principal::Operator(by.clone());
        // SECURITY: a set that whoever made it cannot change any more may be a set for ever.
        let request = PolicyRequest {
            principal: standing.principal(&principal),
            action: PolicyAction::PolicyWrite,
            resource: PolicyResource::new(ResourceId::Policy(by.clone())),
            context: PolicyContext::at(self.ground.environment.now()),
        };
        match engine.decide(&request).is_permit() {
            true => Ok(engine),
            false => Err(KeepError::LockedOut),
        }
    }

    /// Follows what the CA says.
    pub(crate) async fn follow(&self, held: &Held) {
        let _turn = self.turn.lock().await;
        let before = self.in_force();
        let access = match Access::decode(&held.state.access) {
            Ok(access) => access,
            Err(error) => {
                tracing::error!(%error, "what the CA says of who may do what is not understood: this node is too old");
                return;
            }
        };
        let access = Arc::new(access);
        // Held against what the engine was made of: what did not load once is tried again.
        let engine = match access.policies == before.engine_of.policies {
            true => None,
            false => match engine(&self.ground.owner, &access).await {
                Ok(engine) => Some(engine),
                Err(error) => {
                    tracing::error!(%error, "the new policies do not load here: those before stay in force");
                    None
                }
            },
        };
        let next = match engine {
            Some(engine) => Loaded {
                engine_of: Arc::clone(&access),
                engine,
                access,
            },
            None => Loaded {
                engine_of: Arc::clone(&before.engine_of),
                engine: Arc::clone(&before.engine),
                access,
            },
        };
        let until = fresh_until(&self.writer, Some(held));
        let next = in_force(&self.ground, next, until);
        if self.put_in_force(next).await.is_err() {
            tracing::debug!("the node stops before what the CA says is in force");
        }
    }

    /// Returns when this node decides by it.
    async fn put_in_force(&self, next: InForce) -> Result<(), KeepError> {
        let (trust, epoch) = (next.trust.clone(), next.trust.epoch());
        self.in_force.send_replace(Arc::new(next));
        if let Some((policy, now)) = self.deciding.get() {
            let place = policy.admit().await;
            let _restarting = place.send(PolicyMessage::Replace(trust));
            let mut now = now.clone();
            let decided = now.wait_for(|trust| trust.epoch() >= epoch);
            match tokio::time::timeout(IN_FORCE, decided).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return Err(KeepError::Stopping),
            }
        }
        self.epoch.send_replace(epoch);
        Ok(())
    }
}

/// Follows what the CA says until the node stops.
pub(crate) async fn follow(app: Arc<App>) {
    let Some(cluster) = &app.cluster else { return };
    if !matches!(app.keeper.writer, Writer::Elsewhere) {
        return;
    }
    let mut held = cluster.held();
    held.mark_changed();
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            changed = held.changed() => if changed.is_err() { return },
        }
        let now = Arc::clone(&held.borrow_and_update());
        app.keeper.follow(&now).await;
    }
}

/// SECURITY: what was heard of the CA is believed as long as its revocation lists are: whoever keeps news from a
/// node does not keep it in the past for ever.
fn fresh_until(writer: &Writer, said: Option<&Held>) -> Option<SystemTime> {
    match writer {
        Writer::Alone | Writer::Ca(_) => None,
        Writer::Elsewhere => {
            let lists = said?.bundle.revocations().lists();
            lists.map(|list| list.next_update()).min()
        }
    }
}

fn in_force(ground: &Ground, loaded: Loaded, fresh_until: Option<SystemTime>) -> InForce {
    let Loaded {
        access,
        engine,
        engine_of,
    } = loaded;
    let standing = Arc::new(access.standing(ground.issuers.clone()));
    let policies = Arc::clone(&engine);
    InForce {
        keys: Keys::of(&access, (ground.founding, &ground.owner)),
        trust: Trust::new(policies, standing, fresh_until),
        access,
        engine,
        engine_of,
    }
}

/// Loads the policies beside the runtime's threads: a thousand of them take a second.
async fn engine(owner: &Name, access: &Access) -> Result<Arc<Engine>, KeepError> {
    let (owner, epoch) = (owner.clone(), access.epoch.max(1));
    let documents = documents(&access.policies);
    let loaded = tokio::task::spawn_blocking(move || {
        load(&Source {
            epoch,
            owner: Some(&owner),
            documents: &documents,
        })
    });
    let loaded = loaded.await.map_err(|_stopping| KeepError::Stopping)?;
    Ok(Arc::new(loaded?))
}

/// The documents as the engine takes them.
pub(crate) fn documents(policies: &BTreeMap<Name, PolicyRow>) -> Vec<PolicyDocument> {
    let document = |(name, row): (&Name, &PolicyRow)| PolicyDocument {
        name: name.clone(),
        version: row.version,
        author: row.author.clone(),
        text: row.text.clone(),
    };
    policies.iter().map(document).collect()
}
