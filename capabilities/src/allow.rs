//! What a verified token allows: one request, held against every right and caveat of every block.
//!
//! Only [`Verified::authorize`] makes an [`Allowed`]. A caveat that asks for a fact which the request does not
//! bring denies it: whoever forgets to say something is refused, not let in.

use crate::{
    caveat::{Audience, Caveats, Performative, Rate},
    grant::Grant,
    id::{ConversationId, Principal, TenantId, TokenId},
    key::KeyId,
    moment::Moment,
    right::Right,
    terms::Terms,
    verify::{Proof, Verified},
};

/// What is asked, with every fact that a caveat may ask for. Facts are the verifier's own: what a stranger says of
/// itself is none.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is to be done.
    pub right: &'a Right,
    /// When.
    pub now: Moment,
    /// The names that the verifier goes by: its node, its service, the receiver.
    pub audience: &'a [Audience],
    /// Who asks, where that was authenticated.
    pub presenter: Option<&'a Principal>,
    /// That the holder is there, for an open token.
    pub proof: Option<&'a Proof>,
    /// On whose account.
    pub tenant: Option<&'a TenantId>,
    /// The message's speech act.
    pub performative: Option<Performative>,
    /// The message's length.
    pub bytes: Option<u64>,
    /// The message's conversation.
    pub conversation: Option<ConversationId>,
}

impl<'a> Request<'a> {
    /// A request for `right` at `now` that brings no other fact.
    #[must_use]
    pub const fn new(right: &'a Right, now: Moment) -> Self {
        Self {
            right,
            now,
            audience: &[],
            presenter: None,
            proof: None,
            tenant: None,
            performative: None,
            bytes: None,
            conversation: None,
        }
    }
}

/// An answer, not a failure: the token does not allow it. Names the block, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("block {block}: {reason}")]
pub struct TokenDenied {
    /// The first block that denies it.
    pub block: usize,
    /// Why.
    pub reason: DeniedReason,
}

/// Why a token does not allow a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeniedReason {
    /// The issuer's time is over since the token was verified.
    #[error("its issuer is no longer valid")]
    IssuerExpired,
    /// The token is open, and the holder did not prove to be there, here and now, for this token.
    #[error("its holder has given no proof for this verifier")]
    Proof,
    /// The token is for somebody else.
    #[error("it is for somebody else")]
    Subject,
    /// No right gives it.
    #[error("no right gives it")]
    Right,
    /// Its time has not come.
    #[error("it does not count yet")]
    NotYet,
    /// Its time is over.
    #[error("it has expired")]
    Expired,
    /// It is for other verifiers.
    #[error("it is for another audience")]
    Audience,
    /// It is for another tenant's account.
    #[error("it is for another tenant")]
    Tenant,
    /// The message is longer, or of unknown length.
    #[error("the message is too long for it")]
    Bytes,
    /// The message's speech act is not among those allowed.
    #[error("it does not allow this performative")]
    Performative,
    /// The message belongs to another conversation.
    #[error("it is for another conversation")]
    Conversation,
}

impl DeniedReason {
    /// The word for the reason, the same in every implementation (docs/token.md).
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::IssuerExpired => "issuer-expired",
            Self::Proof => "proof",
            Self::Subject => "subject",
            Self::Right => "right",
            Self::NotYet => "not-yet",
            Self::Expired => "expired",
            Self::Audience => "audience",
            Self::Tenant => "tenant",
            Self::Bytes => "bytes",
            Self::Performative => "performative",
            Self::Conversation => "conversation",
        }
    }
}

impl Verified {
    /// Decides whether the token allows `request`. No rate is counted here: see [`Allowed::limits`].
    ///
    /// # Errors
    /// [`TokenDenied`]; final for this request, nothing is changed.
    pub fn authorize(&self, request: &Request<'_>) -> Result<Allowed, TokenDenied> {
        let chain = &self.0;
        let last = chain.ids.len().saturating_sub(1);
        let deny = |block, reason| Err(TokenDenied { block, reason });
        if request.now >= chain.issuer_until {
            return deny(0, DeniedReason::IssuerExpired);
        }
        if !self.is_presented(request) {
            return deny(last, DeniedReason::Proof);
        }
        for (block, said) in chain.token.blocks().enumerate() {
            if let Err(reason) = allows(said.terms(), request) {
                return deny(block, reason);
            }
        }
        // Who presents it is the last block's subject; those before tell who went on.
        let subject = chain.token.last().and_then(|terms| terms.subject.as_ref());
        if subject.is_some_and(|subject| request.presenter != Some(subject)) {
            return deny(last, DeniedReason::Subject);
        }
        Ok(Allowed {
            by: self.clone(),
            right: request.right.clone(),
        })
    }

    /// Whether the token is sealed, or its holder is there: for this very chain, to this verifier, about now.
    fn is_presented(&self, request: &Request<'_>) -> bool {
        if self.token().is_sealed() {
            return true;
        }
        request.proof.is_some_and(|proof| {
            proof.of == self.0.end
                && request.now < proof.until
                && request.audience.contains(&proof.audience)
        })
    }
}

fn allows(terms: &Terms, request: &Request<'_>) -> Result<(), DeniedReason> {
    if terms.rights.covering(request.right).is_none() {
        return Err(DeniedReason::Right);
    }
    allow(&terms.caveats, request)
}

/// Whether a request keeps to the caveats of one block. What it does not bring does not keep to any.
fn allow(caveats: &Caveats, request: &Request<'_>) -> Result<(), DeniedReason> {
    let say = |is: bool, reason| if is { Ok(()) } else { Err(reason) };
    say(
        caveats.not_before.is_none_or(|begin| request.now >= begin),
        DeniedReason::NotYet,
    )?;
    say(
        caveats.expires.is_none_or(|end| request.now < end),
        DeniedReason::Expired,
    )?;
    say(
        caveats.audience.as_ref().is_none_or(|all| {
            let mut mine = request.audience.iter();
            mine.any(|name| all.contains(name))
        }),
        DeniedReason::Audience,
    )?;
    say(
        caveats.tenant.is_none() || caveats.tenant.as_ref() == request.tenant,
        DeniedReason::Tenant,
    )?;
    say(
        caveats
            .bytes_max
            .is_none_or(|most| request.bytes.is_some_and(|bytes| bytes <= most)),
        DeniedReason::Bytes,
    )?;
    say(
        caveats.performatives.is_none_or(|all| {
            let act = request.performative;
            act.is_some_and(|act| all.contains(act))
        }),
        DeniedReason::Performative,
    )?;
    say(
        caveats.conversation.is_none() || caveats.conversation == request.conversation,
        DeniedReason::Conversation,
    )
}

/// Proof that a token allows a right. Made by [`Verified::authorize`] alone. It is worth nothing until its
/// [`limits`](Allowed::limits) are counted.
#[derive(Clone, Debug)]
pub struct Allowed {
    by: Verified,
    right: Right,
}

/// A rate that a block asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// The token to count it under: a hash, so nobody can choose one that is another's. What is made of a token
    /// counts under it too.
    pub token: TokenId,
    /// How often.
    pub rate: Rate,
}

impl Allowed {
    /// What it allows.
    #[must_use]
    pub const fn right(&self) -> &Right {
        &self.right
    }

    /// The grant of the last block that gives it.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        let last = self.by.token().last();
        last.and_then(|terms| terms.rights.covering(&self.right))
    }

    /// Who issued the token.
    #[must_use]
    pub fn issuer(&self) -> KeyId {
        self.by.0.issuer
    }

    /// The ids of all blocks, first to last.
    #[must_use]
    pub fn tokens(&self) -> &[TokenId] {
        &self.by.0.ids
    }

    /// For whom each block is, first to last: the first is on whose behalf this is done, each next one was asked by the
    /// one before, the last one does it. `None` where a block does not say.
    pub fn subjects(&self) -> impl ExactSizeIterator<Item = Option<&Principal>> {
        let blocks = self.by.token().blocks();
        blocks.map(|block| block.terms().subject.as_ref())
    }

    /// Agents before who asks, first to last: each handed on what it had, so that the next acts for it.
    pub fn behalf(&self) -> impl Iterator<Item = &Principal> {
        let asks = self
            .by
            .token()
            .last()
            .and_then(|last| last.subject.as_ref());
        let mut before = None;
        self.subjects().flatten().filter(move |subject| {
            let is_new = before.replace(*subject) != Some(*subject);
            is_new && subject.as_agent().is_some() && Some(*subject) != asks
        })
    }

    /// Every rate of every block. The caller MUST count this request under each and refuse it where one is used up.
    pub fn limits(&self) -> impl Iterator<Item = Limit> {
        let blocks = self.by.token().blocks().zip(self.tokens());
        blocks.filter_map(|(block, token)| {
            let rate = block.terms().caveats.rate?;
            Some(Limit {
                token: *token,
                rate,
            })
        })
    }
}

#[cfg(test)]
mod tests;
