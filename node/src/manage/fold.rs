//! Hops folded into messages: what is known of a trace in one line for each. Pure.

use std::collections::HashMap;

use caxton_actors::envelope::{Hop, Step};
use caxton_api::types::{Trace, TraceSummary, TracedMessage};
use caxton_capabilities::{Address, MessageId, Principal, TraceId};

use super::convert::{count, micros, rfc3339_us};

/// Whether a message of the trace is from or to `agent`.
pub(super) fn concerns(hops: &[Hop], agent: &Address) -> bool {
    let is = |party: &Principal| party.as_agent() == Some(agent);
    hops.iter().any(|hop| match &hop.step {
        Step::Accepted {
            sender, receiver, ..
        }
        | Step::Unsent {
            sender, receiver, ..
        } => is(sender) || is(receiver),
        _ => false,
    })
}

/// One line for a trace; none where no message's beginning is remembered.
pub(super) fn summary(trace: TraceId, hops: &[Hop]) -> Option<TraceSummary> {
    let (first, last) = (hops.first()?, hops.last()?);
    let mut accepted = hops.iter().filter_map(|hop| match &hop.step {
        Step::Accepted {
            sender,
            receiver,
            performative,
            ..
        } => Some((sender, receiver, performative)),
        _ => None,
    });
    let (sender, receiver, performative) = accepted.next()?;
    Some(TraceSummary {
        trace: trace.to_string(),
        started_at: rfc3339_us(first.at_us),
        sender: sender.to_string(),
        receiver: receiver.to_string(),
        performative: performative.to_string(),
        messages: 1 + count(accepted.count()),
        took_us: last.at_us.saturating_sub(first.at_us),
    })
}

/// Folds hops, in the order they were recorded, into messages; none where there are no hops.
///
/// A message whose acceptance is forgotten is left out: nothing tells whose it was. One that was never accepted stands
/// there with why.
pub(super) fn fold(node: &str, trace: TraceId, hops: &[Hop], truncated: bool) -> Option<Trace> {
    let start = hops.first()?.at_us;
    let mut messages: Vec<TracedMessage> = Vec::new();
    let mut places: HashMap<MessageId, usize> = HashMap::new();
    for hop in hops {
        if let Some(message) = begun(node, hop, start) {
            places.entry(hop.message).or_insert(messages.len());
            messages.push(message);
        } else if let Some(message) = places
            .get(&hop.message)
            .and_then(|at| messages.get_mut(*at))
        {
            step(message, hop, start);
        }
    }
    // Hops of different actors may be recorded a moment out of order.
    messages.sort_by_key(|message| message.accepted_us);
    let end = hops.iter().map(|hop| hop.at_us).max()?;
    Some(Trace {
        trace: trace.to_string(),
        started_at: rfc3339_us(start),
        took_us: end.saturating_sub(start),
        messages,
        truncated,
    })
}

fn begun(node: &str, hop: &Hop, start: u64) -> Option<TracedMessage> {
    let (parties, performative, conversation, cause, (rule, chain), bytes, reason) = match &hop.step
    {
        Step::Accepted {
            sender,
            receiver,
            performative,
            conversation,
            cause,
            rule,
            chain,
            bytes,
            ..
        } => {
            let by = (&**rule, &**chain);
            let parties = (sender, receiver);
            (parties, performative, conversation, *cause, by, bytes, None)
        }
        Step::Unsent {
            sender,
            receiver,
            performative,
            conversation,
            cause,
            bytes,
            kind,
            reason,
        } => {
            let (parties, why) = ((sender, receiver), format!("{kind}: {reason}"));
            let by = ("", &[][..]);
            let cause = Some(*cause);
            (
                parties,
                performative,
                conversation,
                cause,
                by,
                bytes,
                Some(why),
            )
        }
        _ => return None,
    };
    let (sender, receiver) = parties;
    Some(TracedMessage {
        message: hop.message.to_string(),
        cause: cause.map(|cause| cause.to_string()),
        node: node.to_owned(),
        sender: sender.to_string(),
        receiver: receiver.to_string(),
        performative: performative.to_string(),
        conversation: conversation.to_string(),
        bytes: *bytes,
        rule: rule.to_string(),
        chain: chain.iter().map(ToString::to_string).collect(),
        accepted_us: hop.at_us.saturating_sub(start),
        waited_us: None,
        started_us: None,
        ended_us: reason.as_ref().map(|_over| hop.at_us.saturating_sub(start)),
        cpu_us: None,
        host_calls: None,
        memory_bytes: None,
        version: None,
        attempts: 0,
        state: hop.step.as_str().to_owned(),
        reason,
    })
}

fn step(message: &mut TracedMessage, hop: &Hop, start: u64) {
    let at = hop.at_us.saturating_sub(start);
    message.ended_us = Some(at);
    match &hop.step {
        Step::Accepted { .. } | Step::Unsent { .. } => return,
        Step::Started {
            waited,
            version,
            attempt,
        } => {
            message.started_us = Some(at);
            message.ended_us = None;
            message.waited_us = Some(micros(*waited));
            message.version = Some(*version);
            message.attempts = *attempt;
        }
        Step::Handled {
            cpu,
            host_calls,
            memory,
            ..
        } => {
            message.cpu_us = Some(micros(*cpu));
            message.host_calls = Some(*host_calls);
            message.memory_bytes = Some(*memory);
            message.reason = None;
        }
        Step::Answered => {}
        Step::Refused { kind, reason } | Step::Failed { kind, reason, .. } => {
            message.reason = Some(format!("{kind}: {reason}"));
        }
        Step::DeadLettered { reason } => message.reason = Some(reason.clone()),
    }
    hop.step.as_str().clone_into(&mut message.state);
}

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_actors::envelope::{Delivery, Performative};
    use caxton_capabilities::ConversationId;
    use std::time::Duration;
    use uuid::Uuid;

    const MS: Duration = Duration::from_millis(1);

    fn id(number: u128) -> MessageId {
        MessageId::from_uuid(Uuid::from_u128(number))
    }

    fn trace() -> TraceId {
        TraceId::from_u128(9).unwrap()
    }

    fn hop(message: u128, at_us: u64, step: Step) -> Hop {
        Hop {
            trace: trace(),
            message: id(message),
            at_us,
            step,
        }
    }

    fn accepted(message: u128, at_us: u64, from: &str, to: &str, cause: Option<u128>) -> Hop {
        let step = Step::Accepted {
            sender: from.parse().unwrap(),
            receiver: to.parse().unwrap(),
            performative: Performative::Request,
            conversation: ConversationId::from_uuid(Uuid::from_u128(1)),
            cause: cause.map(id),
            rule: "builtin/owner".into(),
            chain: Vec::new(),
            bytes: 3,
            delivery: Delivery::AtLeastOnce,
        };
        hop(message, at_us, step)
    }

    fn started(attempt: u32) -> Step {
        Step::Started {
            waited: 2 * MS,
            version: 4,
            attempt,
        }
    }

    fn handled() -> Step {
        Step::Handled {
            cpu: MS,
            wall: 3 * MS,
            host_calls: 5,
            memory: 64,
        }
    }

    #[test]
    fn what_was_never_accepted_stands_there_with_why() {
        let unsent = Step::Unsent {
            sender: "acme/one".parse().unwrap(),
            receiver: "other/two".parse().unwrap(),
            performative: Performative::Inform,
            conversation: ConversationId::from_uuid(Uuid::from_u128(1)),
            cause: id(1),
            bytes: 7,
            kind: "denied",
            reason: "no".to_owned(),
        };
        let hops = [
            accepted(1, 1_000, "operator:admin", "acme/one", None),
            hop(1, 2_000, started(1)),
            hop(2, 3_000, unsent),
            hop(1, 4_000, handled()),
        ];
        let folded = fold("node-1", trace(), &hops, false).unwrap();
        let [_asked, unsent] = &folded.messages[..] else {
            panic!("{folded:?}")
        };
        assert_eq!(unsent.receiver, "other/two");
        assert_eq!(unsent.cause, folded.messages[0].message.clone().into());
        assert_eq!(
            (&*unsent.state, unsent.reason.as_deref()),
            ("refused", Some("denied: no"))
        );
        assert_eq!((unsent.accepted_us, unsent.ended_us), (2_000, Some(2_000)));
        assert!(concerns(&hops, &"other/two".parse().unwrap()));
    }

    #[test]
    fn a_request_and_its_answer_fold_into_two_messages_with_offsets_from_the_start() {
        let hops = [
            accepted(1, 1_000, "operator:admin", "acme/one", None),
            hop(1, 3_000, started(1)),
            accepted(2, 5_000, "acme/one", "operator:admin", Some(1)),
            hop(2, 5_100, Step::Answered),
            hop(1, 6_000, handled()),
        ];
        let folded = fold("node-1", trace(), &hops, false).unwrap();
        assert_eq!(
            (folded.took_us, folded.messages.len(), folded.truncated),
            (5_000, 2, false)
        );
        let [asked, answer] = &folded.messages[..] else {
            panic!("{folded:?}")
        };
        assert_eq!(
            (asked.state.as_str(), asked.cause.as_deref()),
            ("handled", None)
        );
        assert_eq!(
            (asked.accepted_us, asked.started_us, asked.ended_us),
            (0, Some(2_000), Some(5_000))
        );
        assert_eq!(
            (asked.waited_us, asked.cpu_us, asked.host_calls),
            (Some(2_000), Some(1_000), Some(5))
        );
        assert_eq!(
            (asked.memory_bytes, asked.version, asked.attempts),
            (Some(64), Some(4), 1)
        );
        assert_eq!(
            (answer.state.as_str(), answer.cause.clone()),
            ("answered", Some(id(1).to_string()))
        );
        assert_eq!(
            (answer.accepted_us, answer.ended_us, answer.attempts),
            (4_000, Some(4_100), 0)
        );
    }

    #[test]
    fn a_retry_that_succeeds_keeps_no_reason_and_one_that_does_not_keeps_the_last() {
        let failed = |retry| Step::Failed {
            kind: "trap",
            reason: "unreachable".into(),
            retry,
        };
        let begun = || accepted(1, 0, "operator:admin", "acme/one", None);
        let well = [
            begun(),
            hop(1, 1, started(1)),
            hop(1, 2, failed(true)),
            hop(1, 3, started(2)),
            hop(1, 4, handled()),
        ];
        let message = &fold("node-1", trace(), &well, false).unwrap().messages[0];
        assert_eq!(
            (message.state.as_str(), message.attempts, &message.reason),
            ("handled", 2, &None)
        );
        let again = &fold("node-1", trace(), &well[..4], false).unwrap().messages[0];
        assert_eq!((again.state.as_str(), again.ended_us), ("started", None));
        assert_eq!(again.reason.as_deref(), Some("trap: unreachable"));
        let dead = Step::DeadLettered {
            reason: "given up".into(),
        };
        let badly = [
            begun(),
            hop(1, 1, started(1)),
            hop(1, 2, failed(false)),
            hop(1, 3, dead),
        ];
        let message = &fold("node-1", trace(), &badly, false).unwrap().messages[0];
        assert_eq!(
            (message.state.as_str(), message.reason.as_deref()),
            ("dead-lettered", Some("given up"))
        );
    }

    #[test]
    fn what_lost_its_beginning_is_left_out_and_the_trace_says_so() {
        let hops = [
            hop(1, 10, handled()),
            accepted(2, 20, "acme/one", "acme/two", Some(1)),
        ];
        let folded = fold("node-1", trace(), &hops, true).unwrap();
        assert!(folded.truncated);
        assert_eq!(folded.messages.len(), 1);
        assert_eq!(folded.messages[0].accepted_us, 10);
        assert!(fold("node-1", trace(), &[], false).is_none());
        assert!(summary(trace(), &hops[..1]).is_none());
    }

    #[test]
    fn a_trace_concerns_who_sends_and_who_receives() {
        let hops = [
            accepted(1, 10, "operator:admin", "acme/one", None),
            accepted(2, 20, "acme/one", "acme/two", Some(1)),
        ];
        assert!(concerns(&hops, &"acme/two".parse().unwrap()));
        assert!(!concerns(&hops, &"other/two".parse().unwrap()));
        assert_eq!(summary(trace(), &hops).unwrap().messages, 2);
    }
}
