//! Supervision trees of real actors.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::super::spec::Start;
use super::super::{
    AddChildError, BoundedRef, ChildError, ChildSpec, ChildState, Escalation, Intensity, Restart,
    Shutdown, StartError, Strategy, Supervisor,
};
use super::stage::{Diary, Say, hello, read, say, spec, status_of, until, worker, workers};

const GRACE: Duration = Duration::from_secs(60);
const DRAIN: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn a_panic_restarts_that_child_and_is_told() {
    let diary = Diary::default();
    let (children, mailboxes) = workers(&["a", "b"], &diary);
    let tree = Supervisor::start(spec(Strategy::OneForOne, children))
        .await
        .unwrap();
    assert_eq!(read(&diary), ["start a", "start b"]);
    say(&mailboxes[0], Say::Panic("lost the key".to_owned()));
    until(|| matches!(status_of(&tree, "a").state, ChildState::Restarting { .. })).await;
    let waiting = status_of(&tree, "a");
    let left = waiting
        .state
        .restarts_in(tokio::time::Instant::now())
        .expect("it restarts");
    assert!(left <= Duration::from_millis(100), "{left:?}");
    assert_eq!(hello(&mailboxes[0]).await, waiting.incarnation + 1);
    let status = status_of(&tree, "a");
    assert_eq!((status.state, status.restarts), (ChildState::Running, 1));
    assert_eq!(status.last_error.as_deref(), Some("lost the key"));
    assert_eq!(hello(&mailboxes[1]).await, 1, "its sibling never noticed");
    assert_eq!(read(&diary), ["start a"]);
    assert_eq!(tree.stop(GRACE).await.killed, [""; 0]);
    assert_eq!(read(&diary), ["end b", "end a"], "stop runs backwards");
}

#[tokio::test(start_paused = true)]
async fn the_last_error_has_the_texts_of_its_cause_and_a_bound() {
    let (children, mailboxes) = workers(&["a"], &Diary::default());
    let tree = Supervisor::start(spec(Strategy::OneForOne, children))
        .await
        .unwrap();
    say(&mailboxes[0], Say::Fail);
    until(|| status_of(&tree, "a").last_error.as_deref() == Some("as told")).await;
    hello(&mailboxes[0]).await;
    say(&mailboxes[0], Say::Panic("ä".repeat(10_000)));
    until(|| {
        status_of(&tree, "a")
            .last_error
            .is_some_and(|error| error == "ä".repeat(256))
    })
    .await;
    tree.stop(GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn rest_for_one_restarts_the_later_siblings_in_order() {
    let diary = Diary::default();
    let (children, mailboxes) = workers(&["a", "b", "c", "d"], &diary);
    let tree = Supervisor::start(spec(Strategy::RestForOne, children))
        .await
        .unwrap();
    read(&diary);
    say(&mailboxes[1], Say::Panic("boom".to_owned()));
    until(|| status_of(&tree, "d").restarts == 1).await;
    assert_eq!(
        read(&diary),
        ["end d", "end c", "start b", "start c", "start d"]
    );
    assert_eq!(hello(&mailboxes[0]).await, 1);
    assert_eq!(hello(&mailboxes[3]).await, 2);
    tree.stop(GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn too_many_restarts_climb_the_tree_up_to_the_root() {
    let diary = Diary::default();
    let (children, mailboxes) = workers(&["leaf"], &diary);
    let (nested, _) = ChildSpec::supervisor("branch", spec(Strategy::OneForOne, children), DRAIN);
    let mut root = spec(Strategy::OneForOne, vec![nested]);
    root.rules.intensity = Intensity {
        restarts: 1,
        period: Duration::from_secs(60),
    };
    let tree = Supervisor::start(root).await.unwrap();
    for _ in 0..4 {
        hello(&mailboxes[0]).await;
        say(&mailboxes[0], Say::Panic("again".to_owned()));
    }
    until(|| status_of(&tree, "branch").restarts == 1).await;
    let error = status_of(&tree, "branch")
        .last_error
        .expect("it gave up once");
    assert!(
        error.contains("`leaf` more than 3 restarts within 5s, last after: again"),
        "{error}"
    );
    for _ in 0..4 {
        hello(&mailboxes[0]).await;
        say(&mailboxes[0], Say::Panic("again".to_owned()));
    }
    let reason = tree.ended().await.gave_up.expect("the root gave up");
    assert!(
        reason.starts_with("`branch` more than 1 restarts within 60s"),
        "{reason}"
    );
    assert!(!mailboxes[0].is_running());
    assert_eq!(
        tree.add_child(worker("x", &BoundedRef::new(1, 0), &diary))
            .await,
        Err(AddChildError::NotRunning)
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_crashes_too_often_fails_alone() {
    let diary = Diary::default();
    let (children, mailboxes) = workers(&["agent/acme/bad", "agent/acme/good"], &diary);
    let mut agents = spec(Strategy::OneForOne, children);
    agents.rules.escalation = Escalation::Child;
    let tree = Supervisor::start(agents).await.unwrap();
    for incarnation in [1, 3, 5, 7] {
        assert_eq!(hello(&mailboxes[0]).await, incarnation / 2 + 1);
        say(&mailboxes[0], Say::Panic("again".to_owned()));
    }
    until(|| status_of(&tree, "agent/acme/bad").state == ChildState::Failed).await;
    assert_eq!(hello(&mailboxes[1]).await, 1);
    tree.restart_child("agent/acme/bad").await.unwrap();
    hello(&mailboxes[0]).await;
    assert_eq!(
        status_of(&tree, "agent/acme/bad").state,
        ChildState::Running
    );
    let unknown = ChildError::Unknown {
        name: "nobody".to_owned(),
    };
    assert_eq!(tree.restart_child("nobody").await, Err(unknown));
    tree.stop(GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn a_drain_empties_the_mailbox_and_kills_what_takes_too_long() {
    let diary = Diary::default();
    let (children, mailboxes) = workers(&["quick", "stuck"], &diary);
    let children = children
        .into_iter()
        .map(|child| child.shutdown(Shutdown::Drain(DRAIN)))
        .collect();
    let tree = Supervisor::start(spec(Strategy::OneForOne, children))
        .await
        .unwrap();
    let go_on = Arc::new(Notify::new());
    say(&mailboxes[0], Say::Hold(Arc::clone(&go_on)));
    let (reply, answer) = tokio::sync::oneshot::channel();
    say(&mailboxes[0], Say::Hello(reply));
    say(&mailboxes[1], Say::Hold(Arc::new(Notify::new())));
    let began = tokio::time::Instant::now();
    let (report, ()) = tokio::join!(tree.stop(GRACE), async {
        tokio::time::sleep(DRAIN + DRAIN / 2).await; // Within the drain of the first child, which stops last.
        go_on.notify_one();
    });
    assert_eq!(report.killed, ["stuck"]);
    assert_eq!(
        answer.await,
        Ok(1),
        "what was queued is handled before it ends"
    );
    assert!(began.elapsed() >= DRAIN + DRAIN / 2 && began.elapsed() < 2 * DRAIN);
    assert_eq!(status_of(&tree, "quick").state, ChildState::Stopped);
    assert_eq!(read(&diary), ["start quick", "start stuck", "end quick"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_left_when_the_grace_is_over_is_killed_and_named() {
    let (children, mailboxes) = workers(&["deep"], &Diary::default());
    let children = children
        .into_iter()
        .map(|child| child.shutdown(Shutdown::Drain(GRACE)))
        .collect();
    let (nested, _) = ChildSpec::supervisor("nested", spec(Strategy::OneForOne, children), GRACE);
    let tree = Supervisor::start(spec(Strategy::OneForOne, vec![nested]))
        .await
        .unwrap();
    say(&mailboxes[0], Say::Hold(Arc::new(Notify::new())));
    let began = tokio::time::Instant::now();
    let report = tree.stop(DRAIN).await;
    assert_eq!(report.killed, ["deep", "nested"]);
    assert!(
        began.elapsed() < DRAIN + Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
    until(|| mailboxes[0].queued() == 0 && !mailboxes[0].is_running()).await;
    until(|| status_of(&tree, "deep").state == ChildState::Stopped).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_child_that_does_not_even_answer_a_kill_is_abandoned() {
    let (children, mailboxes) = workers(&["hard"], &Diary::default());
    let children = children
        .into_iter()
        .map(|child| child.shutdown(Shutdown::Kill))
        .collect();
    let tree = Supervisor::start(spec(Strategy::OneForOne, children))
        .await
        .unwrap();
    let (let_go, held) = std::sync::mpsc::channel();
    let (began, begun) = tokio::sync::oneshot::channel();
    say(&mailboxes[0], Say::HoldHard(began, held));
    begun.await.unwrap();
    tree.restart_child("hard").await.unwrap();
    until(|| {
        status_of(&tree, "hard").state == ChildState::Running
            && status_of(&tree, "hard").incarnation == 2
    })
    .await;
    assert_eq!(hello(&mailboxes[0]).await, 2);
    assert_eq!(
        status_of(&tree, "hard").last_error.as_deref(),
        Some("it does not answer a kill")
    );
    let_go.send(()).unwrap();
    tree.stop(GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn a_tree_whose_child_does_not_start_leaves_nothing_running() {
    let diary = Diary::default();
    let (mut children, mailboxes) = workers(&["first"], &diary);
    let broken = BoundedRef::<Say>::new(1, 0);
    children.push(ChildSpec::actor("broken", "worker", &broken, |_| {
        Box::pin(async { Err(ractor::SpawnErr::StartupFailed("no key".into())) })
    }));
    let error = Supervisor::start(spec(Strategy::OneForOne, children))
        .await
        .unwrap_err();
    let StartError::Child { reason } = error else {
        panic!("{error}")
    };
    assert_eq!(reason, "`broken` did not start: no key");
    assert_eq!(read(&diary), ["start first", "end first"]);
    assert!(!mailboxes[0].is_running());
}

#[tokio::test(start_paused = true)]
async fn two_children_of_one_name_are_refused() {
    let (children, _) = workers(&["same", "same"], &Diary::default());
    let error = Supervisor::start(spec(Strategy::OneForOne, children))
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::Supervisor(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_or_panics_is_a_failed_start() {
    let diary = Diary::default();
    let tree = Supervisor::start(spec(Strategy::OneForOne, Vec::new()))
        .await
        .unwrap();
    let mailbox = BoundedRef::<Say>::new(1, 0);
    let hangs = ChildSpec::actor("hangs", "worker", &mailbox, |_| Box::pin(pending()))
        .start_timeout(Duration::from_secs(3));
    let Err(AddChildError::StartFailed { error, .. }) = tree.add_child(hangs.clone()).await else {
        panic!("it cannot start")
    };
    assert_eq!(error, "it did not start within 3s");
    let panics = ChildSpec::actor("panics", "worker", &mailbox, |_| panic!("no factory"));
    let Err(AddChildError::StartFailed { error, .. }) = tree.add_child(panics).await else {
        panic!("it cannot start")
    };
    assert_eq!(error, "no factory");
    assert!(tree.status().is_empty(), "neither is kept");

    // A factory that hangs after its actor runs leaves no actor behind.
    let (to, inner) = (mailbox.clone(), Diary::clone(&diary));
    let late = ChildSpec::actor("late", "worker", &mailbox, move |context| {
        let template = worker("late", &to, &inner);
        Box::pin(async move {
            let Start::Actor { factory, .. } = &template.start else {
                unreachable!()
            };
            factory(context).await?;
            pending().await
        })
    });
    let late = late.start_timeout(Duration::from_secs(3));
    assert!(tree.add_child(late).await.is_err());
    until(|| Arc::strong_count(&diary) == 1).await; // Each living worker holds one.

    // A start under way does not hold up a stop.
    tree.adopt_child(hangs.start_timeout(GRACE)).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(tree.stop(GRACE).await.killed, [""; 0]);
    assert!(
        began.elapsed() < Duration::from_millis(100),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_child_that_ends_before_its_start_is_reported_is_restarted() {
    let mailbox = BoundedRef::<Say>::new(2, 0);
    let (to, diary) = (mailbox.clone(), Diary::default());
    let child = ChildSpec::actor("hasty", "worker", &mailbox, move |context| {
        let template = worker("hasty", &to, &diary);
        let to = to.clone();
        Box::pin(async move {
            let Start::Actor { factory, .. } = &template.start else {
                unreachable!()
            };
            let is_first = context.incarnation() == 1;
            let cell = factory(context).await?;
            if is_first {
                say(&to, Say::Panic("hasty".to_owned()));
                tokio::time::sleep(DRAIN).await;
            }
            Ok(cell)
        })
    });
    let tree = Supervisor::start(spec(Strategy::OneForOne, Vec::new()))
        .await
        .unwrap();
    tree.add_child(child).await.unwrap();
    until(|| status_of(&tree, "hasty").restarts == 1).await;
    assert_eq!(
        status_of(&tree, "hasty").last_error.as_deref(),
        Some("hasty")
    );
    tree.stop(GRACE).await;
    assert!(
        mailbox.cell().is_none(),
        "a kept handle keeps a dead actor's memory"
    );
}

#[tokio::test(start_paused = true)]
async fn children_come_and_go_and_return_with_their_supervisor() {
    let diary = Diary::default();
    let (mut children, mailboxes) = workers(&["gateway"], &diary);
    let (nested, agents) =
        ChildSpec::supervisor("agents", spec(Strategy::OneForOne, Vec::new()), DRAIN);
    children.push(nested);
    let tree = Supervisor::start(spec(Strategy::RestForOne, children))
        .await
        .unwrap();
    let (added, dynamic) = workers(&["agent/acme/a", "agent/acme/b", "agent/acme/c"], &diary);
    for child in added {
        agents.add_child(child).await.unwrap();
    }
    agents.remove_child("agent/acme/b").await.unwrap();
    assert!(!dynamic[1].is_running());
    let (again, _) = workers(&["agent/acme/a"], &diary);
    let duplicate = AddChildError::Duplicate {
        name: "agent/acme/a".to_owned(),
    };
    assert_eq!(agents.add_child(again[0].clone()).await, Err(duplicate));
    read(&diary);

    say(&mailboxes[0], Say::Panic("boom".to_owned()));
    until(|| status_of(&tree, "agents").restarts == 1).await;
    hello(&dynamic[0]).await;
    hello(&dynamic[2]).await;
    let lines = read(&diary);
    assert_eq!(lines[2..3], ["start gateway"], "{lines:?}");
    let names: Vec<_> = agents
        .status()
        .into_iter()
        .map(|child| (child.name, child.restarts))
        .collect();
    assert_eq!(
        names,
        [
            ("agent/acme/a".to_owned(), 1),
            ("agent/acme/c".to_owned(), 1)
        ]
    );
    assert_eq!(
        status_of(&tree, "agents").children.len(),
        2,
        "the root's status holds them, too"
    );
    agents
        .add_child(worker("agent/acme/d", &BoundedRef::new(1, 0), &diary))
        .await
        .unwrap();
    assert_eq!(tree.stop(GRACE).await.killed, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_may_end_is_left_stopped_and_a_temporary_one_is_forgotten() {
    let (children, mailboxes) = workers(&["once", "temporary"], &Diary::default());
    let kinds = [Restart::Transient, Restart::Temporary];
    let children = children
        .into_iter()
        .zip(kinds)
        .map(|(child, kind)| child.restart(kind))
        .collect();
    let tree = Supervisor::start(spec(Strategy::OneForOne, children))
        .await
        .unwrap();
    say(&mailboxes[0], Say::End);
    say(&mailboxes[1], Say::Panic("boom".to_owned()));
    until(|| tree.status().len() == 1).await;
    until(|| status_of(&tree, "once").state == ChildState::Stopped).await;
    tree.stop(GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn two_trees_of_the_same_names_live_in_one_process() {
    let start = || async {
        let (children, mailboxes) = workers(&["gateway"], &Diary::default());
        (
            Supervisor::start(spec(Strategy::OneForOne, children))
                .await
                .unwrap(),
            mailboxes,
        )
    };
    let ((one, of_one), (two, of_two)) = tokio::join!(start(), start());
    say(&of_one[0], Say::Panic("boom".to_owned()));
    assert_eq!(hello(&of_one[0]).await, 3 - 1);
    assert_eq!(hello(&of_two[0]).await, 1);
    one.stop(GRACE).await;
    assert_eq!(hello(&of_two[0]).await, 1);
    two.stop(GRACE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_children_come_and_go() {
    let diary = Diary::default();
    let mut agents = spec(Strategy::OneForOne, Vec::new());
    agents.rules.escalation = Escalation::Child;
    let tree = Supervisor::start(agents).await.unwrap();
    let names: Vec<_> = (0..5_000).map(|n| format!("agent/acme/{n:04}")).collect();
    let mailboxes: Vec<_> = names.iter().map(|_| BoundedRef::new(4, 0)).collect();
    let clock = tokio::time::Instant::now();
    for (name, mailbox) in names.iter().zip(&mailboxes) {
        tree.add_child(worker(name, mailbox, &diary)).await.unwrap();
    }
    let added = clock.elapsed();
    let status = tree.status();
    let read = clock.elapsed() - added;
    assert_eq!(status.len(), 5_000);
    assert!(status.is_sorted_by(|a, b| a.name < b.name));
    assert!(
        status
            .iter()
            .all(|child| child.state == ChildState::Running)
    );
    let clock = tokio::time::Instant::now();
    for mailbox in &mailboxes[..100] {
        say(mailbox, Say::Panic("boom".to_owned()));
    }
    until(|| {
        tree.status()
            .iter()
            .filter(|child| child.restarts == 1)
            .count()
            == 100
    })
    .await;
    let restarted = clock.elapsed();
    let clock = tokio::time::Instant::now();
    for name in &names[..2_500] {
        tree.remove_child(name).await.unwrap();
    }
    let removed = clock.elapsed();
    assert_eq!(tree.status().len(), 2_500);
    let clock = tokio::time::Instant::now();
    assert_eq!(tree.stop(GRACE).await.killed, [""; 0]);
    let stopped = clock.elapsed();
    println!(
        "add {added:?}, read {read:?}, restart 100 {restarted:?}, remove 2500 {removed:?}, stop 2500 {stopped:?}"
    );
    assert!(mailboxes.iter().all(|mailbox| !mailbox.is_running()));
    // Some 0.2 s in all on two idle cores; quadratic work would take minutes.
    assert!(added + removed + stopped < Duration::from_secs(20));
}
