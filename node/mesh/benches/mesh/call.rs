//! Request and reply between two nodes, beside a bare stream on an equal connection.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use caxton_mesh::{Mesh, PeerName, Wire};
use quinn::Connection;
use tokio::task::JoinSet;

use crate::{
    Effort,
    bare::{self, Identity, Pair},
    figure::{Figure, middle},
    rig::{self, Ca},
    wire::loopback,
};

const BYTES: usize = 200;
/// The three kinds take turns, so that whatever else the machine does slows all of them.
const TURNS: usize = 20;
const IN_FLIGHT: usize = 64;
const PATIENCE: Duration = Duration::from_secs(10);

/// A node and the name of the one that it asks.
struct Caller {
    mesh: Mesh,
    other: PeerName,
}

impl Caller {
    async fn ask(&self) {
        let body = vec![7; BYTES];
        let answer = self
            .mesh
            .call(&self.other, 0, body, PATIENCE)
            .await
            .unwrap();
        assert_eq!(answer.len(), BYTES);
    }
}

async fn ask_bare(connection: &Connection) {
    assert_eq!(bare::ask(connection, &[7; BYTES]).await.len(), BYTES);
}

async fn timed(times: &mut Vec<Duration>, ask: impl Future<Output = ()>) {
    let begun = Instant::now();
    ask.await;
    times.push(begun.elapsed());
}

pub(crate) async fn measure(effort: Effort) -> Vec<Figure> {
    let ca = Ca::new();
    let node = |name| rig::alone(&ca, name, Wire::Udp(loopback()), None);
    let (mesh, other) = (node("caller"), node("called"));
    mesh.dial(other.advertised()).await.unwrap();
    let caller = Arc::new(Caller {
        mesh,
        other: Arc::clone(other.name()),
    });
    let pair = Pair::new(&Identity::mesh(&ca));
    let connection = Arc::new(pair.connect().await);

    let (mut ours, mut bare, mut udp) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..TURNS {
        let of_each = effort.of(500);
        for _ in 0..of_each {
            timed(&mut ours, caller.ask()).await;
        }
        for _ in 0..of_each {
            timed(&mut bare, ask_bare(&connection)).await;
        }
        udp.extend(bare::udp(of_each).await);
        if turn == 0 {
            for warming in [&mut ours, &mut bare, &mut udp] {
                warming.clear();
            }
        }
    }
    let (mut rate, mut bare_rate) = (Vec::new(), Vec::new());
    for _ in 0..effort.of(5) {
        let caller = Arc::clone(&caller);
        rate.push(
            flood(move || {
                let caller = Arc::clone(&caller);
                async move { caller.ask().await }
            })
            .await,
        );
        let connection = Arc::clone(&connection);
        bare_rate.push(
            flood(move || {
                let connection = Arc::clone(&connection);
                async move { ask_bare(&connection).await }
            })
            .await,
        );
    }
    caller.mesh.stop().await;
    other.stop().await;
    let per_second = |rates: &[f64]| crate::figure::quantile(rates, 0.5);
    vec![
        Figure::times("request and reply, 200 B, two nodes", "µs", &ours)
            .beside("a bare quinn stream there and back", middle(&bare, "µs"))
            .held_to("≤ 150 µs, ≤ 2 x"),
        Figure::times("a bare quinn stream there and back, 200 B", "µs", &bare)
            .beside("a round trip of bare UDP", middle(&udp, "µs")),
        Figure::new("requests, 64 in flight", "/s", per_second(&rate))
            .beside("bare quinn streams, 64 in flight", per_second(&bare_rate)),
    ]
}

/// Answers a second with 64 asking at a time.
async fn flood<F: Future<Output = ()> + Send>(ask: impl Fn() -> F + Clone + Send + 'static) -> f64 {
    const FOR: Duration = Duration::from_secs(1);
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let ask = ask.clone();
        tasks.spawn(async move {
            let mut answers = 0_u32;
            while begun.elapsed() < FOR {
                ask().await;
                answers += 1;
            }
            answers
        });
    }
    let answers: u32 = tasks.join_all().await.into_iter().sum();
    f64::from(answers) / begun.elapsed().as_secs_f64()
}
