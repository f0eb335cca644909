//! Rows of the store. The disk may hand back anything.

use std::fmt::Debug;

use caxton_actors::{
    envelope::Envelope,
    ports::{AgentRecord, DeadLetter},
};
use serde::{Serialize, de::DeserializeOwned};

use super::tables::{
    MessageRow, UsageRow, dead_key, decode, encode, pending_key, split_dead_key, split_pending_key,
    split_stamp, stamped,
};

/// Bytes that a row may take in memory for each byte on disk, generously.
const GROWTH_MAX: usize = 64;

/// A row of any table is read or refused; what is read is written so that the same is read again.
pub(crate) fn target(bytes: &[u8]) -> bool {
    let read = [
        same::<MessageRow>(bytes),
        same::<UsageRow>(bytes),
        same::<Envelope>(bytes),
        same::<AgentRecord>(bytes),
        same::<DeadLetter>(bytes),
        same::<u64>(bytes),
    ];
    if let Ok((sequence, row)) = split_stamp("any", bytes) {
        assert_eq!(stamped(sequence, row), bytes);
    }
    if let Some(key) = bytes.first_chunk() {
        let (agent, sequence) = split_pending_key(key);
        assert_eq!(pending_key(&agent, sequence), *key);
        let (at_ms, id) = split_dead_key(key);
        assert_eq!(dead_key(at_ms, &id), *key);
    }
    read.contains(&true)
}

fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> bool {
    let Ok(row) = decode::<T>("any", bytes) else {
        return false;
    };
    let written = encode(&row).expect("what was read can be written");
    assert!(written.len() <= bytes.len() * GROWTH_MAX);
    assert_eq!(decode("any", &written).as_ref(), Ok(&row));
    let longer = [bytes, b"\0"].concat();
    assert!(decode::<T>("any", &longer).is_err(), "trailing bytes");
    true
}
