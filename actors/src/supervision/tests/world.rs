//! A world without actors for a plan to act on: it answers the plan's effects at once, or when a test says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::super::budget::{Backoff, Intensity, Jitter};
use super::super::event::{ChildId, Effect, Event, Exit, Incarnation};
use super::super::plan::Plan;
use super::super::rules::{ChildRules, Escalation, Restart, Rules, Shutdown, Strategy};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// What the world has still to do for the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    FinishStart(ChildId, Incarnation),
    FinishStop(ChildId, Incarnation),
}

pub(super) struct World {
    pub(super) plan: Plan,
    pub(super) now: Instant,
    pub(super) jitter: Jitter,
    /// Children started, or starting, by the incarnation that lives.
    pub(super) alive: BTreeMap<ChildId, Incarnation>,
    /// When each child's last start was done.
    pub(super) since: BTreeMap<ChildId, Instant>,
    pub(super) jobs: Vec<Job>,
    pub(super) timers: Vec<(Instant, ChildId, Incarnation)>,
    /// Children whose next start fails.
    pub(super) bad_starts: BTreeSet<ChildId>,
    /// All effects so far, with their time.
    pub(super) effects: Vec<(Instant, Effect)>,
}

impl World {
    pub(super) fn new(rules: Rules, children: &[Restart]) -> Self {
        let children = children
            .iter()
            .zip(1..)
            .map(|(restart, id)| (ChildId(id), child(*restart)));
        Self {
            plan: Plan::new(rules, children),
            now: tokio::time::Instant::now().into_std(),
            jitter: Jitter(0),
            alive: BTreeMap::new(),
            since: BTreeMap::new(),
            jobs: Vec::new(),
            timers: Vec::new(),
            bad_starts: BTreeSet::new(),
            effects: Vec::new(),
        }
    }

    /// Gives the plan an event, and does nothing of what it orders but to note it.
    pub(super) fn tell(&mut self, event: Event) {
        for effect in self.plan.handle(self.now, self.jitter, event) {
            match &effect {
                Effect::Start { child, incarnation } => {
                    let before = self.alive.insert(*child, *incarnation);
                    assert_eq!(before, None, "{child:?} was started while it was alive");
                    self.jobs.push(Job::FinishStart(*child, *incarnation));
                }
                Effect::StartAfter {
                    child,
                    incarnation,
                    delay,
                } => {
                    self.timers.push((self.now + *delay, *child, *incarnation));
                }
                Effect::Stop {
                    child, incarnation, ..
                } => {
                    assert_eq!(
                        self.alive.get(child),
                        Some(incarnation),
                        "stop of a dead child"
                    );
                    self.jobs.push(Job::FinishStop(*child, *incarnation));
                }
                _ => {}
            }
            self.effects.push((self.now, effect));
        }
    }

    /// Does one of the jobs that the plan waits for.
    pub(super) fn do_job(&mut self, index: usize) {
        match self.jobs.remove(index) {
            Job::FinishStart(child, incarnation) if self.lives(child, incarnation) => {
                if self.bad_starts.remove(&child) {
                    self.exit(child, Exit::Failed("bad start".to_owned()));
                } else {
                    self.since.insert(child, self.now);
                    self.tell(Event::Started { child, incarnation });
                }
            }
            Job::FinishStop(child, incarnation) if self.lives(child, incarnation) => {
                self.exit(child, Exit::Shutdown);
            }
            Job::FinishStart(..) | Job::FinishStop(..) => {}
        }
    }

    /// Does all jobs, until none is left.
    pub(super) fn settle(&mut self) {
        while !self.jobs.is_empty() {
            self.do_job(0);
        }
    }

    /// Lets time go on, and the timers that become due with it.
    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.timers.sort();
        while let Some((due, child, incarnation)) = self.timers.first().copied()
            && due <= self.now
        {
            self.timers.remove(0);
            self.tell(Event::RestartDue { child, incarnation });
        }
    }

    pub(super) fn exit(&mut self, child: ChildId, exit: Exit) {
        if let Some(incarnation) = self.alive.remove(&child) {
            self.tell(Event::Exited {
                child,
                incarnation,
                exit,
            });
        }
    }

    /// Whether this incarnation is the one that lives.
    fn lives(&self, child: ChildId, incarnation: Incarnation) -> bool {
        self.alive.get(&child) == Some(&incarnation)
    }

    /// What was ordered since the last call, as text.
    pub(super) fn take_log(&mut self) -> String {
        let effects = std::mem::take(&mut self.effects);
        let lines: Vec<_> = effects.iter().map(|(_, effect)| text(effect)).collect();
        lines.join(", ")
    }

    /// A child crashes, and everything that follows without a delay is done.
    pub(super) fn crash(&mut self, child: u64) -> String {
        self.exit(ChildId(child), Exit::Panicked("boom".to_owned()));
        self.settle();
        self.take_log()
    }

    /// The supervisor starts, and its children with it.
    pub(super) fn boot(&mut self) -> String {
        self.tell(Event::Begun);
        self.settle();
        self.take_log()
    }
}

/// Restarts at once, and often enough for a test.
pub(super) fn rules(strategy: Strategy) -> Rules {
    Rules {
        strategy,
        intensity: Intensity {
            restarts: 100,
            period: SECOND,
        },
        backoff: Backoff::NONE,
        escalation: Escalation::Supervisor,
    }
}

pub(super) fn child(restart: Restart) -> ChildRules {
    ChildRules {
        restart,
        shutdown: Shutdown::Kill,
    }
}

pub(super) fn backoff_of(first: Duration) -> Backoff {
    Backoff {
        first,
        cap: 8 * first,
        reset_after: 10 * first,
    }
}

fn text(effect: &Effect) -> String {
    let at = |child: &ChildId, incarnation: &Incarnation| format!("{}.{}", child.0, incarnation.0);
    match effect {
        Effect::Start { child, incarnation } => format!("start {}", at(child, incarnation)),
        Effect::StartAfter {
            child,
            incarnation,
            delay,
        } => {
            format!("start {} after {delay:?}", at(child, incarnation))
        }
        Effect::Stop {
            child, incarnation, ..
        } => format!("stop {}", at(child, incarnation)),
        Effect::Fail { child, .. } => format!("fail {}", child.0),
        Effect::Removed { child } => format!("removed {}", child.0),
        Effect::Ready => "ready".to_owned(),
        Effect::GiveUp { reason } => format!("give up: {} {reason}", reason.child().0),
        Effect::AllStopped => "all stopped".to_owned(),
    }
}
