//! The shell: looks at the certificate now and then, and has it replaced.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use ractor::{Actor, ActorProcessingErr, ActorRef};

use super::core::{Rotation, rotation};
use crate::{
    ports::Clock,
    supervision::{Admitted, BoundedRef},
    ticker::Ticker,
};

/// How often the certificate is looked at.
const CHECK_EVERY: Duration = Duration::from_secs(60);

/// The node's certificate, as its actor sees it.
pub trait Certificates: Send + Sync + 'static {
    /// When the certificate in use ends.
    fn not_after(&self) -> SystemTime;
    /// How long before that it is to be replaced.
    fn renew_before(&self) -> Duration;
    /// Issues another and uses it for new connections; those that are open go on.
    ///
    /// # Errors
    /// Why not; the one in use stays.
    fn renew(&self) -> Result<(), String>;
}

/// What the ca actor is told.
#[derive(Debug)]
pub(crate) enum CaMessage {
    /// Look at the certificate.
    Check,
}

/// What it is made from.
#[derive(Clone)]
pub(crate) struct CaArguments {
    /// The node's certificate.
    pub(crate) certificates: Arc<dyn Certificates>,
    /// The wall clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// Its own mailbox.
    pub(crate) mailbox: BoundedRef<CaMessage>,
}

impl fmt::Debug for CaArguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CaArguments")
    }
}

/// The actor.
#[derive(Debug)]
pub(crate) struct CaActor;

impl Actor for CaActor {
    type Msg = Admitted<CaMessage>;
    type State = (CaArguments, Ticker);
    type Arguments = CaArguments;

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        arguments: CaArguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let ticker = Ticker::start(&arguments.mailbox, CHECK_EVERY, || CaMessage::Check);
        Ok((arguments, ticker))
    }

    async fn handle(
        &self,
        _myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        (ca, _ticker): &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let (CaMessage::Check, _place) = message.into_parts();
        let certificates = &ca.certificates;
        let due = rotation(
            ca.clock.now(),
            certificates.not_after(),
            certificates.renew_before(),
        );
        if due == Rotation::Renew {
            certificates.renew()?;
            tracing::info!("the node's certificate was renewed");
        }
        Ok(())
    }
}
