//! The tree: which actors a node has, in start order. The only file that names them all.
//!
//! ```text
//! root (one-for-one: each starts again from what was published or is durable)
//! ├ policy ─ publishes policies, and who is who
//! ├ auth ─── folds it into trust
//! ├ ca ───── keeps the certificate fresh
//! ├ pulse ── publishes the node's health
//! ├ gateway ─ nudges agents that fell behind
//! ├ agents (one-for-one, each agent with an intensity of its own)
//! └ registry ─ brings agents up, deploys, stops, removes
//! ```

use std::{fmt, sync::Arc, time::Duration};

use caxton_capabilities::Trust;
use tokio::sync::watch;

use crate::{
    agent::RetryPolicy,
    auth::{AuthActor, AuthArguments, AuthMessage, PublishedTrust, TrustPublisher},
    ca::{CaActor, CaArguments, CaMessage, Certificates},
    gateway::{AdmissionLimits, Gateway, GatewayActor, GatewayMessage, GatewayParts, Routes},
    policy::{PolicyActor, PolicyMessage},
    ports::{Authority, Clock, Denials, Hops, Ids, Ledger, Programs},
    pulse::{Health, PulseActor, PulseArguments, PulseMessage},
    registry::{Hands, Registry, RegistryActor, RegistryArguments, RegistryMessage},
    supervision::{
        Backoff, BoundedRef, ChildSpec, Escalation, Intensity, Rules, StartError, StopReport,
        Strategy, Supervisor, SupervisorHandle, SupervisorSpec,
    },
};

/// Places in a system actor's mailbox: its senders are few and wait for answers.
const SYSTEM_MAILBOX: usize = 256;
/// Of these, kept for ticks.
const SYSTEM_RESERVED: usize = 4;

/// What a tree is made from.
#[derive(Clone)]
pub struct TreeParts {
    /// Policies, and who is who, to begin with.
    pub trust: Trust,
    /// What issues tokens to agents.
    pub authority: Arc<dyn Authority>,
    /// The durable ledger.
    pub ledger: Arc<dyn Ledger>,
    /// The node's certificate.
    pub certificates: Arc<dyn Certificates>,
    /// Makes ids.
    pub ids: Arc<dyn Ids>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// Takes hops.
    pub hops: Arc<dyn Hops>,
    /// Is told of denied messages.
    pub denials: Arc<dyn Denials>,
    /// Bounds of what may be under way.
    pub admission: AdmissionLimits,
    /// How often agents try a message.
    pub retry: RetryPolicy,
    /// Conversations that an agent may have open.
    pub conversations_max: usize,
    /// Versions kept of each agent, at least one.
    pub versions_kept: usize,
    /// How often an agent's actor may be restarted.
    pub agent_intensity: Intensity,
    /// The seed of backoff's jitter.
    pub seed: u64,
    /// How long stopping all agents may take.
    pub grace: Duration,
}

impl fmt::Debug for TreeParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeParts")
            .field("admission", &self.admission)
            .finish_non_exhaustive()
    }
}

/// A running tree, and what the rest of the node says to it.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The data path.
    pub gateway: Gateway,
    /// Agents and their versions.
    pub registry: Registry,
    /// The latest trust.
    pub trust: PublishedTrust,
    /// The latest health.
    pub health: watch::Receiver<Health>,
    /// Replaces policies.
    pub policy: BoundedRef<PolicyMessage>,
    root: SupervisorHandle,
    agents: SupervisorHandle,
}

impl Tree {
    /// Starts everything, in order. `programs` is handed the data path, which programs send through.
    ///
    /// # Errors
    /// An actor did not start; those before it are stopped again.
    pub async fn start(
        parts: TreeParts,
        programs: impl FnOnce(&Gateway) -> Arc<dyn Programs>,
    ) -> Result<Self, StartError> {
        let policies = TrustPublisher::new(parts.trust.clone());
        let trust = TrustPublisher::new(parts.trust.clone());
        let health = watch::Sender::new(Health::default());
        let gateway_parts = GatewayParts {
            limits: parts.admission,
            trust: trust.subscribe(),
            ledger: Arc::clone(&parts.ledger),
            ids: Arc::clone(&parts.ids),
            clock: Arc::clone(&parts.clock),
            hops: Arc::clone(&parts.hops),
            denials: Arc::clone(&parts.denials),
            authority: Arc::clone(&parts.authority),
        };
        let gateway = Gateway::new(gateway_parts, Arc::new(Routes::default()));
        let (trust_now, health_now) = (trust.subscribe(), health.subscribe());

        let (policy_child, policy) = policy_child(policies.clone());
        let auth_child = auth_child(policies.subscribe(), trust);
        let ca_child = ca_child(&parts);
        let pulse_child = pulse_child(health);
        let gateway_child = gateway_child(gateway.clone());
        let (agents_child, agents) = agents_child(&parts);
        let programs = programs(&gateway);
        let (registry_child, registry) =
            registry_child(&parts, programs, gateway.clone(), agents.clone());

        let children = vec![
            policy_child,
            auth_child,
            ca_child,
            pulse_child,
            gateway_child,
            agents_child,
            registry_child,
        ];
        let rules = Rules {
            // Each system actor starts again from what was published or is durable, so the others
            // need not be restarted with it.
            strategy: Strategy::OneForOne,
            intensity: Intensity {
                restarts: 20,
                period: Duration::from_secs(10),
            },
            backoff: BACKOFF,
            escalation: Escalation::Supervisor,
        };
        let root = Supervisor::start(SupervisorSpec {
            rules,
            children,
            seed: parts.seed,
        })
        .await?;
        Ok(Self {
            gateway,
            registry,
            trust: trust_now,
            health: health_now,
            policy,
            root,
            agents,
        })
    }

    /// The root supervisor: status, restarts at an operator's wish, and its end.
    #[must_use]
    pub const fn root(&self) -> &SupervisorHandle {
        &self.root
    }

    /// The supervisor of agents.
    #[must_use]
    pub const fn agents(&self) -> &SupervisorHandle {
        &self.agents
    }

    /// Stops everything in reverse order.
    pub async fn stop(&self, grace: Duration) -> StopReport {
        let report = self.root.stop(grace).await;
        // What is being written has its answer before the ledger is closed.
        let _late = tokio::time::timeout(grace, self.gateway.committed()).await;
        report
    }
}

const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(10),
    cap: Duration::from_secs(5),
    reset_after: Duration::from_secs(30),
};

fn mailbox<M: Send + 'static>() -> BoundedRef<M> {
    BoundedRef::new(SYSTEM_MAILBOX, SYSTEM_RESERVED)
}

/// A child whose actor is made from `arguments` each time it starts.
macro_rules! child {
    ($name:literal, $mailbox:expr, $actor:expr, $arguments:expr) => {{
        let (mailbox, arguments) = ($mailbox.clone(), $arguments);
        let door = mailbox.clone();
        ChildSpec::actor($name, $name, &door, move |context| {
            let (mailbox, arguments) = (mailbox.clone(), arguments.clone());
            Box::pin(async move { context.spawn(&mailbox, $actor, arguments).await })
        })
    }};
}

fn policy_child(published: TrustPublisher) -> (ChildSpec, BoundedRef<PolicyMessage>) {
    let mailbox = mailbox();
    (child!("policy", mailbox, PolicyActor, published), mailbox)
}

fn auth_child(policies: PublishedTrust, trust: TrustPublisher) -> ChildSpec {
    let mailbox: BoundedRef<AuthMessage> = mailbox();
    let arguments = AuthArguments {
        policies,
        trust,
        mailbox: mailbox.clone(),
    };
    child!("auth", mailbox, AuthActor, arguments)
}

fn ca_child(parts: &TreeParts) -> ChildSpec {
    let mailbox: BoundedRef<CaMessage> = mailbox();
    let arguments = CaArguments {
        certificates: Arc::clone(&parts.certificates),
        clock: Arc::clone(&parts.clock),
        mailbox: mailbox.clone(),
    };
    child!("ca", mailbox, CaActor, arguments)
}

fn pulse_child(health: watch::Sender<Health>) -> ChildSpec {
    let mailbox: BoundedRef<PulseMessage> = mailbox();
    let arguments = PulseArguments {
        health,
        mailbox: mailbox.clone(),
    };
    child!("pulse", mailbox, PulseActor, arguments)
}

fn gateway_child(gateway: Gateway) -> ChildSpec {
    let mailbox: BoundedRef<GatewayMessage> = mailbox();
    let arguments = (gateway, mailbox.clone());
    child!("gateway", mailbox, GatewayActor, arguments)
}

fn agents_child(parts: &TreeParts) -> (ChildSpec, SupervisorHandle) {
    let rules = Rules {
        strategy: Strategy::OneForOne,
        intensity: parts.agent_intensity,
        backoff: BACKOFF,
        escalation: Escalation::Child,
    };
    let spec = SupervisorSpec {
        rules,
        children: Vec::new(),
        seed: parts.seed,
    };
    ChildSpec::supervisor("agents", spec, parts.grace)
}

fn registry_child(
    parts: &TreeParts,
    programs: Arc<dyn Programs>,
    gateway: Gateway,
    agents: SupervisorHandle,
) -> (ChildSpec, Registry) {
    let mailbox: BoundedRef<RegistryMessage> = mailbox();
    let hands = Hands {
        gateway,
        programs,
        agents,
        retry: parts.retry,
        conversations_max: parts.conversations_max,
    };
    let arguments = RegistryArguments {
        hands,
        mailbox: mailbox.clone(),
        versions_kept: parts.versions_kept,
    };
    (
        child!("registry", mailbox, RegistryActor, arguments),
        Registry(mailbox),
    )
}
