//! What nodes of a simulated cluster say to each other, honest ones and forgers, and what comes of it.

use std::sync::Arc;

use super::{
    gossip::Heart,
    node::{Frame, Process},
    scenario::Forgery,
    world::{GOSSIP_MS, What, World},
};
use crate::{
    Life,
    membership::swim::{Effect, Event, chance::Chance},
};

/// chitchat's fan-out.
const FAN_OUT: usize = 3;

impl World {
    pub(super) fn gossip(&mut self, node: usize, generation: u64) {
        if self.nodes[node].generation != generation || !self.nodes[node].is_up() {
            return;
        }
        self.plan(self.now + GOSSIP_MS, What::Gossip(node, generation));
        if self.nodes[node].is_still(self.now) {
            return;
        }
        self.forge(node);
        let nodes = self.nodes.len();
        let Some(Process { gossip, vitals, .. }) = self.nodes[node].process.as_mut() else {
            return;
        };
        let table = gossip.beat(vitals.life());
        let (live, quiet): (Vec<usize>, Vec<usize>) = (0..nodes)
            .filter(|other| *other != node)
            .partition(|other| !gossip.is_quiet(*other));
        let mut to: Vec<usize> = (0..FAN_OUT)
            .filter_map(|_| any(&live, &mut self.chance))
            .collect();
        if self.chance.below(3) == 0 {
            to.extend(any(&quiet, &mut self.chance));
        }
        to.sort_unstable();
        to.dedup();
        for other in to {
            self.send(
                node,
                other,
                Frame::Hearts {
                    table: table.clone(),
                    is_answer: false,
                },
            );
        }
    }

    fn forge(&mut self, node: usize) {
        let (chance, nodes) = (&mut self.chance, self.nodes.len());
        let forger = &mut self.nodes[node];
        let (freshens, runs_ahead) = (
            forger.forges(Forgery::Freshen),
            forger.forges(Forgery::RunAhead),
        );
        let (accuses, invents) = (
            forger.forges(Forgery::Accuse),
            forger.forges(Forgery::Invent),
        );
        let Some(Process { gossip, .. }) = forger.process.as_mut() else {
            return;
        };
        for (index, heart) in gossip
            .hearts
            .iter_mut()
            .enumerate()
            .filter(|(index, _)| *index != node)
        {
            if runs_ahead && heart.beat < 1 << 40 && heart.life.generation > 0 {
                let generation = heart.life.generation + chance.below(3);
                *heart = Heart {
                    life: Life {
                        generation,
                        incarnation: u32::MAX,
                    },
                    beat: 1 << 40,
                };
            }
            if freshens && index < nodes || invents && index >= nodes {
                heart.life.generation = heart.life.generation.max(1);
                heart.beat += 1;
            }
        }
        if accuses {
            let accuse = gossip
                .hearts
                .iter()
                .map(|heart| heart.life)
                .collect::<Vec<_>>();
            for (other, life) in accuse.into_iter().enumerate().take(nodes) {
                let life = if self.chance.below(2) == 0 {
                    Life {
                        incarnation: u32::MAX,
                        ..life
                    }
                } else {
                    life
                };
                self.send(
                    node,
                    other,
                    Frame::Ping {
                        asker: node,
                        probe: 1 << 60,
                        accuse: Some(life),
                    },
                );
            }
        }
    }

    pub(super) fn send(&mut self, from: usize, to: usize, frame: Frame) {
        if from != to
            && let Some(at) = self.network.carry(from, to, self.now, &mut self.chance)
        {
            self.plan(at, What::Arrive(from, to, frame));
        }
    }

    pub(super) fn arrive(&mut self, from: usize, to: usize, frame: Frame) {
        let node = &mut self.nodes[to];
        if node.is_still(self.now) {
            node.backlog.push((from, frame));
            return;
        }
        self.greet(from, to);
        let at = self.instant();
        let node = &mut self.nodes[to];
        let is_voucher = node.forges(Forgery::Vouch);
        let Some(Process { gossip, vitals, .. }) = node.process.as_mut() else {
            return;
        };
        match frame {
            Frame::Hearts { table, is_answer } => {
                gossip.merge(self.now, &table);
                if !is_answer {
                    let table = gossip.table();
                    self.send(
                        to,
                        from,
                        Frame::Hearts {
                            table,
                            is_answer: true,
                        },
                    );
                }
            }
            Frame::Ping {
                asker,
                probe,
                accuse,
            } => {
                let before = vitals.life();
                let life = vitals.answer(accuse, at);
                if life != before {
                    self.checkers.refuted();
                }
                self.send(
                    to,
                    from,
                    Frame::Ack {
                        asker,
                        subject: to,
                        life,
                        probe,
                    },
                );
            }
            Frame::PingVia {
                subject,
                probe,
                accuse,
            } if is_voucher => {
                let life = Life {
                    incarnation: u32::MAX,
                    ..accuse.unwrap_or(vitals.life())
                };
                self.send(
                    to,
                    from,
                    Frame::Ack {
                        asker: from,
                        subject,
                        life,
                        probe,
                    },
                );
            }
            Frame::PingVia {
                subject,
                probe,
                accuse,
            } => {
                self.send(
                    to,
                    subject,
                    Frame::Ping {
                        asker: from,
                        probe,
                        accuse,
                    },
                );
            }
            Frame::Ack {
                asker,
                subject,
                life,
                probe,
            } if asker == to => {
                let member = Arc::clone(&self.names[subject]);
                let via = (from != subject).then(|| Arc::clone(&self.names[from]));
                self.feed(
                    to,
                    Event::Ack {
                        member,
                        life,
                        probe,
                        via,
                    },
                );
            }
            ack @ Frame::Ack { asker, .. } => self.send(to, asker, ack),
            Frame::Bye { generation } => {
                let member = Arc::clone(&self.names[from]);
                self.feed(to, Event::Left { member, generation });
            }
        }
    }

    /// The first frame of a process comes over a new connection, and that begins with a greeting.
    fn greet(&mut self, from: usize, to: usize) {
        let Some(life) = self.nodes[from]
            .process
            .as_ref()
            .map(|process| process.vitals.life())
        else {
            return;
        };
        let greeted = &mut self.nodes[to].greeted[from];
        if *greeted < life.generation {
            *greeted = life.generation;
            let member = Arc::clone(&self.names[from]);
            self.feed(to, Event::Up { member, life });
        }
    }

    pub(super) fn feed(&mut self, node: usize, event: Event) {
        let now = self.instant();
        let Some(Process { swim, .. }) = self.nodes[node].process.as_mut() else {
            return;
        };
        for effect in swim.handle(now, event) {
            self.perform(node, effect);
        }
    }

    fn index(&self, name: &str) -> usize {
        self.names
            .iter()
            .position(|other| **other == *name)
            .unwrap()
    }

    fn perform(&mut self, node: usize, effect: Effect) {
        let mut checkers = std::mem::take(&mut self.checkers);
        match effect {
            Effect::Ping {
                member,
                probe,
                accuse,
            } => {
                let subject = self.index(&member);
                if subject < self.nodes.len() {
                    self.send(
                        node,
                        subject,
                        Frame::Ping {
                            asker: node,
                            probe,
                            accuse,
                        },
                    );
                }
            }
            Effect::PingVia {
                relays,
                member,
                probe,
                accuse,
            } => {
                let subject = self.index(&member);
                for relay in relays {
                    let relay = self.index(&relay);
                    self.send(
                        node,
                        relay,
                        Frame::PingVia {
                            subject,
                            probe,
                            accuse,
                        },
                    );
                }
            }
            Effect::Became { member, standing } => {
                let subject = self.index(&member);
                checkers.became(self, node, subject, standing);
            }
            Effect::Forgotten { .. } | Effect::Full { .. } => {
                checkers.surprised(self.now, node, &effect)
            }
        }
        self.checkers = checkers;
    }
}

fn any(of: &[usize], chance: &mut Chance) -> Option<usize> {
    of.get(usize::try_from(chance.below(of.len() as u64)).unwrap())
        .copied()
}
