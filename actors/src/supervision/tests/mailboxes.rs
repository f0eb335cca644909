//! The bounded mailbox with real actors: what is refused, when a place falls free, and what a restart does to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::super::{BoundedRef, Gone, Strategy, Supervisor, TrySendError};
use super::stage::{Diary, Say, hello, say, spec, status_of, until, worker};

const GRACE: Duration = Duration::from_secs(10);

#[tokio::test(start_paused = true)]
async fn a_storm_against_a_slow_actor_is_refused_at_once_and_keeps_nothing() {
    let mailbox = BoundedRef::new(100, 0);
    let tree = Supervisor::start(spec(
        Strategy::OneForOne,
        vec![worker("slow", &mailbox, &Diary::default())],
    ))
    .await
    .unwrap();
    let go_on = Arc::new(Notify::new());
    say(&mailbox, Say::Hold(Arc::clone(&go_on)));
    let counted = Arc::new(());
    let mut refused = 0_usize;
    for _ in 0..100_000 {
        match mailbox.try_send(Say::Load(Arc::clone(&counted))) {
            Ok(()) => {}
            Err(TrySendError::Full(Say::Load(_))) => refused += 1,
            Err(_) => panic!("refused for another reason, or without the message"),
        }
    }
    assert_eq!(refused, 100_000 - 99, "one place is held by the handler");
    assert_eq!(
        Arc::strong_count(&counted),
        1 + 99,
        "messages kept in memory"
    );
    assert_eq!((mailbox.queued(), mailbox.capacity()), (100, 100));
    let gauge = status_of(&tree, "slow").mailbox.expect("it has a mailbox");
    assert_eq!((gauge.queued, gauge.capacity), (100, 100));
    go_on.notify_one();
    until(|| mailbox.queued() == 0).await;
    assert_eq!(Arc::strong_count(&counted), 1);
    tree.stop(GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_frees_the_places_of_what_was_queued_and_the_handle_goes_on() {
    let mailbox = BoundedRef::new(8, 0);
    let tree = Supervisor::start(spec(
        Strategy::OneForOne,
        vec![worker("w", &mailbox, &Diary::default())],
    ))
    .await
    .unwrap();
    assert_eq!(hello(&mailbox).await, 1);
    say(&mailbox, Say::Panic("boom".to_owned()));
    let (reply, lost) = oneshot::channel();
    say(&mailbox, Say::Hello(reply));
    for _ in 2..8 {
        say(&mailbox, Say::Load(Arc::new(())));
    }
    assert_eq!(mailbox.queued(), 8);
    assert!(
        lost.await.is_err(),
        "what was queued behind the crash is dropped, and whoever waits hears of it"
    );
    until(|| mailbox.queued() == 0).await;
    assert!(
        matches!(
            mailbox.try_send(Say::End),
            Err(TrySendError::Gone(Say::End))
        ),
        "while it waits for its restart"
    );
    assert_eq!(
        mailbox.queued(),
        0,
        "a message that is given back takes no place"
    );
    assert_eq!(hello(&mailbox).await, 2);
    tree.stop(GRACE).await;
    assert!(!mailbox.is_running());
    assert!(matches!(
        mailbox.try_send(Say::End),
        Err(TrySendError::Gone(Say::End))
    ));
}

#[tokio::test(start_paused = true)]
async fn a_place_taken_early_is_held_until_it_is_used_or_dropped() {
    let mailbox = BoundedRef::new(1, 0);
    let place = mailbox.try_admit().unwrap();
    assert!(mailbox.try_admit().is_err());
    let Err(Gone(given_back)) = place.send(Say::End) else {
        panic!("no actor is there yet")
    };
    assert_eq!(mailbox.queued(), 0);
    let children = vec![worker("w", &mailbox, &Diary::default())];
    let tree = Supervisor::start(spec(Strategy::OneForOne, children))
        .await
        .unwrap();
    let go_on = Arc::new(Notify::new());
    mailbox
        .admit()
        .await
        .send(Say::Hold(Arc::clone(&go_on)))
        .unwrap();
    let waiting = mailbox.admit();
    tokio::pin!(waiting);
    assert!(
        futures_util::poll!(&mut waiting).is_pending(),
        "the place is the handler's"
    );
    go_on.notify_one();
    waiting.await.send(given_back).unwrap();
    until(|| status_of(&tree, "w").restarts == 1).await;
    tree.stop(GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn control_messages_pass_a_full_mailbox_up_to_the_reserve() {
    let mailbox = BoundedRef::new(1, 2);
    let children = vec![worker("w", &mailbox, &Diary::default())];
    let tree = Supervisor::start(spec(Strategy::OneForOne, children))
        .await
        .unwrap();
    let go_on = Arc::new(Notify::new());
    say(&mailbox, Say::Hold(Arc::clone(&go_on)));
    let load = || Say::Load(Arc::new(()));
    assert!(matches!(
        mailbox.try_send(load()),
        Err(TrySendError::Full(_))
    ));
    assert!(mailbox.try_send_control(load()).is_ok());
    assert!(mailbox.try_send_control(load()).is_ok());
    assert!(matches!(
        mailbox.try_send_control(load()),
        Err(TrySendError::Full(_))
    ));
    assert_eq!((mailbox.queued(), mailbox.capacity()), (3, 1));
    go_on.notify_one();
    until(|| mailbox.queued() == 0).await;
    tree.stop(GRACE).await;
}
