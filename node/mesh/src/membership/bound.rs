//! How much gossip may hold, and a message of it unpack to: the latter is looked at before chitchat unpacks
//! it. Pure.
//!
//! chitchat 0.11 writes news in blocks, each under zstd, and unpacks all blocks of a message before it looks
//! at the first byte: 64 KiB would become 200 MiB, and ten times that as values. An honest sender fills a
//! block with 16,384 bytes; a dishonest one gets 65,535 into it. Counting blocks needs no unpacking.
//! Whether the bytes mean anything is chitchat's to say.

use chitchat::NodeState;

use crate::transport::table::MEMBERS_MAX;

/// Nodes in gossip, other starts of a member counted, before its state is thrown away: only a member that
/// makes them up gets there.
const GOSSIPED_MAX: usize = 4 * MEMBERS_MAX;
/// Bytes of names and facts in gossip before the same happens: 1,024 members of 20 facts of 1 KiB each, and as
/// much again.
const GOSSIPED_BYTES_MAX: usize = 40 * 1024 * 1024;
/// What an entry costs beside its bytes.
const ENTRY_BYTES: usize = 128;

/// Blocks of one message: 512 KiB as honest senders fill them, more than 1,024 members say of themselves
/// (about 400 bytes each); 2 MiB at worst.
const BLOCKS_MAX: usize = 32;
/// Where the kinds of messages stand: after the magic number and the version.
const KIND_AT: usize = 3;

/// Gossip holds more than there can be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Excess {
    pub(super) nodes: usize,
    pub(super) bytes: usize,
}

/// What one start of one member costs, facts that it took back counted.
fn weight(state: &NodeState) -> usize {
    state
        .key_values_including_deleted()
        .map(|(key, held)| ENTRY_BYTES + key.len() + held.value.len())
        .sum()
}

/// Whether all that gossip holds may stay.
pub(super) fn check_held<'a>(held: impl Iterator<Item = &'a NodeState>) -> Result<(), Excess> {
    let (mut nodes, mut bytes) = (0, 0);
    for state in held {
        nodes += 1;
        bytes += weight(state);
    }
    if nodes > GOSSIPED_MAX || bytes > GOSSIPED_BYTES_MAX {
        return Err(Excess { nodes, bytes });
    }
    Ok(())
}

/// A message that chitchat is not to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unbounded {
    /// It is not laid out as messages are.
    #[error("a message of gossip is malformed")]
    Malformed,
    /// It unpacks to more than any message says.
    #[error("a message of gossip unpacks to more than {BLOCKS_MAX} blocks")]
    Blocks,
}

/// Whether chitchat may unpack the message.
pub(crate) fn check(message: &[u8]) -> Result<(), Unbounded> {
    match message.get(KIND_AT..) {
        // A SYN and the refusal of another cluster have no news in them: they are as long as they are.
        Some([0 | 3, ..]) => Ok(()),
        Some([1, rest @ ..]) => check_blocks(after_digest(rest).ok_or(Unbounded::Malformed)?),
        Some([2, rest @ ..]) => check_blocks(rest),
        Some(_) | None => Err(Unbounded::Malformed),
    }
}

fn check_blocks(mut rest: &[u8]) -> Result<(), Unbounded> {
    for _ in 0..=BLOCKS_MAX {
        rest = match rest {
            [0, ..] => return Ok(()),
            [1 | 2, tail @ ..] => after_text(tail).ok_or(Unbounded::Malformed)?,
            [_, ..] | [] => return Err(Unbounded::Malformed),
        };
    }
    Err(Unbounded::Blocks)
}

/// What follows the table of who is known: a count, and for each a name, a start, an address, three counters.
fn after_digest(bytes: &[u8]) -> Option<&[u8]> {
    let (count, mut rest) = bytes.split_first_chunk()?;
    for _ in 0..u16::from_le_bytes(*count) {
        rest = after_text(rest)?.get(8..)?;
        let address = match rest {
            [4, ..] => 1 + 4 + 2,
            [6, ..] => 1 + 16 + 2,
            _ => return None,
        };
        rest = rest.get(address + 3 * 8..)?;
    }
    Some(rest)
}

/// What follows a length and so many bytes.
fn after_text(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.get(usize::from(u16::from_le_bytes(*length))..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gossip::{Id, Op, ack, ack_of, syn, syn_ack};

    #[test]
    fn messages_as_they_are_written_pass_and_those_of_too_many_blocks_do_not() {
        let node = |name| Id {
            name,
            generation: 7,
            at: "127.0.0.1:7946".parse().unwrap(),
        };
        let beats = [(node("a"), 1), (node("b"), 2)];
        assert_eq!(check(&syn("test", &beats)), Ok(()));
        let news = [Op::Node(node("a")), Op::Set("load", "0.5", 1)];
        assert_eq!(check(&ack(&news)), Ok(()));
        let most = ack_of(&vec![vec![0]; BLOCKS_MAX]);
        assert_eq!(check(&most), Ok(()));
        assert_eq!(check(&syn_ack(&beats, &most)), Ok(()));
        let more = ack_of(&vec![vec![0]; BLOCKS_MAX + 1]);
        assert_eq!(check(&more), Err(Unbounded::Blocks));
        assert_eq!(check(&syn_ack(&beats, &more)), Err(Unbounded::Blocks));
        for cut in 0..most.len() {
            assert_eq!(check(&most[..cut]), Err(Unbounded::Malformed), "{cut}");
        }
    }
}
