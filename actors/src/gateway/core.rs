//! The decision about one message: may it, and where to. Pure but for what verified tokens are remembered.

use std::{sync::Arc, time::SystemTime};

use caxton_capabilities::{
    ConversationId, Denied, Name, Permit, Principal, Refusal, Right, Said, Speech, Trust,
};

use super::routes::{AgentPort, Routes};
use crate::{
    envelope::{Delivery, Envelope, Performative},
    ports::Desired,
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
pub(super) struct Passage<'a> {
    pub(super) sender: &'a Principal,
    pub(super) receiver: &'a Principal,
    pub(super) delivery: Delivery,
    pub(super) performative: Performative,
    pub(super) bytes: usize,
    pub(super) conversation: Option<ConversationId>,
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
    trust: &Trust,
    routes: &Routes,
    now: SystemTime,
    passage: &Passage<'_>,
) -> Result<(Permit, Route), NoRoute> {
    let permit = authorize(trust, routes, now, passage).map_err(NoRoute::Denied)?;
    let route = match passage.receiver {
        Principal::Agent(address) => {
            let port = routes.get(address).ok_or(NoRoute::UnknownReceiver)?;
            port.accepts()
                .takes(passage.sender, passage.performative)
                .map_err(NoRoute::NotAccepted)?;
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
    trust: &Trust,
    routes: &Routes,
    now: SystemTime,
    passage: &Passage<'_>,
) -> Result<Permit, Denied> {
    // Only what goes from agent to agent is asked for a token; to verify one that nobody asks for costs a fifth of a millisecond.
    let verified = match (passage.sender, passage.receiver) {
        (Principal::Agent(address), Principal::Agent(_)) => match routes.get(address) {
            Some(port) => port.token(trust.standing(), now),
            None => Err(Refusal::NoToken),
        },
        _ => Err(Refusal::NoToken),
    };
    let speech = Speech {
        said: passage.said(),
        conversation: passage.conversation,
        token: verified.as_ref().map_err(Clone::clone),
    };
    let right = Right::send(passage.receiver);
    trust.authorize(passage.sender, right, Some(&speech), now)
}
