//! Which speech act may follow which: the interaction protocols as small state machines.
//!
//! Sources: FIPA SC00026H (request), SC00027H (query), SC00029H (contract net). Departures, each in
//! favour of programs that answer at once: `agree` may be left out before `inform` or `failure`, and
//! `not-understood` ends a conversation in any state.

use crate::envelope::{Performative, Protocol};

/// Who speaks: the one who began the conversation, or the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Began it.
    Initiator,
    /// Was spoken to.
    Participant,
}

impl Role {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Participant,
            Self::Participant => Self::Initiator,
        }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Initiator => "initiator",
            Self::Participant => "participant",
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [Self::Initiator, Self::Participant]
            .into_iter()
            .find(|role| role.as_str() == word)
    }
}

/// Where a conversation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nothing was said yet, or all was.
    Start,
    /// `request` or `query` was said.
    Asked,
    /// `cfp` was said.
    Called,
    /// `propose` was said.
    Proposed,
    /// `agree` or `accept-proposal` was said: a result is due.
    Agreed,
    /// `cancel` was said: a last word is due.
    Cancelling,
}

impl State {
    /// The word that refusals show.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Asked => "asked",
            Self::Called => "called",
            Self::Proposed => "proposed",
            Self::Agreed => "agreed",
            Self::Cancelling => "cancelling",
        }
    }

    /// Whose word is awaited.
    pub(super) const fn turn(self) -> Role {
        match self {
            Self::Start | Self::Proposed => Role::Initiator,
            Self::Asked | Self::Called | Self::Agreed | Self::Cancelling => Role::Participant,
        }
    }

    pub(super) fn parse(word: &str) -> Option<Self> {
        [
            Self::Asked,
            Self::Called,
            Self::Proposed,
            Self::Agreed,
            Self::Cancelling,
        ]
        .into_iter()
        .find(|state| state.as_str() == word)
    }
}

/// The state after `act` by `role`; `None` when the act is illegal there.
#[must_use]
pub fn next(protocol: Protocol, state: State, role: Role, act: Performative) -> Option<State> {
    use Performative as P;
    use State as S;
    let contract_net = protocol == Protocol::ContractNet;
    match (role, state, act) {
        (Role::Initiator, S::Start, P::Request) if protocol == Protocol::Request => Some(S::Asked),
        (Role::Initiator, S::Start, P::Query) if protocol == Protocol::Query => Some(S::Asked),
        (Role::Initiator, S::Start, P::Cfp) if contract_net => Some(S::Called),
        (Role::Participant, S::Asked, P::Agree) => Some(S::Agreed),
        (Role::Participant, S::Asked | S::Called, P::Refuse) => Some(S::Start),
        (Role::Participant, S::Asked | S::Agreed | S::Cancelling, P::Inform | P::Failure) => {
            Some(S::Start)
        }
        (Role::Participant, S::Called, P::Propose) => Some(S::Proposed),
        (Role::Initiator, S::Proposed, P::AcceptProposal) => Some(S::Agreed),
        (Role::Initiator, S::Proposed, P::RejectProposal) => Some(S::Start),
        (Role::Initiator, S::Asked | S::Called | S::Proposed | S::Agreed, P::Cancel) => {
            Some(S::Cancelling)
        }
        // Crossed on the way: the other had not heard of the cancel.
        (Role::Participant, S::Cancelling, P::Agree | P::Propose) => Some(S::Cancelling),
        (Role::Participant, S::Cancelling, P::Refuse) => Some(S::Start),
        (_, S::Asked | S::Called | S::Proposed | S::Agreed | S::Cancelling, P::NotUnderstood) => {
            Some(S::Start)
        }
        _ => None,
    }
}

/// The protocol that `act` begins, where it begins one.
#[must_use]
pub const fn begins(act: Performative) -> Option<Protocol> {
    match act {
        Performative::Request => Some(Protocol::Request),
        Performative::Query => Some(Protocol::Query),
        Performative::Cfp => Some(Protocol::ContractNet),
        _ => None,
    }
}

/// An act was refused. The conversation stands where it stood.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{act}` is illegal in state `{}` of protocol `{protocol}`", state.as_str())]
pub struct Illegal {
    /// The act.
    pub act: Performative,
    /// The protocol.
    pub protocol: Protocol,
    /// The state it was in.
    pub state: State,
}
