//! Generations, leaving, removal, forgetting, and the bounds of the table.

use super::{
    super::{Effect, Event, MEMBERS_MAX, State},
    Rig, life, name,
};

#[test]
fn an_earlier_generation_never_speaks_for_a_later_one() {
    let mut rig = Rig::with(&["x"]);
    rig.event(Event::Quiet {
        member: name("x"),
        generation: 6,
    });
    rig.event(Event::Left {
        member: name("x"),
        generation: 6,
    });
    rig.ticks(100);
    assert_eq!(rig.state("x"), Some(State::Alive));

    // Nor does its process, if it still answers: not while all is well,
    rig.event(Event::Lost { member: name("x") });
    rig.ticks(300);
    rig.answer("x", life(6, 9));
    assert_eq!(rig.swim.members().next().unwrap().1.life, life(7, 0));
    // and not to hold off a verdict.
    let mut rig = Rig::suspecting(&["x"], "x");
    for _ in 0..8 {
        rig.ticks(200);
        rig.answer("x", life(6, 9));
    }
    assert_eq!(rig.state("x"), Some(State::Down));
    rig.effects.clear();
    rig.seen("x", life(6, 9));
    rig.ticks(400);
    assert_eq!(
        rig.pings("x"),
        0,
        "an echo of an earlier life is no reason to ask"
    );
}

/// Three hundred at once: their probes queue.
#[test]
fn a_verdict_waits_until_the_member_was_asked_often_enough() {
    let names: Vec<String> = (0..300).map(|index| format!("n{index}")).collect();
    let mut rig = Rig::new();
    for member in &names {
        rig.event(Event::Joined {
            member: name(member),
        });
    }
    rig.ticks(500);
    for member in &names {
        rig.answer(member, life(7, 0));
        rig.quiet(member);
    }
    rig.effects.clear();
    rig.ticks(100);
    while rig
        .swim
        .members()
        .all(|(_, held)| held.state != State::Down)
    {
        rig.ticks(100);
        assert!(rig.at < 20_000);
    }
    for member in names
        .iter()
        .filter(|member| rig.state(member) == Some(State::Down))
    {
        assert!(
            rig.pings(member) >= 5,
            "{member} was asked {} times",
            rig.pings(member)
        );
    }
}

#[test]
fn who_left_is_asked_again_only_for_a_later_generation() {
    let mut rig = Rig::with(&["x"]);
    rig.event(Event::Left {
        member: name("x"),
        generation: 7,
    });
    rig.seen("x", life(7, 8));
    rig.quiet("x");
    rig.event(Event::Lost { member: name("y") });
    rig.ticks(20_000);
    rig.event(Event::Up {
        member: name("x"),
        life: life(7, 9),
    });
    rig.ticks(1_000);
    assert_eq!((rig.state("x"), rig.pings("x")), (Some(State::Left), 0));
    rig.seen("x", life(8, 0));
    rig.ticks(100);
    assert_eq!(rig.pings("x"), 1);
    rig.answer("x", life(8, 0));
    assert_eq!(rig.state("x"), Some(State::Alive));
}

#[test]
fn who_was_removed_stays_out_until_it_is_admitted_again() {
    let mut rig = Rig::with(&["x"]);
    for member in ["x", "never-met"] {
        rig.event(Event::Removed {
            member: name(member),
        });
        rig.seen(member, life(8, 0));
        rig.event(Event::Left {
            member: name(member),
            generation: 9,
        });
        rig.ticks(1_000);
        assert_eq!((rig.state(member), rig.pings(member)), (None, 0));
    }
    let forgotten = rig
        .effects
        .iter()
        .filter(|(_, effect)| matches!(effect, Effect::Forgotten { .. }));
    assert_eq!(forgotten.count(), 1);
    rig.event(Event::Joined { member: name("x") });
    rig.ticks(100);
    rig.answer("x", life(7, 0));
    assert_eq!(rig.state("x"), Some(State::Alive));
}

#[test]
fn who_is_down_for_a_day_is_forgotten() {
    let mut rig = Rig::down(&["x"], "x");
    rig.stall(23 * 3_600_000);
    assert_eq!(rig.state("x"), Some(State::Down));
    rig.stall(3_600_000);
    assert_eq!(rig.state("x"), None);
    assert!(
        rig.effects
            .iter()
            .any(|(_, effect)| *effect == Effect::Forgotten { member: name("x") })
    );
}

#[test]
fn two_that_hold_each_other_down_find_together_without_gossip() {
    let mut rig = Rig::down(&["x"], "x");
    rig.ticks(5_000);
    assert_eq!(
        rig.question("x").map(|(_, accuse)| accuse),
        Some(Some(life(7, 0)))
    );
    rig.ticks(1_000);
    assert_eq!(rig.pings("x"), 3, "one may be lost");
    rig.effects.clear();
    // It found us: a reason to ask it, and more than once.
    rig.event(Event::Up {
        member: name("x"),
        life: life(7, 0),
    });
    rig.ticks(1_000);
    assert_eq!(rig.pings("x"), 3);
}

#[test]
fn the_table_the_strangers_and_the_probes_are_bounded() {
    let mut rig = Rig::new();
    for index in 0..1_000 {
        rig.seen(&format!("ghost-{index}"), life(1, 0));
    }
    rig.ticks(100);
    assert_eq!(rig.effects.len(), 64, "probes in one tick");
    rig.ticks(300);
    let asked: std::collections::BTreeSet<_> = (0..1_000)
        .filter(|index| rig.pings(&format!("ghost-{index}")) > 0)
        .collect();
    assert_eq!(asked.len(), 128, "strangers");

    for index in 0..MEMBERS_MAX {
        rig.event(Event::Joined {
            member: name(&format!("n{index}")),
        }); // Strangers make room.
    }
    assert_eq!(rig.swim.members().count(), MEMBERS_MAX);
    rig.effects.clear();
    rig.event(Event::Joined {
        member: name("late"),
    });
    assert_eq!(
        rig.effects,
        [(
            rig.at,
            Effect::Full {
                member: name("late")
            }
        )]
    );
    rig.event(Event::Left {
        member: name("n5"),
        generation: 1,
    });
    rig.event(Event::Joined {
        member: name("late"),
    });
    assert_eq!(
        (rig.state("late"), rig.state("n5")),
        (Some(State::Suspect), None)
    );
}
