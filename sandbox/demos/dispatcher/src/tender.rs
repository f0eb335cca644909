//! The tender of one chunk: whom it was called to, who answered what, who won. Pure; `store.rs` keeps it.

use std::fmt;

use crate::job::Participant;

/// What an answer answers: the mark that goes out as `reply-with` and comes back as `in-reply-to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) job: String,
    pub(crate) chunk: usize,
    pub(crate) round: u32,
    pub(crate) counter: usize,
    pub(crate) stage: Stage,
}

/// Which of our two questions to a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// `cfp`.
    Call,
    /// `accept-proposal`.
    Award,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = if self.stage == Stage::Call {
            "call"
        } else {
            "award"
        };
        write!(
            f,
            "{}.{}.{}.{}.{stage}",
            self.job, self.chunk, self.round, self.counter
        )
    }
}

impl Label {
    /// None: a mark that is none of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('.');
        let (job, chunk, round, counter) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        let stage = match words.next()? {
            "call" => Stage::Call,
            "award" => Stage::Award,
            _ => return None,
        };
        let is_job = job.len() == 26 && job.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (is_job && words.next().is_none()).then_some(Self {
            job: job.to_owned(),
            chunk: chunk.parse().ok()?,
            round: round.parse().ok()?,
            counter: counter.parse().ok()?,
            stage,
        })
    }
}

/// Where one counter stands in a round.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Called, not answered.
    Waiting,
    /// It would, at this cost; `token` is what an award answers.
    Proposed { cost: u64, token: String },
    /// Not in this round.
    Refused,
    /// Won an earlier round and failed, or lets time pass: not called again for this chunk.
    Failed,
}

/// The state of a chunk that is tendered or awarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tender {
    /// From 0; one more for each winner that failed.
    pub(crate) round: u32,
    /// Who has the chunk.
    pub(crate) winner: Option<usize>,
    replies: Vec<Reply>,
}

impl Tender {
    /// The first round: every counter is called that has not let time pass.
    pub(crate) fn new(counters: &[Participant]) -> Self {
        let first = |counter: &Participant| match counter.silent {
            true => Reply::Failed,
            false => Reply::Waiting,
        };
        Self {
            round: 0,
            winner: None,
            replies: counters.iter().map(first).collect(),
        }
    }

    /// Notes an answer to a call. False: it is late or a repetition.
    pub(crate) fn take(&mut self, label: &Label, reply: Reply) -> bool {
        let slot = self
            .replies
            .get_mut(label.counter)
            .filter(|slot| **slot == Reply::Waiting);
        match slot {
            Some(slot) if label.round == self.round => {
                *slot = reply;
                true
            }
            _ => false,
        }
    }

    /// Whether this counter is called in this round.
    pub(crate) fn is_called(&self, counter: usize) -> bool {
        self.replies
            .get(counter)
            .is_some_and(|reply| *reply == Reply::Waiting)
    }

    /// Whether an answer is still due.
    pub(crate) fn is_waiting(&self) -> bool {
        self.replies.contains(&Reply::Waiting)
    }

    /// Whether the label is that of the award that stands. The round need not be compared: who failed never wins again.
    pub(crate) fn is_awarded_by(&self, label: &Label) -> bool {
        self.winner == Some(label.counter)
    }

    /// The proposals of this round: the counter, and what an answer to it carries.
    pub(crate) fn proposals(&self) -> impl Iterator<Item = (usize, &str)> {
        self.replies
            .iter()
            .enumerate()
            .filter_map(|(counter, reply)| match reply {
                Reply::Proposed { token, .. } => Some((counter, token.as_str())),
                Reply::Waiting | Reply::Refused | Reply::Failed => None,
            })
    }

    /// The cheapest; among equals the one with the least to do, then with the least done, so that all get work.
    pub(crate) fn best(&self, counters: &[Participant]) -> Option<usize> {
        let offers = self.replies.iter().zip(counters).enumerate().filter_map(
            |(index, (reply, counter))| match reply {
                Reply::Proposed { cost, .. } => {
                    Some((*cost, counter.outstanding, counter.awarded, index))
                }
                Reply::Waiting | Reply::Refused | Reply::Failed => None,
            },
        );
        offers.min().map(|(.., index)| index)
    }

    /// Starts another round without the winner that failed. False: nobody is left.
    pub(crate) fn begin_again(&mut self, failed: usize, counters: &[Participant]) -> bool {
        let silent = |counter| {
            counters
                .get(counter)
                .is_some_and(|c: &Participant| c.silent)
        };
        for (counter, reply) in self.replies.iter_mut().enumerate() {
            if counter == failed || silent(counter) {
                *reply = Reply::Failed;
            } else if *reply != Reply::Failed {
                *reply = Reply::Waiting;
            }
        }
        self.round += 1;
        self.winner = None;
        self.is_waiting()
    }

    /// One line for the tender, then one for each counter.
    pub(crate) fn encode(&self) -> String {
        let winner = self
            .winner
            .map(|winner| winner.to_string())
            .unwrap_or_default();
        let mut text = format!("{} {winner}", self.round);
        for reply in &self.replies {
            match reply {
                Reply::Waiting => text.push_str("\nwaiting"),
                Reply::Proposed { cost, token } => {
                    text.push_str(&format!("\n{cost} {}", escape(token)))
                }
                Reply::Refused => text.push_str("\nrefused"),
                Reply::Failed => text.push_str("\nfailed"),
            }
        }
        text
    }

    /// What [`Self::encode`] wrote.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (round, winner) = lines.next()?.split_once(' ')?;
        let winner = if winner.is_empty() {
            None
        } else {
            Some(winner.parse().ok()?)
        };
        let replies = lines.map(decode_reply).collect::<Option<_>>()?;
        Some(Self {
            round: round.parse().ok()?,
            winner,
            replies,
        })
    }
}

fn decode_reply(line: &str) -> Option<Reply> {
    Some(match line {
        "waiting" => Reply::Waiting,
        "refused" => Reply::Refused,
        "failed" => Reply::Failed,
        _ => {
            let (cost, token) = line.split_once(' ')?;
            Reply::Proposed {
                cost: cost.parse().ok()?,
                token: token.replace("%0A", "\n").replace("%25", "%"),
            }
        }
    })
}

/// A counter's own mark is foreign text; a line break in it must not look like the next counter.
fn escape(token: &str) -> String {
    token.replace('%', "%25").replace('\n', "%0A")
}

/// The cost that a proposal names as `{"cost": n}`; one that names none counts as the dearest.
pub(crate) fn cost(content: &[u8]) -> u64 {
    let named = || {
        let text = str::from_utf8(content).ok()?;
        let value = text
            .split_once("\"cost\"")?
            .1
            .trim_start()
            .strip_prefix(':')?
            .trim_start();
        let end = value
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(value.len());
        value.get(..end)?.parse().ok()
    };
    named().unwrap_or(u64::MAX)
}
