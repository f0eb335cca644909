//! The shell: publishes what the core holds.

use caxton_capabilities::{PolicySet, Rule};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::watch;

use super::core::Core;
use crate::supervision::Admitted;

/// What the policy actor is told.
#[derive(Debug)]
pub enum PolicyMessage {
    /// Replace all rules.
    Replace(Vec<Rule>),
}

/// The actor. It starts from what was last published, so a restart changes nothing.
#[derive(Debug)]
pub struct PolicyActor;

impl Actor for PolicyActor {
    type Msg = Admitted<PolicyMessage>;
    type State = (PolicyCore, watch::Sender<PolicySet>);
    type Arguments = watch::Sender<PolicySet>;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        published: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let current = published.borrow().clone();
        Ok((PolicyCore(Core::new(current)), published))
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        (core, published): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (PolicyMessage::Replace(rules), _place) = message.into_parts();
        let set = core.0.replace(rules);
        tracing::info!(epoch = set.epoch, "policies replaced");
        published.send_replace(set);
        Ok(())
    }
}

/// The core, as the actor's state shows it.
#[derive(Debug)]
pub struct PolicyCore(Core);
