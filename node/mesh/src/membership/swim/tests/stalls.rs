//! An observer that stalls: grace, local health, and their limits.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    super::{
        Event, State,
        health::{Health, Stall},
    },
    Rig,
};

#[test]
fn an_observer_that_stalled_judges_nobody_for_a_while() {
    // What gossip thinks of the pause may come before the late tick or after it.
    for tick_first in [true, false] {
        let mut rig = Rig::with(&["x", "r"]);
        rig.at += 2_000;
        if tick_first {
            rig.event(Event::Tick);
        }
        rig.quiet("x");
        if !tick_first {
            rig.event(Event::Tick);
        }
        rig.ticks(2_300); // Grace: 1.9 s of lag and 0.5 s.
        assert_eq!(
            rig.state("x"),
            Some(State::Alive),
            "tick first: {tick_first}"
        );
        rig.ticks(200);
        assert_eq!(
            rig.state("x"),
            Some(State::Suspect),
            "tick first: {tick_first}"
        );
    }
}

#[test]
fn a_stall_starts_the_clock_of_a_suspect_again() {
    let mut rig = Rig::suspecting(&["x"], "x");
    rig.ticks(800);
    rig.stall(1_000);
    rig.ticks(1_400); // Grace; and two seconds after the stall health is back.
    rig.ticks(1_300);
    assert_eq!(rig.state("x"), Some(State::Suspect));
    rig.ticks(400);
    assert_eq!(rig.state("x"), Some(State::Down));
}

#[test]
fn lasting_starvation_delays_a_verdict_and_does_not_prevent_it() {
    let mut rig = Rig::suspecting(&["x"], "x");
    let began = rig.at;
    while rig.state("x") != Some(State::Down) && rig.at < began + 120_000 {
        rig.stall(700);
    }
    let took = rig.at - began;
    // 10 s of grace, then 6 s of which each 700 ms count for 350.
    assert!((16_000..=30_000).contains(&took), "{took} ms");
}

/// Ticks at these milliseconds; health, patience and grace after the last.
#[test]
fn health_falls_by_stalls_and_comes_back_by_itself() {
    let check = |ticks: &[u64], score: u32, patience: u64, grace: bool| {
        let start = Instant::now();
        let mut health = Health::new(start);
        let mut now = start;
        for tick in ticks {
            now = start + Duration::from_millis(*tick);
            health.tick(now);
        }
        let read = health.read(now);
        let got = (read.score, read.patience, read.is_in_grace);
        assert_eq!(
            got,
            (score, Duration::from_millis(patience), grace),
            "{ticks:?}"
        );
    };
    let every = |step: u64, until: u64| {
        (1..=until / step)
            .map(|tick| tick * step)
            .collect::<Vec<_>>()
    };
    check(&every(100, 10_000), 0, 1_500, false);
    check(&every(350, 10_000), 0, 1_500, false); // 250 ms late is on time.
    check(&[100, 451], 1, 3_000, true);
    check(
        &[100, 500, 600, 700, 800, 900, 1_000, 1_100, 1_200, 1_300],
        1,
        3_000,
        false,
    ); // 300 + 500 ms.
    check(&[100, 500, 900], 2, 4_500, true);
    check(&every(400, 9_000), 8, 6_000, true);
    check(&every(400, 12_000), 8, 6_000, false); // Grace is used up after 10 s.
    let mut rested = every(400, 12_000);
    rested.extend(every(100, 6_050).into_iter().map(|tick| 12_000 + tick));
    check(&rested, 5, 6_000, false);
    rested.extend([22_100]);
    check(&rested, 6, 6_000, false); // Six seconds are no rest.
    let mut rested = every(400, 12_000);
    rested.extend(every(100, 10_100).into_iter().map(|tick| 12_000 + tick));
    rested.extend([22_600]);
    check(&rested, 4, 6_000, true); // Ten are.
}

#[test]
fn a_stall_beyond_all_grace_counts_for_a_moment_only() {
    let start = Instant::now();
    let mut health = Health::new(start);
    let mut last = None;
    for tick in 1..=20 {
        last = health.tick(start + Duration::from_millis(tick * 1_000));
    }
    assert_eq!(
        last,
        Some(Stall::Discounted {
            by: Duration::from_millis(650)
        })
    );
}

#[test]
fn an_observer_that_is_unwell_asks_more_seldom() {
    let rounds_in_a_second = |stalls: usize| {
        let mut rig = Rig::suspecting(&["x"], "x");
        for _ in 0..stalls {
            rig.stall(700);
        }
        rig.effects.clear();
        rig.ticks(1_000);
        assert_eq!(rig.state("x"), Some(State::Suspect));
        rig.pings("x")
    };
    assert_eq!([0, 1, 4].map(rounds_in_a_second), [10, 5, 2]);
}
