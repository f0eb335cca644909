//! The word counter as an agent in Rust: joins in contract-net, counts the words of what it is awarded.
//!
//! Offers the service `word-count`. The counting itself is in the crate `word-count`.

use caxton_sdk::{Agent, Context, Error, Message, Outgoing, Performative};

/// Keeps nothing: each job is done in the reaction that awards it.
#[derive(Debug, Default)]
pub struct Counter;

/// The number of jobs awarded and not done: none, see [`Counter`].
const PROPOSAL: &str = r#"{"cost":0}"#;

impl Agent for Counter {
    fn handle(&mut self, message: Message, _ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
        Ok(match message.performative {
            Performative::Cfp => vec![
                message
                    .reply(Performative::Propose, PROPOSAL)
                    .content_type("application/json"),
            ],
            Performative::AcceptProposal | Performative::Request => {
                vec![message.reply(Performative::Inform, word_count::count(&message.content))]
            }
            Performative::RejectProposal => vec![],
            _ => message.not_understood(
                "a word counter takes request, cfp, accept-proposal and reject-proposal",
            ),
        })
    }
}

caxton_sdk::agent!(Counter);

#[cfg(test)]
mod tests {
    use caxton_sdk::fake;

    use super::*;

    fn react(message: Message) -> Vec<Outgoing> {
        fake::Node::default()
            .deliver(&mut Counter, message)
            .unwrap()
    }

    #[test]
    fn call_for_proposals_is_answered_with_a_cost() {
        let answer = react(fake::message("m1", Performative::Cfp, "{}"));
        assert_eq!(answer[0].performative, Performative::Propose);
        assert_eq!(answer[0].content, br#"{"cost":0}"#);
        assert_eq!(answer[0].in_reply_to.as_deref(), Some("m1"));
    }

    #[test]
    fn award_and_request_are_answered_with_counts() {
        for act in [Performative::AcceptProposal, Performative::Request] {
            let answer = react(fake::message("m1", act, "b a B"));
            assert_eq!(answer[0].performative, Performative::Inform);
            assert_eq!(answer[0].content, b"      1 a\n      2 b\n");
        }
    }

    #[test]
    fn rejection_is_taken_in_silence() {
        assert!(react(fake::message("m1", Performative::RejectProposal, "")).is_empty());
    }

    #[test]
    fn other_speech_acts_are_not_understood_but_complaints_are_not_complained_about() {
        let answer = react(fake::message("m1", Performative::Subscribe, ""));
        assert_eq!(answer[0].performative, Performative::NotUnderstood);
        assert!(react(fake::message("m2", Performative::NotUnderstood, "")).is_empty());
    }

    #[test]
    fn health_probe_is_answered_by_the_sdk() {
        let mut probe = fake::message("m1", Performative::Query, "");
        probe.content_type = caxton_sdk::HEALTH_CONTENT_TYPE.to_owned();
        let answer = react(probe.clone());
        assert_eq!(
            (answer[0].performative, answer[0].content_type.as_str()),
            (Performative::Inform, caxton_sdk::HEALTH_CONTENT_TYPE)
        );
        probe.performative = Performative::Inform;
        assert!(react(probe).is_empty(), "an answer is not answered");
    }
}
