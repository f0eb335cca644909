//! What other members ask of this node.

use std::{sync::Arc, time::SystemTime};

use caxton_mesh::{Caller, Service};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{
    ca::{Ca, RenewRequest},
    decode,
    state::Held,
};
use crate::environment::Environment;

/// Fresh certificates, from a node with the ca role.
pub(crate) const RENEW: u16 = 1;
/// What the CA says to the whole cluster, as far as the node has heard it.
pub(crate) const STATE: u16 = 2;

/// The caller leaves for good: its name is taken back.
pub(crate) const LEAVE: u16 = 3;

/// Answers calls of other members.
pub(crate) struct Calls {
    environment: Arc<Environment>,
    ca: Option<Arc<Ca>>,
    held: watch::Receiver<Arc<Held>>,
}

impl Calls {
    pub(crate) const fn new(
        environment: Arc<Environment>,
        ca: Option<Arc<Ca>>,
        held: watch::Receiver<Arc<Held>>,
    ) -> Self {
        Self {
            environment,
            ca,
            held,
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
                STATE => Ok(self.held.borrow().bytes.clone()),
                _ => Err("no such call".to_owned()),
            }
        })
    }
}
