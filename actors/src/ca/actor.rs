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

/// What came of renewing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Renewal {
    /// The next certificate is in use.
    Done,
    /// The cluster's CA is being asked for it; the one in use stays until it has answered.
    Asked,
}

/// The node's certificate, as its actor sees it.
pub trait Certificates: Send + Sync + 'static {
    /// When the certificate in use ends.
    fn not_after(&self) -> SystemTime;
    /// How often it is looked at.
    fn check_every(&self) -> Duration;
    /// How long before its end it is to be replaced.
    fn renew_before(&self) -> Duration;
    /// Issues another and uses it for new connections; those that are open go on.
    ///
    /// # Errors
    /// Why not; the one in use stays.
    fn renew(&self) -> Result<Renewal, String>;
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
        let ticker = Ticker::start(
            &arguments.mailbox,
            arguments.certificates.check_every(),
            || CaMessage::Check,
        );
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
            match certificates.renew()? {
                Renewal::Done => tracing::info!("the node's certificate was renewed"),
                Renewal::Asked => tracing::debug!("the cluster's CA is asked for a certificate"),
            }
        }
        Ok(())
    }
}
