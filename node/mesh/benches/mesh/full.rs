//! Full membership, what gossip costs when nothing happens, and how fast a fact spreads.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Effort,
    bare::{cpu, cpu_of_a_datagram},
    cluster::{Cluster, Clusters, PATIENCE},
    figure::Figure,
};

/// The mesh's interval of gossip, the limit of what spreads by it.
const INTERVAL_MS: f64 = 200.0;
const SIZES: [usize; 2] = [3, 20];
/// A cluster that is more than a small machine carries: measured last.
const LARGE: [usize; 1] = [50];
/// The cluster in which a fact spreads.
const SPREADS: usize = 20;

pub(crate) fn measure(clusters: &Clusters, effort: Effort) -> Vec<Figure> {
    of_sizes(&SIZES, clusters, effort)
}

pub(crate) fn measure_large(clusters: &Clusters, effort: Effort) -> Vec<Figure> {
    of_sizes(&LARGE, clusters, effort)
}

fn of_sizes(sizes: &[usize], clusters: &Clusters, effort: Effort) -> Vec<Figure> {
    let mut figures = Vec::new();
    let cores = thread::available_parallelism().unwrap().get() as f64;
    let handshake_ms = clusters.cpu_of_a_handshake().as_secs_f64() * 1e3 / cores;
    for &size in sizes {
        let mut times = Vec::new();
        let rounds = effort.of(if size > SPREADS { 1 } else { 4 });
        for round in 1..=rounds {
            let cluster = clusters.start(size);
            let begun = cluster.begun;
            let what = format!("full membership of {size} nodes, one seed ({rounds} rounds)");
            let Some(full) = cluster.full() else {
                let waited = PATIENCE.as_secs_f64() * 1e3;
                let what = format!("{what}: GIVEN UP");
                figures.push(Figure::new(what, "ms", waited));
                break;
            };
            times.extend(full.into_iter().map(|at| at - begun));
            if round < rounds {
                continue;
            }
            let floor = INTERVAL_MS + (size * (size - 1) / 2) as f64 * handshake_ms;
            let floor_of = "an interval of gossip and a bare handshake for each pair";
            figures.push(Figure::times(what, "ms", &times).beside(floor_of, floor));
            figures.extend(quiet(&cluster, size, effort));
            if size == SPREADS {
                let interval = "one interval of gossip";
                let times = spread(&cluster, effort);
                let what = format!("a fact known to all {size}");
                figures.push(Figure::times(what, "ms", &times).beside(interval, INTERVAL_MS));
            }
        }
    }
    figures
}

/// Bytes, datagrams and processor time of a node when nothing happens.
fn quiet(cluster: &Cluster<'_>, size: usize, effort: Effort) -> [Figure; 2] {
    let sent = || {
        let taps = cluster.running().map(|(_, node)| node.tap.sent());
        taps.fold((0, 0), |sum: (u64, u64), of| (sum.0 + of.0, sum.1 + of.1))
    };
    cluster.rest(Duration::from_secs(2)); // Handshakes and the last dials are over.
    let (sent_before, cpu_before, begun) = (sent(), cpu(), Instant::now());
    cluster.rest(Duration::from_secs(effort.of(10) as u64));
    let (sent, cpu) = (sent(), cpu() - cpu_before);
    let node_seconds = begun.elapsed().as_secs_f64() * size as f64;
    let bytes = (sent.0 - sent_before.0) as f64 / node_seconds;
    let datagrams = (sent.1 - sent_before.1) as f64 / node_seconds;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a datagram has at most 64 KiB"
    )]
    let bare = cpu_of_a_datagram((bytes / datagrams) as usize).as_secs_f64() * datagrams;
    [
        Figure::new(
            format!("{size} nodes at rest: sent by each, {datagrams:.0} datagrams/s"),
            "kB/s",
            bytes / 1e3,
        ),
        Figure::new(
            format!("{size} nodes at rest: one core's time for each"),
            "%",
            cpu.as_secs_f64() / node_seconds * 100.0,
        )
        .beside("as many bare datagrams", bare * 100.0),
    ]
}

/// From telling a fact until the last node has it.
fn spread(cluster: &Cluster<'_>, effort: Effort) -> Vec<Duration> {
    let mut times = Vec::new();
    for round in 0..effort.of(30) {
        let teller = round * 7 % cluster.nodes.len();
        let (name, value) = (cluster.name(teller).clone(), round.to_string());
        let fact = BTreeMap::from([("load".to_owned(), value.clone())]);
        let (_, node) = cluster.running().nth(teller).unwrap();
        let begun = Instant::now();
        node.mesh.tell(fact).unwrap();
        let known = cluster.until(|view| {
            let member = view.member(&name);
            member.is_some_and(|member| member.facts.get("load") == Some(&value))
        });
        times.extend(known.into_iter().max().map(|last| last - begun));
    }
    times
}
