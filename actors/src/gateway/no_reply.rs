//! The runtime's word to an agent whose question was not answered by its `reply-by`.

use std::sync::Arc;

use caxton_capabilities::Principal;

use super::{
    core::route,
    handle::{Gateway, answer_content, span_of},
    routes::AgentPort,
};
use crate::{
    conversation::Overdue,
    envelope::{Delivery, Envelope, Performative, TraceParent},
};

impl Gateway {
    /// The `failure` that stands in for an answer which did not come. It is handed over by the agent's
    /// own actor, so it needs no place in a mailbox. `None` where the policy keeps the node from it.
    pub(crate) fn no_reply(&self, port: &AgentPort, overdue: &Overdue) -> Option<Arc<Envelope>> {
        let reason = "no answer came by the reply-by";
        let (sender, receiver) = (Principal::Node, Principal::Agent(port.address.clone()));
        let (permit, _) = {
            let parts = self.parts();
            let (trust, once) = (parts.trust.borrow(), Delivery::AtLeastOnce);
            route(&trust, self.routes(), self.now(), &sender, &receiver, once).ok()?
        };
        let envelope = Arc::new(Envelope {
            id: self.parts().ids.message(),
            performative: Performative::Failure,
            sender,
            receiver,
            conversation: overdue.conversation,
            protocol: Some(overdue.protocol),
            reply_with: None,
            in_reply_to: Some(Arc::clone(&overdue.label)),
            reply_by: None,
            content_type: "application/json".into(),
            content: answer_content("no-reply", reason, &overdue.peer)
                .into_bytes()
                .into(),
            delivery: Delivery::AtMostOnce,
            trace: TraceParent {
                trace: overdue.awaited.trace,
                span: span_of(overdue.awaited.message),
            },
        });
        self.record_accepted(&envelope, &permit, Some(overdue.awaited.message));
        Some(envelope)
    }
}
