//! The terms of a receiver: from whom it takes what, as its deployer said. Checked after policies, which may permit more.

use caxton_capabilities::{Pattern, Principal, Resource};

use crate::{envelope::Performative, ports::Accepts};

/// Patterns of senders that one agent may have.
pub const SENDERS_MAX: usize = 64;

/// The same as [`Accepts`], parsed.
#[derive(Debug)]
pub(super) struct Terms {
    /// SECURITY: a pattern that does not parse covers nobody; it does not become nothing said.
    senders: Option<Vec<Pattern>>,
    performatives: Vec<Performative>,
    rate: Option<(u32, u32)>,
}

impl Terms {
    pub(super) fn of(accepts: &Accepts) -> Self {
        let parsed = || {
            let patterns = accepts.senders.iter();
            patterns.filter_map(|text| text.parse().ok()).collect()
        };
        Self {
            senders: (!accepts.senders.is_empty()).then(parsed),
            performatives: accepts.performatives.clone(),
            rate: accepts.rate,
        }
    }

    /// Whether it takes such a message of `sender`.
    ///
    /// The runtime's own word always comes through: without it an agent would wait for ever.
    pub(super) fn takes(
        &self,
        sender: &Principal,
        performative: Performative,
    ) -> Result<(), &'static str> {
        if *sender == Principal::Node {
            return Ok(());
        }
        let from = Resource::of(sender);
        let is_known = |patterns: &Vec<Pattern>| patterns.iter().any(|one| one.covers(&from));
        if !self.senders.as_ref().is_none_or(is_known) {
            return Err("the receiver takes nothing from this sender");
        }
        if !self.performatives.is_empty() && !self.performatives.contains(&performative) {
            return Err("the receiver does not take this performative");
        }
        Ok(())
    }

    /// How many messages of one sender in how many seconds.
    pub(super) const fn rate(&self) -> Option<(u32, u32)> {
        self.rate
    }
}

impl Accepts {
    /// The terms in words; none where nothing is said.
    #[must_use]
    pub fn told(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.senders.is_empty() {
            parts.push(format!("from {}", self.senders.join(", ")));
        }
        if !self.performatives.is_empty() {
            let words: Vec<&str> = self.performatives.iter().map(|act| act.as_str()).collect();
            parts.push(words.join(", "));
        }
        if let Some((count, seconds)) = self.rate {
            parts.push(format!("{count}/{seconds} of each"));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(senders: &[&str], performatives: &[Performative]) -> Terms {
        Terms::of(&Accepts {
            senders: senders.iter().map(|text| (*text).to_owned()).collect(),
            performatives: performatives.to_vec(),
            rate: None,
        })
    }

    fn check(terms: &Terms, sender: &str, act: Performative, expected: bool) {
        let taken = terms.takes(&sender.parse().unwrap(), act);
        assert_eq!(taken.is_ok(), expected, "{sender} {act}");
    }

    #[test]
    fn what_is_not_said_is_not_asked() {
        let terms = terms(&[], &[]);
        check(&terms, "other/one", Performative::Inform, true);
        check(&terms, "operator:ann", Performative::Cancel, true);
    }

    #[test]
    fn named_senders_alone_come_through_and_the_runtime_always() {
        let terms = terms(&["acme/*", "operator:ann"], &[]);
        check(&terms, "acme/one", Performative::Inform, true);
        check(&terms, "operator:ann", Performative::Inform, true);
        check(&terms, "other/one", Performative::Inform, false);
        check(&terms, "operator:eve", Performative::Inform, false);
        assert!(terms.takes(&Principal::Node, Performative::Failure).is_ok());
    }

    #[test]
    fn a_pattern_that_is_none_lets_nobody_in() {
        let terms = terms(&["not a pattern"], &[]);
        check(&terms, "acme/one", Performative::Inform, false);
    }

    #[test]
    fn named_speech_acts_alone_come_through() {
        let terms = terms(&[], &[Performative::Request, Performative::Cancel]);
        check(&terms, "acme/one", Performative::Request, true);
        check(&terms, "acme/one", Performative::Inform, false);
    }
}
