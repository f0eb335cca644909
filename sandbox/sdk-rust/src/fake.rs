//! A stand-in for a node, so that an agent is tested with plain `cargo test`.
//!
//! It keeps keys in memory and collects what was sent; a reaction that fails is undone, as a node does it. It checks
//! some of a node's default limits, but no rights: every agent may do everything here. With the feature `authority`
//! it keeps what an agent does with its authority, and a test says what of that is denied.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

#[cfg(feature = "authority")]
use crate::Narrowing;
use crate::{Agent, Context, Delivery, Error, Host, Level, Message, Outgoing, Performative, react};

#[cfg(feature = "authority")]
mod authority;
#[cfg(feature = "authority")]
pub use authority::Deed;

/// Longest key, by a node's default.
const KEY_BYTES_MAX: usize = 256;
/// Largest value, by a node's default.
const VALUE_BYTES_MAX: usize = 64 << 10;
/// Messages of one reaction, by a node's default.
const MESSAGES_MAX: usize = 100;

/// One agent's node: its keys, its neighbours and its log.
#[derive(Debug, Clone, Default)]
pub struct Node {
    state: Rc<RefCell<State>>,
}

#[derive(Debug, Default)]
struct State {
    keys: BTreeMap<String, Vec<u8>>,
    services: BTreeMap<String, Vec<String>>,
    sent: Vec<Outgoing>,
    log: Vec<String>,
    ids: u64,
    #[cfg(feature = "authority")]
    authority: authority::Authority,
}

impl Node {
    /// Makes `find(service)` answer with these agents.
    pub fn offer(&self, service: &str, agents: &[&str]) {
        let agents = agents.iter().map(ToString::to_string).collect();
        self.state
            .borrow_mut()
            .services
            .insert(service.to_owned(), agents);
    }

    /// Runs one reaction and gives all that it sent; undoes its writes where it failed.
    ///
    /// # Errors
    /// Those of the agent.
    pub fn deliver(
        &self,
        agent: &mut impl Agent,
        message: Message,
    ) -> Result<Vec<Outgoing>, Error> {
        let before = self.state.borrow().keys.clone();
        #[cfg(feature = "authority")]
        self.state.borrow_mut().authority.begin();
        let answer = react(agent, message, &mut Context::with(self.clone()));
        #[cfg(feature = "authority")]
        let answer = answer.and_then(|more| {
            for message in &more {
                self.asked(Deed::Send(message.receiver.clone()))?;
            }
            Ok(more)
        });
        let mut state = self.state.borrow_mut();
        let mut sent = std::mem::take(&mut state.sent);
        let all = answer.and_then(|more| {
            sent.extend(more);
            let too_many =
                || Error::Quota(format!("a reaction sends {MESSAGES_MAX} messages at most"));
            if sent.len() > MESSAGES_MAX {
                Err(too_many())
            } else {
                Ok(sent)
            }
        });
        if all.is_err() {
            state.keys = before;
        }
        all
    }

    /// The keys that exist now.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.state.borrow().keys.keys().cloned().collect()
    }

    /// The lines logged so far.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.state.borrow().log.clone()
    }
}

impl Host for Node {
    fn send(&self, message: Outgoing) -> Result<String, Error> {
        #[cfg(feature = "authority")]
        self.asked(Deed::Send(message.receiver.clone()))?;
        let mut state = self.state.borrow_mut();
        state.ids += 1;
        state.sent.push(message);
        Ok(format!("msg_sent{}", state.ids))
    }
    fn find(&self, service: &str) -> Vec<String> {
        self.state
            .borrow()
            .services
            .get(service)
            .cloned()
            .unwrap_or_default()
    }
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.state.borrow().keys.get(key).cloned())
    }
    fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        if key.len() > KEY_BYTES_MAX || value.len() > VALUE_BYTES_MAX {
            return Err(Error::Quota(format!("`{key}` or its value is too large")));
        }
        self.state
            .borrow_mut()
            .keys
            .insert(key.to_owned(), value.to_vec());
        Ok(())
    }
    fn delete(&self, key: &str) -> Result<(), Error> {
        self.state.borrow_mut().keys.remove(key);
        Ok(())
    }
    fn list_keys(
        &self,
        prefix: &str,
        start_after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<String>, Error> {
        let state = self.state.borrow();
        let matching = state
            .keys
            .keys()
            .filter(|key| key.starts_with(prefix) && start_after.is_none_or(|s| key.as_str() > s));
        Ok(matching.take(limit as usize).cloned().collect())
    }
    fn secret(&self, name: &str) -> Result<Vec<u8>, Error> {
        Err(Error::NotFound(format!("no secret `{name}` here")))
    }
    fn call_tool(&self, name: &str, _arguments: &str) -> Result<String, Error> {
        Err(Error::NotFound(format!("no tool `{name}` here")))
    }
    fn log(&self, level: Level, text: &str) {
        self.state
            .borrow_mut()
            .log
            .push(format!("{level:?}: {text}"));
    }
    #[cfg(feature = "authority")]
    fn narrow(&self, limits: &Narrowing) -> Result<(), Error> {
        self.asked(Deed::Narrow(limits.clone()))
    }
    #[cfg(feature = "authority")]
    fn delegate(&self, receiver: &str, limits: &Narrowing) -> Result<(), Error> {
        self.asked(Deed::Delegate(receiver.to_owned(), limits.clone()))
    }
    #[cfg(feature = "authority")]
    fn act_for_sender(&self) -> Result<(), Error> {
        self.asked(Deed::ActForSender)
    }
}

/// A message as a node would hand it over, from `acme/tester` to `acme/agent`.
#[must_use]
pub fn message(id: &str, performative: Performative, content: impl Into<Vec<u8>>) -> Message {
    Message {
        id: id.to_owned(),
        performative,
        sender: "acme/tester".to_owned(),
        receiver: "acme/agent".to_owned(),
        conversation_id: "cnv_1".to_owned(),
        protocol: None,
        reply_with: None,
        in_reply_to: None,
        reply_by: None,
        content_type: "text/plain".to_owned(),
        content: content.into(),
        delivery: Delivery::AtMostOnce,
    }
}
