//! The clock and the source of ids: the system's. The only file of this crate that reads the wall clock.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Instant, SystemTime},
};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use caxton_actors::ports::{Clock, Ids};
use caxton_capabilities::{AgentId, ConversationId, MessageId, TraceId};
use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

use crate::hex::hex;

/// The system's clock and generator.
#[derive(Debug)]
pub(crate) struct Environment {
    random: SystemRandom,
    last: Mutex<Last>,
    drawn: Mutex<Drawn>,
}

/// Random bytes for ids, drawn many at a time: one draw costs a microsecond however small it is. Keys
/// are drawn by themselves, so that no copy of one is left here.
struct Drawn {
    bytes: [u8; 1_024],
    used: usize,
}

impl fmt::Debug for Drawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drawn(..)")
    }
}

/// The last id that was made, so that ids of one node grow.
#[derive(Debug, Default)]
struct Last {
    ms: u64,
    counter: u16,
}

impl Environment {
    pub(crate) fn new() -> Self {
        Self {
            random: SystemRandom::new(),
            last: Mutex::default(),
            drawn: Mutex::new(Drawn {
                bytes: [0; 1_024],
                used: usize::MAX,
            }),
        }
    }

    /// Wall time.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the Environment that others are sent to"
    )]
    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Monotonic time, before there is a runtime.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the Environment that others are sent to"
    )]
    pub(crate) fn instant() -> Instant {
        Instant::now()
    }

    /// Bytes from the system's generator.
    pub(crate) fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random
            .fill(&mut bytes)
            .expect("the system's generator does not fail once it is seeded");
        bytes
    }

    /// A credential: 256 random bits behind what tells its kind.
    pub(crate) fn credential(&self, prefix: &str) -> Zeroizing<String> {
        let random: Zeroizing<[u8; 32]> = Zeroizing::new(self.bytes());
        let digits = Zeroizing::new(hex(&*random));
        Zeroizing::new([prefix, &**digits].concat())
    }

    /// Random bytes that may be known to whoever reads this process.
    fn id_bytes<const N: usize>(&self) -> [u8; N] {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let end = drawn.used.saturating_add(N);
        if let Some(bytes) = drawn.bytes.get(drawn.used..end) {
            let bytes = bytes.try_into().unwrap_or([0; N]);
            drawn.used = end;
            return bytes;
        }
        drawn.bytes = self.bytes();
        drawn.used = N;
        drawn.bytes.first_chunk().copied().unwrap_or([0; N])
    }

    /// UUID v7 (RFC 9562, section 5.7; method 1 of section 6.2: a 12-bit counter within the millisecond).
    fn uuid(&self) -> Uuid {
        let now = caxton_actors::ports::unix_ms(self.now());
        let (ms, counter) = {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            if now > last.ms {
                *last = Last {
                    ms: now,
                    counter: 0,
                };
            } else if last.counter < 0xfff {
                last.counter += 1;
            } else {
                // More than 4,096 in a millisecond, or a clock that went back: borrow from the future.
                *last = Last {
                    ms: last.ms + 1,
                    counter: 0,
                };
            }
            (last.ms, last.counter)
        };
        let mut random: [u8; 10] = self.id_bytes();
        let [high, low] = counter.to_be_bytes();
        let [first, second, ..] = &mut random;
        (*first, *second) = (high, low);
        Builder::from_unix_timestamp_millis(ms, &random).into_uuid()
    }
}

impl Clock for Environment {
    fn now(&self) -> SystemTime {
        self.now()
    }
}

impl Ids for Environment {
    fn message(&self) -> MessageId {
        MessageId::from_uuid(self.uuid())
    }

    fn conversation(&self) -> ConversationId {
        ConversationId::from_uuid(self.uuid())
    }

    fn agent(&self) -> AgentId {
        AgentId::from_uuid(self.uuid())
    }

    fn trace(&self) -> TraceId {
        loop {
            if let Some(id) = TraceId::from_u128(u128::from_be_bytes(self.id_bytes())) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_ids_grow_and_do_not_repeat() {
        let environment = Environment::new();
        let ids: Vec<_> = (0..20_000).map(|_| environment.message()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn no_random_bytes_are_given_twice() {
        let environment = Environment::new();
        let traces: std::collections::BTreeSet<_> = (0..10_000)
            .map(|_| u128::from_be_bytes(environment.id_bytes()))
            .collect();
        assert_eq!(traces.len(), 10_000);
        assert!(!traces.contains(&0));
    }
}
