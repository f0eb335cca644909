//! The rules of the plan, one table a rule. An incarnation is written `child.number`.

use std::time::Duration;

use super::super::budget::{Intensity, Jitter};
use super::super::event::{ChildId, Event, Exit, Incarnation};
use super::super::rules::Restart::{Permanent, Temporary, Transient};
use super::super::rules::Strategy::{OneForAll, OneForOne, RestForOne};
use super::super::rules::{Escalation, FirstStart, Restart, Rules, Strategy};
use super::world::{SECOND, World, backoff_of, child, rules};

const THREE: &[Restart] = &[Permanent, Permanent, Permanent];

fn booted(rules: Rules, children: &[Restart]) -> World {
    let mut world = World::new(rules, children);
    world.boot();
    world
}

fn add(child_id: u64, restart: Restart, first_start: FirstStart) -> Event {
    Event::ChildAdded {
        child: ChildId(child_id),
        rules: child(restart),
        first_start,
    }
}

#[test]
fn children_start_one_after_the_other_in_order() {
    let mut world = World::new(rules(OneForOne), THREE);
    world.tell(Event::Begun);
    assert_eq!(world.take_log(), "start 1.1");
    world.do_job(0);
    assert_eq!(
        world.take_log(),
        "start 2.1",
        "the second waits until the first has started"
    );
    world.settle();
    assert_eq!(world.take_log(), "start 3.1, ready");
    assert_eq!(World::new(rules(OneForAll), &[]).boot(), "ready");
}

#[test]
fn a_start_that_fails_at_boot_undoes_the_others_in_reverse_order() {
    for strategy in [OneForOne, OneForAll, RestForOne] {
        let mut world = World::new(rules(strategy), THREE);
        world.bad_starts.insert(ChildId(3));
        let expected = "start 1.1, start 2.1, start 3.1, give up: 3 did not start: bad start, \
                        stop 2.1, stop 1.1, all stopped";
        assert_eq!(world.boot(), expected, "{strategy:?}");
    }
}

#[test]
fn each_strategy_restarts_whom_it_names() {
    let cases: &[(Strategy, u64, &str)] = &[
        (OneForOne, 2, "start 2.2"),
        (
            OneForAll,
            2,
            "stop 3.1, stop 1.1, start 1.2, start 2.2, start 3.2",
        ),
        (
            RestForOne,
            1,
            "stop 3.1, stop 2.1, start 1.2, start 2.2, start 3.2",
        ),
        (RestForOne, 2, "stop 3.1, start 2.2, start 3.2"),
        (RestForOne, 3, "start 3.2"),
    ];
    for (strategy, crashed, expected) in cases {
        let log = booted(rules(*strategy), THREE).crash(*crashed);
        assert_eq!(log, *expected, "{strategy:?}, {crashed}");
    }
}

#[test]
fn an_exit_is_followed_by_a_restart_only_where_the_child_says_so() {
    let failed = || Exit::Failed("x".to_owned());
    let cases = [
        (Permanent, Exit::Normal, "start 1.2"),
        (Permanent, Exit::Shutdown, "start 1.2"),
        (Permanent, failed(), "start 1.2"),
        (Transient, Exit::Normal, ""),
        (Transient, Exit::Shutdown, ""),
        (Transient, failed(), "start 1.2"),
        (Transient, Exit::Panicked("x".to_owned()), "start 1.2"),
        (Temporary, Exit::Normal, "removed 1"),
        (Temporary, failed(), "removed 1"),
    ];
    for (restart, exit, expected) in cases {
        let mut world = booted(rules(OneForOne), &[restart]);
        world.exit(ChildId(1), exit.clone());
        world.settle();
        assert_eq!(world.take_log(), expected, "{restart:?}, {exit:?}");
    }
}

#[test]
fn a_temporary_sibling_is_stopped_and_forgotten() {
    let mut world = booted(rules(OneForAll), &[Permanent, Temporary, Transient]);
    let expected = "stop 3.1, stop 2.1, removed 2, start 1.2, start 3.2";
    assert_eq!(world.crash(1), expected);
}

#[test]
fn siblings_of_a_delayed_restart_stop_at_once_and_start_after_it() {
    let rules = Rules {
        backoff: backoff_of(SECOND),
        ..rules(RestForOne)
    };
    let mut world = booted(rules, THREE);
    assert_eq!(world.crash(2), "stop 3.1, start 2.2 after 1s");
    world.pass(SECOND - Duration::from_millis(1));
    assert_eq!(world.take_log(), "");
    world.pass(Duration::from_millis(1));
    world.settle();
    assert_eq!(world.take_log(), "start 2.3, start 3.2");
}

#[test]
fn an_earlier_sibling_that_fails_meanwhile_takes_the_recovery_over() {
    let rules = Rules {
        backoff: backoff_of(SECOND),
        ..rules(RestForOne)
    };
    let mut world = booted(rules, THREE);
    assert_eq!(world.crash(3), "start 3.2 after 1s");
    world.pass(SECOND / 2);
    assert_eq!(world.crash(1), "stop 2.1, start 1.2 after 1s");
    world.pass(SECOND / 2);
    assert_eq!(
        world.take_log(),
        "",
        "the first delay is over, but is not waited for any more"
    );
    world.pass(SECOND / 2);
    world.settle();
    assert_eq!(world.take_log(), "start 1.3, start 2.2, start 3.3");
}

#[test]
fn a_restart_that_does_not_start_is_tried_again_from_there() {
    let mut world = booted(rules(RestForOne), THREE);
    world.bad_starts.insert(ChildId(2));
    assert_eq!(
        world.crash(1),
        "stop 3.1, stop 2.1, start 1.2, start 2.2, start 2.3, start 3.2"
    );
    let mut world = booted(rules(OneForAll), THREE);
    world.bad_starts.insert(ChildId(2));
    let expected =
        "stop 3.1, stop 2.1, start 1.2, start 2.2, stop 1.2, start 1.3, start 2.3, start 3.2";
    assert_eq!(world.crash(1), expected);
}

#[test]
fn a_late_report_does_nothing() {
    let rules = Rules {
        backoff: backoff_of(SECOND),
        ..rules(OneForOne)
    };
    let mut world = booted(rules, &[Permanent]);
    assert_eq!(world.crash(1), "start 1.2 after 1s");
    world.tell(Event::RestartAsked { child: ChildId(1) });
    world.settle();
    assert_eq!(world.take_log(), "start 1.3");
    world.pass(SECOND);
    let (child, exit) = (ChildId(1), Exit::Failed("late".to_owned()));
    for incarnation in [1, 2].map(Incarnation) {
        world.tell(Event::Exited {
            child,
            incarnation,
            exit: exit.clone(),
        });
        world.tell(Event::Started { child, incarnation });
        world.tell(Event::RestartDue { child, incarnation });
    }
    assert_eq!(world.take_log(), "");
}

#[test]
fn crashes_in_a_row_wait_longer_until_the_child_has_run_well() {
    let rules = Rules {
        backoff: backoff_of(SECOND),
        ..rules(OneForOne)
    };
    let mut world = booted(rules, &[Permanent]);
    for (incarnation, delay) in [(2, 1), (3, 2), (4, 4), (5, 8), (6, 8)] {
        assert_eq!(
            world.crash(1),
            format!("start 1.{incarnation} after {delay}s")
        );
        world.pass(SECOND * delay);
        world.settle();
        world.take_log();
    }
    world.pass(10 * SECOND);
    assert_eq!(world.crash(1), "start 1.7 after 1s");
    world.jitter = Jitter(u16::MAX);
    world.pass(SECOND);
    world.settle();
    world.take_log();
    assert_eq!(
        world.crash(1),
        "start 1.8 after 1s",
        "2 s, of which the jitter takes a half"
    );
}

#[test]
fn one_restart_too_many_stops_all_and_gives_up() {
    let intensity = Intensity {
        restarts: 2,
        period: SECOND,
    };
    let mut world = booted(
        Rules {
            intensity,
            ..rules(OneForOne)
        },
        THREE,
    );
    assert_eq!(world.crash(3), "start 3.2");
    assert_eq!(
        world.crash(1),
        "start 1.2",
        "all children share one intensity"
    );
    let expected = "give up: 2 more than 2 restarts within 1s, last after: boom, \
                    stop 3.2, stop 1.2, all stopped";
    assert_eq!(world.crash(2), expected);
    let mut patient = booted(
        Rules {
            intensity,
            ..rules(OneForOne)
        },
        &[Permanent],
    );
    for incarnation in 2..20 {
        assert_eq!(patient.crash(1), format!("start 1.{incarnation}"));
        patient.pass(SECOND * 2 / 3);
    }
}

#[test]
fn a_child_with_its_own_intensity_fails_alone_until_an_operator_restarts_it() {
    let intensity = Intensity {
        restarts: 1,
        period: SECOND,
    };
    let rules = Rules {
        intensity,
        escalation: Escalation::Child,
        ..rules(OneForOne)
    };
    let mut world = booted(rules, &[Permanent, Permanent]);
    assert_eq!(world.crash(1), "start 1.2");
    assert_eq!(world.crash(2), "start 2.2");
    assert_eq!(world.crash(1), "fail 1");
    world.pass(100 * SECOND);
    assert_eq!(world.take_log(), "");
    world.tell(Event::RestartAsked { child: ChildId(1) });
    world.settle();
    assert_eq!(world.take_log(), "start 1.3");
    assert_eq!(
        world.crash(1),
        "start 1.4",
        "an operator's restart gives the intensity back"
    );
}

#[test]
fn children_tied_together_cannot_fail_alone() {
    let intensity = Intensity {
        restarts: 0,
        period: SECOND,
    };
    let rules = Rules {
        intensity,
        escalation: Escalation::Child,
        ..rules(RestForOne)
    };
    let log = booted(rules, &[Permanent, Permanent]).crash(2);
    assert!(log.starts_with("give up: 2"), "{log}");
}

#[test]
fn a_first_start_that_fails_is_forgotten_or_tried_again_as_asked() {
    for (first_start, expected) in [
        (FirstStart::Required, "start 9.1, removed 9"),
        (FirstStart::Retried, "start 9.1, start 9.2"),
    ] {
        for strategy in [OneForOne, OneForAll, RestForOne] {
            let mut world = booted(rules(strategy), &[]);
            world.bad_starts.insert(ChildId(9));
            world.tell(add(9, Permanent, first_start));
            world.settle();
            assert_eq!(world.take_log(), expected, "{strategy:?}");
        }
    }
}

#[test]
fn a_removed_child_is_stopped_first_and_never_restarted() {
    let rules = Rules {
        backoff: backoff_of(SECOND),
        ..rules(OneForOne)
    };
    let mut world = booted(rules, &[Permanent, Permanent]);
    world.tell(Event::ChildRemoved { child: ChildId(1) });
    world.settle();
    assert_eq!(world.take_log(), "stop 1.1, removed 1");
    assert_eq!(world.crash(2), "start 2.2 after 1s");
    world.tell(Event::ChildRemoved { child: ChildId(2) });
    assert_eq!(
        world.take_log(),
        "removed 2",
        "also while it waits for its restart"
    );
    world.pass(SECOND);
    world.tell(Event::ChildRemoved { child: ChildId(2) });
    assert_eq!(
        world.take_log(),
        "removed 2",
        "whoever asks for it again has his answer"
    );
}

#[test]
fn siblings_do_not_wait_for_a_removed_lead() {
    let rules = Rules {
        backoff: backoff_of(SECOND),
        ..rules(OneForAll)
    };
    let mut world = booted(rules, THREE);
    assert_eq!(world.crash(2), "stop 3.1, stop 1.1, start 2.2 after 1s");
    world.tell(Event::ChildRemoved { child: ChildId(2) });
    world.settle();
    assert_eq!(world.take_log(), "removed 2, start 1.2, start 3.2");
}

#[test]
fn stop_runs_backwards_after_the_dynamic_children_all_at_once() {
    let mut world = booted(rules(OneForOne), &[Permanent, Permanent]);
    for id in [8, 9] {
        world.tell(add(id, Permanent, FirstStart::Required));
    }
    world.settle();
    world.take_log();
    world.tell(Event::StopAll);
    assert_eq!(world.take_log(), "stop 8.1, stop 9.1");
    world.settle();
    assert_eq!(world.take_log(), "stop 2.1, stop 1.1, all stopped");
    let mut tied = booted(rules(RestForOne), &[Permanent, Permanent]);
    tied.tell(add(8, Permanent, FirstStart::Required));
    tied.settle();
    tied.take_log();
    tied.tell(Event::StopAll);
    tied.settle();
    assert_eq!(tied.take_log(), "stop 8.1, stop 2.1, stop 1.1, all stopped");
}

#[test]
fn an_operators_restart_stops_and_starts_that_child_alone_and_is_not_counted() {
    let intensity = Intensity {
        restarts: 0,
        period: SECOND,
    };
    let mut world = booted(
        Rules {
            intensity,
            ..rules(OneForAll)
        },
        THREE,
    );
    world.tell(Event::RestartAsked { child: ChildId(2) });
    world.settle();
    assert_eq!(world.take_log(), "stop 2.1, start 2.2");
}
