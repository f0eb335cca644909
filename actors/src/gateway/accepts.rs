//! The terms of a receiver: from whom it takes what, as its deployer said. Checked after policies, which may permit more.

use caxton_capabilities::{Allowed, Pattern, Permit, Principal, Resource};

use crate::{envelope::Performative, ports::Accepts};

/// What a sender hears whose message nobody signed.
pub(super) const UNSIGNED: &str =
    "the receiver takes of operators only what they signed: caxton message send --sign";
/// Patterns of senders that one agent may have.
pub const SENDERS_MAX: usize = 64;

/// The same as [`Accepts`], parsed.
#[derive(Debug)]
pub(super) struct Terms {
    /// SECURITY: a pattern that does not parse covers nobody; it does not become nothing said.
    senders: Option<Vec<Pattern>>,
    performatives: Vec<Performative>,
    rate: Option<(u32, u32)>,
    signed: bool,
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
            signed: accepts.signed,
        }
    }

    /// Whether it takes such a message, and as whose: its sender's, or that of an agent on whose behalf it is sent. That agent
    /// could pass on the message itself.
    pub(super) fn takes<'a>(
        &self,
        permit: &'a Permit,
        performative: Performative,
    ) -> Result<&'a Principal, &'static str> {
        let behalf = permit.allowed().into_iter().flat_map(Allowed::behalf);
        self.takes_of(permit.principal(), behalf, performative)
    }

    /// The runtime's own word always comes through: without it an agent would wait for ever.
    fn takes_of<'a>(
        &self,
        sender: &'a Principal,
        behalf: impl Iterator<Item = &'a Principal>,
        performative: Performative,
    ) -> Result<&'a Principal, &'static str> {
        if *sender == Principal::Node {
            return Ok(sender);
        }
        let is_known = |from: &&Principal| {
            let patterns = self.senders.as_ref();
            let from = Resource::of(from);
            patterns.is_none_or(|all| all.iter().any(|one| one.covers(&from)))
        };
        let known = std::iter::once(sender).chain(behalf).find(is_known);
        let from = known.ok_or("the receiver takes nothing from this sender")?;
        if !self.performatives.is_empty() && !self.performatives.contains(&performative) {
            return Err("the receiver does not take this performative");
        }
        Ok(from)
    }

    /// Whether it takes of `sender` what nobody signed.
    pub(super) const fn takes_unsigned(&self, sender: &Principal) -> bool {
        !self.signed || !matches!(sender, Principal::Operator(_))
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
        if self.signed {
            parts.push("signed by operators".to_owned());
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
            signed: false,
        })
    }

    fn check(terms: &Terms, sender: &str, act: Performative, expected: bool) {
        let sender = sender.parse().unwrap();
        let taken = terms.takes_of(&sender, std::iter::empty(), act);
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
        let node = terms.takes_of(&Principal::Node, std::iter::empty(), Performative::Failure);
        assert!(node.is_ok());
    }

    #[test]
    fn who_acts_for_a_named_sender_is_taken_as_that_one() {
        let terms = terms(&["acme/one"], &[]);
        let [one, seven]: [Principal; 2] =
            ["acme/one", "acme/seven"].map(|text| text.parse().unwrap());
        let taken = |behalf: &[&'static str]| {
            let behalf: Vec<Principal> = behalf.iter().map(|text| text.parse().unwrap()).collect();
            let taken = terms.takes_of(&seven, behalf.iter(), Performative::Request);
            taken.cloned()
        };
        assert_eq!(taken(&["acme/one", "acme/six"]), Ok(one));
        assert!(taken(&["acme/six"]).is_err());
        assert!(taken(&[]).is_err());
    }

    #[test]
    fn a_pattern_that_is_none_lets_nobody_in() {
        let terms = terms(&["not a pattern"], &[]);
        check(&terms, "acme/one", Performative::Inform, false);
    }

    #[test]
    fn who_asks_for_signatures_takes_nothing_unsigned_of_operators() {
        let terms = Terms::of(&Accepts {
            signed: true,
            ..Accepts::default()
        });
        let takes = |sender: &str| terms.takes_unsigned(&sender.parse().unwrap());
        assert!(!takes("operator:ann"));
        assert!(takes("acme/one") && takes("node"));
    }

    #[test]
    fn named_speech_acts_alone_come_through() {
        let terms = terms(&[], &[Performative::Request, Performative::Cancel]);
        check(&terms, "acme/one", Performative::Request, true);
        check(&terms, "acme/one", Performative::Inform, false);
    }
}
