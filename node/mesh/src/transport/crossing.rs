//! Two dials that cross: each end dials the other at the same time, and one connection is enough. The dial of the
//! smaller name stays, and both ends know which that is. Pure: the moment is handed in.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use tokio::time::Instant;

use crate::PeerName;

/// A dial that is this old stands in nobody's way any more: it may go to a process that is gone, or that a
/// firewall hides, while the peer's own dial has arrived. A handshake takes milliseconds, on a starved machine a second.
const IN_THE_WAY: Duration = Duration::from_secs(2);

/// A dial of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct OurDial {
    to: SocketAddr,
    begun: Instant,
}

/// Our dials that are under way.
#[derive(Debug)]
pub(super) struct Crossing {
    own: PeerName,
    dials: HashMap<PeerName, Vec<OurDial>>,
}

impl Crossing {
    pub(super) fn new(own: PeerName) -> Self {
        Self {
            own,
            dials: HashMap::new(),
        }
    }

    pub(super) fn begins(&mut self, peer: &PeerName, to: SocketAddr, now: Instant) -> OurDial {
        let dial = OurDial { to, begun: now };
        self.dials
            .entry(PeerName::clone(peer))
            .or_default()
            .push(dial);
        dial
    }

    pub(super) fn ends(&mut self, peer: &PeerName, dial: OurDial) {
        if let Some(dials) = self.dials.get_mut(peer) {
            if let Some(at) = dials.iter().position(|held| *held == dial) {
                dials.swap_remove(at);
            }
            if dials.is_empty() {
                self.dials.remove(peer);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn is_dialling(&self, peer: &str) -> bool {
        self.dials.contains_key(peer)
    }

    /// Whether a dial of this peer, who can be dialled at `address`, crosses one of ours that stays. Ours to where it
    /// is no longer does not count.
    pub(super) fn stays(&self, peer: &str, address: SocketAddr, now: Instant) -> bool {
        let is_fresh = |dial: &OurDial| now.duration_since(dial.begun) < IN_THE_WAY;
        let dials = self.dials.get(peer).filter(|_| *self.own < *peer);
        dials.is_some_and(|dials| {
            dials
                .iter()
                .any(|dial| dial.to == address && is_fresh(dial))
        })
    }

    /// The same by the address alone, before anybody has said a name: a guess that saves work. Who dials from elsewhere
    /// than it is dialled at hears it after its greeting.
    pub(super) fn stays_at(&self, address: SocketAddr, now: Instant) -> bool {
        let mut peers = self.dials.keys();
        peers.any(|peer| self.stays(peer, address, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn our_dial_stays_where_our_name_is_smaller_and_it_goes_to_where_the_peer_is_and_is_young()
     {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (mut crossing, start) = (Crossing::new("b".into()), Instant::now());
        let [a, c]: [PeerName; 2] = ["a".into(), "c".into()];
        crossing.begins(&a, address(2), start);
        let of_c = crossing.begins(&c, address(3), start);
        let later = start + IN_THE_WAY;
        let cases = [
            ("a", 2, start, false),
            ("c", 3, start, true),
            ("c", 9, start, false), // It has moved.
            ("c", 3, later, false),
            ("d", 4, start, false),
        ];
        for (peer, port, now, expected) in cases {
            assert_eq!(
                crossing.stays(peer, address(port), now),
                expected,
                "{peer} at {port}"
            );
            assert_eq!(crossing.stays_at(address(port), now), expected, "{port}");
        }
        // Another to the same peer is under way still.
        crossing.begins(&c, address(3), start + IN_THE_WAY / 2);
        crossing.ends(&c, of_c);
        assert!(crossing.stays("c", address(3), later));
    }
}
