//! The open conversations of one agent, held to their protocols; bounded, the oldest gives way.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use caxton_capabilities::{ConversationId, Principal};

use super::{
    awaited::{Awaited, ByTime, Overdue},
    kept,
    protocol::{Illegal, Role, State, begins, next},
};
use crate::envelope::{Performative, Protocol};

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
    /// By when the sender wants an answer.
    pub awaited: Option<Awaited>,
}

#[cfg(any(test, fuzzing))]
#[path = "../../fuzz/kept.rs"]
pub(super) mod fuzz;

pub(super) type Key = (ConversationId, Principal);

#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) protocol: Protocol,
    pub(super) state: State,
    /// The role of the table's owner.
    pub(super) role: Role,
    pub(super) label: Arc<str>,
    /// By when the owner wants an answer.
    pub(super) awaited: Option<Awaited>,
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
    /// Waits of the owner that have not been told of.
    by_time: ByTime,
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
            by_time: ByTime::default(),
        }
    }

    /// What is to be written so that the table survives a restart: keys of the agent's store.
    pub(crate) fn take_writes(&mut self) -> Vec<(String, Option<Vec<u8>>)> {
        let changed = std::mem::take(&mut self.changed);
        let open = &mut self.open;
        let write = |key: Key| {
            let value = open.get_mut(&key).map(|entry| {
                entry.kept = true;
                kept::value_of(entry)
            });
            (kept::key_of(&key), value)
        };
        changed.into_iter().map(write).collect()
    }

    /// Takes back one line of [`take_writes`](Self::take_writes); what does not parse is left out.
    pub(crate) fn restore(&mut self, key: &str, value: &[u8]) {
        let Some(line) = kept::read(key, value) else {
            return;
        };
        let open = Open {
            protocol: line.protocol,
            state: line.state,
            role: line.role,
            label: line.label,
            awaited: line.awaited,
            order: 0,
            kept: true,
        };
        self.keep(line.key, open);
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

    /// When the next answer is due: milliseconds since the Unix epoch.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.by_time.next()
    }

    /// The next wait that is over without an answer. Each is told of once; the conversation stays as
    /// it is until [`give_up`](Self::give_up), so that a restart in between tells of it again.
    pub(crate) fn overdue(&mut self, now_ms: u64) -> Option<Overdue> {
        loop {
            let key = self.by_time.take_passed(now_ms)?;
            let Some((open, awaited)) = self
                .open
                .get(&key)
                .and_then(|open| Some((open, open.awaited?)))
            else {
                continue;
            };
            return Some(Overdue {
                protocol: open.protocol,
                label: Arc::clone(&open.label),
                awaited,
                conversation: key.0,
                peer: key.1,
            });
        }
    }

    /// Ends a conversation for want of an answer; `false` where one came after all.
    pub(crate) fn give_up(&mut self, overdue: &Overdue) -> bool {
        let key = (overdue.conversation, overdue.peer.clone());
        let waits = self
            .open
            .get(&key)
            .is_some_and(|open| open.awaited == Some(overdue.awaited));
        if waits {
            self.close(&key);
        }
        waits
    }

    fn close(&mut self, key: &Key) {
        let Some(entry) = self.open.remove(key) else {
            return;
        };
        if let Some(awaited) = entry.awaited {
            self.by_time.remove(awaited.by_ms, key);
        }
        if entry.kept {
            self.changed.insert(key.clone());
        }
    }

    /// Whether any act can be illegal: the owner has declared a protocol.
    pub(crate) const fn are_watched(&self) -> bool {
        !self.declared.is_empty()
    }

    fn step(&mut self, act: Act<'_>, by_owner: bool) -> Result<(), Illegal> {
        if !self.are_watched() || matches!(act.peer, Principal::Node) {
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
                let awaited = act
                    .awaited
                    .filter(|_| by_owner && state.turn() == owner_role.other());
                let kept = self.open.get(&key).is_some_and(|open| open.kept);
                // Who names a time is to hear, whatever dies before then. And what the store knows
                // of a conversation must not fall behind it, or it would tell of waits that are over.
                if act.durable || awaited.is_some() || kept {
                    self.changed.insert(key.clone());
                }
                let open = Open {
                    protocol,
                    state,
                    role: owner_role,
                    label: Arc::clone(act.label),
                    awaited,
                    order: 0,
                    kept: false,
                };
                self.keep(key, open);
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

    /// Enters a conversation, or what has become of it. Its age and what the store knows stay.
    fn keep(&mut self, key: Key, new: Open) {
        if let Some(open) = self.open.get_mut(&key) {
            if let Some(before) = open.awaited {
                self.by_time.remove(before.by_ms, &key);
            }
            if let Some(awaited) = new.awaited {
                self.by_time.add(awaited.by_ms, key);
            }
            (open.state, open.label, open.awaited) = (new.state, new.label, new.awaited);
            return;
        }
        let order = self.next_order;
        self.next_order += 1;
        self.make_room();
        self.age.push_back((order, key.clone()));
        if let Some(awaited) = new.awaited {
            self.by_time.add(awaited.by_ms, key.clone());
        }
        self.open.insert(key, Open { order, ..new });
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
impl Conversations {
    /// Entries in the table and in its two indices.
    pub(super) fn sizes(&self) -> (usize, usize, usize) {
        (self.open.len(), self.age.len(), self.by_time.len())
    }
}
