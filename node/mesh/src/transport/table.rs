//! Who is connected, and who may be: one connection for each peer. Decides, opens nothing.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use tokio::time::Instant;

use super::{crossing::Crossing, frame::Hello, refusal::Refusal};
use crate::PeerName;

/// Members that one mesh holds at most; each costs its peers a connection of about 100 KiB.
pub(crate) const MEMBERS_MAX: usize = 1_024;

/// What the table keeps of a connection.
pub(crate) trait Link: Clone {
    /// What its peer said of itself.
    fn hello(&self) -> &Hello;
    /// Whether it can still carry anything.
    fn is_open(&self) -> bool;
    /// Whether they are one and the same connection.
    fn is(&self, other: &Self) -> bool;
}

/// What is to be done with a peer that greets.
#[derive(Debug)]
pub(crate) enum Admission<L> {
    /// It may come in; the connection that it replaces, if there is one, ends when it is empty.
    Welcome,
    /// Its name is held by a process of another start. If that one answers, this is a clone.
    Probe(L),
    /// It may not come in.
    Refuse(Refusal),
}

/// The latest start of a member that was ever seen here.
#[derive(Clone, Copy, Debug)]
struct Seen {
    generation: u64,
    boot: [u8; 16],
}

#[derive(Debug)]
pub(crate) struct Table<L> {
    own: PeerName,
    own_hello: Hello,
    links: HashMap<PeerName, L>,
    /// Connections that another one followed, which are open a while longer.
    superseded: Vec<(PeerName, L)>,
    seen: HashMap<PeerName, Seen>,
    crossing: Crossing,
    addresses: HashMap<PeerName, SocketAddr>,
    removed: HashMap<PeerName, ()>,
}

impl<L: Link> Table<L> {
    pub(crate) fn new(own: PeerName, own_hello: Hello) -> Self {
        Self {
            own_hello,
            links: HashMap::new(),
            superseded: Vec::new(),
            seen: HashMap::new(),
            crossing: Crossing::new(Arc::clone(&own)),
            own,
            addresses: HashMap::new(),
            removed: HashMap::new(),
        }
    }

    /// Decides about `name`, whose certificate was believed, when it greets with `hello`.
    ///
    /// `dialled` tells that the connection is ours; `probed` that the process which holds the name was
    /// asked and did not answer.
    pub(crate) fn admit(
        &self,
        name: &PeerName,
        hello: &Hello,
        (dialled, probed): (bool, bool),
        now: Instant,
    ) -> Admission<L> {
        if let Some(refusal) = self.refusal(name, hello) {
            return Admission::Refuse(refusal);
        }
        let open = self.links.get(name).filter(|link| link.is_open());
        if let Some(link) = open
            && link.hello().boot != hello.boot
            && !probed
        {
            return Admission::Probe(link.clone());
        }
        if !dialled && self.crossing.stays(name, hello.advertise, now) {
            return Admission::Refuse(Refusal::Duplicate);
        }
        Admission::Welcome
    }

    fn refusal(&self, name: &PeerName, hello: &Hello) -> Option<Refusal> {
        if *name == self.own {
            return Some(Refusal::Ourselves);
        }
        if hello.cluster != self.own_hello.cluster {
            return Some(Refusal::WrongCluster);
        }
        if self.removed.contains_key(name) {
            return Some(Refusal::Removed(Arc::clone(name)));
        }
        if let Some(seen) = self.seen.get(name) {
            if hello.generation < seen.generation {
                return Some(Refusal::Stale {
                    name: Arc::clone(name),
                    seen: seen.generation,
                    found: hello.generation,
                });
            }
            // SECURITY: each start has a generation of its own on its own disk. One generation with two
            // boots is one disk in two machines.
            if hello.generation == seen.generation && hello.boot != seen.boot {
                return Some(Refusal::Cloned {
                    name: Arc::clone(name),
                    address: self.addresses.get(name).copied().unwrap_or(hello.advertise),
                });
            }
        } else if self.seen.len() >= MEMBERS_MAX {
            return Some(Refusal::Full);
        }
        self.links
            .iter()
            .find(|(holder, link)| {
                *holder != name && link.is_open() && link.hello().advertise == hello.advertise
            })
            .map(|(holder, _)| Refusal::AddressTaken {
                address: hello.advertise,
                holder: Arc::clone(holder),
            })
    }

    /// Takes a connection over; answers the one that it replaces.
    pub(crate) fn enter(&mut self, name: &PeerName, link: L) -> Option<L> {
        let hello = link.hello();
        let seen = Seen {
            generation: hello.generation,
            boot: hello.boot,
        };
        self.seen.insert(Arc::clone(name), seen);
        self.addresses.insert(Arc::clone(name), hello.advertise);
        let replaced = self.links.insert(Arc::clone(name), link);
        let superseded = replaced.iter().map(|old| (Arc::clone(name), old.clone()));
        self.superseded.extend(superseded);
        replaced
    }

    /// A connection has ended. Answers whether the peer has no other now.
    pub(crate) fn ended(&mut self, name: &PeerName, link: &L) -> bool {
        let current = self.is_current(name, link);
        if current {
            self.links.remove(name);
        }
        self.superseded.retain(|(_, held)| !held.is(link));
        current
    }

    /// Whether no other connection followed this one.
    pub(crate) fn is_current(&self, name: &PeerName, link: &L) -> bool {
        self.links.get(name).is_some_and(|held| held.is(link))
    }

    pub(crate) fn link(&self, name: &str) -> Option<L> {
        self.links.get(name).filter(|link| link.is_open()).cloned()
    }

    pub(crate) fn links(&self) -> Vec<(PeerName, L)> {
        self.links
            .iter()
            .map(|(name, link)| (Arc::clone(name), link.clone()))
            .collect()
    }

    /// Every connection that may still be open: also those that another one followed.
    pub(crate) fn connections(&self) -> Vec<(PeerName, L)> {
        let mut all = self.links();
        all.extend(self.superseded.iter().cloned());
        all
    }

    /// Dials of ours that are under way, so that two that cross agree on one.
    pub(super) const fn crossing(&mut self) -> &mut Crossing {
        &mut self.crossing
    }

    /// Gossip has it that `name` is at `address`: a hint of where to dial; the certificate decides.
    pub(crate) fn hint(&mut self, name: &PeerName, address: SocketAddr) {
        if *name != self.own
            && (self.addresses.contains_key(name) || self.addresses.len() < MEMBERS_MAX)
            && self.link(name).is_none()
        {
            self.addresses.insert(Arc::clone(name), address);
        }
    }

    pub(crate) fn address(&self, name: &str) -> Option<SocketAddr> {
        self.addresses.get(name).copied()
    }

    /// Who is at `address`; nobody for sure when several names were heard for it and none is connected.
    ///
    /// SECURITY: gossip makes up names at any address. One that is connected goes before those.
    pub(crate) fn name_at(&self, address: SocketAddr) -> Option<PeerName> {
        let mut names = self
            .addresses
            .iter()
            .filter(|(_, known)| **known == address)
            .map(|(name, _)| name);
        if let Some(connected) = names.clone().find(|name| self.link(name).is_some()) {
            return Some(Arc::clone(connected));
        }
        let only = names.next().cloned();
        only.filter(|_| names.next().is_none())
    }

    /// The name was given to somebody, perhaps after it was taken from another.
    pub(crate) fn readmit(&mut self, name: &str) {
        self.removed.remove(name);
    }

    /// The name was taken back. Whoever gets it next is another, who starts to count anew. Answers the
    /// connections there are.
    pub(crate) fn remove(&mut self, name: &PeerName) -> Vec<L> {
        self.removed.insert(Arc::clone(name), ());
        self.addresses.remove(name);
        self.seen.remove(name);
        let of_name = self.superseded.extract_if(.., |(holder, _)| holder == name);
        let superseded = of_name.map(|(_, link)| link);
        self.links
            .remove(name)
            .into_iter()
            .chain(superseded)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug)]
    struct Fake {
        hello: Hello,
        open: bool,
    }

    impl Link for Fake {
        fn hello(&self) -> &Hello {
            &self.hello
        }

        fn is_open(&self) -> bool {
            self.open
        }

        fn is(&self, other: &Self) -> bool {
            self.hello == other.hello
        }
    }

    fn hello(generation: u64, boot: u8, port: u16) -> Hello {
        Hello {
            version: 1,
            cluster: [7; 32],
            generation,
            boot: [boot; 16],
            advertise: SocketAddr::from(([127, 0, 0, 1], port)),
        }
    }

    fn table() -> Table<Fake> {
        Table::new("b".into(), hello(1, 1, 1))
    }

    fn with(name: &str, hello: Hello, open: bool) -> Table<Fake> {
        let mut table = table();
        table.enter(&name.into(), Fake { hello, open });
        table
    }

    fn check(table: &Table<Fake>, name: &str, hello: &Hello, expected: &str) {
        let found = match table.admit(&name.into(), hello, (false, false), Instant::now()) {
            Admission::Welcome => "welcome".to_owned(),
            Admission::Probe(_) => "probe".to_owned(),
            Admission::Refuse(refusal) => refusal.to_string(),
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_stranger_with_a_good_certificate_and_the_right_cluster_is_welcome() {
        check(&table(), "a", &hello(1, 2, 2), "welcome");
        let other = Hello {
            cluster: [8; 32],
            ..hello(1, 2, 2)
        };
        check(&table(), "a", &other, "it belongs to another cluster");
        check(&table(), "b", &hello(1, 2, 2), "it has our own identity");
    }

    #[test]
    fn a_name_that_is_held_by_a_live_process_is_probed_before_another_gets_it() {
        let live = with("a", hello(4, 2, 2), true);
        check(&live, "a", &hello(4, 2, 2), "welcome");
        check(&live, "a", &hello(5, 3, 2), "probe");
        let gone = with("a", hello(4, 2, 2), false);
        check(&gone, "a", &hello(5, 3, 2), "welcome");
        assert!(matches!(
            live.admit(&"a".into(), &hello(5, 3, 2), (false, true), Instant::now()),
            Admission::Welcome
        ));
    }

    #[test]
    fn one_generation_with_two_boots_is_a_clone_and_an_earlier_one_is_stale() {
        for open in [true, false] {
            let table = with("a", hello(4, 2, 2), open);
            check(
                &table,
                "a",
                &hello(4, 3, 9),
                "cloned identity: `a` already speaks from 127.0.0.1:2",
            );
            check(
                &table,
                "a",
                &hello(3, 2, 2),
                "stale identity: `a` was seen with generation 4, this is 3",
            );
        }
    }

    #[test]
    fn the_address_of_a_live_peer_cannot_be_claimed_by_another() {
        let live = with("a", hello(1, 2, 2), true);
        check(
            &live,
            "c",
            &hello(1, 3, 2),
            "it claims 127.0.0.1:2, which is `a`'s",
        );
        check(&live, "c", &hello(1, 3, 3), "welcome");
        let gone = with("a", hello(1, 2, 2), false);
        check(&gone, "c", &hello(1, 3, 2), "welcome");
    }

    #[test]
    fn of_two_dials_that_cross_the_one_of_the_smaller_name_stays() {
        let (mut table, now) = (table(), Instant::now());
        let at = |port| hello(1, 2, port).advertise;
        table.crossing().begins(&"a".into(), at(2), now);
        check(&table, "a", &hello(1, 2, 2), "welcome");
        let ours = table.crossing().begins(&"c".into(), at(3), now);
        let crossed = "both dialled at once; the other connection stays";
        check(&table, "c", &hello(1, 3, 3), crossed);
        assert!(matches!(
            table.admit(&"c".into(), &hello(1, 3, 3), (true, false), now),
            Admission::Welcome
        ));
        table.crossing().ends(&"c".into(), ours);
        check(&table, "c", &hello(1, 3, 3), "welcome");
    }

    #[test]
    fn a_removed_member_does_not_come_back() {
        let mut table = with("a", hello(1, 2, 2), true);
        assert_eq!(table.remove(&"a".into()).len(), 1);
        check(
            &table,
            "a",
            &hello(2, 3, 2),
            "`a` was removed from the cluster",
        );
        table.readmit("a");
        check(&table, "a", &hello(1, 9, 2), "welcome");
    }

    #[test]
    fn a_connection_that_another_followed_is_known_until_it_ends() {
        let (first, second) = (hello(1, 2, 2), hello(1, 2, 3));
        let of = |hello: &Hello| Fake {
            hello: hello.clone(),
            open: true,
        };
        let (name, mut table) = ("a".into(), with("a", first.clone(), true));
        table.enter(&name, of(&second));
        assert_eq!(table.connections().len(), 2);
        let current = [&first, &second].map(|hello| table.is_current(&name, &of(hello)));
        assert_eq!(current, [false, true]);
        assert!(!table.ended(&name, &of(&first)));
        assert_eq!(table.connections().len(), 1);
        table.enter(&name, of(&first));
        assert_eq!(table.remove(&name).len(), 2);
        assert!(table.connections().is_empty());
    }

    #[test]
    fn gossip_does_not_move_a_peer_that_is_connected() {
        let mut table = with("a", hello(1, 2, 2), true);
        let elsewhere = SocketAddr::from(([127, 0, 0, 1], 9));
        table.hint(&"a".into(), elsewhere);
        assert_ne!(table.address("a"), Some(elsewhere));
        table.hint(&"z".into(), elsewhere);
        assert_eq!(table.name_at(elsewhere).as_deref(), Some("z"));
    }
}
