//! What must hold for any rules and any history: against the world, and against naive models of OTP's rules.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::budget::{Backoff, Intensity, Jitter};
use super::super::event::{ChildId, Effect, Event, Exit, Incarnation};
use super::super::rules::{Escalation, FirstStart, Restart, Rules, Strategy as Restarts};
use super::world::{World, child, rules};

#[derive(Debug, Clone)]
enum Step {
    Exit(u64, Exit),
    Pass(u64),
    /// Does the nth of the jobs that are open.
    Job(usize),
    BadStart(u64),
    Add(u64, Restart, bool),
    Remove(u64),
    RestartAsked(u64),
}

fn exits() -> impl Strategy<Value = Exit> {
    prop_oneof![
        Just(Exit::Normal),
        Just(Exit::Shutdown),
        Just(Exit::Panicked("boom".to_owned())),
        Just(Exit::Failed("bad".to_owned())),
    ]
}

fn restarts() -> impl Strategy<Value = Restart> {
    prop_oneof![
        Just(Restart::Permanent),
        Just(Restart::Transient),
        Just(Restart::Temporary)
    ]
}

fn strategies() -> impl Strategy<Value = Restarts> {
    prop_oneof![
        Just(Restarts::OneForOne),
        Just(Restarts::OneForAll),
        Just(Restarts::RestForOne)
    ]
}

fn all_rules() -> impl Strategy<Value = Rules> {
    let escalations = prop_oneof![Just(Escalation::Supervisor), Just(Escalation::Child)];
    let backoffs = prop_oneof![Just(0_u64), 1_u64..50];
    (strategies(), escalations, backoffs, 0_u32..12, 1_u64..200).prop_map(
        |(strategy, escalation, first, restarts, period)| Rules {
            strategy,
            escalation,
            intensity: Intensity {
                restarts,
                period: Duration::from_millis(period),
            },
            backoff: Backoff {
                first: Duration::from_millis(first),
                cap: Duration::from_millis(4 * first),
                reset_after: Duration::from_millis(10),
            },
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 1_u64..8;
    let step = prop_oneof![
        4 => (id.clone(), exits()).prop_map(|(id, exit)| Step::Exit(id, exit)),
        3 => (0_u64..40).prop_map(Step::Pass),
        8 => any::<usize>().prop_map(Step::Job),
        1 => id.clone().prop_map(Step::BadStart),
        1 => (5_u64..8, restarts(), any::<bool>()).prop_map(|(id, restart, first)| Step::Add(id, restart, first)),
        1 => id.clone().prop_map(Step::Remove),
        1 => id.prop_map(Step::RestartAsked),
    ];
    prop::collection::vec(step, 0..120)
}

fn take(world: &mut World, step: Step) {
    match step {
        Step::Exit(id, exit) => world.exit(ChildId(id), exit),
        Step::Pass(millis) => world.pass(Duration::from_millis(millis)),
        Step::Job(index) if !world.jobs.is_empty() => world.do_job(index % world.jobs.len()),
        Step::Job(_) => {}
        Step::BadStart(id) => drop(world.bad_starts.insert(ChildId(id))),
        Step::Add(id, restart, required) => {
            let first_start = if required {
                FirstStart::Required
            } else {
                FirstStart::Retried
            };
            // The shell never uses an id twice.
            if !world
                .effects
                .iter()
                .any(|(_, effect)| id_of(effect) == Some(ChildId(id)))
            {
                world.tell(Event::ChildAdded {
                    child: ChildId(id),
                    rules: child(restart),
                    first_start,
                });
            }
        }
        Step::Remove(id) => world.tell(Event::ChildRemoved { child: ChildId(id) }),
        Step::RestartAsked(id) => world.tell(Event::RestartAsked { child: ChildId(id) }),
    }
}

fn id_of(effect: &Effect) -> Option<ChildId> {
    match effect {
        Effect::Start { child, .. }
        | Effect::StartAfter { child, .. }
        | Effect::Stop { child, .. }
        | Effect::Fail { child, .. }
        | Effect::Removed { child } => Some(*child),
        Effect::Ready | Effect::GiveUp { .. } | Effect::AllStopped => None,
    }
}

/// Does all that is open, timers included, until nothing is left to wait for.
fn come_to_rest(world: &mut World) {
    world.bad_starts.clear();
    for _ in 0..1_000 {
        world.settle();
        match world.timers.iter().map(|(due, ..)| *due).min() {
            Some(due) => world.pass(due.saturating_duration_since(world.now)),
            None if world.jobs.is_empty() => return,
            None => {}
        }
    }
    panic!("the plan never comes to rest");
}

fn said_all_stopped(world: &World) -> usize {
    let all_stopped = |(_, effect): &&(Instant, Effect)| *effect == Effect::AllStopped;
    world.effects.iter().filter(all_stopped).count()
}

proptest! {
    // A failure leaves its smallest case behind as a row of `plan_cases.rs`, not as a file of seeds.
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_start_has_a_fresh_incarnation_and_none_follows_giving_up(
        rules in all_rules(), children in prop::collection::vec(restarts(), 0..5), steps in steps(),
    ) {
        let mut world = World::new(rules, &children);
        world.tell(Event::Begun);
        steps.into_iter().for_each(|step| take(&mut world, step));
        come_to_rest(&mut world);
        let mut newest: BTreeMap<ChildId, Incarnation> = BTreeMap::new();
        let mut gave_up = false;
        for (_, effect) in &world.effects {
            match effect {
                Effect::Start { child, incarnation } => {
                    prop_assert!(!gave_up, "started after giving up");
                    let before = newest.insert(*child, *incarnation);
                    prop_assert!(before < Some(*incarnation), "{child:?}: {before:?}, {incarnation:?}");
                }
                Effect::StartAfter { .. } => prop_assert!(!gave_up, "a restart after giving up"),
                Effect::GiveUp { .. } => gave_up = true,
                Effect::Stop { .. } | Effect::Fail { .. } | Effect::Removed { .. }
                | Effect::Ready | Effect::AllStopped => {}
            }
        }
        if gave_up {
            prop_assert_eq!(world.alive.len(), 0);
            prop_assert_eq!(said_all_stopped(&world), 1);
        }
    }

    #[test]
    fn at_rest_every_permanent_child_runs_unless_it_failed_or_all_is_over(
        rules in all_rules(), count in 0_usize..5, steps in steps(),
    ) {
        let mut world = World::new(rules, &vec![Restart::Permanent; count]);
        world.tell(Event::Begun);
        steps.into_iter().for_each(|step| take(&mut world, step));
        come_to_rest(&mut world);
        let said = |wanted: &dyn Fn(&Effect) -> bool| world.effects.iter().any(|(_, effect)| wanted(effect));
        if said(&|effect| matches!(effect, Effect::GiveUp { .. })) {
            return Ok(());
        }
        for id in (1..).take(count).map(ChildId) {
            let mut its_own = world.effects.iter().rev().filter(|(_, effect)| id_of(effect) == Some(id));
            let runs = world.alive.contains_key(&id);
            let left = matches!(its_own.next(), Some((_, Effect::Fail { .. } | Effect::Removed { .. })));
            prop_assert!(runs != left, "{id:?} runs: {runs}, left: {left}");
        }
        prop_assert!(said(&|effect| *effect == Effect::Ready));
        // And it can still be stopped, with everything down at the end.
        world.tell(Event::StopAll);
        world.settle();
        prop_assert_eq!(world.alive.len(), 0);
        prop_assert_eq!(said_all_stopped(&world), 1);
    }

    #[test]
    fn no_period_sees_more_restarts_than_the_intensity(
        mut rules in all_rules(), count in 1_usize..5, steps in steps(),
    ) {
        // Each counted restart shows as one `StartAfter`.
        rules.backoff.first = Duration::from_millis(1);
        rules.escalation = Escalation::Supervisor;
        let mut world = World::new(rules, &vec![Restart::Permanent; count]);
        world.boot();
        for step in steps {
            take(&mut world, step);
            world.settle();
        }
        let ordered: Vec<Instant> = world.effects.iter()
            .filter(|(_, effect)| matches!(effect, Effect::StartAfter { .. }))
            .map(|(at, _)| *at)
            .collect();
        let Intensity { restarts, period } = rules.intensity;
        for first in &ordered {
            let within = ordered.iter().filter(|at| *at >= first && **at <= *first + period).count();
            prop_assert!(within <= usize::try_from(restarts).expect("small"), "{within} within a period");
        }
    }

    /// A model of one-for-one that keeps all of history and looks through it each time.
    #[test]
    fn one_for_one_does_what_a_naive_model_does(
        rules in all_rules(), kinds in prop::collection::vec(restarts(), 1..5),
        crashes in prop::collection::vec((0_usize..5, exits(), 0_u64..60, any::<u16>()), 0..60),
    ) {
        let rules = Rules { strategy: Restarts::OneForOne, ..rules };
        let mut world = World::new(rules, &kinds);
        world.boot();
        let mut history: Vec<(usize, Instant)> = Vec::new();
        let mut in_a_row: BTreeMap<usize, u32> = BTreeMap::new();
        for (index, exit, pause, draw) in crashes {
            world.pass(Duration::from_millis(pause));
            world.settle();
            world.take_log();
            world.jitter = Jitter(draw);
            let id = ChildId(u64::try_from(index).expect("small") + 1);
            let Some(kind) = kinds.get(index).filter(|_| world.alive.contains_key(&id)) else { continue };
            let ran = world.now - world.since[&id];
            let before = in_a_row.get(&index).copied().unwrap_or(0);
            let crashes = if ran >= rules.backoff.reset_after { 1 } else { before + 1 };
            world.exit(id, exit.clone());
            let got = world.take_log();

            let comes_back = match kind {
                Restart::Permanent => true,
                Restart::Transient => exit.is_failure(),
                Restart::Temporary => false,
            };
            let delay = rules.backoff.delay(crashes, Jitter(draw));
            let counts = |(of, at): &&(usize, Instant)| {
                (rules.escalation == Escalation::Supervisor || *of == index) && world.now - *at <= rules.intensity.period
            };
            let allowed = history.iter().filter(counts).count() < usize::try_from(rules.intensity.restarts).expect("small");
            let expected = match (comes_back, allowed, rules.escalation) {
                (false, ..) if *kind == Restart::Temporary => "removed",
                (false, ..) => "",
                (true, true, _) => "start",
                (true, false, Escalation::Supervisor) => "give up",
                (true, false, Escalation::Child) => "fail",
            };
            prop_assert!(got.starts_with(expected) && got.is_empty() == expected.is_empty(), "{} for {}", got, expected);
            match expected {
                "start" => {
                    let after = if delay.is_zero() { String::new() } else { format!(" after {delay:?}") };
                    prop_assert!(got.ends_with(&after), "{} not {}", got, after);
                    history.push((index, world.now));
                    in_a_row.insert(index, crashes);
                }
                "give up" => return Ok(()),
                _ => {}
            }
            world.settle();
        }
    }

    /// A model of the tied strategies at rest: who stops, in reverse, and who starts, in order.
    #[test]
    fn tied_children_stop_in_reverse_and_start_in_order(
        all in any::<bool>(), kinds in prop::collection::vec(restarts(), 1..7),
        crashes in prop::collection::vec(1_u64..8, 0..30),
    ) {
        let strategy = if all { Restarts::OneForAll } else { Restarts::RestForOne };
        let mut rules = rules(strategy);
        rules.intensity.restarts = 1_000;
        let mut world = World::new(rules, &kinds);
        world.boot();
        let mut there: BTreeMap<u64, Restart> = (1..).zip(kinds).collect();
        for crashed in crashes {
            let Some(kind) = there.get(&crashed).copied() else { continue };
            world.exit(ChildId(crashed), Exit::Failed("x".to_owned()));
            world.settle();
            let mut expected: Vec<(&str, u64)> = Vec::new();
            if kind == Restart::Temporary {
                there.remove(&crashed);
            } else {
                let from = if all { 0 } else { crashed };
                let hit: Vec<u64> = there.range(from..).map(|(id, _)| *id).collect();
                expected.extend(hit.iter().rev().filter(|id| **id != crashed).map(|id| ("stop", *id)));
                there.retain(|id, kind| *id < from || *kind != Restart::Temporary);
                expected.extend(hit.iter().filter(|id| there.contains_key(id)).map(|id| ("start", *id)));
            }
            let got: Vec<(&str, u64)> = world.effects.iter().filter_map(|(_, effect)| match effect {
                Effect::Start { child, .. } => Some(("start", child.0)),
                Effect::Stop { child, .. } => Some(("stop", child.0)),
                _ => None,
            }).collect();
            world.effects.clear();
            prop_assert_eq!(got, expected);
        }
    }
}
