//! What handlers share, and the way to the node: [`Plane::permit`] asks the policy, and only the
//! [`Permitted`] that it makes leads to the node's parts. A handler that forgot to ask does not compile.

use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::{body::Bytes, extract::State};
use caxton_actors::{
    gateway::Routes,
    ports::{Ids as _, unix_ms},
};
use caxton_api::codes;
use caxton_capabilities::{
    Address, Name, PolicyAction, PolicyContext, PolicyRequest, PolicyResource, Principal, Refusal,
    ResourceId, RuleName, TenantId, TraceId,
};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::Instant,
};

use super::{
    audited,
    authenticate::{JWT_PREFIX, Unproven},
    extract::{Caller, Method, Stranger},
    limits::Limits,
    metrics::Measures,
    problem::{Answer, Failure},
};
use crate::{
    access::{
        book::Access,
        jwt::Logins,
        keeper::InForce,
        keys::Known,
        service_tokens::{self, ServiceTokens},
    },
    app::{About, App, Phase},
    config::Config,
};

/// Streams at the same time: each holds a connection and a queue of at most 1,024 events.
const STREAMS_MAX: usize = 64;
/// What a client is told to wait that wants one more stream.
pub(super) const STREAM_RETRY_S: u64 = 5;

/// What handlers share.
#[derive(Debug)]
pub(super) struct Plane {
    /// INVARIANT: private; [`Self::permit`] is the way to it.
    app: Arc<App>,
    streams: Arc<Semaphore>,
    document: Bytes,
    /// What is counted of requests.
    pub(super) measures: Measures,
    pub(super) service_tokens: ServiceTokens,
    /// Whose JSON Web Tokens count; none: nobody's.
    logins: Option<Arc<Logins>>,
    /// How often somebody may ask.
    pub(super) limits: Limits,
    begun: Instant,
}

/// What is told of a credential: 64 bits of its digest. It has 256 random bits, so that they help nobody to guess it.
pub(super) fn short(kind: &str, digest: &[u8; 32]) -> String {
    let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    [format!("{kind}_")].into_iter().chain(digits).collect()
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
        let jwt = app.config.jwt.clone();
        let logins = jwt.map(|jwt| Arc::new(Logins::open(jwt.issuer, jwt.keys_file)));
        Self {
            logins,
            limits: Limits::new(&app.config.api.limits),
            begun: Instant::now(),
            app,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            document: document.into(),
            measures: Measures::default(),
            service_tokens: ServiceTokens::default(),
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
        let trust = self.app.tree.trust.borrow().clone();
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
        let trust = self.app.tree.trust.borrow().clone();
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
        self.still_known(caller) && self.decide(caller, wish).is_ok()
    }

    fn still_known(&self, caller: &Caller) -> bool {
        let (from, now_ms) = (caller.stranger.address, unix_ms(self.now()));
        if caller.until_ms.is_some_and(|until| now_ms >= until) {
            return false;
        }
        caller.key.is_none_or(|digest| {
            let keys = &self.app.keeper.in_force().keys;
            keys.authenticate(&digest, now_ms, from).is_ok()
        })
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

    /// Looks whether the issuer of JSON Web Tokens has other keys by now, at most once a second.
    pub(super) async fn look_at_logins(&self) {
        let due = self.logins.as_ref();
        if let Some(logins) = due.filter(|logins| logins.is_due(self.now_ns())) {
            let logins = Arc::clone(logins);
            // A node that stops looks no more.
            let _stopping = tokio::task::spawn_blocking(move || logins.look()).await;
        }
    }

    /// Who shows this credential: a key of ours, a service token, or a JSON Web Token of the issuer's.
    ///
    /// # Errors
    /// Nobody, now and from there; why.
    pub(super) fn authenticate(
        &self,
        shown: &[u8],
        stranger: &Stranger,
    ) -> Result<Caller, Unproven> {
        if shown.starts_with(JWT_PREFIX) {
            return self.logged_in(shown, stranger);
        }
        let digest: [u8; 32] = Sha256::digest(shown).into();
        let (now_ms, from) = (unix_ms(self.now()), stranger.address);
        let keys = self.app.keeper.in_force().keys.clone();
        let is_service = shown.starts_with(service_tokens::PREFIX.as_bytes());
        let (known, credential, key, method, until_ms) = if is_service {
            let service = self.service_tokens.get(&digest, now_ms);
            let service =
                service.ok_or("this node does not know the service token, or it has ended")?;
            // SECURITY: what was got with a key ends with the key.
            if let Some(key) = &service.key {
                keys.authenticate(key, now_ms, from)?;
            }
            let credential = format!("{} {}", service.credential, short("svc", &digest));
            let (method, until_ms) = (Method::ServiceToken, service.until_ms);
            (service.known, credential, service.key, method, until_ms)
        } else {
            let known = keys.authenticate(&digest, now_ms, from)?;
            let (credential, method) = (short("key", &digest), Method::ApiKey);
            (known, credential, Some(digest), method, None)
        };
        // SECURITY: policies would refuse them too, where they are asked; this is before everything.
        let trust = self.app.tree.trust.borrow().clone();
        if trust.standing().revoked_operators.contains(&known.operator) {
            return Err("the operator was revoked".into());
        }
        Ok(Caller {
            principal: Principal::Operator(known.operator.clone()),
            known,
            credential,
            key,
            method,
            groups: Arc::default(),
            until_ms,
            stranger: stranger.clone(),
        })
    }

    /// Who shows a JSON Web Token: an operator of our own document, or the owner. All of them hear the same sentence who
    /// are none.
    fn logged_in(&self, shown: &[u8], stranger: &Stranger) -> Result<Caller, Unproven> {
        let logins = self.logins.as_ref();
        let logins = logins.ok_or("this node takes no JSON Web Tokens")?;
        let token = str::from_utf8(shown).map_err(|_other| Unproven::token("it is no text"))?;
        let login = logins.login(token, unix_ms(self.now()));
        let login = login.map_err(|why| Unproven::token(why.to_string()))?;
        let keeper = &self.app.keeper;
        let in_force = keeper.in_force();
        let row = in_force.access.operators.get(&login.operator);
        let is_revoked = row.is_some_and(|row| row.revoked.is_some());
        if is_revoked || (row.is_none() && login.operator != *keeper.owner()) {
            let why = "its `sub` is no operator here, or one whose authority was taken back";
            return Err(Unproven::token(why));
        }
        Ok(Caller {
            principal: Principal::Operator(login.operator.clone()),
            known: Arc::new(Known::whole(login.operator)),
            credential: short("jwt", &login.digest),
            key: None,
            method: Method::Jwt,
            groups: Arc::new(login.groups),
            until_ms: Some(login.until_ms),
            stranger: stranger.clone(),
        })
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
