//! A member that lies in gossip: it writes what it likes of others. Nobody believes a death, a life or an
//! address for it, and what breaks chitchat is contained.

use std::{net::SocketAddr, time::Duration};

use quinn::Connection;
use tokio::sync::watch;

use super::{mesh, sees, until};
use crate::{
    Mesh,
    membership::{SharedView, State, swim::chance::Chance},
    mesh::cluster_id,
    testing::{
        Ca,
        gossip::{Id, Op, ack, ack_of, syn, syn_ack},
        hello,
        log::Log,
        stranger::Stranger,
    },
    transport::frame::{Hello, StreamKind},
};

/// Two nodes that see each other, and a member that does not run our code.
struct Stage {
    log: Log,
    a: Mesh,
    b: Mesh,
    liar: Stranger,
    line: Connection,
}

impl Stage {
    async fn new() -> Self {
        let (ca, log) = (Ca::new(), Log::start());
        let a = mesh(ca.credentials("a"), ca.trust(), 1, Vec::new());
        let b = mesh(ca.credentials("b"), ca.trust(), 1, vec![a.advertised()]);
        until(&a, "b is alive", |view| {
            sees(view, &["a", "b"], State::Alive)
        })
        .await;
        let liar = Stranger::new(ca.papers("liar"));
        let greeting = Hello {
            cluster: cluster_id("test"),
            advertise: liar.address(),
            ..hello(1)
        };
        let line = liar.enter(a.advertised(), &greeting).await;
        Self {
            log,
            a,
            b,
            liar,
            line,
        }
    }

    /// Tells A something.
    async fn gossip(&self, message: &[u8]) {
        let mut stream = self.line.open_uni().await.unwrap();
        stream
            .write_all(&[StreamKind::Gossip.byte()])
            .await
            .unwrap();
        stream.write_all(message).await.unwrap();
        stream.finish().unwrap();
        let _read_or_gone = stream.stopped().await;
    }

    /// That what B tells now reaches A, through gossip.
    async fn b_is_heard(&self, what: &str) {
        let told = [("load".to_owned(), what.to_owned())].into();
        self.b.tell(told).unwrap();
        until(&self.a, "what b tells", |view| {
            let of_b = view.member("b").and_then(|b| b.facts.get("load"));
            of_b.is_some_and(|load| load == what) && sees_b_alive(view)
        })
        .await;
    }

    async fn stop(self) {
        self.a.stop().await;
        self.b.stop().await;
    }
}

fn sees_b_alive(view: &crate::membership::View) -> bool {
    view.member("b")
        .is_some_and(|b| b.state == State::Alive && b.life.generation == 1)
}

/// The first start of a node, as chitchat counts: its generation and no gossip loop before.
const FIRST: u64 = 1 << 16;

fn id(name: &str, generation: u64, at: SocketAddr) -> Id<'_> {
    Id {
        name,
        generation,
        at,
    }
}

/// Ends when the view shows the member down; it had better not.
async fn falls(mut view: watch::Receiver<SharedView>, name: &str) {
    let is_down = |view: &SharedView| {
        view.member(name)
            .is_some_and(|member| member.state == State::Down)
    };
    let _stopped = view.wait_for(is_down).await;
}

#[tokio::test]
async fn a_heartbeat_that_was_made_up_silences_gossip_and_kills_nobody() {
    let stage = Stage::new().await;
    let of_b = id("b", FIRST, stage.b.advertised());
    // So high that no beat of B's own counts any more.
    stage.gossip(&syn("test", &[(of_b, u64::MAX - 1)])).await;
    let lasts = until(&stage.a, "b answers while its gossip is dead", |view| {
        view.member("b")
            .is_some_and(|b| b.state == State::Alive && b.is_gossip_stale)
    });
    tokio::select! {
        () = falls(stage.a.view(), "b") => panic!("b was taken for dead"),
        () = lasts => {}
    }
    stage.stop().await;
}

#[tokio::test]
async fn the_dead_do_not_live_by_hearsay_nor_does_who_answers_in_their_place() {
    let stage = Stage::new().await;
    let of_b = stage.b.advertised();
    stage.b.stop().await;
    until(&stage.a, "b is down", |view| {
        sees(view, &["b"], State::Down)
    })
    .await;
    let life = stage.a.view().borrow().member("b").unwrap().life;
    // It beats again, has started anew, and is where the liar is.
    let at_the_liars = id("b", FIRST << 1, stage.liar.address());
    let mut beat = 1;
    let refused = "`b` was dialled and `liar` answered";
    let answering = async {
        while let Some(incoming) = stage.liar.endpoint.accept().await {
            let _refused = incoming.await;
        }
    };
    let lying = async {
        while stage
            .log
            .count(&["peer refused", "direction=\"out\"", refused])
            == 0
        {
            let beats = [(id("b", FIRST, of_b), 1_000 + beat), (at_the_liars, beat)];
            stage.gossip(&syn("test", &beats)).await;
            let news = [
                Op::Node(at_the_liars),
                Op::Set("incarnation", "9", beat),
                Op::Set("forged", "yes", beat + 1),
            ];
            stage.gossip(&ack(&news)).await;
            beat += 2;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        until(&stage.a, "what was forged", |view| {
            view.member("b")
                .is_some_and(|b| b.facts.contains_key("forged"))
        })
        .await;
    };
    let lying = tokio::time::timeout(super::PATIENCE, lying);
    tokio::select! {
        () = answering => unreachable!(),
        lied = lying => lied.expect("A looks where the liar says"),
    }
    let view = stage.a.view().borrow().clone();
    let b = view.member("b").unwrap();
    assert_eq!((b.state, b.life), (State::Down, life));
    stage.a.stop().await;
}

#[tokio::test]
async fn names_that_were_made_up_at_anothers_address_do_not_take_it() {
    let stage = Stage::new().await;
    let of_b = stage.b.advertised();
    let names: Vec<String> = (0..20).map(|number| format!("ghost-{number}")).collect();
    for beat in 1..=3 {
        let ghosts = names.iter().map(|name| (id(name, FIRST, of_b), beat));
        // And B itself at the liar's.
        let moved = (id("b", FIRST << 1, stage.liar.address()), beat);
        let beats: Vec<_> = ghosts.chain([moved]).collect();
        stage.gossip(&syn("test", &beats)).await;
    }
    let heard = async {
        while stage.a.net.table().address("ghost-19").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, heard).await.unwrap();
    // What B says of itself may be hidden by what was made up; that gossip reaches B, is not.
    let told = [("load".to_owned(), "as before".to_owned())].into();
    stage.a.tell(told).unwrap();
    until(&stage.b, "what a tells", |view| {
        let of_a = view.member("a").and_then(|a| a.facts.get("load"));
        of_a.is_some_and(|load| load == "as before")
    })
    .await;
    assert_eq!(stage.a.net.table().address("b"), Some(of_b));
    let view = stage.a.view().borrow().clone();
    assert!(view.member("ghost-0").is_none(), "nobody answered to it");
    let b = "b".into();
    let echo = stage.a.call(&b, 0, b"you".to_vec(), super::PATIENCE).await;
    assert_eq!(echo.unwrap(), b"a:you");
    stage.stop().await;
}

/// News of B that contradict themselves: chitchat panics over them.
fn contradiction(of_b: Id<'_>) -> Vec<u8> {
    let (fact, end) = (1_000_000, 999_999);
    ack(&[Op::Node(of_b), Op::Set("x", "y", fact), Op::Max(end)])
}

#[tokio::test]
async fn gossip_that_breaks_the_loop_restarts_it_and_is_logged() {
    let stage = Stage::new().await;
    let of_b = id("b", FIRST, stage.b.advertised());
    for restarts in 1..=2 {
        stage.gossip(&contradiction(of_b)).await;
        let line = "the gossip loop ended and is started again";
        let number = format!("restarts={restarts}");
        stage.log.until(&[line, &number]).await;
        stage.b_is_heard(&number).await;
        assert_eq!(stage.a.view().borrow().gossip_restarts, restarts);
    }
    stage.stop().await;
}

#[tokio::test]
async fn more_names_than_there_can_be_end_in_a_restart_and_not_in_memory() {
    let stage = Stage::new().await;
    let names: Vec<String> = (0..5_000).map(|number| format!("ghost-{number}")).collect();
    for part in names.chunks(1_000) {
        let beats: Vec<_> = part
            .iter()
            .map(|name| (id(name, FIRST, stage.liar.address()), 1))
            .collect();
        stage.gossip(&syn("test", &beats)).await;
    }
    let line = "the gossip loop ended and is started again";
    stage.log.until(&[line]).await;
    stage.b_is_heard("still there").await;
    stage.stop().await;
}

#[tokio::test]
async fn more_facts_than_there_can_be_end_in_a_restart_and_not_in_memory() {
    let stage = Stage::new().await;
    let of_b = id("b", FIRST, stage.b.advertised());
    let value = "v".repeat(60_000);
    let line = "gossip says more than there can be: a member makes it up";
    let lying = async {
        let mut version = 1_000;
        while stage.log.count(&[line]) == 0 {
            let key = version.to_string();
            let news = [Op::Node(of_b), Op::Set(&key, &value, version)];
            stage.gossip(&ack(&news)).await;
            version += 1;
        }
    };
    tokio::time::timeout(super::PATIENCE, lying).await.unwrap();
    stage.b_is_heard("still there").await;
    stage.stop().await;
}

#[tokio::test]
async fn gossip_that_is_none_or_unpacks_without_end_is_refused_and_logged() {
    let stage = Stage::new().await;
    let bomb = ack_of(&vec![vec![0; 8]; 1_000]);
    let other = syn("another", &[]);
    let truncated = &other[..other.len() - 1];
    stage.gossip(&bomb).await;
    stage.gossip(b"").await;
    stage.gossip(truncated).await;
    stage.gossip(&[7; 60_000]).await;
    let reason = "unpacks to more than 32 blocks";
    stage.log.until(&["gossip refused", reason]).await;
    let reason = "a message of gossip is malformed";
    let three = async {
        while stage.log.count(&["gossip refused", reason]) < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(super::PATIENCE, three).await.unwrap();
    stage.b_is_heard("still there").await;
    assert_eq!(stage.a.view().borrow().gossip_restarts, 0);
    stage.stop().await;
}

#[tokio::test]
async fn gossip_that_is_damaged_in_any_way_disturbs_nobody() {
    let stage = Stage::new().await;
    let of_n1 = id("n1", FIRST, stage.liar.address());
    let news = ack(&[Op::Node(of_n1), Op::Set("load", "1", 1), Op::Max(2)]);
    let beats = [(of_n1, 5)];
    let whole = [
        syn("test", &beats),
        syn_ack(&beats, &news),
        contradiction(of_n1),
        news,
    ];
    let mut chance = Chance::new(7);
    let mut below = |bound: usize| {
        let drawn = chance.below(u64::try_from(bound).unwrap());
        usize::try_from(drawn).unwrap()
    };
    for round in 0..300 {
        let mut message = whole[round % whole.len()].clone();
        for _ in 0..=below(3) {
            let at = below(message.len());
            message[at] ^= 1 << below(8);
        }
        if below(4) == 0 {
            message.truncate(below(message.len()));
        }
        stage.gossip(&message).await;
    }
    stage.b_is_heard("still there").await;
    assert!(stage.a.watch().gossip_lost() > 100, "most of it is none");
    stage.stop().await;
}
