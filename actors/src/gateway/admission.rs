//! Who may have how much under way. Full is an answer at once, never a wait.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use caxton_capabilities::TenantId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::meter::CpuMeter;

/// Bounds of what may be under way. Every one has its price in memory.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionLimits {
    /// Largest content of one message. The node holds it once, the program's memory once more.
    pub message_bytes_max: usize,
    /// Messages that may wait for one agent: about 600 bytes each, and their content.
    pub mailbox_max: usize,
    /// Content of one tenant's messages under way, in bytes. The whole of it may be resident.
    pub tenant_bytes_max: usize,
}

/// Which bound was met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BusyWith {
    /// The agent's mailbox is full.
    Mailbox,
    /// The tenant's messages under way hold all the bytes that they may.
    TenantBytes,
    /// The sender's token or the receiver's terms allow no more now.
    Rate,
    /// The receiver's tenant has used up what its quota allows.
    Quota,
    /// The agent is between two incarnations.
    Restarting,
}

impl BusyWith {
    /// The bound's name, as the configuration spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mailbox => "messages.mailbox_max",
            Self::TenantBytes => "messages.tenant_in_flight_bytes_max",
            Self::Quota => "the quota of its tenant",
            Self::Rate => "the rate of the sender's token or of the receiver's terms",
            Self::Restarting => "the agent is restarting",
        }
    }
}

/// Content is counted in units of this many bytes, at least one for each message.
const UNIT_BYTES: usize = 1_024;

/// The bytes that one tenant may have under way.
#[derive(Clone, Debug)]
pub(crate) struct TenantBudget {
    places: Arc<Semaphore>,
    /// All that there are.
    units: usize,
    /// What the tenant's programs have used.
    pub(crate) cpu: Arc<CpuMeter>,
}

impl TenantBudget {
    /// Takes the place of `bytes`; given back when the permit is dropped.
    pub(crate) fn enter(&self, bytes: usize) -> Result<OwnedSemaphorePermit, BusyWith> {
        let units = u32::try_from(bytes.div_ceil(UNIT_BYTES).max(1)).unwrap_or(u32::MAX);
        Arc::clone(&self.places)
            .try_acquire_many_owned(units)
            .map_err(|_full| BusyWith::TenantBytes)
    }

    /// Bytes that are under way now, in whole units.
    pub(crate) fn in_flight(&self) -> usize {
        let free = self.places.available_permits();
        self.units.saturating_sub(free).saturating_mul(UNIT_BYTES)
    }
}

/// One budget for each tenant that has an agent.
#[derive(Debug, Default)]
pub(crate) struct TenantBudgets(RwLock<HashMap<TenantId, TenantBudget>>);

impl TenantBudgets {
    pub(crate) fn of(&self, tenant: &TenantId, limits: &AdmissionLimits) -> TenantBudget {
        let mut budgets = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let units = limits
            .tenant_bytes_max
            .div_ceil(UNIT_BYTES)
            .min(Semaphore::MAX_PERMITS);
        budgets
            .entry(tenant.clone())
            .or_insert_with(|| TenantBudget {
                places: Arc::new(Semaphore::new(units)),
                units,
                cpu: Arc::default(),
            })
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_gets_its_bytes_back_when_the_message_is_done() {
        let limits = AdmissionLimits {
            message_bytes_max: 4_096,
            mailbox_max: 1,
            tenant_bytes_max: 4_096,
        };
        let budgets = TenantBudgets::default();
        let budget = budgets.of(&"acme".parse().unwrap(), &limits);
        let first = budget.enter(3_000).unwrap();
        assert_eq!(budget.enter(2_000).err(), Some(BusyWith::TenantBytes));
        assert!(
            budgets
                .of(&"other".parse().unwrap(), &limits)
                .enter(4_000)
                .is_ok(),
            "tenants do not share"
        );
        drop(first);
        assert!(
            budgets
                .of(&"acme".parse().unwrap(), &limits)
                .enter(4_096)
                .is_ok()
        );
    }

    #[test]
    fn an_empty_message_takes_a_place_too() {
        let limits = AdmissionLimits {
            message_bytes_max: 1,
            mailbox_max: 1,
            tenant_bytes_max: 1_024,
        };
        let budget = TenantBudgets::default().of(&"acme".parse().unwrap(), &limits);
        let _held = budget.enter(0).unwrap();
        assert!(budget.enter(0).is_err());
    }
}
