//! A clock tick for one actor: owned by the actor's state, it ends with it.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::supervision::BoundedRef;

/// Sends a message now and then, for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Ticker(JoinHandle<()>);

impl Ticker {
    /// Sends `make()` to `mailbox` every `every`. A full mailbox skips a tick.
    pub(crate) fn start<M: Send + 'static>(
        mailbox: &BoundedRef<M>,
        every: Duration,
        make: fn() -> M,
    ) -> Self {
        let mailbox = mailbox.clone();
        let beat = async move {
            let mut interval = tokio::time::interval(every);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            loop {
                interval.tick().await;
                let _skipped = mailbox.try_send_control(make());
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the task's owner is this value, which ends it"
        )]
        Self(tokio::spawn(beat))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.0.abort();
    }
}
