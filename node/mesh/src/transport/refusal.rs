//! Why a peer was not let in, in words for the log. The peer itself is told a code and no more.

use std::{net::SocketAddr, sync::Arc};

use caxton_pki::{Role, VerifyChainError};

use crate::PeerName;

/// Why a peer was refused. The peer is at fault, or somebody between.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Its certificate is not believed.
    #[error("certificate: {0}")]
    Certificate(#[from] VerifyChainError),
    /// It showed none.
    #[error("it showed no certificate")]
    NoCertificate,
    /// The certificate that it showed is somebody else's.
    #[error("it does not hold the key of the certificate that it showed")]
    NotItsKey,
    /// Its certificate is an agent's or an operator's.
    #[error("its certificate is of the role `{role}`, not a node's")]
    NotANode {
        /// The role that was found.
        role: Role,
    },
    /// Who answered is a member, but not the one that was dialled.
    #[error("`{expected}` was dialled and `{found}` answered")]
    AnotherPeer {
        /// Who was dialled.
        expected: PeerName,
        /// Who answered.
        found: PeerName,
    },
    /// The root's hash is not the one in the join token.
    #[error("it does not belong to the cluster of the join token: no root with its hash")]
    OtherCluster,
    /// It is of a cluster with the same root but another id.
    #[error("it belongs to another cluster")]
    WrongCluster,
    /// It speaks a version that we do not.
    #[error("it speaks version {version} of the mesh protocol")]
    Version {
        /// What it speaks.
        version: u16,
    },
    /// Its first frame is not one.
    #[error("its greeting is malformed")]
    Greeting,
    /// It did not greet in time.
    #[error("it did not greet in time")]
    Silent,
    /// Another live process holds the same identity.
    #[error("cloned identity: `{name}` already speaks from {address}")]
    Cloned {
        /// The identity.
        name: PeerName,
        /// Where the other one is.
        address: SocketAddr,
    },
    /// The identity was seen with a later start.
    #[error("stale identity: `{name}` was seen with generation {seen}, this is {found}")]
    Stale {
        /// The identity.
        name: PeerName,
        /// The latest generation seen.
        seen: u64,
        /// What it came with.
        found: u64,
    },
    /// It is ourselves.
    #[error("it has our own identity")]
    Ourselves,
    /// It claims the address of another member.
    #[error("it claims {address}, which is `{holder}`'s")]
    AddressTaken {
        /// What it claims.
        address: SocketAddr,
        /// Who has it.
        holder: PeerName,
    },
    /// It was removed from the cluster.
    #[error("`{0}` was removed from the cluster")]
    Removed(PeerName),
    /// Both dialled at once; the other connection stays. Nobody's fault.
    #[error("both dialled at once; the other connection stays")]
    Duplicate,
    /// The mesh holds as many members as it may.
    #[error("the cluster has as many members as it may")]
    Full,
}

impl Refusal {
    /// The code in the close of the connection (docs/wire.md, section 7).
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::Certificate(_) | Self::NotItsKey | Self::NotANode { .. } | Self::OtherCluster => {
                0x10
            }
            Self::NoCertificate => 0x11,
            Self::AnotherPeer { .. } => 0x12,
            Self::WrongCluster => 0x13,
            Self::Version { .. } => 0x14,
            Self::Greeting => 0x15,
            Self::Silent => 0x16,
            Self::Cloned { .. } | Self::Ourselves => 0x17,
            Self::Stale { .. } => 0x18,
            Self::AddressTaken { .. } => 0x19,
            Self::Removed(_) => 0x1a,
            Self::Duplicate => 0x1b,
            Self::Full => 0x1c,
        }
    }
}

/// A refusal as it is told across the wire: the code, and the text for the other side's log.
pub(crate) const TEXT_CHARS_MAX: usize = 256;

/// A peer's own text, made fit for a log: bounded, without control characters.
pub(crate) fn shown(text: &str) -> Arc<str> {
    let fit: String = text
        .chars()
        .take(TEXT_CHARS_MAX)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect();
    fit.into()
}
