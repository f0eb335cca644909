//! The trial of a new version: an instance is started and handed a health message.

use std::sync::Arc;

use caxton_capabilities::Principal;

use crate::{
    envelope::{Delivery, Envelope, Performative, TraceParent},
    ports::{Delivered, Fault, Ids, Instance, Programs, StartOrder},
};

/// Content type of the message by which a new version is tried.
pub const HEALTH_CONTENT_TYPE: &str = "application/vnd.caxton.health+json";

/// Starts an instance and hands it a health message. What it does in answer takes no effect.
///
/// # Errors
/// It did not start, trapped, ran out of a limit, or answered `failure`.
pub(crate) async fn trial(
    programs: &dyn Programs,
    order: StartOrder,
    ids: &dyn Ids,
) -> Result<Box<dyn Instance>, Fault> {
    let health = Envelope {
        id: ids.message(),
        performative: Performative::Query,
        sender: Principal::Node,
        receiver: Principal::Agent(order.address.clone()),
        conversation: ids.conversation(),
        protocol: None,
        reply_with: None,
        in_reply_to: None,
        reply_by: None,
        content_type: HEALTH_CONTENT_TYPE.into(),
        content: Arc::from(b"{}".as_slice()),
        delivery: Delivery::AtMostOnce,
        tokens: Vec::new(),
        behalf: Vec::new(),
        handed_on: None,
        trace: TraceParent {
            trace: ids.trace(),
            span: 0,
        },
    };
    let unhealthy = |reason: &str| Fault {
        kind: "unhealthy",
        reason: reason.to_owned(),
        own: None,
        lasting: true,
    };
    let instance = programs.start(order.clone()).await?;
    let Delivered {
        instance, result, ..
    } = instance.deliver(Arc::new(health)).await;
    match result {
        Ok(reaction) => {
            if reaction
                .sent
                .iter()
                .any(|draft| draft.performative == Performative::Failure)
            {
                return Err(unhealthy("it answered the health message with failure"));
            }
        }
        // A program that does not know the message is as well as one that does.
        Err(fault) if fault.own == Some(true) => {}
        Err(fault) => return Err(fault),
    }
    match instance {
        Some(instance) => Ok(instance),
        None => programs.start(order).await,
    }
}
