//! Where agents are reached: one [`AgentPort`] for each, which outlives restarts of its actor.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use caxton_capabilities::{
    Address, AgentId, Moment, Name, Narrowing, Next, Principal, Refusal, Standing, TenantId, Token,
    TokenRefused, Verified, verify::verify,
};
use tokio::sync::Notify;

use super::{accepts::Terms, admission::TenantBudget};
use crate::{
    agent::AgentMessage,
    ports::{Authority, Desired, Directory, Instance, Version},
    supervision::BoundedRef,
};

/// Most agents that a search answers with.
const FOUND_MAX: usize = 64;
/// Longest error kept for `inspect`, in characters.
const ERROR_CHARS_MAX: usize = 512;

/// A version that passed its trial, with the instance that passed it.
pub struct Handover {
    /// The version.
    pub version: Arc<Version>,
    /// The instance that passed the trial.
    pub instance: Option<Box<dyn Instance>>,
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handover")
            .field("version", &self.version.number)
            .finish_non_exhaustive()
    }
}

/// Counters of one agent since its port was made.
#[derive(Debug, Default)]
pub struct PortStatus {
    /// Messages handled.
    pub handled: AtomicU64,
    /// Attempts that failed.
    pub failed: AtomicU64,
    /// Instances started.
    pub instances: AtomicU64,
    /// CPU time in microseconds.
    pub cpu_us: AtomicU64,
    /// Memory of the instance after its last message, in bytes.
    pub memory_bytes: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl PortStatus {
    /// Keeps the last error, shortened.
    pub fn set_error(&self, error: &str) {
        let short = error.chars().take(ERROR_CHARS_MAX).collect();
        *self
            .last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(short);
    }

    /// The last error.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.last_error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn add_cpu(&self, cpu: Duration) {
        let us = u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX);
        self.cpu_us.fetch_add(us, Ordering::Relaxed);
    }
}

/// The door to one agent. Shared by all who send to it; an actor behind it comes and goes.
#[derive(Debug)]
pub struct AgentPort {
    /// The agent's id.
    pub id: AgentId,
    /// Its address.
    pub address: Address,
    /// Who made it.
    pub owner: Principal,
    /// Its counters.
    pub status: PortStatus,
    pub(crate) mailbox: BoundedRef<AgentMessage>,
    pub(crate) budget: TenantBudget,
    /// Durable messages were accepted that did not reach the actor: it is to read them from the ledger.
    pub(crate) behind: AtomicBool,
    /// A version was handed over, or it is to stop.
    pub(crate) told: Notify,
    desired: AtomicBool,
    version: ArcSwap<Version>,
    accepts: ArcSwap<Terms>,
    /// The token of the version, as it was last verified.
    tokens: ArcSwapOption<Tokens>,
    handover: Mutex<Option<Handover>>,
}

/// The token of one version of an agent.
#[derive(Debug)]
pub(super) struct Tokens {
    version: u64,
    /// As it was issued: its runtime adds to it.
    pub(super) held: Verified,
    /// With a last block that nobody adds to: what is sent with it.
    pub(super) sealed: Verified,
}

impl AgentPort {
    pub(crate) fn new(
        (id, address, owner): (AgentId, Address, Principal),
        version: Arc<Version>,
        mailbox: BoundedRef<AgentMessage>,
        budget: TenantBudget,
    ) -> Self {
        Self {
            id,
            address,
            owner,
            status: PortStatus::default(),
            mailbox,
            budget,
            behind: AtomicBool::new(false),
            told: Notify::new(),
            desired: AtomicBool::new(false),
            accepts: ArcSwap::from_pointee(Terms::of(&version.accepts)),
            tokens: ArcSwapOption::empty(),
            version: ArcSwap::new(version),
            handover: Mutex::new(None),
        }
    }

    /// The version in use.
    #[must_use]
    pub fn version(&self) -> Arc<Version> {
        self.version.load_full()
    }

    /// Whether the operator wants it to run.
    #[must_use]
    pub fn desired(&self) -> Desired {
        if self.desired.load(Ordering::Acquire) {
            Desired::Running
        } else {
            Desired::Stopped
        }
    }

    /// What it takes from whom.
    pub(super) fn accepts(&self) -> Arc<Terms> {
        self.accepts.load_full()
    }

    /// Its token, verified under `standing` and sealed: once for each version of it and each state of what counts.
    pub(super) fn tokens(
        &self,
        standing: &Standing,
        authority: &dyn Authority,
        now: SystemTime,
    ) -> Result<Arc<Tokens>, Refusal> {
        let version = self.version.load();
        let (issuers, revoked) = (&standing.issuers, &standing.revoked);
        if let Some(known) = &*self.tokens.load()
            && known.version == version.number
            && known.held.is_current(issuers, revoked)
        {
            return Ok(Arc::clone(known));
        }
        if version.token.is_empty() {
            return Err(Refusal::NoToken);
        }
        let token = Token::from_bytes(&version.token).map_err(TokenRefused::Malformed)?;
        let now = Moment::of(now).ok_or(Refusal::NoToken)?;
        let held = verify(&token, issuers, revoked, now)?;
        let seal = Next {
            subject: Principal::Agent(self.address.clone()),
            holder: None,
            less: Narrowing::default(),
        };
        let key = authority.key(&self.address);
        let tokens = Arc::new(Tokens {
            version: version.number,
            sealed: held.extended(&key, seal, revoked, now)?,
            held,
        });
        self.tokens.store(Some(Arc::clone(&tokens)));
        Ok(tokens)
    }

    /// Messages queued or being handled, and how many there may be.
    #[must_use]
    pub fn queued(&self) -> (usize, usize) {
        (self.mailbox.queued(), self.mailbox.capacity())
    }

    /// Whether its actor takes messages now.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.mailbox.is_running()
    }

    pub(crate) fn set_desired(&self, desired: Desired) {
        self.desired
            .store(desired == Desired::Running, Ordering::Release);
        self.told.notify_one();
    }

    /// Makes `handover` the version for the next message.
    pub(crate) fn hand_over(&self, handover: Handover) {
        let version = &handover.version;
        self.accepts.store(Arc::new(Terms::of(&version.accepts)));
        self.version.store(Arc::clone(version));
        *self.handover.lock().unwrap_or_else(PoisonError::into_inner) = Some(handover);
        self.told.notify_one();
    }

    pub(crate) fn take_handover(&self) -> Option<Handover> {
        self.handover
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

#[derive(Debug, Default)]
struct Tables {
    by_address: HashMap<Address, Arc<AgentPort>>,
    by_service: HashMap<(TenantId, Name), BTreeSet<Address>>,
}

/// All ports of the node, by address and by service.
#[derive(Debug, Default)]
pub struct Routes {
    tables: RwLock<Tables>,
}

impl Routes {
    /// The port of `address`.
    #[must_use]
    pub fn get(&self, address: &Address) -> Option<Arc<AgentPort>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.by_address.get(address).cloned()
    }

    /// Every port, in no order.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<AgentPort>> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.by_address.values().cloned().collect()
    }

    /// How many agents there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .by_address
            .len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a port, or files an existing one under the services of its version.
    pub(crate) fn put(&self, port: &Arc<AgentPort>) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.forget_services(&port.address);
        for service in &port.version().services {
            let key = (port.address.tenant.clone(), service.clone());
            tables
                .by_service
                .entry(key)
                .or_default()
                .insert(port.address.clone());
        }
        tables
            .by_address
            .insert(port.address.clone(), Arc::clone(port));
    }

    pub(crate) fn remove(&self, address: &Address) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.forget_services(address);
        tables.by_address.remove(address);
    }
}

impl Tables {
    fn forget_services(&mut self, address: &Address) {
        let Some(port) = self.by_address.get(address) else {
            return;
        };
        // The port may hold the new version already: look under every service of the tenant.
        let tenant = port.address.tenant.clone();
        self.by_service.retain(|(owner, _), offers| {
            if *owner == tenant {
                offers.remove(address);
            }
            !offers.is_empty()
        });
    }
}

impl Directory for Routes {
    fn find(&self, tenant: &TenantId, service: &str) -> Vec<Address> {
        let Ok(service) = service.parse::<Name>() else {
            return Vec::new();
        };
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let running = |address: &&Address| {
            tables
                .by_address
                .get(*address)
                .is_some_and(|port| port.desired() == Desired::Running)
        };
        tables
            .by_service
            .get(&(tenant.clone(), service))
            .map(|offers| {
                offers
                    .iter()
                    .filter(running)
                    .take(FOUND_MAX)
                    .cloned()
                    .collect()
            })
            .unwrap_or_default()
    }
}
