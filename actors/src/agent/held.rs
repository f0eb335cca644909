//! An agent that is held: its program does not run while its tenant is blocked, its version revoked or everything frozen.
//! What comes meanwhile waits in its mailbox and in the ledger.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use caxton_capabilities::{Quota, Trust};
use tokio::time::Instant;

use super::{
    actor::{AgentArguments, AgentState},
    core::Job,
};
use crate::{
    envelope::Step,
    ports::{Desired, Fault},
};

impl AgentState {
    /// Why its program does not run now; none where it may.
    pub(super) fn is_held(&self) -> Option<&'static str> {
        let parts = self.arguments.gateway.parts();
        let trust = parts.trust.now();
        let address = &self.arguments.port.address;
        trust.standing().stops(address, self.version.number)
    }

    /// Returns when its program may run, and at once where it may; `false` where it is to end before that.
    ///
    /// # Cancel safety
    /// It only waits.
    pub(super) async fn released(&mut self, job: &Job) -> bool {
        let (mut trust, mut told) = (None, false);
        loop {
            self.adopt();
            let Some(reason) = self.is_held() else {
                match self.owes() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return true,
                }
                continue;
            };
            // What it was in the middle of is gone with it; nothing of that took effect.
            self.instance = None;
            if !told {
                told = true;
                let step = Step::Failed {
                    kind: "held",
                    reason: reason.to_owned(),
                    retry: true,
                };
                self.arguments.gateway.record(&job.envelope, step);
            }
            let port = Arc::clone(&self.arguments.port);
            // Nobody waits for what does not move. What is durable is with the ledger for the next incarnation.
            if port.desired() == Desired::Stopped || self.arguments.gateway.is_draining() {
                return false;
            }
            let published = &self.arguments.gateway.parts().trust;
            // It has not seen what we saw, so the first wait may end at once, and none too late.
            let trust = trust.get_or_insert_with(|| published.clone());
            tokio::select! {
                _ = trust.changed() => {}
                () = port.told.notified() => {}
                () = self.arguments.gateway.drained() => {}
            }
        }
    }

    fn quota(&self) -> Quota {
        let parts = self.arguments.gateway.parts();
        let tenant = &self.arguments.port.address.tenant;
        parts.trust.now().standing().quota(tenant)
    }

    /// How long its tenant's programs wait for processor time that they have used already.
    fn owes(&self) -> Option<Duration> {
        self.quota().cpu_ms_per_s?;
        self.arguments.port.budget.cpu.wait(Instant::now())
    }

    /// Notes processor time against the tenant's quota.
    pub(super) fn used(&self, cpu: Duration) {
        if let Some(ms_per_s) = self.quota().cpu_ms_per_s {
            let meter = &self.arguments.port.budget.cpu;
            meter.used(cpu, ms_per_s, Instant::now());
        }
    }

    /// Whether keys and values of this length fit into what the tenant may keep.
    pub(super) fn may_keep(&self, writes: &BTreeMap<String, Option<Vec<u8>>>) -> Result<(), Fault> {
        let Some(most) = self.quota().storage_bytes else {
            return Ok(());
        };
        let more = writes.iter().filter_map(|(key, value)| {
            let value = value.as_ref()?;
            u64::try_from(key.len().saturating_add(value.len())).ok()
        });
        let more: u64 = more.sum();
        if more == 0 {
            return Ok(());
        }
        let gateway = &self.arguments.gateway;
        let tenant = &self.arguments.port.address.tenant;
        let ports = gateway.routes().all();
        let own = ports.iter().filter(|port| port.address.tenant == *tenant);
        let kept = own.map(|port| {
            gateway
                .parts()
                .ledger
                .kept_bytes(port.id)
                .unwrap_or(u64::MAX)
        });
        let kept = kept.fold(more, u64::saturating_add);
        match kept <= most {
            true => Ok(()),
            false => Err(Fault {
                kind: "quota",
                reason: format!("the tenant may keep {most} bytes (storage_bytes)"),
                own: None,
                lasting: true,
            }),
        }
    }

    /// Whether what waited may still be handled: the sender's authority may have been taken back meanwhile.
    pub(super) fn is_still_permitted(&self, job: &Job) -> Result<(), String> {
        let gateway = &self.arguments.gateway;
        if job.epoch == gateway.epoch() {
            return Ok(());
        }
        let permitted = gateway.still_permits(&job.envelope);
        permitted.map_err(|denied| denied.to_string())
    }
}

/// Returns when version `number` of the program must not run any more.
///
/// # Cancel safety
/// It only waits.
pub(super) async fn held(arguments: &AgentArguments, number: u64) {
    let mut trust = arguments.gateway.parts().trust.clone();
    let address = &arguments.port.address;
    let stops = |trust: &Trust| trust.standing().stops(address, number).is_some();
    // The publisher lives as long as the node: without it nothing is held any more than it was.
    if trust.wait_for(stops).await.is_err() {
        std::future::pending::<()>().await;
    }
}
