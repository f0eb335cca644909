//! The way into the cluster, as a stranger meets it on a node: the CA itself, or a sign that points there.

use std::{
    net::SocketAddr,
    sync::{Arc, OnceLock, Weak},
};

use caxton_mesh::{
    Mesh,
    join::{Admitted, Door, JoinAnswer, JoinRequest, Renewal},
    membership::{Member, State},
};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::{attend::CA_FACT, ca::Ca, state::Held};

/// The way in on a node with the ca role.
#[derive(Debug)]
pub(crate) struct CaDoor(pub(crate) Arc<Ca>);

fn answer(decided: Result<Admitted, String>) -> JoinAnswer {
    match decided {
        Ok(admitted) => JoinAnswer::Admitted(Box::new(admitted)),
        Err(reason) => JoinAnswer::Refused(reason),
    }
}

impl Door for CaDoor {
    fn state(&self) -> Option<Vec<u8>> {
        Some(self.0.said().bytes.clone())
    }

    fn join(&self, address: SocketAddr, request: JoinRequest) -> BoxFuture<'_, JoinAnswer> {
        Box::pin(async move { answer(self.0.admit(address, &request).await) })
    }

    fn renew(&self, address: SocketAddr, request: Renewal) -> BoxFuture<'_, JoinAnswer> {
        Box::pin(async move { answer(self.0.readmit(address, &request).await) })
    }
}

/// The way in on any other node: it says where the CA is.
#[derive(Debug, Default)]
pub(crate) struct Signpost {
    mesh: OnceLock<Weak<Mesh>>,
    held: OnceLock<watch::Receiver<Arc<Held>>>,
}

impl Signpost {
    pub(crate) fn attach(&self, mesh: &Arc<Mesh>, held: watch::Receiver<Arc<Held>>) {
        let _once = self.mesh.set(Arc::downgrade(mesh));
        let _once = self.held.set(held);
    }

    fn elsewhere(&self) -> JoinAnswer {
        let mesh = self.mesh.get().and_then(Weak::upgrade);
        let addresses = mesh.map(|mesh| {
            let view = mesh.view().borrow().clone();
            authorities(&view.members)
                .filter_map(|member| member.address)
                .collect()
        });
        JoinAnswer::Elsewhere(addresses.unwrap_or_default())
    }
}

impl Door for Signpost {
    fn state(&self) -> Option<Vec<u8>> {
        Some(self.held.get()?.borrow().bytes.clone())
    }

    fn join(&self, _address: SocketAddr, _request: JoinRequest) -> BoxFuture<'_, JoinAnswer> {
        Box::pin(async move { self.elsewhere() })
    }

    fn renew(&self, _address: SocketAddr, _request: Renewal) -> BoxFuture<'_, JoinAnswer> {
        Box::pin(async move { self.elsewhere() })
    }
}

/// The members that say they have the ca role and are not known to be gone.
pub(crate) fn authorities(members: &[Member]) -> impl Iterator<Item = &Member> {
    members.iter().filter(|member| {
        matches!(member.state, State::Alive | State::Suspect) && member.facts.contains_key(CA_FACT)
    })
}
