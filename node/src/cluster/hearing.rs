//! What this node has heard of the CA: one place where something newer takes the place of what is held.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tokio::sync::watch;

use super::{
    home,
    state::{Held, StateError},
};
use crate::identity::IdentityError;

/// What was heard is not taken. What is held stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HearError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    File(#[from] IdentityError),
}

/// On a node that is not the CA.
#[derive(Debug)]
pub(crate) struct Hearing {
    held: watch::Sender<Arc<Held>>,
    data: PathBuf,
    /// Members hand it over from several sides at once.
    turn: Mutex<()>,
}

impl Hearing {
    pub(crate) fn new(held: Held, data: PathBuf) -> Self {
        Self {
            held: watch::Sender::new(Arc::new(held)),
            data,
            turn: Mutex::new(()),
        }
    }

    /// What is held, as it changes.
    pub(crate) fn held(&self) -> watch::Receiver<Arc<Held>> {
        self.held.subscribe()
    }

    /// Looks at what a member hands over, and takes it where it is newer and the CA's.
    pub(crate) fn hear(&self, bytes: &[u8], now: SystemTime) -> Result<(), HearError> {
        let held = Arc::clone(&self.held.borrow());
        match held.next(bytes, now)? {
            Some(newer) => Ok(self.take(newer)?),
            None => Ok(()),
        }
    }

    /// Keeps what was checked, on the disk first. An older one changes nothing.
    pub(crate) fn take(&self, newer: Held) -> Result<(), IdentityError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if newer.rank > self.held.borrow().rank {
            home::write_state(&self.data, &newer)?;
            self.held.send_replace(Arc::new(newer));
        }
        Ok(())
    }
}
