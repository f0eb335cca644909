//! Which trust decisions are made from. Pure.

use caxton_capabilities::Trust;

#[derive(Debug)]
pub(super) struct Core {
    trust: Trust,
}

impl Core {
    pub(super) const fn new(trust: Trust) -> Self {
        Self { trust }
    }

    /// Folds in what `policy` published; an older one changes nothing.
    pub(super) fn fold(&mut self, trust: Trust) -> Option<Trust> {
        if trust.epoch() < self.trust.epoch() {
            return None;
        }
        self.trust = trust;
        Some(self.trust())
    }

    pub(super) fn trust(&self) -> Trust {
        self.trust.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::trust_of_epoch;

    #[test]
    fn an_older_trust_does_not_come_back() {
        let mut core = Core::new(trust_of_epoch(5));
        assert!(core.fold(trust_of_epoch(4)).is_none());
        assert_eq!(core.fold(trust_of_epoch(6)).unwrap().epoch(), 6);
    }
}
