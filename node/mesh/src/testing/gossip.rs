//! chitchat's messages, written by hand: what a member may send that does not run our code.

use std::net::{IpAddr, SocketAddr};

/// A start of a node, as gossip names it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Id<'a> {
    pub(crate) name: &'a str,
    /// chitchat's own: the node's generation and the gossip loops that it has had.
    pub(crate) generation: u64,
    pub(crate) at: SocketAddr,
}

/// What a delta is made of.
pub(crate) enum Op<'a> {
    /// What follows is of this node, from its first version on.
    Node(Id<'a>),
    /// A fact, and its version.
    Set(&'a str, &'a str, u64),
    /// There is nothing after this version.
    Max(u64),
}

fn head(kind: u8) -> Vec<u8> {
    let mut bytes = 45_139_u16.to_le_bytes().to_vec();
    bytes.extend([0, kind]);
    bytes
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    bytes.extend(text.as_bytes());
}

fn id(bytes: &mut Vec<u8>, id: &Id<'_>) {
    text(bytes, id.name);
    bytes.extend(id.generation.to_le_bytes());
    match id.at.ip() {
        IpAddr::V4(ip) => {
            bytes.push(4);
            bytes.extend(ip.octets());
        }
        IpAddr::V6(ip) => {
            bytes.push(6);
            bytes.extend(ip.octets());
        }
    }
    bytes.extend(id.at.port().to_le_bytes());
}

/// "These nodes have beaten so often": a SYN.
pub(crate) fn syn(cluster: &str, beats: &[(Id<'_>, u64)]) -> Vec<u8> {
    let mut bytes = head(0);
    digest(&mut bytes, beats);
    text(&mut bytes, cluster);
    bytes
}

fn digest(bytes: &mut Vec<u8>, beats: &[(Id<'_>, u64)]) {
    bytes.extend(u16::try_from(beats.len()).unwrap().to_le_bytes());
    for (node, beat) in beats {
        id(bytes, node);
        // Versions of what is known: none.
        bytes.extend([beat.to_le_bytes(), [0; 8], [0; 8]].concat());
    }
}

/// "This is news of these nodes": an ACK.
pub(crate) fn ack(ops: &[Op<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for op in ops {
        match op {
            Op::Node(node) => {
                block.push(0);
                id(&mut block, node);
                block.extend([0; 16]);
            }
            Op::Set(key, value, version) => {
                block.push(1);
                text(&mut block, key);
                text(&mut block, value);
                block.extend(version.to_le_bytes());
                block.push(0);
            }
            Op::Max(version) => {
                block.push(2);
                block.extend(version.to_le_bytes());
            }
        }
    }
    ack_of(&[block])
}

/// An ACK of these blocks, uncompressed as they are.
pub(crate) fn ack_of(blocks: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = head(2);
    for block in blocks {
        bytes.push(2);
        bytes.extend(u16::try_from(block.len()).unwrap().to_le_bytes());
        bytes.extend(block);
    }
    bytes.push(0);
    bytes
}

/// A SYN-ACK: a table, and the news of this ACK.
pub(crate) fn syn_ack(beats: &[(Id<'_>, u64)], ack: &[u8]) -> Vec<u8> {
    let mut bytes = head(1);
    digest(&mut bytes, beats);
    bytes.extend(&ack[head(2).len()..]);
    bytes
}
