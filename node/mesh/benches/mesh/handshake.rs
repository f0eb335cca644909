//! Connect and greet, and joining: time, and bytes on the wire.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use caxton_mesh::{
    Mesh, Wire,
    join::{self, JoinRequest, JoinToken},
    root_hash,
};
use caxton_pki::{CertificateRequest, MlDsa87Key, P384Key};

use crate::{
    Effort,
    bare::{self, Identity, Pair},
    figure::{Figure, middle, quantile},
    rig::{self, Ca},
    wire::{Tap, Tapped, loopback},
};

/// Two nodes of the mesh that do not know each other yet.
struct Nodes {
    dialler: Mesh,
    other: Mesh,
    taps: [Arc<Tap>; 2],
}

impl Nodes {
    fn new(ca: &Arc<Ca>) -> Self {
        let taps: [Arc<Tap>; 2] = [Arc::default(), Arc::default()];
        let wire = |tap: &Arc<Tap>| Wire::Other(Tapped::new(loopback(), Arc::clone(tap)));
        let [a, b] = &taps;
        Self {
            dialler: rig::alone(ca, "dialler", wire(a), None),
            other: rig::alone(ca, "other", wire(b), Some(Arc::clone(ca) as Arc<_>)),
            taps,
        }
    }

    async fn dial(&self) {
        self.dialler.dial(self.other.advertised()).await.unwrap();
    }
}

/// Times of each kind, and the bytes of each, there and back.
#[derive(Default)]
struct Kind {
    times: Vec<Duration>,
    there: Vec<f64>,
    back: Vec<f64>,
}

impl Kind {
    async fn take(&mut self, taps: &[Arc<Tap>; 2], connect: impl Future<Output = ()>) {
        let [there, back] = taps;
        let (there_before, back_before) = (there.sent().0, back.sent().0);
        let begun = Instant::now();
        connect.await;
        self.times.push(begun.elapsed());
        self.there.push((there.sent().0 - there_before) as f64);
        self.back.push((back.sent().0 - back_before) as f64);
    }
}

pub(crate) async fn measure(effort: Effort) -> Vec<Figure> {
    let ca = Arc::new(Ca::new());
    let nodes = Nodes::new(&ca);
    let equal = Pair::new(&Identity::mesh(&ca));
    let classical = Pair::new(&Identity::classical());
    let (mut mesh, mut bare, mut old) = (Kind::default(), Kind::default(), Kind::default());
    let mut joins = Vec::new();
    for _ in 0..effort.of(150) {
        mesh.take(&nodes.taps, nodes.dial()).await;
        bare.take(&equal.taps, async { drop(equal.connect().await) })
            .await;
        old.take(&classical.taps, async { drop(classical.connect().await) })
            .await;
    }
    for nth in 0..effort.of(50) {
        joins.push(join(&ca, &nodes.other, nth).await);
    }
    let round = middle(&bare::udp(effort.of(2_000)).await, "ms");
    nodes.dialler.stop().await;
    nodes.other.stop().await;

    let in_ms = |kind: &Kind| middle(&kind.times, "ms");
    let bytes = |what: &str, mesh: &[f64], old: &[f64]| {
        let limit = quantile(old, 0.5) / 1e3;
        Figure::new(what, "kB", quantile(mesh, 0.5) / 1e3)
            .beside("the same, X25519 and P-256", limit)
    };
    vec![
        Figure::times("connect and greet, mesh", "ms", &mesh.times)
            .beside("bare quinn, the same TLS", in_ms(&bare)),
        Figure::times(
            "connect and greet, bare quinn, the mesh's TLS",
            "ms",
            &bare.times,
        )
        .beside("bare quinn, X25519 and P-256", in_ms(&old)),
        Figure::times("connect and greet, bare quinn, classical", "ms", &old.times)
            .beside("a round trip of bare UDP", round),
        bytes(
            "bytes of that from the dialler, mesh",
            &mesh.there,
            &old.there,
        ),
        bytes("bytes of that from the other, mesh", &mesh.back, &old.back),
        Figure::times("join: knock to admitted", "ms", &joins)
            .beside("connect and greet, mesh", in_ms(&mesh)),
    ]
}

/// The keys and requests of who joins are made before.
async fn join(ca: &Ca, other: &Mesh, nth: usize) -> Duration {
    let token = JoinToken::generate(root_hash(ca.root()));
    let (mesh, web) = (
        MlDsa87Key::generate().unwrap(),
        P384Key::generate().unwrap(),
    );
    let request = JoinRequest::new(
        &token,
        &format!("joiner-{nth}"),
        CertificateRequest::encode(&mesh).unwrap(),
        CertificateRequest::encode(&web).unwrap(),
    );
    let begun = Instant::now();
    join::join(&[other.advertised()], &token, &request)
        .await
        .unwrap();
    begun.elapsed()
}
