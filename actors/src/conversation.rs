//! Which speech act may follow which: the interaction protocols as small state machines, and the
//! table of an agent's open conversations.
//!
//! Sources: FIPA SC00026H (request), SC00027H (query), SC00029H (contract net). Departures, each in
//! favour of programs that answer at once: `agree` may be left out before `inform` or `failure`, and
//! `not-understood` ends a conversation in any state.
//!
//! What the runtime says itself (sender `node`) is always legal. The table knows nothing of contents.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use caxton_capabilities::{ConversationId, Principal};

use crate::envelope::{Performative, Protocol};

/// Who speaks: the one who began the conversation, or the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Began it.
    Initiator,
    /// Was spoken to.
    Participant,
}

impl Role {
    const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Participant,
            Self::Participant => Self::Initiator,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Participant => "participant",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Initiator, Self::Participant]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// Where a conversation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing was said yet, or all was.
    Start,
    /// `request` or `query` was said.
    Asked,
    /// `cfp` was said.
    Called,
    /// `propose` was said.
    Proposed,
    /// `agree` or `accept-proposal` was said: a result is due.
    Agreed,
    /// `cancel` was said: a last word is due.
    Cancelling,
}

impl State {
    /// The word that refusals show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Asked => "asked",
            Self::Called => "called",
            Self::Proposed => "proposed",
            Self::Agreed => "agreed",
            Self::Cancelling => "cancelling",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [
            Self::Asked,
            Self::Called,
            Self::Proposed,
            Self::Agreed,
            Self::Cancelling,
        ]
        .into_iter()
        .find(|state| state.as_str() == word)
    }
}

/// The state after `act` by `role`; `None` when the act is illegal there.
#[must_use]
pub fn next(protocol: Protocol, state: State, role: Role, act: Performative) -> Option<State> {
    use Performative as P;
    use State as S;
    let contract_net = protocol == Protocol::ContractNet;
    match (role, state, act) {
        (Role::Initiator, S::Start, P::Request) if protocol == Protocol::Request => Some(S::Asked),
        (Role::Initiator, S::Start, P::Query) if protocol == Protocol::Query => Some(S::Asked),
        (Role::Initiator, S::Start, P::Cfp) if contract_net => Some(S::Called),
        (Role::Participant, S::Asked, P::Agree) => Some(S::Agreed),
        (Role::Participant, S::Asked | S::Called, P::Refuse) => Some(S::Start),
        (Role::Participant, S::Asked | S::Agreed | S::Cancelling, P::Inform | P::Failure) => {
            Some(S::Start)
        }
        (Role::Participant, S::Called, P::Propose) => Some(S::Proposed),
        (Role::Initiator, S::Proposed, P::AcceptProposal) => Some(S::Agreed),
        (Role::Initiator, S::Proposed, P::RejectProposal) => Some(S::Start),
        (Role::Initiator, S::Asked | S::Called | S::Proposed | S::Agreed, P::Cancel) => {
            Some(S::Cancelling)
        }
        // Crossed on the way: the other had not heard of the cancel.
        (Role::Participant, S::Cancelling, P::Agree | P::Propose) => Some(S::Cancelling),
        (Role::Participant, S::Cancelling, P::Refuse) => Some(S::Start),
        (_, S::Asked | S::Called | S::Proposed | S::Agreed | S::Cancelling, P::NotUnderstood) => {
            Some(S::Start)
        }
        _ => None,
    }
}

/// The protocol that `act` begins, where it begins one.
#[must_use]
pub const fn begins(act: Performative) -> Option<Protocol> {
    match act {
        Performative::Request => Some(Protocol::Request),
        Performative::Query => Some(Protocol::Query),
        Performative::Cfp => Some(Protocol::ContractNet),
        _ => None,
    }
}

/// An act was refused. The conversation stands where it stood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{act}` is illegal in state `{}` of protocol `{protocol}`", state.as_str())]
pub struct Illegal {
    /// The act.
    pub act: Performative,
    /// The protocol.
    pub protocol: Protocol,
    /// The state it was in.
    pub state: State,
}

/// One act as the table sees it.
#[derive(Clone, Copy, Debug)]
pub struct Act<'a> {
    /// The conversation.
    pub conversation: ConversationId,
    /// The one at the other end, seen from the table's owner.
    pub peer: &'a Principal,
    /// The protocol that the message names.
    pub protocol: Option<Protocol>,
    /// What is said.
    pub performative: Performative,
    /// The label by which an answer will name it.
    pub label: &'a Arc<str>,
    /// Whether the message is durable: then the conversation survives a restart as well.
    pub durable: bool,
}

/// Keys of an agent's store that start with this character are the runtime's, not the program's.
pub const RESERVED: char = '\u{1}';
/// Where open conversations are kept in an agent's store.
pub(crate) const KEPT_UNDER: &str = "\u{1}cnv/";

type Key = (ConversationId, Principal);

#[derive(Clone, Debug)]
struct Open {
    protocol: Protocol,
    state: State,
    /// The role of the table's owner.
    role: Role,
    label: Arc<str>,
    order: u64,
    /// The store has it.
    kept: bool,
}

/// An agent's open conversations, by conversation and peer; the oldest gives way when it is full.
#[derive(Clone, Debug)]
pub struct Conversations {
    declared: Vec<Protocol>,
    open: HashMap<Key, Open>,
    /// Keys in the order they were opened; stale entries are skipped.
    age: VecDeque<(u64, Key)>,
    next_order: u64,
    open_max: usize,
    /// What the store does not know yet.
    changed: BTreeSet<Key>,
}

impl Conversations {
    /// A table that enforces the protocols `declared`, for `open_max` conversations.
    #[must_use]
    pub fn new(declared: Vec<Protocol>, open_max: usize) -> Self {
        Self {
            declared,
            open: HashMap::new(),
            age: VecDeque::new(),
            next_order: 0,
            open_max: open_max.max(1),
            changed: BTreeSet::new(),
        }
    }

    /// What is to be written so that the table survives a restart: keys of the agent's store.
    pub(crate) fn take_writes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        let open = &mut self.open;
        let write = |key: Key| {
            let value = open.get_mut(&key).map(|entry| {
                entry.kept = true;
                let Open {
                    protocol,
                    state,
                    role,
                    label,
                    ..
                } = entry;
                format!("{protocol} {} {} {label}", state.as_str(), role.as_str()).into_bytes()
            });
            (format!("{KEPT_UNDER}{}/{}", key.0, key.1), value)
        };
        changed.into_iter().map(write).collect()
    }

    /// Takes back one line of [`take_writes`](Self::take_writes); what does not parse is left out.
    pub(crate) fn restore(&mut self, key: &str, value: &[u8]) {
        let read = || {
            let (conversation, peer) = key.strip_prefix(KEPT_UNDER)?.split_once('/')?;
            let text = std::str::from_utf8(value).ok()?;
            let mut words = text.splitn(4, ' ');
            let protocol = words.next()?.parse().ok()?;
            let state = State::parse(words.next()?)?;
            let role = Role::parse(words.next()?)?;
            let key = (conversation.parse().ok()?, peer.parse().ok()?);
            Some((key, protocol, state, role, Arc::from(words.next()?)))
        };
        if let Some((key, protocol, state, role, label)) = read() {
            self.keep(key.clone(), protocol, state, role, &label);
            if let Some(open) = self.open.get_mut(&key) {
                open.kept = true;
            }
        }
    }

    /// Takes the protocols of another version of the program; open conversations go on.
    pub fn declare(&mut self, declared: Vec<Protocol>) {
        self.declared = declared;
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.len()
    }

    /// Takes an act that the owner received.
    ///
    /// # Errors
    /// The act is illegal; nothing changed.
    pub fn received(&mut self, act: Act<'_>) -> Result<(), Illegal> {
        self.step(act, false)
    }

    /// Takes an act that the owner sends.
    ///
    /// # Errors
    /// The act is illegal; nothing changed.
    pub fn sent(&mut self, act: Act<'_>) -> Result<(), Illegal> {
        self.step(act, true)
    }

    /// The runtime answered for a peer that could not: the conversation in which `label` was the last
    /// word is over.
    pub fn ended_by_node(&mut self, conversation: ConversationId, label: &str) {
        let over = |key: &Key, entry: &Open| key.0 == conversation && &*entry.label == label;
        let ended: Vec<Key> = self
            .open
            .iter()
            .filter(|(key, entry)| over(key, entry))
            .map(|(key, _)| key.clone())
            .collect();
        ended.iter().for_each(|key| self.close(key));
    }

    fn close(&mut self, key: &Key) {
        if self.open.remove(key).is_some_and(|entry| entry.kept) {
            self.changed.insert(key.clone());
        }
    }

    fn step(&mut self, act: Act<'_>, by_owner: bool) -> Result<(), Illegal> {
        if self.declared.is_empty() || matches!(act.peer, Principal::Node) {
            return Ok(());
        }
        let key = (act.conversation, act.peer.clone());
        let known = self
            .open
            .get(&key)
            .map(|open| (open.protocol, open.state, open.role));
        let Some((protocol, state, owner_role)) = known.or_else(|| self.start(act, by_owner))
        else {
            return Ok(());
        };
        let role = if by_owner {
            owner_role
        } else {
            owner_role.other()
        };
        let illegal = Illegal {
            act: act.performative,
            protocol,
            state,
        };
        match next(protocol, state, role, act.performative).ok_or(illegal)? {
            State::Start => self.close(&key),
            state => {
                if act.durable {
                    self.changed.insert(key.clone());
                }
                self.keep(key, protocol, state, owner_role, act.label);
            }
        }
        Ok(())
    }

    /// What a first act starts from; `None` when no declared protocol speaks of it.
    fn start(&self, act: Act<'_>, by_owner: bool) -> Option<(Protocol, State, Role)> {
        let owner = if by_owner {
            Role::Initiator
        } else {
            Role::Participant
        };
        let declared = |protocol: &Protocol| self.declared.contains(protocol);
        if let Some(named) = act.protocol.filter(declared) {
            return Some((named, State::Start, owner));
        }
        if let Some(begun) = begins(act.performative) {
            return declared(&begun).then_some((begun, State::Start, owner));
        }
        // Acts that only make sense as an answer need something to answer; a bare `inform` does not.
        let answers = match act.performative {
            Performative::Propose | Performative::AcceptProposal | Performative::RejectProposal => {
                declared(&Protocol::ContractNet).then_some(Protocol::ContractNet)
            }
            Performative::Agree | Performative::Refuse | Performative::Cancel => {
                self.declared.first().copied()
            }
            _ => None,
        };
        answers.map(|protocol| (protocol, State::Start, owner))
    }

    fn keep(&mut self, key: Key, protocol: Protocol, state: State, role: Role, label: &Arc<str>) {
        if let Some(open) = self.open.get_mut(&key) {
            open.state = state;
            open.label = Arc::clone(label);
            return;
        }
        let order = self.next_order;
        self.next_order += 1;
        self.make_room();
        self.age.push_back((order, key.clone()));
        self.open.insert(
            key,
            Open {
                protocol,
                state,
                role,
                label: Arc::clone(label),
                order,
                kept: false,
            },
        );
    }

    fn make_room(&mut self) {
        // Stale entries of closed conversations are dropped as they surface, so both stay bounded.
        while self.open.len() >= self.open_max || self.age.len() >= self.open_max * 2 {
            let Some((order, key)) = self.age.pop_front() else {
                return;
            };
            let current = self.open.get(&key).is_some_and(|open| open.order == order);
            if current {
                if self.open.len() >= self.open_max {
                    self.close(&key);
                } else {
                    self.age.push_back((order, key));
                    self.compact();
                }
            }
        }
    }

    fn compact(&mut self) {
        let open = &self.open;
        self.age
            .retain(|(order, key)| open.get(key).is_some_and(|entry| entry.order == *order));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_capabilities::ConversationId;
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

    proptest! {
        #[test]
        fn the_table_stays_bounded(acts in prop::collection::vec((0_u128..40, any::<bool>(), 0_usize..13), 0..400)) {
            let mut table = Conversations::new(vec![Protocol::Request, Protocol::ContractNet], 8);
            let peer: Principal = "acme/peer".parse().unwrap();
            let label: Arc<str> = "x".into();
            for (number, by_owner, act) in acts {
                let act = Act { conversation: conversation(number), peer: &peer, protocol: None, performative: Performative::ALL[act], label: &label, durable: true };
                let _ = if by_owner { table.sent(act) } else { table.received(act) };
                prop_assert!(table.open.len() <= 8 && table.age.len() <= 17);
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
                let act = |peer| Act { conversation: conversation(1), peer, protocol: None, performative: Performative::ALL[act], label: &label, durable: true };
                let (said, heard) = if from_a { (a.sent(act(&at_b)), act(&at_a)) } else { (b.sent(act(&at_a)), act(&at_b)) };
                if said.is_ok() {
                    let heard = if from_a { b.received(heard) } else { a.received(heard) };
                    prop_assert!(heard.is_ok(), "{:?}", heard);
                }
            }
        }
    }
}
