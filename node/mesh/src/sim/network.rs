//! The network between simulated sockets: addresses, rules, and what is under way.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
    time::Duration,
};

use tokio::time::Instant;

use super::socket::Socket;
use crate::membership::swim::chance::Chance;

/// What becomes of a datagram on its way from one address to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// It arrives after [`USUAL`].
    Pass,
    /// It arrives so much later than usual.
    Deliver(Duration),
    /// So many of a hundred are lost, by chance; the others pass.
    Lose(u8),
    /// It is lost.
    Drop,
    /// It arrives twice, the second time 5 ms later.
    Duplicate,
}

/// How long a datagram takes: a data centre's way.
pub(crate) const USUAL: Duration = Duration::from_micros(200);

/// Datagrams that wait for one socket, as a kernel's buffer has a size: 4,096 x 1,452 bytes are 6 MB.
const INBOX_MAX: usize = 4_096;

/// The first port of a simulated network; they count up.
const FIRST_PORT: u16 = 7_946;

/// A datagram that is under way.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) from: SocketAddr,
    pub(super) bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Inbox {
    /// By arrival, then by sending.
    datagrams: BTreeMap<(Instant, u64), Datagram>,
    reader: Option<Waker>,
}

#[derive(Debug)]
struct State {
    inboxes: BTreeMap<SocketAddr, Inbox>,
    rules: BTreeMap<(SocketAddr, SocketAddr), Rule>,
    otherwise: Rule,
    chance: Chance,
    counts: Counts,
}

/// What became of the datagrams so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) sent: u64,
    pub(crate) lost: u64,
    pub(crate) arrived: u64,
}

/// What the reader of an inbox finds.
pub(super) enum Next {
    Arrived(Datagram),
    /// Nothing before then; the waker is called if something earlier comes.
    NotBefore(Option<Instant>),
}

/// A network and its rules. Cheap to clone: all clones are the same network.
#[derive(Clone, Debug)]
pub(crate) struct Network(Arc<Mutex<State>>);

impl Network {
    /// Where everything passes.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            inboxes: BTreeMap::new(),
            rules: BTreeMap::new(),
            otherwise: Rule::Pass,
            chance: Chance::new(seed),
            counts: Counts::default(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A socket on an address of its own, as `quinn::Endpoint::new_with_abstract_socket` takes it.
    pub(crate) fn bind(&self) -> Arc<Socket> {
        let mut state = self.state();
        let port = FIRST_PORT + u16::try_from(state.inboxes.len()).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        state.inboxes.insert(address, Inbox::default());
        Arc::new(Socket::new(address, self.clone()))
    }

    /// From now on, for datagrams from one address to the other.
    pub(crate) fn rule(&self, from: SocketAddr, to: SocketAddr, rule: Rule) {
        self.state().rules.insert((from, to), rule);
    }

    /// From now on, both ways between each of `a` and each of `b`.
    pub(crate) fn between(&self, a: &[SocketAddr], b: &[SocketAddr], rule: Rule) {
        for a in a {
            for b in b {
                self.rule(*a, *b, rule);
                self.rule(*b, *a, rule);
            }
        }
    }

    /// From now on, for every pair without a rule of its own.
    pub(crate) fn otherwise(&self, rule: Rule) {
        self.state().otherwise = rule;
    }

    /// Forgets the rules of all pairs.
    pub(crate) fn heal(&self) {
        self.state().rules.clear();
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    pub(super) fn send(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let now = Instant::now();
        let mut state = self.state();
        let rule = state
            .rules
            .get(&(from, to))
            .copied()
            .unwrap_or(state.otherwise);
        let arrivals = match rule {
            Rule::Pass => vec![now + USUAL],
            Rule::Deliver(later) => vec![now + USUAL + later],
            Rule::Lose(percent) if state.chance.below(100) < u64::from(percent) => Vec::new(),
            Rule::Lose(_) => vec![now + USUAL],
            Rule::Drop => Vec::new(),
            Rule::Duplicate => vec![now + USUAL, now + USUAL + Duration::from_millis(5)],
        };
        state.counts.sent += 1;
        state.counts.lost += u64::from(arrivals.is_empty());
        let number = state.counts.sent;
        let Some(inbox) = state.inboxes.get_mut(&to) else {
            return;
        };
        for at in arrivals {
            if inbox.datagrams.len() < INBOX_MAX {
                let bytes = bytes.to_vec();
                inbox
                    .datagrams
                    .insert((at, number), Datagram { from, bytes });
            }
        }
        if let Some(reader) = inbox.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn next(&self, to: SocketAddr, reader: &Waker) -> Next {
        let now = Instant::now();
        let mut state = self.state();
        let Some(inbox) = state.inboxes.get_mut(&to) else {
            return Next::NotBefore(None);
        };
        let first = inbox.datagrams.first_entry();
        match first {
            Some(entry) if entry.key().0 <= now => {
                let datagram = entry.remove();
                state.counts.arrived += 1;
                Next::Arrived(datagram)
            }
            waiting => {
                let at = waiting.map(|entry| entry.key().0);
                inbox.reader = Some(reader.clone());
                Next::NotBefore(at)
            }
        }
    }

    /// The addresses that are bound, in order.
    pub(crate) fn addresses(&self) -> BTreeSet<SocketAddr> {
        self.state().inboxes.keys().copied().collect()
    }
}
