//! The decision about one message: may it, and where to. Pure.

use std::{sync::Arc, time::SystemTime};

use caxton_capabilities::{Denied, Name, Permit, Principal, Right, Trust};

use super::routes::{AgentPort, Routes};
use crate::{envelope::Delivery, ports::Desired};

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
    UnknownReceiver,
    Stopped,
}

/// Decides about a message from `sender` to `receiver`.
///
/// An agent that does not exist and one that the sender may not reach look alike to the sender:
/// authorization comes first.
pub(super) fn route(
    trust: &Trust,
    routes: &Routes,
    now: SystemTime,
    sender: &Principal,
    receiver: &Principal,
    delivery: Delivery,
) -> Result<(Permit, Route), NoRoute> {
    let permit = trust
        .authorize(sender, Right::send(receiver), now)
        .map_err(NoRoute::Denied)?;
    let route = match receiver {
        Principal::Agent(address) => {
            let port = routes.get(address).ok_or(NoRoute::UnknownReceiver)?;
            // What is durable waits for an agent that is stopped; what is not would be lost.
            if port.desired() == Desired::Stopped && delivery == Delivery::AtMostOnce {
                return Err(NoRoute::Stopped);
            }
            Route::Local(port)
        }
        Principal::Operator(name) => Route::Edge(name.clone()),
        Principal::Node => Route::Runtime,
    };
    Ok((permit, route))
}
