//! An agent that is held: its program does not run while its tenant is blocked, its version revoked or everything frozen.
//! What comes meanwhile waits in its mailbox and in the ledger.

use std::sync::Arc;

use caxton_capabilities::Trust;

use super::{actor::AgentState, core::Job};
use crate::envelope::Step;

impl AgentState {
    /// Why its program does not run now; none where it may.
    pub(super) fn is_held(&self) -> Option<&'static str> {
        let parts = self.arguments.gateway.parts();
        let trust = parts.trust.borrow();
        let address = &self.arguments.port.address;
        trust.standing().stops(address, self.version.number)
    }

    /// Returns when its program may run, and at once where it may.
    ///
    /// # Cancel safety
    /// It only waits.
    pub(super) async fn released(&mut self, job: &Job) {
        let mut trust = self.arguments.gateway.parts().trust.clone();
        let mut told = false;
        loop {
            trust.mark_unchanged();
            self.adopt();
            let Some(reason) = self.is_held() else { return };
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
            tokio::select! {
                _ = trust.changed() => {}
                () = port.handed.notified() => {}
            }
        }
    }

    /// Returns when its program must not run any more.
    ///
    /// # Cancel safety
    /// It only waits.
    pub(super) fn held(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut trust = self.arguments.gateway.parts().trust.clone();
        let address = self.arguments.port.address.clone();
        let number = self.version.number;
        async move {
            let stops = |trust: &Trust| trust.standing().stops(&address, number).is_some();
            // The sender lives as long as the node: without it nothing is held any more than it was.
            if trust.wait_for(stops).await.is_err() {
                std::future::pending::<()>().await;
            }
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
