//! The one door: [`Trust::authorize`] makes a [`Permit`], and only a permit delivers.

mod ways;

use std::{fmt, sync::Arc, time::SystemTime};

use crate::{
    allow::{Allowed, Request, TokenDenied},
    extend::ExtendError,
    id::{ConversationId, Name, Principal, TokenId},
    moment::Moment,
    request::{Policies, PolicyContext, PolicyRequest, RuleName, Ruling},
    right::{Resource, Right},
    standing::Standing,
    verify::{TokenRefused, Verified},
};
use ways::Ways;

/// All that a decision is made from. Published by `auth`, read by everyone else. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Trust {
    policies: Arc<dyn Policies>,
    standing: Arc<Standing>,
    /// After this moment the copy is too old to be believed.
    fresh_until: Option<SystemTime>,
    /// SECURITY: new with each trust, so that nothing outlives what it was decided under.
    ways: Arc<Ways>,
}

/// What a policy may ask of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Said {
    /// The speech act's word.
    pub performative: &'static str,
    /// Bytes of content.
    pub bytes: usize,
}

/// What a message brings besides its way, with every fact that a policy or a caveat may ask for.
#[derive(Clone, Debug)]
pub struct Speech<'a> {
    /// What policies may ask.
    pub said: Said,
    /// What it belongs to, where that is known yet.
    pub conversation: Option<ConversationId>,
    /// The token that the runtime attached, verified under [`Trust::standing`]; why there is none.
    pub token: Result<&'a Verified, Refusal>,
}

impl Trust {
    /// Trust in `policies` and `standing`, to be believed until `fresh_until` (`None`: this node is its own source).
    #[must_use]
    pub fn new(
        policies: Arc<dyn Policies>,
        standing: Arc<Standing>,
        fresh_until: Option<SystemTime>,
    ) -> Self {
        Self {
            policies,
            standing,
            fresh_until,
            ways: Arc::new(Ways::new()),
        }
    }

    /// Grows with each change of policies or standing; what was decided under another is asked again.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.standing.epoch
    }

    /// Who is who.
    #[must_use]
    pub const fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// What decides.
    #[must_use]
    pub const fn policies(&self) -> &Arc<dyn Policies> {
        &self.policies
    }

    /// Until when this is believed.
    #[must_use]
    pub const fn fresh_until(&self) -> Option<SystemTime> {
        self.fresh_until
    }

    /// Decides a request of an operator. Answers the rule that permits it.
    ///
    /// # Errors
    /// It is not permitted, or this copy is too old; final for this copy.
    pub fn decide(&self, request: &PolicyRequest, now: SystemTime) -> Result<RuleName, Refusal> {
        if let Some(reason) = self.is_stale(now) {
            return Err(Refusal::Standing(reason));
        }
        if let Some(reason) = self.standing.refuses(&request.principal.id) {
            return Err(Refusal::Standing(reason));
        }
        let rule = ruled(self.policies.decide(request))?;
        // SECURITY: after policies: that a thing is blocked is told to nobody who could not reach it.
        match self.standing.refuses_request(request) {
            Some(reason) => Err(Refusal::Standing(reason)),
            None => Ok(rule),
        }
    }

    /// Decides whether `principal` holds `right` at `now`, for a message where one is sent.
    ///
    /// An agent that sends to an agent needs both: a policy that permits it, and a token that allows it. Answers go
    /// to an operator or the node only where a request waits, and need no token.
    ///
    /// # Errors
    /// It does not hold it, or this copy is too old; both are final for this copy.
    pub fn authorize(
        &self,
        principal: &Principal,
        right: Right,
        speech: Option<&Speech<'_>>,
        now: SystemTime,
    ) -> Result<Permit, Denied> {
        match self.looked_at(principal, &right, speech, now) {
            Ok((rule, allowed)) => Ok(Permit {
                principal: principal.clone(),
                right,
                rule,
                epoch: self.epoch(),
                allowed,
            }),
            Err(refusal) => Err(Denied {
                asked: right.to_string(),
                refusal,
            }),
        }
    }

    fn looked_at(
        &self,
        principal: &Principal,
        right: &Right,
        speech: Option<&Speech<'_>>,
        now: SystemTime,
    ) -> Result<(RuleName, Option<Allowed>), Refusal> {
        let rule = self.ruled_on(principal, right, speech.map(|speech| speech.said), now)?;
        let allowed = match (principal, &right.resource) {
            (Principal::Agent(_), Resource::Agent(_)) => {
                Some(allowed(principal, right, speech, now)?)
            }
            _ => None,
        };
        let behalf = allowed.iter().flat_map(Allowed::behalf);
        self.ruled_on_behalf(behalf, right, speech.map(|speech| speech.said), now)?;
        Ok((rule, allowed))
    }

    /// SECURITY: policies are asked for everybody on whose behalf it is done, too: what one may by its token and another by
    /// policies, neither may by handing on.
    fn ruled_on_behalf<'a>(
        &self,
        behalf: impl IntoIterator<Item = &'a Principal>,
        right: &Right,
        said: Option<Said>,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        behalf.into_iter().try_for_each(|principal| {
            let ruled = self.ruled_on(principal, right, said, now);
            ruled
                .map(drop)
                .map_err(|refusal| Refusal::Behalf(principal.clone(), Box::new(refusal)))
        })
    }

    /// The rule of policies, where nothing was taken back.
    fn ruled_on(
        &self,
        principal: &Principal,
        right: &Right,
        said: Option<Said>,
        now: SystemTime,
    ) -> Result<RuleName, Refusal> {
        if let Some(reason) = self.is_stale(now) {
            return Err(Refusal::Standing(reason));
        }
        if let Some(rule) = self.ways.get(principal, right) {
            return Ok(rule);
        }
        let mut request = PolicyRequest::of(principal, right, now).ok_or(Refusal::NoRule)?;
        request.principal = self.standing.principal(principal);
        if let Some(reason) = self.standing.refuses(&request.principal.id) {
            return Err(Refusal::Standing(reason));
        }
        if let Some(said) = said {
            request.context = PolicyContext {
                performative: Some(Arc::from(said.performative)),
                size_bytes: Some(u32::try_from(said.bytes).unwrap_or(u32::MAX)),
                ..request.context
            };
        }
        let rule = ruled(self.policies.decide(&request))?;
        if let Some(reason) = self.standing.refuses_right(right) {
            return Err(Refusal::Standing(reason));
        }
        if !self.policies.looks_at_context(&request) {
            self.ways.put(principal, right, &rule);
        }
        Ok(rule)
    }

    /// Decides again about a message that was let in before, on what stands now: policies, who is who, and that none of
    /// the tokens it was let in with was taken back since, nor the authority of anybody on whose behalf it was sent.
    ///
    /// # Errors
    /// It would not be let in now.
    pub fn reaffirm(
        &self,
        principal: &Principal,
        right: Right,
        (said, tokens, behalf): (Said, &[TokenId], &[Principal]),
        now: SystemTime,
    ) -> Result<(), Denied> {
        let decide = || {
            if self.standing.revoked.any_token(tokens.iter().copied()) {
                return Err(Refusal::Standing(
                    "the sender's capability token was revoked",
                ));
            }
            self.ruled_on(principal, &right, Some(said), now)?;
            self.ruled_on_behalf(behalf, &right, Some(said), now)
        };
        decide().map_err(|refusal| Denied {
            asked: right.to_string(),
            refusal,
        })
    }

    /// SECURITY: a node that cannot hear of changes stops trusting what it last heard.
    fn is_stale(&self, now: SystemTime) -> Option<&'static str> {
        let is_stale = self.fresh_until.is_some_and(|until| now > until);
        is_stale.then_some("what this node has heard of policies and revocations is out of date")
    }
}

fn ruled(ruling: Ruling) -> Result<RuleName, Refusal> {
    match ruling {
        Ruling::Permit(rules) => rules.first().cloned().ok_or(Refusal::NoRule),
        Ruling::Forbidden(rules) => Err(Refusal::Forbidden(rules)),
        Ruling::Undecided(rules) => Err(Refusal::Undecided(rules)),
        Ruling::NoRule => Err(Refusal::NoRule),
    }
}

fn allowed(
    principal: &Principal,
    right: &Right,
    speech: Option<&Speech<'_>>,
    now: SystemTime,
) -> Result<Allowed, Refusal> {
    let speech = speech.ok_or(Refusal::NoToken)?;
    let token = match &speech.token {
        Ok(token) => *token,
        Err(refusal) => return Err(refusal.clone()),
    };
    let tenant = match principal {
        Principal::Agent(address) => Some(&address.tenant),
        Principal::Operator(_) | Principal::Node => None,
    };
    let request = Request {
        presenter: Some(principal),
        tenant,
        performative: speech.said.performative.parse().ok(),
        bytes: u64::try_from(speech.said.bytes).ok(),
        conversation: speech.conversation,
        // A clock outside all calendars allows nothing.
        ..Request::new(right, Moment::of(now).ok_or(Refusal::NoToken)?)
    };
    token.authorize(&request).map_err(Refusal::Token)
}

/// Proof that a right was held. Made by [`Trust::authorize`] alone.
#[derive(Clone, Debug)]
pub struct Permit {
    principal: Principal,
    right: Right,
    rule: RuleName,
    epoch: u64,
    allowed: Option<Allowed>,
}

impl Permit {
    /// Who holds it.
    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What it permits.
    #[must_use]
    pub const fn right(&self) -> &Right {
        &self.right
    }

    /// The rule that permitted it.
    #[must_use]
    pub const fn rule(&self) -> &RuleName {
        &self.rule
    }

    /// The epoch of the trust that was asked.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The token that allowed it, where one was needed. Its rates are still to be counted.
    #[must_use]
    pub const fn allowed(&self) -> Option<&Allowed> {
        self.allowed.as_ref()
    }
}

/// Why something is not permitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Whatever policies say: something was taken back, blocked or frozen, or this node has not heard for too long.
    Standing(&'static str),
    /// No rule permits it.
    NoRule,
    /// Forbidden by these rules.
    Forbidden(Arc<[RuleName]>),
    /// These rules could not be evaluated.
    Undecided(Arc<[RuleName]>),
    /// The sender has no token, or the message does not say what a token is asked with.
    NoToken,
    /// The sender's token does not count.
    TokenRefused(TokenRefused),
    /// The sender's token does not allow it.
    Token(TokenDenied),
    /// The sender's token takes no such block.
    Extend(ExtendError),
    /// Who handed on its authority may not do it.
    Behalf(Principal, Box<Self>),
    /// What was asked with has less authority than its owner.
    Scope,
    /// It would give more than the giver has.
    Beyond,
    /// Who signed it may not do it.
    Signer(Name),
}

impl Refusal {
    /// What the audit log and whoever may read policies hear.
    #[must_use]
    pub fn told(&self) -> String {
        match self {
            Self::Forbidden(rules) => Ruling::Forbidden(Arc::clone(rules)).told(),
            Self::Undecided(rules) => Ruling::Undecided(Arc::clone(rules)).told(),
            Self::NoRule => Ruling::NoRule.told(),
            Self::Behalf(principal, refusal) => {
                format!("on behalf of `{principal}`: {}", refusal.told())
            }
            other => other.to_string(),
        }
    }
}

/// What who asked may hear: it names no rule, and does not tell a rule from its absence.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standing(reason) => f.write_str(reason),
            Self::NoRule | Self::Forbidden(_) | Self::Undecided(_) => {
                f.write_str("the policies do not permit it")
            }
            Self::NoToken => f.write_str("the sender has no capability token: deploy it again"),
            Self::TokenRefused(refused) => write!(f, "the sender's capability token: {refused}"),
            Self::Token(denied) => write!(f, "the sender's capability token: {denied}"),
            Self::Extend(error) => write!(f, "the sender's capability token: {error}"),
            Self::Behalf(principal, refusal) => write!(f, "on behalf of `{principal}`: {refusal}"),
            Self::Beyond => f.write_str("nobody gives what they may not do themselves"),
            Self::Signer(signer) => {
                write!(f, "operator `{signer}`, who signed it, may not do it")
            }
            Self::Scope => f.write_str("the credential's scopes do not cover it"),
        }
    }
}

impl From<ExtendError> for Refusal {
    fn from(error: ExtendError) -> Self {
        Self::Extend(error)
    }
}

impl From<TokenRefused> for Refusal {
    fn from(refused: TokenRefused) -> Self {
        Self::TokenRefused(refused)
    }
}

/// An answer, not a failure: the right is not held.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not permitted to {asked}: {refusal}")]
pub struct Denied {
    /// What was asked for.
    pub asked: String,
    /// Why not.
    pub refusal: Refusal,
}

impl Denied {
    /// What the audit log and whoever may read policies hear: with the rules.
    #[must_use]
    pub fn told(&self) -> String {
        format!("not permitted to {}: {}", self.asked, self.refusal.told())
    }
}

#[cfg(test)]
mod tests;
