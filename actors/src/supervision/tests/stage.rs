//! A worker actor that does what it is told, and the specs to supervise it with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::super::{
    Admitted, Backoff, BoundedRef, ChildSpec, ChildStatus, Escalation, Intensity, Rules, Strategy,
    SupervisorHandle, SupervisorSpec, TrySendError,
};

/// Longer than anything here takes; most of these tests have virtual time.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a worker can be told.
pub(super) enum Say {
    Hello(oneshot::Sender<u64>),
    Panic(String),
    Fail,
    /// Handles nothing else until told to go on.
    Hold(Arc<Notify>),
    /// The same, without ever coming to an `.await`: not even a kill ends it.
    HoldHard(oneshot::Sender<()>, std::sync::mpsc::Receiver<()>),
    End,
    /// Costs nothing to handle; the value counts how many exist.
    Load(#[expect(dead_code, reason = "it is counted, not read")] Arc<()>),
}

#[derive(Debug, thiserror::Error)]
#[error("as told")]
pub(super) struct AsTold;

/// The starts and ends of all workers, in order.
pub(super) type Diary = Arc<Mutex<Vec<String>>>;

pub(super) struct Worker {
    name: String,
    incarnation: u64,
    diary: Diary,
}

impl Actor for Worker {
    type Msg = Admitted<Say>;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Self::Msg>, (): ()) -> Result<(), ActorProcessingErr> {
        self.note("start");
        Ok(())
    }

    async fn post_stop(
        &self,
        _: ActorRef<Self::Msg>,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        self.note("end");
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        admitted: Self::Msg,
        (): &mut (),
    ) -> Result<(), ActorProcessingErr> {
        let (say, _place) = admitted.into_parts();
        match say {
            Say::Hello(reply) => drop(reply.send(self.incarnation)),
            Say::Panic(text) => panic!("{text}"),
            Say::Fail => return Err(AsTold.into()),
            Say::Hold(until) => until.notified().await,
            Say::HoldHard(began, until) => {
                // What was woken in this turn runs first: a blocked thread holds it up otherwise.
                tokio::task::yield_now().await;
                began.send(()).expect("the test waits for it");
                // Closed when the test ends: that lets go as well.
                let _ = until.recv();
            }
            Say::End => myself.stop(None),
            Say::Load(_) => {}
        }
        Ok(())
    }
}

impl Worker {
    fn note(&self, what: &str) {
        self.diary
            .lock()
            .unwrap()
            .push(format!("{what} {}", self.name));
    }
}

/// Takes what the diary holds.
pub(super) fn read(diary: &Diary) -> Vec<String> {
    std::mem::take(&mut *diary.lock().unwrap())
}

pub(super) fn worker(name: &str, mailbox: &BoundedRef<Say>, diary: &Diary) -> ChildSpec {
    let (to, diary) = (mailbox.clone(), Arc::clone(diary));
    ChildSpec::actor(name, "worker", mailbox, move |context| {
        let worker = Worker {
            name: context.name().to_owned(),
            incarnation: context.incarnation(),
            diary: Arc::clone(&diary),
        };
        let to = to.clone();
        Box::pin(async move { context.spawn(&to, worker, ()).await })
    })
}

/// Workers of these names, each with a mailbox of eight places.
pub(super) fn workers(names: &[&str], diary: &Diary) -> (Vec<ChildSpec>, Vec<BoundedRef<Say>>) {
    let make = |name: &&str| {
        let mailbox = BoundedRef::new(8, 2);
        (worker(name, &mailbox, diary), mailbox)
    };
    names.iter().map(make).unzip()
}

pub(super) fn spec(strategy: Strategy, children: Vec<ChildSpec>) -> SupervisorSpec {
    let rules = Rules {
        strategy,
        intensity: Intensity {
            restarts: 3,
            period: Duration::from_secs(5),
        },
        backoff: Backoff {
            first: Duration::from_millis(100),
            cap: Duration::from_secs(1),
            reset_after: Duration::from_secs(10),
        },
        escalation: Escalation::Supervisor,
    };
    SupervisorSpec {
        rules,
        children,
        seed: 7,
    }
}

/// The incarnation that answers, once one does.
pub(super) async fn hello(mailbox: &BoundedRef<Say>) -> u64 {
    let attempts = async {
        loop {
            let (reply, answer) = oneshot::channel();
            if mailbox.try_send(Say::Hello(reply)).is_ok()
                && let Ok(incarnation) = answer.await
            {
                return incarnation;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, attempts).await.expect("it answers")
}

pub(super) fn say(mailbox: &BoundedRef<Say>, say: Say) {
    mailbox
        .try_send(say)
        .map_err(|error: TrySendError<Say>| error.to_string())
        .unwrap();
}

/// Waits until the condition holds.
pub(super) async fn until(mut holds: impl FnMut() -> bool) {
    let attempts = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, attempts).await.expect("it comes true");
}

pub(super) fn status_of(handle: &SupervisorHandle, name: &str) -> ChildStatus {
    find(handle.status(), name).unwrap_or_else(|| panic!("no child `{name}`"))
}

fn find(children: Vec<ChildStatus>, name: &str) -> Option<ChildStatus> {
    children.into_iter().find_map(|child| {
        if child.name == name {
            Some(child)
        } else {
            find(child.children, name)
        }
    })
}
