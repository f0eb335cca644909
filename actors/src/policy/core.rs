//! Which policy set is in force. Pure.

use caxton_capabilities::{PolicySet, Rule};

/// The core. A set is replaced as a whole, and its epoch only grows.
#[derive(Debug)]
pub(super) struct Core {
    current: PolicySet,
}

impl Core {
    pub(super) const fn new(current: PolicySet) -> Self {
        Self { current }
    }

    pub(super) fn current(&self) -> PolicySet {
        self.current.clone()
    }

    /// Takes new rules under the next epoch, so that no cached decision outlives them.
    pub(super) fn replace(&mut self, rules: Vec<Rule>) -> PolicySet {
        self.current = PolicySet::new(self.current.epoch.saturating_add(1), rules);
        self.current()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_replacement_has_an_epoch_of_its_own() {
        let mut core = Core::new(PolicySet::owner_only("admin".parse().unwrap()));
        let before = core.current().epoch;
        assert_eq!(core.replace(vec![]).epoch, before + 1);
        assert_eq!(core.replace(vec![Rule::SameTenant]).epoch, before + 2);
    }
}
