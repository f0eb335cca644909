//! A kill among 20 nodes: the time until all others have the verdict, and who was accused beside it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use caxton_mesh::{
    PeerName,
    membership::{SharedView, State},
};
use tokio::sync::watch;

use crate::{
    Effort,
    cluster::{Cluster, Clusters},
    figure::Figure,
};

const SIZE: usize = 20;
/// How long a member that is suspected is waited for: no verdict can come sooner.
const SUSPICION_MS: f64 = 1_500.0;

/// What happens beside the kills.
#[derive(Clone, Copy, PartialEq)]
enum Beside {
    Nothing,
    /// So many of a hundred datagrams are lost.
    Loss(u64),
    /// So many threads that do nothing but run, for each core.
    Load(usize),
    /// One node after the other stands still for so long.
    Pauses(Duration),
}

/// What the design asks for, with the cluster in order and out of it.
const IN_TIME: &str = "p50 ≤ 3 s, p99 ≤ 5 s, 0 falsely down";
const NOBODY_ELSE: &str = "0 falsely down";

const CONDITIONS: [(&str, Beside, usize, &str); 5] = [
    ("quiet", Beside::Nothing, 8, IN_TIME),
    ("20 % loss", Beside::Loss(20), 4, IN_TIME),
    ("4 busy threads a core", Beside::Load(4), 4, IN_TIME),
    (
        "pauses of 0.5 s",
        Beside::Pauses(Duration::from_millis(500)),
        3,
        NOBODY_ELSE,
    ),
    (
        "pauses of 1 s",
        Beside::Pauses(Duration::from_secs(1)),
        3,
        NOBODY_ELSE,
    ),
];

pub(crate) fn measure(clusters: &Clusters, effort: Effort) -> Vec<Figure> {
    let mut cluster = clusters.start(SIZE);
    cluster.full().unwrap();
    let mut figures = Vec::new();
    for (name, beside, kills, target) in CONDITIONS {
        let jury = Jury::default();
        for (nth, _) in cluster.running() {
            jury.seat(&cluster, nth, clusters);
        }
        let (times, length) = kills_beside(&mut cluster, beside, effort.of(kills), &jury, clusters);
        jury.is_over.store(true, Ordering::Relaxed);
        let (downs, suspects) = jury.counts();
        let what = format!(
            "a kill noticed by all, {SIZE} nodes, {name} ({} kills, {:.0} s: {downs} falsely down, {suspects} suspicions)",
            times.len(),
            length.as_secs_f64(),
        );
        figures.push(
            Figure::times(what, "ms", &times)
                .beside("patience with a suspect", SUSPICION_MS)
                .held_to(target),
        );
    }
    figures
}

/// Kills and restarts nodes in turn. Time until the last noticed, of each; and how long all of it took.
fn kills_beside(
    cluster: &mut Cluster<'_>,
    beside: Beside,
    kills: usize,
    jury: &Jury,
    clusters: &Clusters,
) -> (Vec<Duration>, Duration) {
    let begun = Instant::now();
    let load = Load::start(match beside {
        Beside::Load(for_each) => for_each * thread::available_parallelism().unwrap().get(),
        Beside::Nothing | Beside::Loss(_) | Beside::Pauses(_) => 0,
    });
    let mut times = Vec::new();
    for kill in 0..kills {
        if let Beside::Loss(percent) = beside {
            cluster.lose(percent);
        }
        settle(
            cluster,
            beside,
            Duration::from_millis(700 + kill as u64 * 370 % 1_000),
        );
        let victim = 1 + kill * 7 % (SIZE - 1);
        let name = cluster.name(victim).clone();
        jury.excuse(&name);
        let killed = cluster.kill(victim);
        let pausing = match beside {
            Beside::Pauses(time) => Some(pause_in_turn(cluster, time, clusters)),
            Beside::Nothing | Beside::Loss(_) | Beside::Load(_) => None,
        };
        let noticed = cluster.until(|view| {
            let member = view.member(&name);
            member.is_none_or(|member| member.state == State::Down)
        });
        if let Some(pausing) = pausing {
            pausing.abort();
        }
        times.extend(noticed.into_iter().max().map(|last| last - killed));
        cluster.lose(0);
        cluster.restart(victim);
        cluster.full().unwrap();
        jury.recall(&name);
        jury.seat(cluster, victim, clusters);
    }
    drop(load);
    (times, begun.elapsed())
}

/// A stretch before a kill, with what happens beside it.
fn settle(cluster: &Cluster<'_>, beside: Beside, time: Duration) {
    if let Beside::Pauses(pause) = beside {
        for (nth, node) in cluster.running().step_by(6) {
            node.pause(pause);
            cluster.rest(pause + Duration::from_millis(20 * nth as u64));
        }
    }
    cluster.rest(time);
}

/// Has one node after the other stand still until it is aborted.
fn pause_in_turn(
    cluster: &Cluster<'_>,
    time: Duration,
    clusters: &Clusters,
) -> tokio::task::AbortHandle {
    let mut pauses: Vec<_> = cluster.running().map(|(_, node)| node.pauser()).collect();
    pauses.rotate_left(3);
    let task = clusters.looking.spawn(async move {
        for pause in pauses {
            pause(time);
            tokio::time::sleep(time * 3 / 2).await;
        }
    });
    task.abort_handle()
}

/// Threads that do nothing but run.
struct Load(Arc<AtomicBool>, Vec<thread::JoinHandle<()>>);

impl Load {
    fn start(threads: usize) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let run = |ends: Arc<AtomicBool>| {
            thread::spawn(move || {
                while !ends.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        };
        let threads = (0..threads).map(|_| run(Arc::clone(&ends))).collect();
        Self(ends, threads)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        for thread in self.1.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// Watches all views for verdicts and suspicions against members that run.
#[derive(Default)]
struct Jury {
    excused: Arc<Mutex<BTreeSet<PeerName>>>,
    downs: Arc<AtomicUsize>,
    suspects: Arc<AtomicUsize>,
    is_over: Arc<AtomicBool>,
}

impl Jury {
    /// Watches what this node says from now on, when it holds all for alive.
    fn seat(&self, cluster: &Cluster<'_>, nth: usize, clusters: &Clusters) {
        let (_, node) = cluster.running().find(|(place, _)| *place == nth).unwrap();
        let (excused, is_over) = (Arc::clone(&self.excused), Arc::clone(&self.is_over));
        let (downs, suspects) = (Arc::clone(&self.downs), Arc::clone(&self.suspects));
        let view = node.mesh.view();
        clusters.looking.spawn(async move {
            follow(view, |member, state| {
                if is_over.load(Ordering::Relaxed) || excused.lock().unwrap().contains(member) {
                    return;
                }
                match state {
                    State::Down => downs.fetch_add(1, Ordering::Relaxed),
                    State::Suspect => suspects.fetch_add(1, Ordering::Relaxed),
                    State::Alive | State::Left => 0,
                };
            })
            .await;
        });
    }

    /// From now on nothing that is said of this member counts.
    fn excuse(&self, member: &PeerName) {
        self.excused.lock().unwrap().insert(Arc::clone(member));
    }

    /// It is back, and all hold it for alive.
    fn recall(&self, member: &PeerName) {
        self.excused.lock().unwrap().remove(member);
    }

    fn counts(&self) -> (usize, usize) {
        let read = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (read(&self.downs), read(&self.suspects))
    }
}

/// Tells each change of a member's state until the node ends.
async fn follow(mut view: watch::Receiver<SharedView>, mut changed: impl FnMut(&PeerName, State)) {
    let mut held: BTreeMap<PeerName, State> = BTreeMap::new();
    loop {
        let now = Arc::clone(&view.borrow_and_update());
        for member in &now.members {
            let before = held.insert(Arc::clone(&member.name), member.state);
            if before.is_some_and(|before| before != member.state) {
                changed(&member.name, member.state);
            }
        }
        if view.changed().await.is_err() {
            return;
        }
    }
}
