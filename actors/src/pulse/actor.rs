//! The shell: beats, and publishes.

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::{sync::watch, time::Instant};

use super::core::{BEAT, Core, Health};
use crate::{
    supervision::{Admitted, BoundedRef},
    ticker::Ticker,
};

/// What the pulse actor is told.
#[derive(Debug)]
pub enum PulseMessage {
    /// A beat.
    Beat,
}

/// What it is made from.
#[derive(Clone, Debug)]
pub struct PulseArguments {
    /// Where health is published.
    pub health: watch::Sender<Health>,
    /// Its own mailbox.
    pub mailbox: BoundedRef<PulseMessage>,
}

/// The actor.
#[derive(Debug)]
pub struct PulseActor;

/// What it holds.
#[derive(Debug)]
pub struct PulseState {
    core: Core,
    health: watch::Sender<Health>,
    _ticker: Ticker,
}

impl Actor for PulseActor {
    type Msg = Admitted<PulseMessage>;
    type State = PulseState;
    type Arguments = PulseArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        PulseArguments { health, mailbox }: PulseArguments,
    ) -> Result<PulseState, ActorProcessingErr> {
        let core = Core::new(Instant::now(), health.borrow().clone());
        let ticker = Ticker::start(&mailbox, BEAT, || PulseMessage::Beat);
        Ok(PulseState {
            core,
            health,
            _ticker: ticker,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut PulseState,
    ) -> Result<(), ActorProcessingErr> {
        let (PulseMessage::Beat, _place) = message.into_parts();
        state.health.send_replace(state.core.beat(Instant::now()));
        Ok(())
    }
}
