//! What the running reaction of an agent sends with: its own token, less of it, or what the message it handles handed on.
//!
//! It lies beside the instance, which handles one message at a time, and is forgotten with each. What a right is, and
//! that nothing becomes more, is not decided here.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use caxton_actors::{envelope::Envelope, gateway::Gateway, ports::Authorship};
use caxton_capabilities::{
    Address, Caveats, ConversationId, Grant, MessageId, Moment, Narrowing, Performatives,
    Principal, Refusal, Rights, Verified,
};
use caxton_sandbox::{self as sandbox, AgentError};

use crate::{environment::Environment, wiring::performative_of};

/// Calls of one reaction: each is up to two signatures and as many keys made anew, on the processor time of the program.
const CALLS_MAX: u32 = 16;

/// Chooses what an agent sends with.
pub(crate) struct Acting {
    agent: Address,
    gateway: Gateway,
    environment: Arc<Environment>,
    reacting: Mutex<Reacting>,
}

impl fmt::Debug for Acting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acting")
            .field("agent", &self.agent)
            .finish_non_exhaustive()
    }
}

/// One reaction.
#[derive(Default)]
struct Reacting {
    /// The message that is handled.
    handled: Option<Arc<Envelope>>,
    /// What is sent with from here on; none: the whole of the agent's own token.
    chosen: Option<Chosen>,
    is_narrowed: bool,
    is_for_sender: bool,
    /// What goes with a message to these.
    parts: BTreeMap<Address, Arc<[u8]>>,
    /// What was chosen for messages that were admitted.
    admitted: HashMap<MessageId, Authorship>,
    calls: u32,
}

struct Chosen {
    /// As the runtime holds it.
    held: Verified,
    /// As it is sent with.
    sealed: Verified,
}

impl Acting {
    pub(crate) fn new(agent: Address, gateway: Gateway, environment: Arc<Environment>) -> Self {
        Self {
            agent,
            gateway,
            environment,
            reacting: Mutex::default(),
        }
    }

    /// A reaction begins, with all of the agent's own token; none ends the last.
    pub(crate) fn begin(&self, handled: Option<Arc<Envelope>>) {
        *self.locked() = Reacting {
            handled,
            ..Reacting::default()
        };
    }

    /// The conversation that is handled.
    pub(crate) fn conversation(&self) -> Option<ConversationId> {
        self.locked().conversation()
    }

    /// With what a message to `receiver` is sent now.
    pub(crate) fn authorship(&self, receiver: &Principal) -> Authorship {
        let reacting = self.locked();
        let part = receiver.as_agent().and_then(|to| reacting.parts.get(to));
        Authorship {
            token: (reacting.chosen.as_ref()).map(|chosen| chosen.sealed.clone()),
            handed_on: part.cloned(),
        }
    }

    /// Keeps what a message is sent with until [`Acting::take`].
    pub(crate) fn admitted(&self, id: MessageId, authorship: Authorship) {
        if authorship != Authorship::default() {
            self.locked().admitted.insert(id, authorship);
        }
    }

    /// With what a message was admitted.
    pub(crate) fn take(&self, id: MessageId) -> Authorship {
        self.locked().admitted.remove(&id).unwrap_or_default()
    }

    pub(crate) fn narrow(&self, limits: &sandbox::Narrowing) -> Result<(), AgentError> {
        let mut reacting = self.called()?;
        let less = less(limits, &reacting, self.environment.now())?;
        let held = self.held(&reacting)?;
        let held = self.gateway.narrow(&self.agent, &held, less);
        reacting.chosen = Some(self.chosen(held.map_err(denied)?)?);
        reacting.is_narrowed = true;
        Ok(())
    }

    pub(crate) fn delegate(
        &self,
        receiver: &str,
        limits: &sandbox::Narrowing,
    ) -> Result<(), AgentError> {
        let mut reacting = self.called()?;
        let to = Principal::parse_in(&self.agent.tenant, receiver)
            .map_err(|error| AgentError::Invalid(format!("receiver: {error}")))?;
        let to = to.as_agent().ok_or_else(|| {
            AgentError::Invalid("receiver: only an agent acts for another".to_owned())
        })?;
        if to.tenant != self.agent.tenant {
            let text = "a token is for one tenant: no other's agent acts with it";
            return Err(AgentError::Denied(text.to_owned()));
        }
        let less = less(limits, &reacting, self.environment.now())?;
        let held = self.held(&reacting)?;
        let part = self.gateway.hand_on(&self.agent, &held, (to, less));
        reacting.parts.insert(to.clone(), part.map_err(denied)?);
        Ok(())
    }

    pub(crate) fn act_for_sender(&self) -> Result<(), AgentError> {
        let mut reacting = self.called()?;
        if reacting.is_for_sender {
            return Ok(());
        }
        // SECURITY: what was narrowed is not exchanged for something else that may be more.
        if reacting.is_narrowed {
            let text = "what was narrowed stays so: act for the sender first";
            return Err(AgentError::Denied(text.to_owned()));
        }
        let handled = reacting.handled.as_ref();
        let part = handled.and_then(|envelope| envelope.handed_on.clone());
        let part = part.ok_or_else(|| {
            AgentError::Denied("the sender of this message handed on nothing".to_owned())
        })?;
        let held = self.gateway.handed_on(&part).map_err(denied)?;
        reacting.chosen = Some(self.chosen(held)?);
        reacting.is_for_sender = true;
        Ok(())
    }

    fn chosen(&self, held: Verified) -> Result<Chosen, AgentError> {
        let sealed = self.gateway.seal(&self.agent, &held).map_err(denied)?;
        Ok(Chosen { held, sealed })
    }

    fn held(&self, reacting: &Reacting) -> Result<Verified, AgentError> {
        match &reacting.chosen {
            Some(chosen) => Ok(chosen.held.clone()),
            None => self.gateway.own(&self.agent).map_err(denied),
        }
    }

    /// Counts a call.
    fn called(&self) -> Result<MutexGuard<'_, Reacting>, AgentError> {
        let mut reacting = self.locked();
        reacting.calls = reacting.calls.saturating_add(1);
        match reacting.calls <= CALLS_MAX {
            true => Ok(reacting),
            false => Err(AgentError::Quota(format!(
                "a reaction chooses its authority {CALLS_MAX} times at most"
            ))),
        }
    }

    fn locked(&self) -> MutexGuard<'_, Reacting> {
        self.reacting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reacting {
    fn conversation(&self) -> Option<ConversationId> {
        self.handled.as_ref().map(|envelope| envelope.conversation)
    }
}

/// Parses what a program wants less of.
fn less(
    limits: &sandbox::Narrowing,
    reacting: &Reacting,
    now: SystemTime,
) -> Result<Narrowing, AgentError> {
    let rights = limits.rights.as_deref().map(rights).transpose()?;
    let expires = limits.expires_in_ms.map(|ms| moment(now, ms)).transpose()?;
    let acts = limits.performatives.as_deref();
    let conversation = reacting.conversation().filter(|_| limits.conversation_only);
    Ok(Narrowing {
        rights,
        caveats: Caveats {
            expires,
            performatives: acts.map(performatives).transpose()?,
            bytes_max: limits.max_message_bytes,
            conversation,
            ..Caveats::default()
        },
    })
}

fn rights(texts: &[String]) -> Result<Rights, AgentError> {
    let grants = texts.iter().map(|text| text.parse::<Grant>());
    let grants: Vec<Grant> = grants
        .collect::<Result<_, _>>()
        .map_err(|error| invalid("rights", &error))?;
    Rights::try_new(grants).map_err(|error| invalid("rights", &error))
}

fn moment(now: SystemTime, ms: u64) -> Result<Moment, AgentError> {
    let end = now.checked_add(Duration::from_millis(ms));
    let rounded_up = end.and_then(|end| end.checked_add(Duration::from_nanos(999_999_999)));
    let end = rounded_up.filter(|_| ms > 0).and_then(Moment::of);
    end.ok_or_else(|| invalid("expires-in-ms", &"1 at least, before the year 9999"))
}

fn performatives(acts: &[sandbox::Performative]) -> Result<Performatives, AgentError> {
    let words = acts
        .iter()
        .map(|act| performative_of(*act).as_str().parse());
    let all = words.collect::<Result<Vec<_>, _>>();
    all.and_then(Performatives::try_new)
        .map_err(|error| invalid("performatives", &error))
}

fn invalid(what: &str, why: &dyn fmt::Display) -> AgentError {
    AgentError::Invalid(format!("{what}: {why}"))
}

fn denied(refusal: Refusal) -> AgentError {
    AgentError::Denied(refusal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> sandbox::Narrowing {
        sandbox::Narrowing {
            rights: None,
            expires_in_ms: None,
            performatives: None,
            max_message_bytes: None,
            conversation_only: false,
        }
    }

    fn at(ms: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
    }

    fn parsed(limits: &sandbox::Narrowing) -> Result<Narrowing, AgentError> {
        less(limits, &Reacting::default(), at(1_000_000_000_500))
    }

    #[test]
    fn what_is_left_out_asks_nothing() {
        assert_eq!(parsed(&none()), Ok(Narrowing::default()));
    }

    #[test]
    fn an_end_is_rounded_up_to_a_second_that_there_is() {
        let end = |ms| {
            let limits = sandbox::Narrowing {
                expires_in_ms: Some(ms),
                ..none()
            };
            let expires = parsed(&limits)?.caveats.expires;
            Ok::<_, AgentError>(expires.map(Moment::seconds))
        };
        assert_eq!(end(1), Ok(Some(1_000_000_001)));
        assert_eq!(end(500), Ok(Some(1_000_000_001)));
        assert_eq!(end(501), Ok(Some(1_000_000_002)));
        for ms in [0, u64::MAX] {
            assert!(matches!(end(ms), Err(AgentError::Invalid(_))), "{ms}");
        }
    }

    #[test]
    fn what_is_no_narrowing_is_told_by_its_field() {
        let check = |limits: sandbox::Narrowing, field: &str| match parsed(&limits) {
            Err(AgentError::Invalid(text)) => assert!(text.starts_with(field), "{text}"),
            other => panic!("{other:?}"),
        };
        for texts in [vec![], vec!["send"], vec!["fly acme/*"]] {
            let rights = Some(texts.into_iter().map(str::to_owned).collect());
            check(sandbox::Narrowing { rights, ..none() }, "rights: ");
        }
        check(
            sandbox::Narrowing {
                performatives: Some(Vec::new()),
                ..none()
            },
            "performatives: ",
        );
    }
}
