//! Less of one's authority, a part of it for another, or another's in place of one's own.
//!
//! An agent has a token that says to whom it may send. What it sends carries all of it, unless the program says less
//! with [`Context::narrow`](crate::Context::narrow). With [`Context::delegate`](crate::Context::delegate) a message
//! hands on a part to its receiver, which uses it by [`Context::act_for_sender`](crate::Context::act_for_sender). All
//! three count for what is sent after them, returned messages too, and end with the reaction. None gives more.
//!
//! ```
//! use caxton_sdk::fake::{self, Deed};
//! use caxton_sdk::{Agent, Context, Error, Message, Narrowing, Outgoing, Performative};
//! use std::time::Duration;
//!
//! /// What it takes to print this.
//! fn to_print() -> Narrowing {
//!     Narrowing::new()
//!         .send_to("acme/printer")
//!         .expires_in(Duration::from_secs(60))
//!         .conversation_only()
//! }
//!
//! /// Has a helper see to printing.
//! #[derive(Default)]
//! struct Clerk;
//!
//! impl Agent for Clerk {
//!     fn handle(&mut self, message: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
//!         ctx.delegate("helper", &to_print())?;
//!         Ok(vec![Outgoing::new(Performative::Request, "helper", message.content)])
//!     }
//! }
//!
//! /// Prints for whoever asks, with what that one handed on and nothing of its own.
//! #[derive(Default)]
//! struct Helper;
//!
//! impl Agent for Helper {
//!     fn handle(&mut self, message: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
//!         ctx.act_for_sender()?;
//!         Ok(vec![Outgoing::new(Performative::Request, "printer", message.content)])
//!     }
//! }
//!
//! let node = fake::Node::default();
//! node.deliver(&mut Clerk, fake::message("m1", Performative::Request, "a page"))?;
//! let helper = || "helper".to_owned();
//! assert_eq!(node.deeds(), [Deed::Delegate(helper(), to_print()), Deed::Send(helper())]);
//!
//! let node = fake::Node::default();
//! let page = || fake::message("m2", Performative::Request, "a page");
//! assert!(matches!(node.deliver(&mut Helper, page()), Err(Error::Denied(_))));
//! node.hand_on();
//! assert_eq!(node.deliver(&mut Helper, page())?[0].receiver, "printer");
//! # Ok::<(), Error>(())
//! ```

use std::time::Duration;

use crate::Performative;

pub use crate::bindings::caxton::agent::authority::Narrowing;

impl Narrowing {
    /// No less. Handed on as it is, this is **all** that the agent has.
    #[must_use]
    pub fn new() -> Self {
        Self {
            rights: None,
            expires_in_ms: None,
            performatives: None,
            max_message_bytes: None,
            conversation_only: false,
        }
    }

    /// Leaves the right to send to this agent (`acme/printer`) or to those of a tenant (`acme/*`), and others that are
    /// named so.
    #[must_use]
    pub fn send_to(self, receiver: &str) -> Self {
        self.right(&format!("send {receiver}"))
    }

    /// Leaves this right, as a deployer writes it (`send acme/printer`), and others that are named so; 32 at most.
    #[must_use]
    pub fn right(mut self, right: &str) -> Self {
        self.rights.get_or_insert_default().push(right.to_owned());
        self
    }

    /// Ends so long from now, rounded up to a whole second by the node.
    #[must_use]
    pub fn expires_in(mut self, wait: Duration) -> Self {
        // Up, because nothing may end at once: less than a millisecond is one.
        let ms = wait.as_nanos().div_ceil(1_000_000);
        self.expires_in_ms = Some(u64::try_from(ms).unwrap_or(u64::MAX));
        self
    }

    /// Leaves messages of this performative, and of others that are named so.
    #[must_use]
    pub fn performative(mut self, performative: Performative) -> Self {
        self.performatives
            .get_or_insert_default()
            .push(performative);
        self
    }

    /// Leaves messages with so much content.
    #[must_use]
    pub fn max_message_bytes(mut self, bytes: u64) -> Self {
        self.max_message_bytes = Some(bytes);
        self
    }

    /// Leaves messages of the conversation that is handled.
    #[must_use]
    pub fn conversation_only(mut self) -> Self {
        self.conversation_only = true;
        self
    }
}

impl Default for Narrowing {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_stays_as_it_is() {
        assert_eq!(Narrowing::default(), Narrowing::new());
        let said = Narrowing::new().max_message_bytes(7);
        let expected = Narrowing {
            max_message_bytes: Some(7),
            ..Narrowing::new()
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn rights_and_performatives_add_up() {
        let said = Narrowing::new()
            .send_to("acme/printer")
            .right("send acme/log")
            .performative(Performative::Request)
            .performative(Performative::Cancel);
        let rights = ["send acme/printer", "send acme/log"].map(str::to_owned);
        assert_eq!(said.rights.as_deref(), Some(rights.as_slice()));
        let performatives = [Performative::Request, Performative::Cancel];
        assert_eq!(
            said.performatives.as_deref(),
            Some(performatives.as_slice())
        );
    }

    #[test]
    fn a_wait_is_whole_milliseconds_and_never_none() {
        let ms = |wait| Narrowing::new().expires_in(wait).expires_in_ms;
        assert_eq!(ms(Duration::from_nanos(1)), Some(1));
        assert_eq!(ms(Duration::from_micros(1_001)), Some(2));
        assert_eq!(ms(Duration::from_secs(60)), Some(60_000));
        assert_eq!(ms(Duration::MAX), Some(u64::MAX));
        // The node says that this is no end.
        assert_eq!(ms(Duration::ZERO), Some(0));
    }
}
