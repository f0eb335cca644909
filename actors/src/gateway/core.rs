//! The decision about one message: may it, and where to. Pure but for what verified tokens are remembered.

use std::{sync::Arc, time::SystemTime};

use caxton_capabilities::{
    ConversationId, Denied, Moment, Name, Permit, Principal, Refusal, Right, Said, Speech, Trust,
    Verified, verify::verify,
};

use super::{
    accepts::UNSIGNED,
    routes::{AgentPort, Routes},
};
use crate::{
    envelope::{Delivery, Envelope, Performative},
    ports::{Authority, Desired},
};

/// Where a permitted message goes.
#[derive(Debug)]
pub(super) enum Route {
    /// To an agent of this node.
    Local(Arc<AgentPort>),
    /// To a request that waits at the edge.
    Edge(Name),
    /// To the runtime, which has no use for it: a late answer to a health message.
    Runtime,
}

/// Why a message goes nowhere.
#[derive(Debug)]
pub(super) enum NoRoute {
    Denied(Denied),
    /// The receiver's own terms do not take it.
    NotAccepted(&'static str),
    UnknownReceiver,
    Stopped,
}

/// What is asked about a message.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// Who sends it.
    pub sender: &'a Principal,
    /// Where to.
    pub receiver: &'a Principal,
    /// What is promised of it.
    pub delivery: Delivery,
    /// The speech act.
    pub performative: Performative,
    /// Bytes of content.
    pub bytes: usize,
    /// What it belongs to.
    pub conversation: Option<ConversationId>,
    /// The sealed token that it is sent with; none: the sender's own.
    pub token: Option<&'a Verified>,
    /// Whether an operator signed it.
    pub is_signed: bool,
}

/// What a decision is made by.
pub(super) struct By<'a> {
    pub(super) trust: &'a Trust,
    pub(super) authority: &'a dyn Authority,
    pub(super) now: SystemTime,
}

impl<'a> Passage<'a> {
    pub(super) fn of(envelope: &'a Envelope) -> Self {
        Self {
            sender: &envelope.sender,
            receiver: &envelope.receiver,
            delivery: envelope.delivery,
            performative: envelope.performative,
            bytes: envelope.content.len(),
            conversation: Some(envelope.conversation),
            token: None,
            is_signed: false,
        }
    }

    pub(super) const fn said(&self) -> Said {
        Said {
            performative: self.performative.as_str(),
            bytes: self.bytes,
        }
    }
}

/// Decides about a message.
///
/// An agent that does not exist and one that the sender may not reach look alike to the sender:
/// authorization comes first.
pub(super) fn route(
    by: &By<'_>,
    routes: &Routes,
    passage: &Passage<'_>,
) -> Result<(Permit, Route), NoRoute> {
    let permit = authorize(by, routes, passage).map_err(NoRoute::Denied)?;
    let route = match passage.receiver {
        Principal::Agent(address) => {
            let port = routes.get(address).ok_or(NoRoute::UnknownReceiver)?;
            let terms = port.accepts();
            terms
                .takes(&permit, passage.performative)
                .map_err(NoRoute::NotAccepted)?;
            if !passage.is_signed && !terms.takes_unsigned(passage.sender) {
                return Err(NoRoute::NotAccepted(UNSIGNED));
            }
            // What is durable waits for an agent that is stopped; what is not would be lost.
            if port.desired() == Desired::Stopped && passage.delivery == Delivery::AtMostOnce {
                return Err(NoRoute::Stopped);
            }
            Route::Local(port)
        }
        Principal::Operator(name) => Route::Edge(name.clone()),
        Principal::Node => Route::Runtime,
    };
    Ok((permit, route))
}

/// Decides whether the sender may send it: by policies, and for an agent by its token too.
pub(super) fn authorize(
    by: &By<'_>,
    routes: &Routes,
    passage: &Passage<'_>,
) -> Result<Permit, Denied> {
    let token = sent_with(by, routes, passage);
    let speech = Speech {
        said: passage.said(),
        conversation: passage.conversation,
        token: token.as_ref().map_err(Clone::clone),
    };
    let right = Right::send(passage.receiver);
    by.trust
        .authorize(passage.sender, right, Some(&speech), by.now)
}

/// The token that it is sent with, verified under what stands now.
fn sent_with(by: &By<'_>, routes: &Routes, passage: &Passage<'_>) -> Result<Verified, Refusal> {
    // Only what goes from agent to agent is asked for a token; to verify one that nobody asks for costs a fifth of a millisecond.
    let (Principal::Agent(address), Principal::Agent(_)) = (passage.sender, passage.receiver)
    else {
        return Err(Refusal::NoToken);
    };
    let port = routes.get(address).ok_or(Refusal::NoToken)?;
    let standing = by.trust.standing();
    // SECURITY: who acts for another has a token of its own that counts, too.
    let own = port.tokens(standing, by.authority, by.now)?;
    let Some(chosen) = passage.token else {
        return Ok(own.sealed.clone());
    };
    let (issuers, revoked) = (&standing.issuers, &standing.revoked);
    if chosen.is_current(issuers, revoked) {
        return Ok(chosen.clone());
    }
    let now = Moment::of(by.now).ok_or(Refusal::NoToken)?;
    Ok(verify(chosen.token(), issuers, revoked, now)?)
}
