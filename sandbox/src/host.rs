//! All that a program may ask of a node. What is not here does not exist for it: no file, no socket, no
//! clock, no environment, no random numbers.
//!
//! The sandbox has counted the call and checked its sizes before it comes here. It has *not* checked a
//! right: that is the implementer's part, on every call.

use crate::bindings::{AgentError, Level, Narrowing, Outgoing};

/// One agent's view of its node.
///
/// Calls come from the thread that runs the program, while it runs. An implementer MUST answer within
/// microseconds and MUST NOT block on locks that a reaction can hold; it MUST check the agent's right on
/// each call and answer [`AgentError::Denied`] with the missing right's name.
pub trait Host: Send + Sync + 'static {
    /// Takes one line of the agent's log. Rate and length are already within the limits, and control
    /// characters are gone.
    fn log(&self, level: Level, text: String);

    /// Says whether `message` may be sent and gives it its id. It is not sent yet: that is done with the
    /// [`crate::Reaction`], and not at all when the reaction fails.
    ///
    /// # Errors
    /// Why it may not; the program is told.
    fn admit(&self, message: &Outgoing) -> Result<String, AgentError>;

    /// Has what is admitted from here on in the running reaction carry less authority.
    ///
    /// # Errors
    /// Denied where it would be more; a host that does not offer it denies all.
    fn narrow(&self, _limits: &Narrowing) -> Result<(), AgentError> {
        Err(not_offered())
    }

    /// Has what is admitted for `receiver` from here on hand on a part of the agent's authority.
    ///
    /// # Errors
    /// As [`Host::narrow`].
    fn delegate(&self, _receiver: &str, _limits: &Narrowing) -> Result<(), AgentError> {
        Err(not_offered())
    }

    /// Has what is admitted from here on carry what the sender of the message being handled handed on.
    ///
    /// # Errors
    /// Denied where it handed on nothing; a host that does not offer it denies all.
    fn act_for_sender(&self) -> Result<(), AgentError> {
        Err(not_offered())
    }

    /// Names of running agents of the same tenant that offer `service`.
    fn find(&self, service: &str) -> Vec<String>;

    /// The committed value of `key`. What the running reaction wrote is kept by the sandbox.
    ///
    /// # Errors
    /// Denied, or the store cannot answer.
    fn kv_get(&self, key: &str) -> Result<Option<Vec<u8>>, AgentError>;

    /// Committed keys that start with `prefix`, in byte order, after `after`, at most `limit`. Fewer than
    /// `limit` means that there are no more.
    ///
    /// # Errors
    /// Denied, or the store cannot answer.
    fn kv_keys(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<String>, AgentError>;

    /// A secret's value.
    ///
    /// # Errors
    /// Denied or not found.
    fn secret(&self, name: &str) -> Result<Vec<u8>, AgentError>;

    /// Calls a tool with a JSON argument; the answer is JSON.
    ///
    /// # Errors
    /// Denied, not found, or the tool failed.
    fn tool(&self, name: &str, arguments: &str) -> Result<String, AgentError>;
}

fn not_offered() -> AgentError {
    AgentError::Denied("no authority is handed on here".to_owned())
}
