//! What handlers share, and the way to the node: [`Plane::permit`] asks the policy, and only the
//! [`Permitted`] that it makes leads to the node's parts. A handler that forgot to ask does not compile.

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{body::Bytes, extract::State};
use caxton_actors::{
    auth::Credentials,
    ports::{Ids as _, unix_ms},
};
use caxton_api::codes;
use caxton_capabilities::{
    Action, Address, Denied, Permit, Principal, Resource, Right, TenantId, TraceId,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    audited,
    extract::{Caller, Stranger},
    metrics::Measures,
    problem::{Answer, Failure},
};
use crate::{
    app::{About, App, Phase},
    config::Config,
};

/// Streams at the same time: each holds a connection and a queue of at most 1,024 events.
const STREAMS_MAX: usize = 64;
/// What a client is told to wait that wants one more stream.
const STREAM_RETRY_S: u64 = 5;

/// What handlers share.
#[derive(Debug)]
pub(super) struct Plane {
    /// INVARIANT: private; [`Self::permit`] is the way to it.
    app: Arc<App>,
    streams: Arc<Semaphore>,
    document: Bytes,
    /// What is counted of requests.
    pub(super) measures: Measures,
}

/// The state of the router.
pub(super) type Shared = State<Arc<Plane>>;

/// The node's parts, for one whom the policy permits something.
#[derive(Debug)]
pub(super) struct Permitted<'a> {
    app: &'a Arc<App>,
    permit: Permit,
}

impl Deref for Permitted<'_> {
    type Target = Arc<App>;

    fn deref(&self) -> &Arc<App> {
        self.app
    }
}

impl Permitted<'_> {
    /// Who was permitted.
    pub(super) fn principal(&self) -> &Principal {
        self.permit.principal()
    }

    /// What was permitted.
    pub(super) fn right(&self) -> &Right {
        self.permit.right()
    }
}

impl Plane {
    /// A plane over `app`.
    pub(super) fn new(app: Arc<App>, document: String) -> Self {
        Self {
            app,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            document: document.into(),
            measures: Measures::default(),
        }
    }

    /// The node's parts, if `caller` may do `action` to `resource` now. The decision is in the audit log when this
    /// answers, unless it lets somebody look at the node alone.
    ///
    /// # Errors
    /// The policy does not permit it, or it cannot be audited.
    pub(super) async fn permit(
        &self,
        caller: &Caller,
        action: Action,
        resource: Resource,
    ) -> Answer<Permitted<'_>> {
        let right = Right::new(action, resource);
        let decided = self.decide(caller, &right);
        // Lists, figures and probes of the node are asked for all the time, and tell nothing of a tenant's.
        let is_told =
            decided.is_err() || right.action != Action::Read || right.resource.tenant().is_some();
        if is_told {
            let event =
                audited::decision(caller, &right, &decided, &self.app.about.name, self.now());
            let recorded = self.app.audit.record(event).await;
            // SECURITY: what cannot be audited is not done. Who is refused is refused in any case.
            if decided.is_ok() {
                recorded?;
            }
        }
        Ok(Permitted {
            app: &self.app,
            permit: decided?,
        })
    }

    fn decide(&self, caller: &Caller, right: &Right) -> Result<Permit, Denied> {
        let trust = self.app.tree.trust.borrow();
        trust.authorize(&caller.principal, right.clone(), self.now())
    }

    /// Whether what was permitted, and told, before would be permitted again. A stream that ends for it says so.
    pub(super) fn still_permits(&self, caller: &Caller, right: &Right) -> bool {
        self.decide(caller, right).is_ok()
    }

    /// Tells the audit log that somebody did not prove who they are. A flood of them is counted.
    pub(super) async fn unknown(&self, stranger: &Stranger, why: &str) {
        let event = audited::unknown(stranger, why, &self.app.about.name, self.now());
        // They are refused in any case.
        let _unaudited = self.app.audit.record(event).await;
    }

    /// The same, to see the node as a whole.
    pub(super) async fn read_node(&self, caller: &Caller) -> Answer<Permitted<'_>> {
        self.permit(caller, Action::Read, Resource::Node).await
    }

    /// The same, to operate the node.
    pub(super) async fn operate(&self, caller: &Caller) -> Answer<Permitted<'_>> {
        self.permit(caller, Action::Operate, Resource::Node).await
    }

    /// The same, to see an agent.
    pub(super) async fn read_agent(
        &self,
        caller: &Caller,
        agent: &Address,
    ) -> Answer<Permitted<'_>> {
        self.permit(caller, Action::Read, Resource::Agent(agent.clone()))
            .await
    }

    /// The same, to change an agent.
    pub(super) async fn deploy(&self, caller: &Caller, agent: &Address) -> Answer<Permitted<'_>> {
        self.permit(caller, Action::Deploy, Resource::Agent(agent.clone()))
            .await
    }

    /// The same, to see what a tenant has; without one, the node.
    pub(super) async fn read_tenant(
        &self,
        caller: &Caller,
        tenant: Option<&TenantId>,
    ) -> Answer<Permitted<'_>> {
        let resource = tenant.map_or(Resource::Node, |tenant| Resource::Tenant(tenant.clone()));
        self.permit(caller, Action::Read, resource).await
    }

    /// A place for a stream, given back when dropped.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn stream_place(&self) -> Answer<OwnedSemaphorePermit> {
        Arc::clone(&self.streams)
            .try_acquire_owned()
            .map_err(|_full| {
                let detail = format!("{STREAMS_MAX} streams are open, which is the most");
                Failure::new(codes::BUSY, detail).retry_after(STREAM_RETRY_S)
            })
    }

    /// The OpenAPI document.
    pub(super) fn document(&self) -> Bytes {
        self.document.clone()
    }

    /// What the node says of itself that everyone who is known may hear.
    pub(super) fn about(&self) -> &About {
        &self.app.about
    }

    /// The configuration.
    pub(super) fn config(&self) -> &Config {
        &self.app.config
    }

    /// Why the node is not ready; empty when it is.
    pub(super) fn unready(&self) -> Vec<String> {
        let phase = match *self.app.phase.borrow() {
            Phase::Ready => None,
            Phase::Starting => Some("the node is starting".to_owned()),
            Phase::Draining => Some("the node is draining".to_owned()),
        };
        let store = self.app.store.trouble();
        // The store's own words may name paths; whoever asks here is not known.
        let store = store.map(|_trouble| "the store takes no writes".to_owned());
        phase.into_iter().chain(store).collect()
    }

    /// Whose key it is whose SHA-256 is `digest`.
    pub(super) fn authenticate(&self, digest: &[u8; 32]) -> Option<Principal> {
        let credentials: Credentials = self.app.credentials.borrow().clone();
        credentials.authenticate(digest, unix_ms(self.now()))
    }

    /// A new trace id.
    pub(super) fn fresh_trace(&self) -> TraceId {
        self.app.environment.trace()
    }

    /// Wall time.
    pub(super) fn now(&self) -> SystemTime {
        self.app.environment.now()
    }

    /// How long reading a body may pause.
    pub(super) fn body_pause(&self) -> Duration {
        self.app.config.api.header_timeout
    }
}
