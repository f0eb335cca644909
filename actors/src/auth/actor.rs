//! The shell: follows the policies that `policy` publishes, and publishes trust.

use caxton_capabilities::Trust;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::task::JoinHandle;

use super::{
    core::Core,
    published::{PublishedTrust, TrustPublisher},
};
use crate::supervision::{Admitted, BoundedRef};

/// What the auth actor is told.
#[derive(Debug)]
pub enum AuthMessage {
    /// Policies or standing changed.
    Published(Trust),
}

/// What it is made from.
#[derive(Clone, Debug)]
pub struct AuthArguments {
    /// What `policy` publishes.
    pub policies: PublishedTrust,
    /// Where trust is published.
    pub trust: TrustPublisher,
    /// Its own mailbox.
    pub mailbox: BoundedRef<AuthMessage>,
}

/// The actor.
#[derive(Debug)]
pub struct AuthActor;

/// What it holds.
#[derive(Debug)]
pub struct AuthState {
    core: Core,
    trust: TrustPublisher,
    follower: JoinHandle<()>,
}

impl Drop for AuthState {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Actor for AuthActor {
    type Msg = Admitted<AuthMessage>;
    type State = AuthState;
    type Arguments = AuthArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        AuthArguments {
            mut policies,
            trust,
            mailbox,
        }: AuthArguments,
    ) -> Result<AuthState, ActorProcessingErr> {
        policies.mark_seen();
        let core = Core::new(Trust::clone(&policies.now()));
        trust.publish(core.trust());
        let follow = async move {
            while policies.changed().await.is_ok() {
                policies.mark_seen();
                let set = Trust::clone(&policies.now());
                let _gone = mailbox.admit().await.send(AuthMessage::Published(set));
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the task's owner is the state, which ends it"
        )]
        let follower = tokio::spawn(follow);
        Ok(AuthState {
            core,
            trust,
            follower,
        })
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        state: &mut AuthState,
    ) -> Result<(), ActorProcessingErr> {
        let (AuthMessage::Published(published), _place) = message.into_parts();
        if let Some(trust) = state.core.fold(published) {
            state.trust.publish(trust);
        }
        Ok(())
    }
}
