//! What handlers share, and the way to the node: [`Plane::permit`] asks the policy, and only the
//! [`Permitted`] that it makes leads to the node's parts. A handler that forgot to ask does not compile.

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{body::Bytes, extract::State};
use caxton_actors::{gateway::Routes, ports::Ids as _};
use caxton_api::codes;
use caxton_capabilities::{
    Address, Name, PolicyAction, PolicyContext, PolicyRequest, PolicyResource, Principal, Refusal,
    ResourceId, RuleName, TenantId, TraceId,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::{
    audited,
    credentials::Credentials,
    extract::{Caller, Stranger},
    limits::Limits,
    metrics::Measures,
    problem::{Answer, Failure},
    signatures::Signatures,
};
use crate::{
    access::{book::Access, keeper::InForce},
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
    /// Who shows what.
    pub(super) credentials: Credentials,
    /// How often somebody may ask.
    pub(super) limits: Limits,
    /// Of messages, those that were used.
    pub(super) signatures: Signatures,
    begun: Instant,
}

/// The state of the router.
pub(super) type Shared = State<Arc<Plane>>;

/// What somebody wants to do, to what.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) action: PolicyAction,
    pub(super) resource: PolicyResource,
}

impl Wish {
    /// To do `action` to what has this id.
    pub(super) const fn new(action: PolicyAction, id: ResourceId) -> Self {
        let resource = PolicyResource::new(id);
        Self { action, resource }
    }
}

/// The node's parts, for one whom the policy permits something.
#[derive(Debug)]
pub(super) struct Permitted<'a> {
    app: &'a Arc<App>,
    principal: Principal,
    wish: Wish,
}

impl Deref for Permitted<'_> {
    type Target = Arc<App>;

    fn deref(&self) -> &Arc<App> {
        self.app
    }
}

impl Permitted<'_> {
    /// Who was permitted.
    pub(super) const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What was permitted.
    pub(super) const fn wish(&self) -> &Wish {
        &self.wish
    }
}

impl Plane {
    /// A plane over `app`.
    pub(super) fn new(app: Arc<App>, document: String) -> Self {
        Self {
            credentials: Credentials::new(Arc::clone(&app)),
            limits: Limits::new(&app.config.api.limits),
            signatures: Signatures::default(),
            begun: Instant::now(),
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
        action: PolicyAction,
        resource: ResourceId,
    ) -> Answer<Permitted<'_>> {
        let resource = self.resource(resource);
        self.permit_wish(caller, Wish { action, resource }).await
    }

    /// The same for something of which more is known than the node does.
    pub(super) async fn permit_wish(&self, caller: &Caller, wish: Wish) -> Answer<Permitted<'_>> {
        let decided = self.decide(caller, &wish);
        // Lists, figures and probes of the node are asked for all the time, and tell nothing of a tenant's.
        let is_told = decided.is_err()
            || wish.action != PolicyAction::Read
            || wish.resource.tenant().is_some();
        if is_told {
            let event =
                audited::decision(caller, &wish, &decided, &self.app.about.name, self.now());
            let recorded = self.app.audit.record(event).await;
            // SECURITY: what cannot be audited is not done. Who is refused is refused in any case.
            if decided.is_ok() {
                recorded?;
            }
        }
        match decided {
            Ok(_rule) => Ok(Permitted {
                app: &self.app,
                principal: caller.principal.clone(),
                wish,
            }),
            Err(refusal) => Err(self.refused(caller, &wish, &refusal)),
        }
    }

    /// The rule that lets `caller` do it, or why not.
    fn decide(&self, caller: &Caller, wish: &Wish) -> Result<RuleName, Refusal> {
        if !caller.known.scopes.cover(wish.action, &wish.resource) {
            return Err(Refusal::Scope);
        }
        let trust = self.app.tree.trust.now();
        let now = self.now();
        let context = PolicyContext {
            address: caller.stranger.address,
            ..PolicyContext::at(now)
        };
        let request = PolicyRequest {
            principal: caller.principal_in(trust.standing()),
            action: wish.action,
            resource: wish.resource.clone(),
            context,
        };
        trust.decide(&request, now)
    }

    /// Tells the audit log of a refusal that policies did not make, and gives what the caller hears.
    pub(super) async fn refuse(&self, caller: &Caller, wish: &Wish, refusal: Refusal) -> Failure {
        let failure = self.refused(caller, wish, &refusal);
        let decided = Err(refusal);
        let event = audited::decision(caller, wish, &decided, &self.app.about.name, self.now());
        // They are refused in any case.
        let _unaudited = self.app.audit.record(event).await;
        failure
    }

    /// What a caller hears who may not: the rule, where they may read policies, and else nothing that tells a rule from
    /// its absence.
    fn refused(&self, caller: &Caller, wish: &Wish, refusal: &Refusal) -> Failure {
        let reads = Wish::new(PolicyAction::Read, ResourceId::Cluster);
        let why = match self.decide(caller, &reads) {
            Ok(_rule) => refusal.told(),
            Err(_) => refusal.to_string(),
        };
        let (action, resource) = (wish.action, audited::resource(&wish.resource));
        let detail = format!("not permitted to {action} {resource}: {why}");
        Failure::new(codes::FORBIDDEN, detail)
    }

    /// The agents of this node.
    pub(super) fn routes(&self) -> &Routes {
        self.app.tree.gateway.routes()
    }

    /// Who may do what, as it is in force.
    pub(super) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.app.keeper.in_force().access)
    }

    /// Whether `caller` may do it, without a word to anybody: for what is shown besides.
    pub(super) fn may(&self, caller: &Caller, wish: &Wish) -> bool {
        self.decide(caller, wish).is_ok()
    }

    /// Whether an operator may do it, whatever they would show.
    pub(super) fn operator_may(&self, operator: &Name, wish: &Wish) -> bool {
        let trust = self.app.tree.trust.now();
        let now = self.now();
        let principal = Principal::Operator(operator.clone());
        let request = PolicyRequest {
            principal: trust.standing().principal(&principal),
            action: wish.action,
            resource: wish.resource.clone(),
            context: PolicyContext::at(now),
        };
        trust.decide(&request, now).is_ok()
    }

    /// Whether what was permitted, and told, before would be permitted again, with a credential that still counts. A
    /// stream that ends for it says so.
    pub(super) fn still_permits(&self, caller: &Caller, wish: &Wish) -> bool {
        self.credentials.still_count(caller) && self.decide(caller, wish).is_ok()
    }

    /// Tells when who may do what has changed.
    pub(super) fn changes(&self) -> watch::Receiver<Arc<InForce>> {
        self.app.keeper.changes()
    }

    /// Tells the audit log that somebody did not prove who they are. A flood of them is counted.
    pub(super) async fn unknown(&self, stranger: &Stranger, why: &str) {
        let event = audited::unknown(stranger, why, &self.app.about.name, self.now());
        // They are refused in any case.
        let _unaudited = self.app.audit.record(event).await;
    }

    /// The node's parts, for a list of what `caller` may see, which asks [`Self::may`] for each of it.
    pub(super) fn seen(&self, caller: &Caller) -> Permitted<'_> {
        Permitted {
            app: &self.app,
            principal: caller.principal.clone(),
            wish: Wish::new(PolicyAction::Read, ResourceId::Node(None)),
        }
    }

    /// The same as [`Self::permit`], to see the node as a whole.
    pub(super) async fn read_node(&self, caller: &Caller) -> Answer<Permitted<'_>> {
        let node = ResourceId::Node(None);
        self.permit(caller, PolicyAction::Read, node).await
    }

    /// The same, to see the cluster as a whole.
    pub(super) async fn read_cluster(&self, caller: &Caller) -> Answer<Permitted<'_>> {
        let cluster = ResourceId::Cluster;
        self.permit(caller, PolicyAction::Read, cluster).await
    }

    /// The same, to operate the node.
    pub(super) async fn operate(&self, caller: &Caller) -> Answer<Permitted<'_>> {
        let node = ResourceId::Node(None);
        self.permit(caller, PolicyAction::Operate, node).await
    }

    /// The same, to do something to an agent.
    pub(super) async fn agent(
        &self,
        caller: &Caller,
        action: PolicyAction,
        agent: &Address,
    ) -> Answer<Permitted<'_>> {
        self.permit(caller, action, ResourceId::Agent(agent.clone()))
            .await
    }

    /// The same, to see what a tenant has; without one, the node.
    pub(super) async fn read_tenant(
        &self,
        caller: &Caller,
        tenant: Option<&TenantId>,
    ) -> Answer<Permitted<'_>> {
        let resource = match tenant {
            Some(tenant) => ResourceId::Tenant(tenant.clone()),
            None => ResourceId::Node(None),
        };
        self.permit(caller, PolicyAction::Read, resource).await
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

    /// The roles of who asks.
    pub(super) fn roles(&self, caller: &Caller) -> Vec<String> {
        let in_force = self.app.keeper.in_force();
        let operators = &in_force.access.operators;
        let row = operators.get(&caller.known.operator);
        row.map_or_else(Vec::new, |row| {
            row.roles.iter().map(ToString::to_string).collect()
        })
    }

    /// A new trace id.
    pub(super) fn fresh_trace(&self) -> TraceId {
        self.app.environment.trace()
    }

    /// Wall time.
    pub(super) fn now(&self) -> SystemTime {
        self.app.environment.now()
    }

    /// Nanoseconds since the start, which do not go back whatever is done to the wall clock.
    pub(super) fn now_ns(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// How long reading a body may pause.
    pub(super) fn body_pause(&self) -> Duration {
        self.app.config.api.header_timeout
    }
}
