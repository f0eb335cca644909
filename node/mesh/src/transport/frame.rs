//! The bytes of the mesh: kinds of streams, frames, and what is in them. Pure.
//!
//! A frame is a length (u32, big-endian) and that many bytes; its contents are in the postcard encoding
//! (docs/wire.md, section 4). A reader never takes more than the limit of the place where it reads, and
//! nothing may follow the contents.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The version that this build speaks. Another one is refused in the greeting.
pub(crate) const VERSION: u16 = 1;

/// A greeting has about 100 bytes; the rest is room for what later versions add.
pub(crate) const HELLO_BYTES_MAX: usize = 4 * 1024;
/// One message of gossip: chitchat writes at most 65,507.
pub(crate) const GOSSIP_BYTES_MAX: usize = 64 * 1024;
/// One request: the largest carries two certificate requests of 7.3 KB each.
pub(crate) const REQUEST_BYTES_MAX: usize = 256 * 1024;
/// One answer: the largest carries the cluster's state, with full revocation lists.
pub(crate) const REPLY_BYTES_MAX: usize = 5 * 1024 * 1024;

/// What a stream is for: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamKind {
    /// Both ways, opened by the dialler, first of all: who we are beyond the certificate.
    Hello = 1,
    /// One way: one message of gossip, up to the stream's end.
    Gossip = 2,
    /// Both ways: one request, one answer.
    Request = 3,
    /// Both ways, for long: messages one way, what became of them the other way.
    Lane = 4,
}

impl StreamKind {
    pub(crate) fn of(byte: u8) -> Option<Self> {
        [Self::Hello, Self::Gossip, Self::Request, Self::Lane]
            .into_iter()
            .find(|kind| kind.byte() == byte)
    }

    pub(crate) const fn byte(self) -> u8 {
        self as u8
    }
}

/// What one end says of itself when a connection begins. Its name is its certificate's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello {
    /// [`VERSION`].
    pub(crate) version: u16,
    /// SHA-256 over the cluster's name and its first root.
    pub(crate) cluster: [u8; 32],
    /// Grows with each start of the node.
    pub(crate) generation: u64,
    /// Drawn anew at each start: two processes with one generation are a clone.
    pub(crate) boot: [u8; 16],
    /// Where it can be dialled.
    pub(crate) advertise: SocketAddr,
}

/// The answer to a greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HelloReply {
    /// The other end's own greeting: the connection is in use.
    Welcome(Hello),
    /// A code of docs/wire.md, section 7, and a text for a log. The connection is closed.
    Refused {
        /// Why.
        code: u32,
        /// The same for people.
        text: String,
    },
}

/// Where a process is in its life: later starts count first, later refutations second.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Life {
    /// Grows with each start of the process.
    pub generation: u64,
    /// Grows with each suspicion that was refuted.
    pub incarnation: u32,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Are you there? With the life that we suspect, where we do.
    Ping {
        /// The life under suspicion.
        suspected: Option<Life>,
    },
    /// Is `member` there, as you see it?
    PingFor {
        /// The member to ping.
        member: String,
        /// The life under suspicion.
        suspected: Option<Life>,
    },
    /// We leave of our own will.
    Leave,
    /// Something of the layer above.
    Call {
        /// What, in that layer's own numbers.
        kind: u16,
        /// Its contents.
        body: Vec<u8>,
    },
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// To a ping that reached its target: its life.
    Alive(Life),
    /// To a ping through us that got no answer.
    Unreached,
    /// It was noted.
    Noted,
    /// The answer of the layer above.
    Answer(Vec<u8>),
    /// It was refused.
    Refused(String),
}

/// Bytes that are no frame of the expected kind. The peer is at fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a malformed frame")]
pub(crate) struct Malformed;

/// A peer announced more than is taken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {length} bytes where {max} are taken")]
pub(crate) struct TooLong {
    length: usize,
    max: usize,
}

/// How many bytes follow the head of a frame, when that is no more than `max`.
pub(crate) fn length(head: [u8; 4], max: usize) -> Result<usize, TooLong> {
    let length = usize::try_from(u32::from_be_bytes(head)).unwrap_or(usize::MAX);
    if length > max {
        return Err(TooLong { length, max });
    }
    Ok(length)
}

/// A value as the contents of a frame.
pub(crate) fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("these types have an encoding")
}

/// The value that a frame holds, all of it.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok(_) | Err(_) => Err(Malformed),
    }
}

/// A frame as it goes out.
pub(crate) fn framed(contents: &[u8]) -> Vec<u8> {
    let length = u32::try_from(contents.len()).expect("frames are bounded far below 4 GiB");
    [&length.to_be_bytes(), contents].concat()
}
