//! A Caxton agent in a few lines: implement [`Agent`], name it in [`agent!`], compile for `wasm32-unknown-unknown`.
//!
//! ```
//! use caxton_sdk::{Agent, Context, Error, Message, Outgoing, Performative};
//!
//! #[derive(Default)]
//! struct Greeter;
//!
//! impl Agent for Greeter {
//!     fn handle(&mut self, message: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
//!         ctx.info(&format!("asked by {}", message.sender));
//!         Ok(vec![message.reply(Performative::Inform, "hello")])
//!     }
//! }
//!
//! caxton_sdk::agent!(Greeter);
//! ```
//!
//! One call of [`Agent::handle`] is one reaction: what it sent and wrote takes effect together when it returns `Ok`, and
//! not at all when it returns `Err`, panics or runs out of its limits. A program's memory may be recycled between two
//! messages; what must last belongs in [`Context::kv`].
//!
//! This file holds the words (messages and the trait). What a program may ask of its node is in [`Context`]
//! (`host.rs`); [`fake`] stands in for a node in native tests. With the feature `authority` a program sends with less
//! than it may, hands on a part of it and acts for others: `authority.rs`.

#[cfg(feature = "authority")]
pub mod authority;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
mod host;

/// Code made from `wit/agent.wit`; the macro [`agent!`] needs to reach it, programs do not.
///
/// The larger world only on request: a program imports all that is behind [`Host`], whether it calls it or not.
#[doc(hidden)]
pub mod bindings {
    #[cfg(not(feature = "authority"))]
    wit_bindgen::generate!({
        path: "../wit",
        world: "agent",
        pub_export_macro: true,
        export_macro_name: "export_agent",
        default_bindings_module: "caxton_sdk::bindings",
        additional_derives: [PartialEq, Eq],
    });
    #[cfg(feature = "authority")]
    wit_bindgen::generate!({
        path: "../wit",
        world: "delegating-agent",
        pub_export_macro: true,
        export_macro_name: "export_agent",
        default_bindings_module: "caxton_sdk::bindings",
        additional_derives: [PartialEq, Eq],
    });
}

#[cfg(feature = "authority")]
pub use authority::Narrowing;
pub use bindings::caxton::agent::log::Level;
pub use bindings::caxton::agent::types::{
    AgentError as Error, Delivery, Message, Outgoing, Performative,
};
pub use host::{Context, Host, Kv};

/// Messages of this content type ask whether the program works. The SDK answers them before the agent sees them.
pub const HEALTH_CONTENT_TYPE: &str = "application/vnd.caxton.health+json";

/// A program: the reaction to one message.
pub trait Agent {
    /// Handles one message; the messages returned are sent in order.
    ///
    /// # Errors
    /// An `Err` undoes the whole reaction and is answered with `failure` (`not-understood` for [`Error::Invalid`]).
    fn handle(&mut self, message: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error>;
}

/// Makes a type that is [`Agent`] and [`Default`] the program of this module.
#[macro_export]
macro_rules! agent {
    ($agent:ty) => {
        // A native build (tests) has no node to export to, but the type is checked all the same.
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            fn is_program<A: $crate::Agent + ::std::default::Default>() {}
            is_program::<$agent>();
        };
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            ::std::thread_local! {
                static AGENT: ::std::cell::RefCell<$agent> = ::std::default::Default::default();
            }
            struct Entry;
            impl $crate::bindings::exports::caxton::agent::handler::Guest for Entry {
                fn handle_message(
                    message: $crate::Message,
                ) -> ::std::result::Result<::std::vec::Vec<$crate::Outgoing>, $crate::Error>
                {
                    AGENT.with_borrow_mut(|agent| {
                        $crate::react(agent, message, &mut $crate::Context::of_node())
                    })
                }
            }
    $crate::bindings::export_agent!(Entry with_types_in $crate::bindings);
        };
    };
}

/// One reaction: answers a health probe itself and hands everything else to the agent.
///
/// # Errors
/// Those of [`Agent::handle`].
pub fn react(
    agent: &mut impl Agent,
    message: Message,
    ctx: &mut Context,
) -> Result<Vec<Outgoing>, Error> {
    host::report_panics();
    if message.content_type == HEALTH_CONTENT_TYPE {
        // A health message that is itself an answer is not answered, or two agents would greet each other for ever.
        let answer = message
            .reply(Performative::Inform, r#"{"status":"ok"}"#)
            .content_type(HEALTH_CONTENT_TYPE);
        return Ok(if message.is_answer() {
            vec![]
        } else {
            vec![answer]
        });
    }
    agent.handle(message, ctx)
}

/// The id of a conversation that belongs to another one: the same words always give the same id, so that a repeated
/// reaction goes on with the conversation it began. FNV-1a of 128 bits: it tells apart, but proves nothing.
#[must_use]
pub fn sub_conversation(parent: &str, part: &str) -> String {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0100_0000_0000_0000_0000_013b;
    let words = parent.bytes().chain([0]).chain(part.bytes());
    let hash = words.fold(BASIS, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(PRIME)
    });
    // An id is its prefix and 128 bits as 26 digits of Crockford's base 32.
    let digit = |n: u32| {
        "0123456789abcdefghjkmnpqrstvwxyz"
            .chars()
            .nth((hash >> (n * 5)) as usize & 31)
    };
    "cnv_"
        .chars()
        .chain((0..26).rev().filter_map(digit))
        .collect()
}

impl Message {
    /// An answer to the sender in the same conversation, as `text/plain`.
    #[must_use]
    pub fn reply(&self, performative: Performative, content: impl Into<Vec<u8>>) -> Outgoing {
        let mut answer = Outgoing::new(performative, &self.sender, content);
        answer.protocol = self.protocol.clone();
        answer.in_reply_to = Some(self.reply_token().to_owned());
        answer
    }

    /// `not-understood` with the reason; nothing where the message is itself an answer or comes from the node, so that
    /// two agents never complain to each other without end.
    #[must_use]
    pub fn not_understood(&self, reason: &str) -> Vec<Outgoing> {
        let silent = self.sender == "node"
            || matches!(
                self.performative,
                Performative::NotUnderstood | Performative::Failure
            );
        if silent {
            vec![]
        } else {
            vec![self.reply(Performative::NotUnderstood, reason)]
        }
    }

    /// What an answer puts into `in-reply-to`: the sender's own mark, or the message's id.
    #[must_use]
    pub fn reply_token(&self) -> &str {
        self.reply_with.as_deref().unwrap_or(&self.id)
    }

    /// Whether this speech act closes or answers something rather than asks for it.
    #[must_use]
    pub fn is_answer(&self) -> bool {
        use Performative as P;
        matches!(
            self.performative,
            P::Inform | P::Propose | P::Agree | P::Refuse | P::Failure | P::NotUnderstood
        )
    }

    /// A conversation of one's own beside this one, see [`sub_conversation`].
    #[must_use]
    pub fn sub_conversation(&self, part: &str) -> String {
        sub_conversation(&self.conversation_id, part)
    }

    /// The content as text; bytes that are not UTF-8 become replacement characters.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.content)
    }
}

/// A `reply-by` up to this is so long from now.
const YEAR_MS: u128 = 365 * 24 * 60 * 60 * 1_000;

impl Outgoing {
    /// A `text/plain` message in the conversation being handled.
    #[must_use]
    pub fn new(performative: Performative, receiver: &str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            performative,
            receiver: receiver.to_owned(),
            conversation_id: None,
            protocol: None,
            reply_with: None,
            in_reply_to: None,
            reply_by: None,
            content_type: "text/plain".to_owned(),
            content: content.into(),
            delivery: None,
        }
    }

    /// Names the kind of content.
    #[must_use]
    pub fn content_type(mut self, content_type: &str) -> Self {
        content_type.clone_into(&mut self.content_type);
        self
    }

    /// Moves the message to another conversation.
    #[must_use]
    pub fn conversation(mut self, id: &str) -> Self {
        self.conversation_id = Some(id.to_owned());
        self
    }

    /// Declares the FIPA protocol that the conversation follows.
    #[must_use]
    pub fn protocol(mut self, protocol: &str) -> Self {
        self.protocol = Some(protocol.to_owned());
        self
    }

    /// Asks that the answer carry this mark.
    #[must_use]
    pub fn reply_with(mut self, mark: &str) -> Self {
        self.reply_with = Some(mark.to_owned());
        self
    }

    /// Says what this message answers.
    #[must_use]
    pub fn in_reply_to(mut self, mark: &str) -> Self {
        self.in_reply_to = Some(mark.to_owned());
        self
    }

    /// Says how long an answer is waited for, at most a year. Where the agent declares the conversation's protocol and
    /// no answer comes, the node says so: a `failure` whose content has the `error` `no-reply`.
    #[must_use]
    pub fn reply_within(mut self, wait: std::time::Duration) -> Self {
        // A program has no clock; the node counts a time below a year from when the message leaves.
        self.reply_by = Some(wait.as_millis().min(YEAR_MS) as u64);
        self
    }

    /// Chooses the delivery; without it the runtime delivers as the handled message was delivered.
    #[must_use]
    pub fn delivery(mut self, delivery: Delivery) -> Self {
        self.delivery = Some(delivery);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_conversation_is_an_id_and_differs_by_part_and_parent() {
        let id = sub_conversation("cnv_1", "a");
        assert_eq!((id.len(), sub_conversation("cnv_1", "a")), (30, id.clone()));
        assert!(
            id.starts_with("cnv_") && id.as_bytes()[4] <= b'7',
            "26 digits hold 130 bits: {id}"
        );
        assert!(id != sub_conversation("cnv_1", "b") && id != sub_conversation("cnv_", "1a"));
    }

    #[test]
    fn failed_reaction_leaves_nothing() {
        #[derive(Default)]
        struct Failing;
        impl Agent for Failing {
            fn handle(&mut self, _: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
                ctx.kv().set("k", "v")?;
                ctx.kv().set("k", vec![0; (64 << 10) + 1])?;
                Ok(vec![])
            }
        }
        let node = fake::Node::default();
        let answer = node.deliver(&mut Failing, fake::message("m", Performative::Request, ""));
        assert!(matches!(answer, Err(Error::Quota(_))));
        assert!(node.keys().is_empty());
    }
}
