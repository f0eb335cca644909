//! A record as bytes: its length, a checksum, one byte of version, and postcard.
//!
//! The checksum finds what power loss tore; it is none against an enemy, who would not write here but
//! into the store.

use serde::{Serialize, de::DeserializeOwned};

/// Version of the rows that this code writes; what has another is passed over.
const VERSION: u8 = 1;
/// Bytes before the body: length and checksum.
const HEAD_BYTES: usize = 8;
/// Longest body. A line of a log has at most 8 KiB, which escaping may make six times as long.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Adds `row` to `bytes`. `false`: it is longer than a record may be, and was left out.
pub(super) fn write<T: Serialize>(bytes: &mut Vec<u8>, row: &T) -> bool {
    let before = bytes.len();
    bytes.extend([0; HEAD_BYTES]);
    bytes.push(VERSION);
    let written = postcard::to_extend(row, std::mem::take(bytes));
    let Ok(extended) = written else {
        return false; // Types of ours are written always; the buffer is gone with the error.
    };
    *bytes = extended;
    let body = bytes.get(before + HEAD_BYTES..).unwrap_or_default();
    let (length, sum) = (body.len(), checksum(body));
    if length > BODY_BYTES_MAX {
        bytes.truncate(before);
        return false;
    }
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let head = length.to_le_bytes().into_iter().chain(sum.to_le_bytes());
    for (byte, value) in bytes.iter_mut().skip(before).zip(head) {
        *byte = value;
    }
    true
}

/// `rest` as one whole record of our version, whatever is in it.
#[cfg(any(test, fuzzing))]
pub(super) fn sealed(rest: &[u8]) -> Vec<u8> {
    let body = [&[VERSION], rest].concat();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let head = [length.to_le_bytes(), checksum(&body).to_le_bytes()];
    [&head.concat()[..], &body].concat()
}

/// Reads records one after the other. Ends at what is torn or damaged; `whole` tells whether it was.
pub(super) struct Reader<'bytes> {
    rest: &'bytes [u8],
    pub(super) whole: bool,
}

impl<'bytes> Reader<'bytes> {
    pub(super) const fn new(bytes: &'bytes [u8]) -> Self {
        Self {
            rest: bytes,
            whole: true,
        }
    }

    /// The next record that is of our version and a `T`.
    pub(super) fn next<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            let body = self.body()?;
            if let Some((&VERSION, row)) = body.split_first()
                && let Ok((row, [])) = postcard::take_from_bytes(row)
            {
                return Some(row);
            }
        }
    }

    fn body(&mut self) -> Option<&'bytes [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        let body = self.try_body();
        if body.is_none() {
            (self.rest, self.whole) = (&[], false);
        }
        body
    }

    fn try_body(&mut self) -> Option<&'bytes [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        if length > BODY_BYTES_MAX {
            return None;
        }
        let (body, rest) = rest.split_at_checked(length)?;
        if checksum(body) != u32::from_le_bytes(*sum) {
            return None;
        }
        self.rest = rest;
        Some(body)
    }
}

/// FNV-1a, 32 bits.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::history::rows::{HopRow, LineRow, Words};
    use caxton_actors::envelope::{Delivery, Hop, Performative, Step};
    use caxton_capabilities::{AgentId, ConversationId, MessageId, TraceId};
    use proptest::prelude::*;
    use std::time::Duration;

    /// The `number`th hop of a trace.
    pub(in crate::history) fn hop(trace: u128, number: u64) -> Hop {
        Hop {
            trace: TraceId::from_u128(trace).unwrap(),
            message: MessageId::from_uuid(uuid::Uuid::from_u128(u128::from(number))),
            at_us: number,
            step: Step::Accepted {
                sender: "operator:admin".parse().unwrap(),
                receiver: "acme/one".parse().unwrap(),
                performative: Performative::Cfp,
                conversation: ConversationId::from_uuid(uuid::Uuid::from_u128(9)),
                cause: Some(MessageId::from_uuid(uuid::Uuid::from_u128(8))),
                rule: "builtin/owner".into(),
                chain: vec!["operator:ann".parse().unwrap(), "acme/one".parse().unwrap()],
                bytes: 7,
                delivery: Delivery::AtLeastOnce,
            },
        }
    }

    fn steps() -> Vec<Step> {
        let reason = || "a reason".to_owned();
        vec![
            hop(1, 1).step,
            Step::Started {
                waited: Duration::from_micros(3),
                version: 2,
                attempt: 1,
            },
            Step::Handled {
                cpu: Duration::from_nanos(5),
                wall: Duration::from_secs(1),
                host_calls: 6,
                memory: 1 << 40,
            },
            Step::Answered,
            Step::Refused {
                kind: "busy",
                reason: reason(),
            },
            Step::Failed {
                kind: "trap",
                reason: reason(),
                retry: true,
            },
            Step::DeadLettered { reason: reason() },
            Step::Unsent {
                sender: "acme/one".parse().unwrap(),
                receiver: "other/two".parse().unwrap(),
                performative: Performative::Inform,
                conversation: ConversationId::from_uuid(uuid::Uuid::from_u128(4)),
                cause: MessageId::from_uuid(uuid::Uuid::from_u128(3)),
                bytes: 7,
                kind: "denied",
                reason: reason(),
            },
        ]
    }

    #[test]
    fn every_step_is_read_as_it_was_written() {
        let (mut bytes, mut words) = (Vec::new(), Words::default());
        for step in steps() {
            let hop = Hop { step, ..hop(5, 1) };
            assert!(write(&mut bytes, &HopRow::from(hop)));
        }
        let mut reader = Reader::new(&bytes);
        for step in steps() {
            let row: HopRow = reader.next().unwrap();
            assert_eq!(row.hop(&mut words).unwrap(), Hop { step, ..hop(5, 1) });
        }
        assert!(reader.next::<HopRow>().is_none() && reader.whole);
    }

    #[test]
    fn a_torn_end_is_noticed_and_what_is_before_it_is_read() {
        let mut bytes = Vec::new();
        for number in 1..4 {
            write(&mut bytes, &HopRow::from(hop(5, number)));
        }
        for cut in 1..30 {
            let mut reader = Reader::new(&bytes[..bytes.len() - cut]);
            assert_eq!(std::iter::from_fn(|| reader.next::<HopRow>()).count(), 2);
            assert!(!reader.whole);
        }
    }

    #[test]
    fn a_record_that_is_too_long_is_left_out_alone() {
        let row = |length| LineRow {
            agent: AgentId::from_uuid(uuid::Uuid::from_u128(1)),
            sequence: 1,
            at: String::new(),
            level: "info".into(),
            text: "x".repeat(length),
        };
        let mut bytes = Vec::new();
        assert!(write(&mut bytes, &row(3)));
        assert!(!write(&mut bytes, &row(BODY_BYTES_MAX)));
        assert!(write(&mut bytes, &row(4)));
        let mut reader = Reader::new(&bytes);
        let lengths = std::iter::from_fn(|| reader.next::<LineRow>()).map(|row| row.text.len());
        assert_eq!(lengths.collect::<Vec<_>>(), [3, 4]);
        assert!(reader.whole);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = Reader::new(&bytes);
            while reader.next::<HopRow>().is_some() {}
            let mut reader = Reader::new(&bytes);
            while reader.next::<LineRow>().is_some() {}
        }

        #[test]
        fn a_flipped_bit_is_noticed(at in 0_usize..10_000, bit in 0_u8..8) {
            let mut bytes = Vec::new();
            write(&mut bytes, &HopRow::from(hop(5, 1)));
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            let mut reader = Reader::new(&bytes);
            prop_assert!(reader.next::<HopRow>().is_none());
        }
    }
}
