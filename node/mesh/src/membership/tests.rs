//! Real nodes over loopback: they find each other, see who goes, and see who comes back.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use super::{State, View};
use crate::{
    Credentials, Mesh, MeshConfig, Service, Trust, Wire,
    testing::{Ca, Echo},
};

mod attacks;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn mesh(
    credentials: Credentials,
    trust: Arc<Trust>,
    generation: u64,
    seeds: Vec<SocketAddr>,
) -> Mesh {
    mesh_serving(credentials, trust, generation, seeds, Arc::new(Echo))
}

/// The same with a service of the test's.
pub(crate) fn mesh_serving(
    credentials: Credentials,
    trust: Arc<Trust>,
    generation: u64,
    seeds: Vec<SocketAddr>,
    service: Arc<dyn Service>,
) -> Mesh {
    let mut boot = [0; 16];
    aws_lc_rs::rand::fill(&mut boot).unwrap();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    Mesh::start(MeshConfig {
        wire: Wire::Udp(socket),
        advertise: SocketAddr::from(([127, 0, 0, 1], 0)),
        cluster: "test".to_owned(),
        generation,
        boot,
        seed: generation,
        credentials,
        trust,
        seeds,
        agreed: Vec::new(),
        service,
        door: None,
    })
    .unwrap()
}

/// Waits until a node's view is as it should be.
pub(crate) async fn until(mesh: &Mesh, what: &str, holds: impl Fn(&View) -> bool) {
    let mut view = mesh.view();
    let waited = tokio::time::timeout(PATIENCE, view.wait_for(|view| holds(view)));
    if waited.await.is_err() {
        panic!(
            "{} never saw: {what}; it sees {:#?}",
            mesh.name(),
            mesh.view().borrow()
        );
    }
}

fn sees(view: &View, names: &[&str], state: State) -> bool {
    let found: Vec<&str> = view.of(state).map(|member| &*member.name).collect();
    found == names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_find_each_other_see_one_go_and_see_it_come_back_as_itself() {
    let ca = Ca::new();
    let of_c = ca.credentials("c");
    let a = mesh(ca.credentials("a"), ca.trust(), 1, Vec::new());
    let seeds = vec![a.advertised()];
    let b = mesh(ca.credentials("b"), ca.trust(), 1, seeds.clone());
    let c = mesh(of_c.clone(), ca.trust(), 1, seeds.clone());
    for name in ["b", "c"] {
        a.admit(name.into()).await;
    }
    for node in [&a, &b, &c] {
        until(node, "all three alive", |view| {
            sees(view, &["a", "b", "c"], State::Alive)
        })
        .await;
    }
    let told = [("load".to_owned(), "0.5".to_owned())].into();
    b.tell(told).unwrap();
    until(&c, "what b tells", |view| {
        view.member("b")
            .is_some_and(|b| b.facts.get("load").is_some_and(|load| load == "0.5"))
    })
    .await;

    c.stop().await;
    for node in [&a, &b] {
        until(node, "c is down", |view| sees(view, &["c"], State::Down)).await;
    }
    let c = mesh(of_c, ca.trust(), 2, seeds);
    for node in [&a, &b, &c] {
        until(node, "c again", |view| {
            sees(view, &["a", "b", "c"], State::Alive)
                && view.member("c").is_some_and(|c| c.life.generation == 2)
        })
        .await;
    }
    c.leave().await;
    until(&a, "c has left", |view| sees(view, &["c"], State::Left)).await;
    assert_eq!(a.view().borrow().agreed, 2);
    a.remove("b".into()).await;
    assert!(a.view().borrow().member("b").is_none());
    for node in [&a, &b, &c] {
        node.stop().await;
    }
}
