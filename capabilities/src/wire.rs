//! Bytes <-> tokens: the only files that know the encoding (docs/token.md, "Bytes"). There is exactly one
//! encoding of each token, and one token for each encoding.
//!
//! Everything is bounded before it is kept, and no signature is looked at here: `verify.rs` does that.

mod read;
mod write;

use crate::{
    key::{CLASSICAL_BYTES, QUANTUM_BYTES, Twice},
    terms::Block,
    text::TextError,
};

pub(crate) use read::{Reader, decode};
pub(crate) use write::{body, encode, grant_bytes, short, text};

/// Longest token: 16 KiB, of which the issuer's signatures are 3.3. It fits where a request's headers fit.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Blocks of one token: verifying costs one ML-DSA-65 and at most so many Ed25519 signatures, some 0.3 ms.
pub const BLOCKS_MAX: usize = 8;
/// What a token's text begins with.
pub const TOKEN_PREFIX: &str = "cxt1.";
/// What a token's bytes begin with: a name and the version.
const MAGIC: [u8; 4] = *b"CXT\x01";

/// Bytes or text were refused. Nothing was made of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    /// It is not the text of a token.
    #[error("it is not the text of a token")]
    Text(#[source] TextError),
    /// More bytes than a token may have.
    #[error("a token has at most {TOKEN_BYTES_MAX} bytes")]
    Long,
    /// It does not begin as a token of this version does.
    #[error("it does not begin as a token of version 1")]
    Magic,
    /// It ends in the middle.
    #[error("it ends in the middle")]
    Short,
    /// Something follows its end, or the end of a block.
    #[error("it has {0} bytes too many")]
    Trailing(usize),
    /// No block, or too many.
    #[error("a token has 1 to {BLOCKS_MAX} blocks, this one {0}")]
    Blocks(u8),
    /// A first block elsewhere than first, or none there.
    #[error("block {block} is of the wrong kind")]
    Kind {
        /// Which, from 0.
        block: u8,
    },
    /// A field that this version does not know, or without one that it must have.
    #[error("block {block} lacks a field or has one too many")]
    Fields {
        /// Which, from 0.
        block: u8,
    },
    /// A value outside its grammar or bound.
    #[error("block {block} has a bad {field}")]
    Value {
        /// Which, from 0.
        block: u8,
        /// Which field.
        field: &'static str,
    },
    /// Entries out of order, or twice.
    #[error("block {block} has {field} out of order")]
    Order {
        /// Which, from 0.
        block: u8,
        /// Which field.
        field: &'static str,
    },
}

/// How a block is signed: the first one twice, each other once.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Seal {
    Issued(Twice),
    Delegated([u8; CLASSICAL_BYTES]),
}

impl Seal {
    const fn bytes(first: bool) -> usize {
        if first {
            CLASSICAL_BYTES + QUANTUM_BYTES
        } else {
            CLASSICAL_BYTES
        }
    }
}

/// A block with its signatures.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) block: Block,
    pub(crate) seal: Seal,
}

/// Bits of the field that tells which fields follow, in their order.
mod field {
    pub(super) const HOLDER: u16 = 1;
    pub(super) const SUBJECT: u16 = 1 << 1;
    pub(super) const NOT_BEFORE: u16 = 1 << 2;
    pub(super) const EXPIRES: u16 = 1 << 3;
    pub(super) const AUDIENCE: u16 = 1 << 4;
    pub(super) const TENANT: u16 = 1 << 5;
    pub(super) const RATE: u16 = 1 << 6;
    pub(super) const BYTES_MAX: u16 = 1 << 7;
    pub(super) const PERFORMATIVES: u16 = 1 << 8;
    pub(super) const CONVERSATION: u16 = 1 << 9;
    pub(super) const ALL: u16 = (1 << 10) - 1;
    /// What a first block must have.
    pub(super) const FIRST: u16 = NOT_BEFORE | EXPIRES;
}

#[cfg(test)]
mod tests;
