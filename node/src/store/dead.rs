//! How dead letters are asked for, and what a replay answers. The work is in `group` and `read`.

use std::sync::Arc;

use caxton_actors::{envelope::Envelope, ports::Acceptance};
use caxton_capabilities::{MessageId, Name, TenantId};

use caxton_actors::ports::DeadLetter;

/// Which dead letters are meant. What is `None` does not matter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeadLetterFilter {
    /// The tenant of the receiver.
    pub tenant: Option<TenantId>,
    /// The receiver's name inside its tenant.
    pub agent: Option<Name>,
    /// The stable word.
    pub kind: Option<String>,
}

impl DeadLetterFilter {
    /// Whether `letter` is meant.
    #[must_use]
    pub fn admits(&self, letter: &DeadLetter) -> bool {
        let receiver = letter.envelope.receiver.as_agent();
        let tenant = self
            .tenant
            .as_ref()
            .is_none_or(|wanted| receiver.is_some_and(|of| of.tenant == *wanted));
        let agent = self
            .agent
            .as_ref()
            .is_none_or(|wanted| receiver.is_some_and(|of| of.agent == *wanted));
        tenant
            && agent
            && self
                .kind
                .as_ref()
                .is_none_or(|wanted| letter.kind == *wanted)
    }
}

/// A place in the list of dead letters, which runs from the newest to the oldest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeadLetterCursor {
    /// Since when the letter is dead: milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Its message.
    pub message: MessageId,
}

impl DeadLetterCursor {
    /// The place of `letter`.
    #[must_use]
    pub fn of(letter: &DeadLetter) -> Self {
        Self {
            at_ms: letter.at_ms,
            message: letter.envelope.id,
        }
    }
}

/// A dead letter that waits again.
#[derive(Clone, PartialEq, Debug)]
pub struct Replayed {
    /// Its new place in the order of acceptance.
    pub acceptance: Acceptance,
    /// The message. It is durable now, whatever it was before.
    pub envelope: Arc<Envelope>,
}
