//! What other members ask of this node.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use caxton_mesh::{Caller, Service};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{
    ca::{Ca, RenewRequest},
    cosign::notary::Notary,
    decode,
    hearing::Hearing,
    state::Held,
};
use crate::{access::book::Access, environment::Environment};

/// Fresh certificates, from a node with the ca role.
pub(crate) const RENEW: u16 = 1;
/// What the CA says to the whole cluster, as far as the node has heard it.
pub(crate) const STATE: u16 = 2;

/// The caller leaves for good: its name is taken back.
pub(crate) const LEAVE: u16 = 3;

/// What the CA says, handed over without being asked for: answered when this node decides by it.
pub(crate) const PUSH: u16 = 4;
/// A cosignature under the checkpoint of the caller's audit log.
pub(crate) const COSIGN: u16 = 5;
/// How long that may take before the caller is told that it did not happen.
const IN_FORCE: Duration = Duration::from_secs(2);

/// Answers calls of other members.
pub(crate) struct Calls {
    pub(crate) environment: Arc<Environment>,
    pub(crate) ca: Option<Arc<Ca>>,
    pub(crate) held: watch::Receiver<Arc<Held>>,
    pub(crate) hearing: Option<Arc<Hearing>>,
    pub(crate) notary: Arc<Notary>,
    /// By which epoch of who may do what this node decides.
    pub(crate) in_force: watch::Receiver<u64>,
}

impl Calls {
    /// Takes what any member carries: the CA's signature says whether it counts.
    async fn pushed(&self, from: &Caller, body: &[u8]) -> Result<Vec<u8>, String> {
        let hearing = self.hearing.as_ref();
        let hearing = hearing.ok_or("this node speaks for the CA itself")?;
        if let Err(error) = hearing.hear(body, self.environment.now()) {
            tracing::warn!(%error, peer = &*from.name, "what a member handed over as the CA's word is refused");
            return Err("it is not taken".to_owned());
        }
        let said = Arc::clone(&self.held.borrow());
        let said = Access::decode(&said.state.access).map_err(|_unknown| "it is not understood")?;
        let mut in_force = self.in_force.clone();
        let decided = in_force.wait_for(|epoch| *epoch >= said.epoch);
        match tokio::time::timeout(IN_FORCE, decided).await {
            Ok(Ok(_)) => Ok(Vec::new()),
            Ok(Err(_)) | Err(_) => Err("it is not in force yet".to_owned()),
        }
    }

    async fn leave(&self, from: &Caller) -> Result<Vec<u8>, String> {
        let ca = self.ca.as_ref().ok_or("this node issues no certificates")?;
        match ca.remove(&from.name).await {
            Ok(_) => Ok(Vec::new()),
            Err(error) => {
                tracing::error!(%error, peer = &*from.name, "a member could not leave");
                Err("the CA cannot write its book now: try again".to_owned())
            }
        }
    }

    async fn renew(&self, from: &Caller, body: &[u8]) -> Result<Vec<u8>, String> {
        let ca = self.ca.as_ref().ok_or("this node issues no certificates")?;
        let request: RenewRequest =
            decode(body).map_err(|_malformed| "the request is malformed")?;
        let granted = ca.renew(&from.name, from.address, &request).await?;
        postcard::to_allocvec(&granted).map_err(|error| error.to_string())
    }
}

impl Service for Calls {
    fn now(&self) -> SystemTime {
        self.environment.now()
    }

    fn call<'a>(
        &'a self,
        from: &'a Caller,
        kind: u16,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<Vec<u8>, String>> {
        Box::pin(async move {
            match kind {
                RENEW => self.renew(from, &body).await,
                LEAVE => self.leave(from).await,
                PUSH => self.pushed(from, &body).await,
                COSIGN => self.notary.answer(from, &body).await,
                STATE => Ok(self.held.borrow().bytes.clone()),
                _ => Err("no such call".to_owned()),
            }
        })
    }
}
