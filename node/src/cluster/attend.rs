//! Attends to the mesh while the node runs: what it tells of itself, what it hears of the CA, fresh keys for
//! connections, members kept for the next start, the authority where it lies here.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use caxton_actors::{ca::Certificates as _, ports::unix_ms};
use caxton_audit::EventType;
use caxton_mesh::{
    Mesh, PeerName,
    membership::{Facts, State},
};
use tokio::time::Instant;

use super::{
    hearing::HearError,
    home,
    renewing::{recover, renew},
    service::STATE,
    start::Cluster,
    state::{Held, Rank},
};
use crate::app::App;

/// The fact that a node issues certificates.
pub(crate) const CA_FACT: &str = "ca";
/// The fact that a node takes no new agents.
pub(crate) const DRAIN_FACT: &str = "draining";
/// The fact of what a node has heard of the CA.
const STATE_FACT: &str = "state";
/// How long a member may take to hand over what the CA says.
const STATE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a node looks at what it tells of itself.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How long a node with the ca role may take for a certificate.
pub(super) const RENEW_TIMEOUT: Duration = Duration::from_secs(10);
/// A node that nobody talks to asks at the door this often whether it was left behind.
const LONELY_MAX: Duration = Duration::from_secs(5);

/// Attends to the mesh until the node stops.
pub(crate) async fn attend(app: Arc<App>) {
    let Some(cluster) = &app.cluster else {
        return;
    };
    let mut tell = tokio::time::interval(TELL_EVERY);
    tell.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let rotation = app.config.mesh.key_rotation_interval;
    let mut rekeyed = Instant::now();
    let mut company = Instant::now();
    let mut kept = (Vec::new(), Vec::new());
    let mut edition = app.identity.edition();
    let (mut held, mut view) = (cluster.held.clone(), cluster.mesh.view());
    let mut applied = Applied::default();
    // The CA tells what it does where it does it.
    let teller = cluster.ca.is_none().then_some(&*app.audit);
    held.mark_changed();
    // What is heard first is no news: it may be years old.
    let mut has_applied = false;
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = app.identity.renewal_wanted() => renew(&app, cluster).await,
            Ok(()) = held.changed() => {
                let now = Arc::clone(&held.borrow_and_update());
                let news = applied.apply(&cluster.mesh, &now).await;
                for (kind, name) in news.into_iter().filter(|_| has_applied) {
                    if let Some(audit) = teller {
                        audit.tell(audit.event(kind, "hear", &format!("node:{name}")));
                    }
                }
                has_applied = true;
                if !now.is_newest(&app.identity.mesh_chain()) {
                    app.identity.want_renewal();
                }
            }
            Ok(()) = view.changed() => {
                view.mark_unchanged();
                hear(&app, cluster).await;
                continue;
            }
            _ = tell.tick() => {
                if let Some(ca) = &cluster.ca
                    && let Err(error) = ca.tend().await
                {
                    tracing::error!(%error, "the cluster's authority could not be attended to");
                }
                hear(&app, cluster).await;
                if is_in_company(&cluster.mesh) {
                    company = Instant::now();
                } else if company.elapsed() >= LONELY_MAX {
                    let mut arrival = view.clone();
                    arrival.mark_unchanged();
                    tokio::select! {
                        () = app.stop.cancelled() => return,
                        _ = arrival.changed() => {}
                        () = recover(&app, cluster) => {}
                    }
                    company = Instant::now();
                }
            }
        }
        if let Err(error) = cluster.mesh.tell(facts(&app, cluster)) {
            tracing::error!(%error, "this node's facts are not told");
        }
        keep(cluster, &mut kept);
        let now = app.identity.edition();
        if now != edition {
            edition = now;
            if let Some(credentials) = app.identity.credentials() {
                cluster.mesh.replace_credentials(credentials);
            }
            cluster.mesh.rekey();
            rekeyed = Instant::now();
        } else if rekeyed.elapsed() >= rotation {
            rekeyed = Instant::now();
            cluster.mesh.rekey();
        }
    }
}

/// Whether the node talks to anybody, or knows of nobody to talk to.
fn is_in_company(mesh: &Mesh) -> bool {
    let view = mesh.view().borrow().clone();
    let mut others = view.members.iter().filter(|member| !member.is_own);
    others.clone().next().is_none() || others.any(|member| member.is_connected)
}

/// What of the cluster's state the mesh has been told.
#[derive(Debug, Default)]
struct Applied {
    members: BTreeSet<String>,
    removed: BTreeSet<String>,
}

impl Applied {
    /// Answers who was taken out and who came, besides this node.
    async fn apply(&mut self, mesh: &Mesh, held: &Held) -> Vec<(EventType, String)> {
        let mut news = Vec::new();
        mesh.trust().replace(held.bundle.mesh_roots().to_vec());
        mesh.trust()
            .replace_lists(held.bundle.revocations().clone());
        for name in &held.state.removed {
            if self.removed.insert(name.clone()) {
                self.members.remove(name);
                if **name == **mesh.name() {
                    tracing::error!("this node was removed from its cluster");
                } else {
                    mesh.remove(name.as_str().into()).await;
                }
                news.push((EventType::MemberRemoved, name.clone()));
            }
        }
        for name in &held.state.members {
            if **name != **mesh.name() && self.members.insert(name.clone()) {
                self.removed.remove(name);
                mesh.admit(name.as_str().into()).await;
                news.push((EventType::MemberAdmitted, name.clone()));
            }
        }
        news
    }
}

/// Fetches what the CA says from a member that has heard more of it.
async fn hear(app: &App, cluster: &Cluster) {
    let Some(hearing) = &cluster.hearing else {
        return;
    };
    let view = cluster.mesh.view().borrow().clone();
    let own = cluster.held.borrow().rank;
    let ahead = view
        .members
        .iter()
        .filter(|member| !member.is_own && member.is_connected)
        .filter_map(|member| {
            let rank: Rank = member.facts.get(STATE_FACT)?.parse().ok()?;
            (rank > own).then(|| (rank, Arc::clone(&member.name)))
        })
        .max();
    let Some((_, member)) = ahead else {
        return;
    };
    let answer = cluster
        .mesh
        .call(&member, STATE, Vec::new(), STATE_TIMEOUT)
        .await;
    let peer = &*member;
    match answer.map(|bytes| hearing.hear(&bytes, app.environment.now())) {
        Ok(Ok(())) => {}
        Ok(Err(HearError::File(error))) => {
            tracing::error!(%error, "the cluster's state could not be kept");
        }
        Ok(Err(error)) => tracing::warn!(peer, %error, "the cluster's state is refused"),
        Err(error) => tracing::debug!(peer, %error, "the cluster's state was not heard"),
    }
}

/// What this node tells of itself.
fn facts(app: &App, cluster: &Cluster) -> Facts {
    let routes = app.tree.gateway.routes().all();
    let running = routes.iter().filter(|port| port.is_up()).count();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split_whitespace().next().unwrap_or("0").to_owned();
    let mut facts = Facts::from([
        ("version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("api".to_owned(), app.about.address.to_string()),
        ("agents".to_owned(), running.to_string()),
        ("load".to_owned(), load),
        (
            "certificate".to_owned(),
            unix_ms(app.identity.not_after()).to_string(),
        ),
    ]);
    facts.insert(STATE_FACT.to_owned(), cluster.held.borrow().mark());
    if app.drain.is_on() {
        facts.insert(DRAIN_FACT.to_owned(), "1".to_owned());
    }
    if cluster.ca.is_some() {
        facts.insert(CA_FACT.to_owned(), "1".to_owned());
    }
    facts
}

/// Keeps who is there for the next start, when it has changed.
fn keep(cluster: &Cluster, kept: &mut (Vec<SocketAddr>, Vec<PeerName>)) {
    let view = cluster.mesh.view().borrow().clone();
    let there = view
        .members
        .iter()
        .filter(|member| member.state != State::Left && !member.is_own);
    let (addresses, names): (Vec<_>, Vec<_>) = there
        .filter_map(|member| Some((member.address?, Arc::clone(&member.name))))
        .unzip();
    let now = (addresses, names);
    // Nobody in sight says nothing about who belongs to the cluster.
    if now == *kept || now.0.is_empty() {
        return;
    }
    match home::keep_members(&cluster.data, &now.0, &now.1) {
        Ok(()) => *kept = now,
        Err(error) => tracing::warn!(%error, "the members could not be kept for the next start"),
    }
}
