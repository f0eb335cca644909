//! What the mesh costs on this machine, each figure beside a physical limit of the same run.
//!
//! `cargo bench -p caxton-mesh --bench mesh [-- PART… | --quick]`: about six minutes for all of it. Nodes are
//! real: QUIC on loopback sockets, ML-DSA-87 certificates, revocation lists, in one process. Time is real too.
//!
//! - `handshake`: connect and greet, beside a bare connection and a classical one; joining
//! - `call`: request and reply, beside a bare stream
//! - `full`: full membership of 3 and 20 nodes; what gossip costs; how fast a fact spreads
//! - `large`: the same of 50 nodes
//! - `failure`: a kill among 20 nodes: quiet, with loss, under load, with pauses
//!
//! `figure` prints; `rig`, `bare`, `wire` and `cluster` are what is measured and what it is held against.
#![expect(
    clippy::indexing_slicing,
    reason = "a measurement that fails is to stop"
)]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clocks")]
#![expect(clippy::print_stdout, reason = "a measurement prints")]
#![expect(clippy::unwrap_used, reason = "a measurement that fails is to stop")]

mod bare;
mod call;
mod cluster;
mod failure;
mod figure;
mod full;
mod handshake;
mod rig;
mod wire;

use std::time::Instant;

use self::{cluster::Clusters, figure::Figure};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// A fifth of it: to see whether it runs.
    quick: bool,
}

impl Effort {
    /// So many of what takes `many` at full effort.
    pub(crate) fn of(self, many: usize) -> usize {
        if self.quick { many.div_ceil(5) } else { many }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs benchmarks too, without this word.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let effort = Effort { quick };
    let asked: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let is_asked = |part: &str| asked.is_empty() || asked.iter().any(|asked| *asked == part);
    let begun = Instant::now();
    let mut figures: Vec<Figure> = Vec::new();
    if is_asked("handshake") {
        figures.extend(on_workers(handshake::measure(effort)));
    }
    if is_asked("call") {
        figures.extend(on_workers(call::measure(effort)));
    }
    let clusters = Clusters::new();
    if is_asked("full") {
        figures.extend(full::measure(&clusters, effort));
    }
    if is_asked("failure") {
        figures.extend(failure::measure(&clusters, effort));
    }
    if is_asked("large") {
        figures.extend(full::measure_large(&clusters, effort));
    }
    figure::print(&figures);
    println!("\n{:.0?} in all", begun.elapsed());
}

/// On workers of a runtime like the node's own.
fn on_workers(part: impl Future<Output = Vec<Figure>> + Send + 'static) -> Vec<Figure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.enable_all().build().unwrap();
    runtime.block_on(runtime.spawn(part)).unwrap()
}
