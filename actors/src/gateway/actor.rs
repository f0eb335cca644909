//! The gateway's own actor: what must happen without a sender.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::handle::Gateway;
use crate::{
    agent::AgentMessage,
    supervision::{Admitted, BoundedRef},
    ticker::Ticker,
};

/// How often agents that fell behind are nudged.
const NUDGE_EVERY: Duration = Duration::from_millis(250);

/// What the gateway's actor is told.
#[derive(Debug)]
pub(crate) enum GatewayMessage {
    /// Look after agents that fell behind.
    Tick,
}

/// The actor. Its state is the shared handle, so a restart loses nothing.
#[derive(Debug)]
pub(crate) struct GatewayActor;

impl Actor for GatewayActor {
    type Msg = Admitted<GatewayMessage>;
    type State = (Gateway, Ticker);
    type Arguments = (Gateway, BoundedRef<GatewayMessage>);

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (gateway, mailbox): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let ticker = Ticker::start(&mailbox, NUDGE_EVERY, || GatewayMessage::Tick);
        Ok((gateway, ticker))
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        (gateway, _ticker): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (GatewayMessage::Tick, _place) = message.into_parts();
        for port in gateway.routes().all() {
            if port.behind.load(Ordering::Acquire) && port.is_up() {
                // A full mailbox is no loss: the agent looks at the mark before each message.
                let _full = port.mailbox.try_send_control(AgentMessage::CatchUp);
            }
        }
        Ok(())
    }
}
