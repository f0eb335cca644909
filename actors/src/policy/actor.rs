//! The shell: publishes what the core holds.

use caxton_capabilities::Trust;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::core::Core;
use crate::{auth::TrustPublisher, supervision::Admitted};

/// What the policy actor is told.
#[derive(Debug)]
pub enum PolicyMessage {
    /// Put this in the place of all policies and of all that is known of everybody.
    Replace(Trust),
}

/// The actor. It starts from what was last published, so a restart changes nothing.
#[derive(Debug)]
pub struct PolicyActor;

impl Actor for PolicyActor {
    type Msg = Admitted<PolicyMessage>;
    type State = (PolicyCore, TrustPublisher);
    type Arguments = TrustPublisher;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        published: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let current = Trust::clone(&published.subscribe().now());
        Ok((PolicyCore(Core::new(current)), published))
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        (core, published): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (PolicyMessage::Replace(trust), _place) = message.into_parts();
        let epoch = trust.epoch();
        match core.0.replace(trust) {
            Some(trust) => {
                tracing::info!(epoch, "policies and standing replaced");
                published.publish(trust);
            }
            None => tracing::debug!(epoch, "an older state of policies came late"),
        }
        Ok(())
    }
}

/// The core, as the actor's state shows it.
#[derive(Debug)]
pub struct PolicyCore(Core);
