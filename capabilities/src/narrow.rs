//! Whether a chain only narrows: the same question when a block is made and when a token is verified.
//!
//! The one idea: what stands is, for each caveat, the nearest block that has it. A later block may leave a caveat out,
//! repeat it or tighten it. So the last block's rights and the nearest caveats are all that a token is worth, and what is
//! shown of it is honest. Rates are apart: those of all blocks are counted side by side.

use crate::{
    caveat::Caveats,
    terms::{Block, Rights},
};

/// Longest life of a token, in seconds: 366 days. What is to last longer is issued anew, by a key that still counts.
pub const LIFETIME_SECONDS_MAX: u64 = 366 * 86_400;

/// What a later block would have more of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Widening {
    /// A right that no single right of the block before gives.
    Right,
    /// An earlier beginning.
    NotBefore,
    /// A later end.
    Expires,
    /// Another audience.
    Audience,
    /// Another tenant.
    Tenant,
    /// Larger messages.
    Bytes,
    /// Another performative.
    Performatives,
    /// Another conversation.
    Conversation,
}

/// A chain is none. The token is worth nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChainError {
    /// No block, or a first one without its times. Decoding lets none through.
    #[error("the chain has no first block with a beginning and an end")]
    Empty,
    /// It ends before it begins, or lives too long.
    #[error("a token lives for 1 to {LIFETIME_SECONDS_MAX} seconds")]
    Lifetime,
    /// A block follows one that names no holder.
    #[error("block {block} follows a sealed one")]
    Sealed {
        /// Which, from 0.
        block: usize,
    },
    /// A block has more than the one before.
    #[error("block {block} widens what it was given: {what:?}")]
    Widened {
        /// Which, from 0.
        block: usize,
        /// What it has more of.
        what: Widening,
    },
}

/// Checks a whole chain: that it lives no longer than it may, goes on only where it was open, and only narrows.
pub(crate) fn check<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Result<(), ChainError> {
    let mut blocks = blocks.into_iter();
    let first = &blocks.next().ok_or(ChainError::Empty)?.terms;
    let (Some(begin), Some(end)) = (first.caveats.not_before, first.caveats.expires) else {
        return Err(ChainError::Empty);
    };
    if !(1..=LIFETIME_SECONDS_MAX).contains(&end.seconds().saturating_sub(begin.seconds())) {
        return Err(ChainError::Lifetime);
    }
    let mut stands = Standing {
        rights: &first.rights,
        caveats: first.caveats.clone(),
    };
    let mut open = first.holder.is_some();
    for (block, next) in (1..).zip(blocks) {
        if !open {
            return Err(ChainError::Sealed { block });
        }
        let widened = |what| ChainError::Widened { block, what };
        stands
            .narrow(&next.terms.rights, &next.terms.caveats)
            .map_err(widened)?;
        stands.rights = &next.terms.rights;
        open = next.terms.holder.is_some();
    }
    Ok(())
}

struct Standing<'a> {
    rights: &'a Rights,
    caveats: Caveats,
}

impl Standing<'_> {
    fn narrow(&mut self, rights: &Rights, caveats: &Caveats) -> Result<(), Widening> {
        if rights.beyond(self.rights.as_slice()).is_some() {
            return Err(Widening::Right);
        }
        let mine = &mut self.caveats;
        let say = |is: bool, what| if is { Ok(()) } else { Err(what) };
        say(
            tighten(&mut mine.not_before, &caveats.not_before, |old, new| {
                new >= old
            }),
            Widening::NotBefore,
        )?;
        say(
            tighten(&mut mine.expires, &caveats.expires, |old, new| new <= old),
            Widening::Expires,
        )?;
        say(
            tighten(&mut mine.audience, &caveats.audience, |old, new| {
                old.includes(new)
            }),
            Widening::Audience,
        )?;
        say(
            tighten(&mut mine.tenant, &caveats.tenant, |old, new| old == new),
            Widening::Tenant,
        )?;
        say(
            tighten(&mut mine.bytes_max, &caveats.bytes_max, |old, new| {
                new <= old
            }),
            Widening::Bytes,
        )?;
        say(
            tighten(
                &mut mine.performatives,
                &caveats.performatives,
                |old, new| old.includes(*new),
            ),
            Widening::Performatives,
        )?;
        say(
            tighten(&mut mine.conversation, &caveats.conversation, |old, new| {
                old == new
            }),
            Widening::Conversation,
        )
    }
}

/// Puts `new` in the place of `old` where it is said and no wider; tells whether it was no wider.
fn tighten<T: Clone>(
    old: &mut Option<T>,
    new: &Option<T>,
    no_wider: impl Fn(&T, &T) -> bool,
) -> bool {
    match (old.as_ref(), new) {
        (_, None) => true,
        (Some(old), Some(new)) if !no_wider(old, new) => false,
        (_, Some(new)) => {
            *old = Some(new.clone());
            true
        }
    }
}

#[cfg(test)]
mod tests;
