//! What other members ask of this node.

use std::{sync::Arc, time::SystemTime};

use caxton_mesh::{Caller, Service};
use futures_util::future::BoxFuture;

use super::authority::{Ca, RenewRequest};
use crate::environment::Environment;

/// Fresh certificates, from a node with the ca role.
pub(crate) const RENEW: u16 = 1;

/// Answers calls of other members.
pub(crate) struct Calls {
    environment: Arc<Environment>,
    ca: Option<Arc<Ca>>,
}

impl Calls {
    pub(crate) const fn new(environment: Arc<Environment>, ca: Option<Arc<Ca>>) -> Self {
        Self { environment, ca }
    }

    async fn renew(&self, from: &Caller, body: &[u8]) -> Result<Vec<u8>, String> {
        let ca = self.ca.as_ref().ok_or("this node issues no certificates")?;
        let request: RenewRequest =
            postcard::from_bytes(body).map_err(|_malformed| "the request is malformed")?;
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
                _ => Err("no such call".to_owned()),
            }
        })
    }
}
