//! The table of conversations by value, and its properties.

use super::*;
use crate::envelope::{Performative, Protocol};
use std::sync::Arc;

use caxton_capabilities::{ConversationId, MessageId, Principal, TraceId};
use proptest::prelude::*;

fn conversation(number: u128) -> ConversationId {
    ConversationId::from_uuid(uuid::Uuid::from_u128(number))
}

struct Talk {
    table: Conversations,
    peer: Principal,
    label: Arc<str>,
}

impl Talk {
    fn new(declared: &[Protocol]) -> Self {
        Self {
            table: Conversations::new(declared.to_vec(), 4),
            peer: "acme/peer".parse().unwrap(),
            label: "label".into(),
        }
    }

    fn act(&mut self, by_owner: bool, act: Performative) -> Result<(), State> {
        let act = Act {
            conversation: conversation(1),
            peer: &self.peer,
            protocol: None,
            performative: act,
            label: &self.label,
            durable: true,
            awaited: None,
        };
        if by_owner {
            self.table.sent(act)
        } else {
            self.table.received(act)
        }
        .map_err(|illegal| illegal.state)
    }
}

/// `>` is said by the owner of the table, `<` to it; `!` marks an act that must be refused.
fn check(declared: &[Protocol], script: &str) {
    let mut talk = Talk::new(declared);
    for word in script.split_whitespace() {
        let (refused, word) = word
            .strip_prefix('!')
            .map_or((false, word), |rest| (true, rest));
        let (by_owner, word) = (word.starts_with('>'), word.get(1..).unwrap());
        let result = talk.act(by_owner, word.parse().unwrap());
        assert_eq!(result.is_err(), refused, "{word} in {script}: {result:?}");
    }
}

#[test]
fn a_request_is_answered_once() {
    check(&[Protocol::Request], "<request >agree >inform !>agree");
    check(&[Protocol::Request], "<request >inform !>refuse");
    check(&[Protocol::Request], "<request !<request >refuse <request");
    check(&[Protocol::Request], ">request <agree <failure !<agree");
}

#[test]
fn a_contract_net_goes_through_its_states() {
    check(
        &[Protocol::ContractNet],
        "<cfp >propose <accept-proposal >inform !<accept-proposal",
    );
    check(
        &[Protocol::ContractNet],
        "<cfp >propose <reject-proposal !<accept-proposal",
    );
    check(
        &[Protocol::ContractNet],
        "!<accept-proposal <cfp !<accept-proposal >refuse",
    );
    check(
        &[Protocol::ContractNet],
        ">cfp <propose >accept-proposal <failure",
    );
    check(
        &[Protocol::ContractNet],
        ">cfp <propose !<propose >cancel <inform",
    );
}

#[test]
fn the_refusal_names_the_state() {
    let mut talk = Talk::new(&[Protocol::ContractNet]);
    talk.act(false, Performative::Cfp).unwrap();
    assert_eq!(
        talk.act(false, Performative::AcceptProposal),
        Err(State::Called)
    );
}

#[test]
fn an_agent_that_declares_nothing_may_say_anything() {
    check(&[], "<accept-proposal >agree <inform >refuse");
    check(&[Protocol::Request], "<inform <subscribe <cfp");
}

#[test]
fn a_table_survives_a_restart_where_its_messages_do() {
    let mut talk = Talk::new(&[Protocol::ContractNet]);
    talk.act(true, Performative::Cfp).unwrap();
    let writes = talk.table.take_writes();
    assert_eq!(writes.len(), 1);
    let mut again = Talk::new(&[Protocol::ContractNet]);
    for (key, value) in &writes {
        again.table.restore(key, value.as_ref().unwrap());
    }
    assert_eq!(again.act(false, Performative::Inform), Err(State::Called));
    again.act(false, Performative::Propose).unwrap();
    again.act(true, Performative::RejectProposal).unwrap();
    let gone = again.table.take_writes();
    assert_eq!(
        gone,
        vec![(writes[0].0.clone(), None)],
        "a closed conversation is forgotten on disk too"
    );
}

#[test]
fn the_runtime_answers_for_a_peer_that_cannot() {
    let mut talk = Talk::new(&[Protocol::ContractNet]);
    talk.act(true, Performative::Cfp).unwrap();
    talk.table.ended_by_node(conversation(1), "another");
    assert_eq!(talk.table.open(), 1);
    talk.table.ended_by_node(conversation(1), "label");
    assert_eq!(talk.table.open(), 0);
}

fn wait(by_ms: u64) -> Awaited {
    Awaited {
        by_ms,
        message: MessageId::from_uuid(uuid::Uuid::from_u128(5)),
        trace: TraceId::from_u128(6).unwrap(),
    }
}

impl Talk {
    /// The owner calls for proposals and wants them by 100.
    fn calling() -> Self {
        let mut talk = Self::new(&[Protocol::ContractNet]);
        talk.by(Performative::Cfp, 100);
        talk
    }

    /// The owner says something, at most once, and wants an answer by `by_ms`.
    fn by(&mut self, act: Performative, by_ms: u64) {
        let act = Act {
            conversation: conversation(1),
            peer: &self.peer,
            protocol: None,
            performative: act,
            label: &self.label,
            durable: false,
            awaited: Some(wait(by_ms)),
        };
        self.table.sent(act).unwrap();
    }

    fn restarted(mut self) -> Self {
        let mut again = Self::new(&[Protocol::ContractNet]);
        for (key, value) in self.table.take_writes() {
            again.table.restore(&key, &value.unwrap());
        }
        again
    }
}

#[test]
fn an_answer_that_does_not_come_in_time_is_told_of_once_and_ends_the_conversation() {
    let mut talk = Talk::calling();
    assert_eq!(talk.table.next_due(), Some(100));
    assert_eq!(talk.table.overdue(100), None, "by 100 is in time at 100");
    let overdue = talk.table.overdue(101).unwrap();
    assert_eq!((&*overdue.label, &overdue.peer), ("label", &talk.peer));
    assert_eq!(talk.table.overdue(101), None);
    assert!(talk.table.give_up(&overdue));
    assert_eq!(talk.table.open(), 0);
    assert_eq!(
        talk.act(false, Performative::Propose),
        Err(State::Start),
        "what comes too late is refused"
    );
}

#[test]
fn an_answer_ends_the_wait_and_the_next_word_may_begin_another() {
    let mut talk = Talk::calling();
    talk.act(false, Performative::Propose).unwrap();
    assert_eq!(talk.table.overdue(1_000), None);
    talk.by(Performative::AcceptProposal, 2_000);
    assert_eq!(talk.table.next_due(), Some(2_000));
    talk.act(false, Performative::Inform).unwrap();
    assert_eq!(talk.table.next_due(), None);
}

#[test]
fn an_answer_that_comes_while_the_wait_is_told_of_counts() {
    let mut talk = Talk::calling();
    let overdue = talk.table.overdue(101).unwrap();
    talk.act(false, Performative::Propose).unwrap();
    assert!(!talk.table.give_up(&overdue));
    assert_eq!(talk.table.open(), 1);
}

#[test]
fn a_wait_survives_a_restart_also_when_it_was_being_told_of() {
    let mut talk = Talk::new(&[Protocol::ContractNet]);
    talk.label = "a label @ with words".into();
    talk.by(Performative::Cfp, 100);
    assert!(talk.table.overdue(101).is_some());
    let mut again = talk.restarted();
    let overdue = again.table.overdue(101).unwrap();
    assert_eq!(overdue.awaited, wait(100));
    assert_eq!(&*overdue.label, "a label @ with words");
    assert!(again.table.give_up(&overdue));
    let gone = again.table.take_writes();
    assert!(matches!(gone.as_slice(), [(_, None)]), "{gone:?}");
}

#[test]
fn what_the_store_knows_of_a_wait_does_not_fall_behind_an_answer() {
    let mut talk = Talk::calling();
    let _written = talk.table.take_writes();
    let act = Act {
        conversation: conversation(1),
        peer: &talk.peer,
        protocol: None,
        performative: Performative::Propose,
        label: &talk.label,
        durable: false,
        awaited: None,
    };
    talk.table.received(act).unwrap();
    assert_eq!(talk.restarted().table.next_due(), None);
}

#[test]
fn a_row_of_an_older_node_is_read() {
    let mut talk = Talk::calling();
    let (key, _) = talk.table.take_writes().remove(0);
    let mut table = Conversations::new(vec![Protocol::ContractNet], 4);
    table.restore(&key, b"contract-net called initiator some label");
    assert_eq!((table.open(), table.next_due()), (1, None));
    table.restore(&key, b"contract-net called initiator@x some label");
    assert_eq!(table.open(), 1, "what does not parse is left out");
}

#[test]
fn a_time_on_a_word_that_nobody_is_to_answer_is_no_wait() {
    let mut talk = Talk::new(&[Protocol::Request]);
    talk.act(false, Performative::Request).unwrap();
    talk.by(Performative::Agree, 100);
    assert_eq!(talk.table.next_due(), None);
}

proptest! {
    #[test]
    fn the_table_stays_bounded(acts in prop::collection::vec((0_u128..40, any::<bool>(), 0_usize..13), 0..400)) {
        let mut table = Conversations::new(vec![Protocol::Request, Protocol::ContractNet], 8);
        let peer: Principal = "acme/peer".parse().unwrap();
        let label: Arc<str> = "x".into();
        for (number, by_owner, act) in acts {
            let act = Act { conversation: conversation(number), peer: &peer, protocol: None, performative: Performative::ALL[act], label: &label, durable: true, awaited: Some(wait(7)) };
            let _ = if by_owner { table.sent(act) } else { table.received(act) };
            let (open, age, by_time) = table.sizes();
            prop_assert!(open <= 8 && age <= 17 && by_time <= open);
        }
    }

    #[test]
    fn one_end_never_accepts_what_the_other_could_not_have_said(acts in prop::collection::vec((any::<bool>(), 0_usize..13), 0..30)) {
        // Both ends keep a table; whatever one may say, the other may hear.
        let declared = vec![Protocol::Request, Protocol::Query, Protocol::ContractNet];
        let (mut a, mut b) = (Conversations::new(declared.clone(), 4), Conversations::new(declared, 4));
        let (at_a, at_b): (Principal, Principal) = ("acme/aaa".parse().unwrap(), "acme/bbb".parse().unwrap());
        let label: Arc<str> = "x".into();
        for (from_a, act) in acts {
            let act = |peer| Act { conversation: conversation(1), peer, protocol: None, performative: Performative::ALL[act], label: &label, durable: true, awaited: None };
            let (said, heard) = if from_a { (a.sent(act(&at_b)), act(&at_a)) } else { (b.sent(act(&at_a)), act(&at_b)) };
            if said.is_ok() {
                let heard = if from_a { b.received(heard) } else { a.received(heard) };
                prop_assert!(heard.is_ok(), "{:?}", heard);
            }
        }
    }
}
