//! Which policies are in force, and who is who. Pure.

use caxton_capabilities::Trust;

/// The core. What is in force is replaced as a whole, and its epoch only grows.
#[derive(Debug)]
pub(super) struct Core {
    current: Trust,
}

impl Core {
    pub(super) const fn new(current: Trust) -> Self {
        Self { current }
    }

    /// Takes what is newer, so that nothing that was taken back returns with a state that came late.
    pub(super) fn replace(&mut self, trust: Trust) -> Option<Trust> {
        if trust.epoch() < self.current.epoch() {
            return None;
        }
        self.current = trust;
        Some(self.current.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust_of_epoch;

    #[test]
    fn an_older_state_does_not_come_back() {
        let mut core = Core::new(trust_of_epoch(5));
        assert!(core.replace(trust_of_epoch(4)).is_none());
        assert_eq!(core.replace(trust_of_epoch(6)).unwrap().epoch(), 6);
    }
}
