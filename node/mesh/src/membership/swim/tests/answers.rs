//! Answers, accusations and vouching: what changes a state and what does not.

use super::{
    super::{Effect, Event, State},
    Rig, life, name,
};

#[test]
fn who_is_admitted_comes_alive_by_its_own_answer() {
    let mut rig = Rig::new();
    rig.event(Event::Joined { member: name("a") });
    rig.event(Event::Joined { member: name("me") });
    assert_eq!(rig.state("a"), Some(State::Suspect));
    rig.ticks(100);
    assert_eq!(rig.question("a"), Some((0, None)));
    rig.answer("a", life(7, 2));
    assert_eq!(rig.state("a"), Some(State::Alive));
    assert_eq!(rig.swim.alive().count(), 1);
}

#[test]
fn who_never_answers_its_admission_is_down_only_after_ten_seconds() {
    let mut rig = Rig::new();
    rig.event(Event::Joined { member: name("a") });
    rig.ticks(9_900);
    assert_eq!(rig.state("a"), Some(State::Suspect));
    rig.ticks(500);
    assert_eq!(rig.state("a"), Some(State::Down));
}

#[test]
fn a_name_in_gossip_is_no_member_until_it_answers() {
    let mut rig = Rig::with(&["r"]);
    rig.seen("a", life(7, 0));
    rig.ticks(100);
    rig.ack("a", life(7, 0), Some("r"));
    assert_eq!(rig.state("a"), None);
    rig.answer("a", life(7, 0));
    assert_eq!(rig.state("a"), Some(State::Alive));

    rig.seen("ghost", life(7, 0));
    rig.ticks_with(6_000, &["r", "a"]);
    let pings = rig.pings("ghost");
    rig.ticks_with(6_000, &["r", "a"]);
    assert_eq!((rig.pings("ghost"), pings <= 17), (pings, true));
}

#[test]
fn who_greets_is_asked_and_no_stranger() {
    let mut rig = Rig::new();
    rig.seen("b", life(7, 0));
    for member in ["a", "b"] {
        rig.event(Event::Up {
            member: name(member),
            life: life(7, 0),
        });
        assert_eq!(
            rig.state(member),
            Some(State::Suspect),
            "a greeting is no answer"
        );
    }
    rig.ticks(100);
    for member in ["a", "b"] {
        rig.answer(member, life(7, 0));
        assert_eq!(rig.state(member), Some(State::Alive));
    }
}

#[test]
fn a_suspect_is_accused_directly_and_through_three_others() {
    let mut rig = Rig::suspecting(&["a", "b", "c", "d", "e", "x"], "x");
    rig.ticks_with(200, &["a", "b", "c", "d", "e"]);
    assert_eq!(
        rig.question("x").map(|(_, accuse)| accuse),
        Some(Some(life(7, 0)))
    );
    let via = rig.effects.iter().find_map(|(_, effect)| match effect {
        Effect::PingVia {
            relays,
            member,
            accuse,
            ..
        } => Some((relays.clone(), member.clone(), *accuse)),
        _ => None,
    });
    let (relays, member, accuse) = via.expect("others were asked");
    assert_eq!((relays.len(), &*member, accuse), (3, "x", Some(life(7, 0))));
    let mut different = relays.clone();
    different.sort();
    different.dedup();
    assert!(
        different.len() == 3 && !relays.contains(&member),
        "{relays:?}"
    );

    // Down after 1.5 s, of which 0.9 s may have passed before the suspicion; never with fewer than five rounds.
    rig.ticks_with(700, &["a", "b", "c", "d", "e"]);
    assert_eq!(rig.state("x"), Some(State::Suspect));
    rig.ticks_with(700, &["a", "b", "c", "d", "e"]);
    assert_eq!(rig.state("x"), Some(State::Down));
    assert!(rig.pings("x") >= 5, "{}", rig.pings("x"));
}

/// What an answer makes of a member in each state.
#[test]
fn only_its_own_higher_life_clears_an_accusation() {
    use State::{Alive, Down, Left, Suspect};
    let cases = [
        (Suspect, life(7, 1), None, Alive),
        (Suspect, life(8, 0), None, Alive),
        (Suspect, life(7, 0), None, Suspect), // It has not heard the accusation.
        (Suspect, life(6, 9), None, Suspect), // An old process speaks.
        (Suspect, life(7, 1), Some("r"), Suspect), // One relay of three may lie.
        (Down, life(7, 1), None, Alive),
        (Down, life(8, 0), None, Alive),
        (Down, life(7, 0), None, Down),
        (Down, life(6, 9), None, Down),
        (Down, life(7, 1), Some("r"), Down),
        (Left, life(7, 9), None, Left),
        (Left, life(8, 0), None, Alive),
        (Left, life(8, 0), Some("r"), Left),
    ];
    for (before, answer, via, after) in cases {
        let mut rig = match before {
            Suspect => Rig::suspecting(&["x", "r", "s", "t"], "x"),
            Down => Rig::down(&["x", "r", "s", "t"], "x"),
            Alive | Left => Rig::with(&["x", "r", "s", "t"]),
        };
        if before == Left {
            rig.event(Event::Left {
                member: name("x"),
                generation: 7,
            });
        }
        if before != Suspect {
            rig.seen("x", life(8, 0)); // Makes it ask.
            rig.ticks(300);
        }
        rig.ack("x", answer, via);
        assert_eq!(
            rig.state("x"),
            Some(after),
            "{before:?} answers {answer:?} via {via:?}"
        );
    }
}

#[test]
fn an_answer_without_refutation_starts_the_clock_again() {
    let mut rig = Rig::suspecting(&["x", "r"], "x");
    for _ in 0..10 {
        rig.ticks_with(600, &["r"]);
        rig.answer("x", life(7, 0));
        assert_eq!(rig.state("x"), Some(State::Suspect));
    }
    rig.ticks_with(1_600, &["r"]);
    assert_eq!(rig.state("x"), Some(State::Down));
}

#[test]
fn an_answer_to_another_question_says_nothing() {
    let mut rig = Rig::suspecting(&["x"], "x");
    let (probe, _) = rig.question("x").unwrap();
    for probe in [probe + 1, 0, u64::MAX] {
        rig.event(Event::Ack {
            member: name("x"),
            life: life(7, 5),
            probe,
            via: None,
        });
        assert_eq!(rig.state("x"), Some(State::Suspect));
    }
}

#[test]
fn heartbeats_neither_clear_nor_revive() {
    let mut rig = Rig::suspecting(&["x", "r"], "x");
    for round in 0..16 {
        rig.seen("x", life(7 + round % 2, 9));
        rig.ticks_with(100, &["r"]);
    }
    assert_eq!(rig.state("x"), Some(State::Down));
    rig.effects.clear();
    for _ in 0..50 {
        rig.seen("x", life(9, 9));
        rig.ticks_with(100, &["r"]);
    }
    assert_eq!(rig.state("x"), Some(State::Down));
    assert!(
        (10..=17).contains(&rig.pings("x")),
        "asked {} times in 5 s",
        rig.pings("x")
    );
    rig.answer("x", life(7, 1));
    assert_eq!(rig.state("x"), Some(State::Alive));
}

#[test]
fn who_answers_while_gossip_is_quiet_is_alive_and_marked() {
    let mut rig = Rig::suspecting(&["x", "r"], "x");
    rig.answer("x", life(7, 1));
    let standing = |rig: &Rig| {
        rig.swim
            .members()
            .find(|(name, _)| &***name == "x")
            .unwrap()
            .1
    };
    assert!(standing(&rig).is_gossip_stale && standing(&rig).state == State::Alive);
    // It is asked on; who falls silent is suspected and declared down.
    rig.ticks_with(4_500, &["r"]);
    assert_eq!(standing(&rig).state, State::Down);
    rig.ticks_with(5_000, &["r"]);
    rig.answer("x", life(7, 2));
    rig.seen("x", life(7, 2));
    assert!(!standing(&rig).is_gossip_stale);
}

#[test]
fn two_relays_vouch_and_what_they_say_is_not_stored() {
    let mut rig = Rig::suspecting(&["x", "r", "s", "t"], "x");
    rig.ack("x", life(7, 1), Some("r"));
    rig.ack("x", life(7, 1), Some("r"));
    rig.ack("x", life(7, 1), Some("x"));
    rig.ack("x", life(7, 1), Some("stranger"));
    rig.ack("x", life(7, 0), Some("s"));
    rig.ack("x", life(8, 0), Some("s")); // A later start must speak for itself.
    assert_eq!(rig.state("x"), Some(State::Suspect));
    rig.ack("x", life(7, u32::MAX), Some("s"));
    let (_, held) = rig
        .swim
        .members()
        .find(|(name, _)| &***name == "x")
        .unwrap();
    assert_eq!(
        (held.state, held.is_relayed, held.life),
        (State::Alive, true, life(7, 0))
    );
}

/// It vouches for one truly, so that nobody else but itself is left to be asked about the next.
#[test]
fn a_liar_does_not_end_up_as_the_only_witness() {
    let mut rig = Rig::suspecting(&["x", "r", "s", "liar"], "r");
    rig.ack("r", life(7, 1), Some("liar"));
    rig.ack("r", life(7, 1), Some("s"));
    assert_eq!(rig.state("r"), Some(State::Alive));
    rig.event(Event::Removed { member: name("s") });
    rig.quiet("x");
    rig.ticks(300);
    assert_eq!(rig.state("x"), Some(State::Suspect));
    rig.ack("x", life(7, 1), Some("liar"));
    assert_eq!(rig.state("x"), Some(State::Suspect));
}

#[test]
fn where_there_is_one_relay_its_word_has_to_do() {
    let mut rig = Rig::suspecting(&["x", "r"], "x");
    rig.ack("x", life(7, 1), Some("r"));
    assert_eq!(rig.state("x"), Some(State::Alive));
}

#[test]
fn a_broken_direct_way_brings_in_the_relays_at_once() {
    let mut rig = Rig::with(&["x", "r"]);
    rig.event(Event::Lost { member: name("x") });
    rig.ticks(300);
    let (probe, accuse) = rig.question("x").unwrap();
    assert_eq!(accuse, None);
    rig.event(Event::ProbeFailed {
        member: name("x"),
        probe,
    });
    rig.ticks(100);
    let via = rig
        .effects
        .iter()
        .filter(|(_, effect)| matches!(effect, Effect::PingVia { .. }));
    assert_eq!((via.count(), rig.pings("x")), (1, 1));
    assert_eq!(
        rig.state("x"),
        Some(State::Alive),
        "a lost connection is no verdict"
    );
}

/// Somebody forges the heartbeats of a dead member: the patrol finds it.
#[test]
fn who_never_answers_is_found_although_its_heartbeat_moves() {
    let mut rig = Rig::with(&["x", "r", "s"]);
    let mut found = None;
    for round in 0..400 {
        rig.seen("x", life(7, 0));
        rig.ticks_with(100, &["r", "s"]);
        if found.is_none() && rig.state("x") == Some(State::Down) {
            found = Some(round);
        }
    }
    assert!(
        found.is_some_and(|round| (100..=230).contains(&round)),
        "{found:?}"
    );
}
