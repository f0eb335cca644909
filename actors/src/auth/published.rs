//! The trust in force, as everybody finds it: each message looks several times, so it is read without a lock.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use caxton_capabilities::Trust;
use tokio::sync::watch;

/// Nobody publishes any more: the node stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nobody publishes trust any more")]
pub struct Ended;

/// Where `auth` publishes trust.
#[derive(Clone, Debug)]
pub struct TrustPublisher {
    latest: Arc<ArcSwap<Trust>>,
    changes: watch::Sender<()>,
}

impl TrustPublisher {
    /// Publishes `first`.
    #[must_use]
    pub fn new(first: Trust) -> Self {
        Self {
            latest: Arc::new(ArcSwap::from_pointee(first)),
            changes: watch::Sender::new(()),
        }
    }

    /// Puts `next` in force: whoever looks from now on finds it, and whoever waits is woken.
    pub fn publish(&self, next: Trust) {
        self.latest.store(Arc::new(next));
        self.changes.send_replace(());
    }

    /// What is published, for a reader.
    #[must_use]
    pub fn subscribe(&self) -> PublishedTrust {
        PublishedTrust {
            latest: Arc::clone(&self.latest),
            changes: self.changes.subscribe(),
        }
    }
}

/// The latest trust that was published. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PublishedTrust {
    latest: Arc<ArcSwap<Trust>>,
    changes: watch::Receiver<()>,
}

impl PublishedTrust {
    /// The trust in force, for a look: not to be held over a wait.
    #[must_use]
    pub fn now(&self) -> Guard<Arc<Trust>> {
        self.latest.load()
    }

    /// The trust in force, to keep.
    #[must_use]
    pub fn latest(&self) -> Arc<Trust> {
        self.latest.load_full()
    }

    /// Takes what is in force for seen: [`PublishedTrust::changed`] waits for what comes after.
    pub fn mark_seen(&mut self) {
        self.changes.mark_unchanged();
    }

    /// Returns when another was published since it was last seen.
    ///
    /// # Errors
    /// Nobody publishes any more.
    ///
    /// # Cancel safety
    /// It only waits.
    pub async fn changed(&mut self) -> Result<(), Ended> {
        self.changes.changed().await.map_err(|_ended| Ended)
    }

    /// Returns when one is in force of which `holds` is true.
    ///
    /// # Errors
    /// Nobody publishes any more.
    ///
    /// # Cancel safety
    /// It only waits.
    pub async fn wait_for(&mut self, holds: impl Fn(&Trust) -> bool) -> Result<(), Ended> {
        loop {
            // First: what is published while we look ends the wait below.
            self.mark_seen();
            if holds(&self.now()) {
                return Ok(());
            }
            self.changed().await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust_of_epoch;

    #[tokio::test]
    async fn who_waits_is_woken_by_what_is_published_and_finds_it() {
        let publisher = TrustPublisher::new(trust_of_epoch(1));
        let mut published = publisher.subscribe();
        assert_eq!(published.now().epoch(), 1);
        let mut waiting = published.clone();
        let waits = async { waiting.wait_for(|trust| trust.epoch() == 3).await };
        let publishes = async {
            for epoch in 2..=3 {
                publisher.publish(trust_of_epoch(epoch));
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(tokio::join!(waits, publishes).0, Ok(()));
        assert_eq!(published.latest().epoch(), 3);
        assert_eq!(published.changed().await, Ok(()));
        published.mark_seen();
        drop(publisher);
        assert_eq!(published.changed().await, Err(Ended));
    }

    #[tokio::test]
    async fn what_holds_already_is_not_waited_for() {
        let publisher = TrustPublisher::new(trust_of_epoch(7));
        let mut published = publisher.subscribe();
        drop(publisher);
        assert_eq!(published.wait_for(|trust| trust.epoch() == 7).await, Ok(()));
        assert_eq!(published.wait_for(|_| false).await, Err(Ended));
    }
}
