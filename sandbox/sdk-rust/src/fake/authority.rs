//! What an agent does with its authority, before a stand-in for a node: kept in its order, for the test to look at.
//!
//! The stand-in knows no rights. It holds an agent to what the contract says of the calls themselves, and a test says
//! with [`Node::decide`] what more is denied.

use std::fmt;
use std::rc::Rc;

use super::Node;
use crate::{Error, Narrowing};

/// Calls of one reaction, as a node counts them.
const CALLS_MAX: usize = 16;
/// Rights of one narrowing, as the contract says.
const RIGHTS_MAX: usize = 32;

/// What an agent asked for, in the order in which it did: what is sent carries what was asked for before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// [`crate::Context::narrow`].
    Narrow(Narrowing),
    /// [`crate::Context::delegate`] to this receiver.
    Delegate(String, Narrowing),
    /// [`crate::Context::act_for_sender`].
    ActForSender,
    /// A message to this receiver, by [`crate::Context::send`] or returned.
    Send(String),
}

#[derive(Debug, Default)]
pub(super) struct Authority {
    deeds: Vec<Deed>,
    rule: Option<Rule>,
    /// Something is handed on with the next message.
    is_handed_on: bool,
    reacting: Reacting,
}

/// One reaction.
#[derive(Debug, Default)]
struct Reacting {
    calls: usize,
    is_handed_on: bool,
    is_narrowed: bool,
    is_for_sender: bool,
}

type Decide = dyn Fn(&Deed) -> Result<(), Error>;

#[derive(Clone)]
struct Rule(Rc<Decide>);

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rule(..)")
    }
}

impl Node {
    /// What the last reaction asked for, also what was denied and what a failure undid.
    #[must_use]
    pub fn deeds(&self) -> Vec<Deed> {
        self.state.borrow().authority.deeds.clone()
    }

    /// Has the sender of the next message that is delivered hand on a part of its authority with it. Without this the
    /// agent cannot act for it.
    pub fn hand_on(&self) {
        self.state.borrow_mut().authority.is_handed_on = true;
    }

    /// Has `rule` allow or refuse each deed from here on, instead of a rule given before.
    ///
    /// ```
    /// use caxton_sdk::{Error, fake::{Deed, Node}};
    ///
    /// let node = Node::default();
    /// node.decide(|deed| match deed {
    ///     Deed::Delegate(to, _) => Err(Error::Denied(format!("nothing is handed on to {to}"))),
    ///     _ => Ok(()),
    /// });
    /// ```
    pub fn decide(&self, rule: impl Fn(&Deed) -> Result<(), Error> + 'static) {
        self.state.borrow_mut().authority.rule = Some(Rule(Rc::new(rule)));
    }

    /// Keeps what is asked for and answers it. The rule is asked while nothing is borrowed, so it may look at the node.
    pub(super) fn asked(&self, deed: Deed) -> Result<(), Error> {
        let rule = {
            let authority = &mut self.state.borrow_mut().authority;
            authority.deeds.push(deed.clone());
            authority.reacting.check(&deed)?;
            authority.rule.clone()
        };
        rule.map_or(Ok(()), |rule| (rule.0)(&deed))?;
        let reacting = &mut self.state.borrow_mut().authority.reacting;
        match deed {
            Deed::Narrow(_) => reacting.is_narrowed = true,
            Deed::ActForSender => reacting.is_for_sender = true,
            Deed::Delegate(..) | Deed::Send(_) => {}
        }
        Ok(())
    }
}

impl Authority {
    /// A reaction begins with all of the agent's own authority.
    pub(super) fn begin(&mut self) {
        self.deeds.clear();
        self.reacting = Reacting {
            is_handed_on: std::mem::take(&mut self.is_handed_on),
            ..Reacting::default()
        };
    }
}

impl Reacting {
    /// What the contract says whatever rights there are, in a node's order.
    fn check(&mut self, deed: &Deed) -> Result<(), Error> {
        if let Deed::Send(_) = deed {
            return Ok(());
        }
        self.calls += 1;
        if self.calls > CALLS_MAX {
            let text = format!("a reaction chooses its authority {CALLS_MAX} times at most");
            return Err(Error::Quota(text));
        }
        match deed {
            Deed::Narrow(limits) | Deed::Delegate(_, limits) => well_formed(limits),
            Deed::ActForSender if self.is_for_sender => Ok(()),
            Deed::ActForSender if self.is_narrowed => denied("what was narrowed stays so"),
            Deed::ActForSender if !self.is_handed_on => {
                denied("the sender of this message handed on nothing")
            }
            Deed::ActForSender | Deed::Send(_) => Ok(()),
        }
    }
}

fn well_formed(limits: &Narrowing) -> Result<(), Error> {
    let is_count_wrong = |rights: &Vec<String>| !(1..=RIGHTS_MAX).contains(&rights.len());
    let invalid = |text: String| Err(Error::Invalid(text));
    if limits.rights.as_ref().is_some_and(is_count_wrong) {
        return invalid(format!("rights: 1 to {RIGHTS_MAX} are named"));
    }
    if limits.performatives.as_ref().is_some_and(Vec::is_empty) {
        return invalid("performatives: none is named".to_owned());
    }
    if limits.expires_in_ms == Some(0) {
        return invalid("expires-in-ms: 1 at least".to_owned());
    }
    Ok(())
}

fn denied(why: &str) -> Result<(), Error> {
    Err(Error::Denied(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::fake::message;
    use crate::{Agent, Context, Message, Outgoing, Performative};

    /// An agent that does what a test says.
    struct Doing<F>(F);

    impl<F: FnMut(&Context) -> Result<Vec<Outgoing>, Error>> Agent for Doing<F> {
        fn handle(&mut self, _: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
            (self.0)(ctx)
        }
    }

    fn react(
        node: &Node,
        does: impl FnMut(&Context) -> Result<Vec<Outgoing>, Error>,
    ) -> Result<Vec<Outgoing>, Error> {
        node.deliver(&mut Doing(does), message("m", Performative::Request, ""))
    }

    fn to(receiver: &str) -> Outgoing {
        Outgoing::new(Performative::Inform, receiver, "")
    }

    fn less() -> Narrowing {
        Narrowing::new().send_to("acme/tool")
    }

    #[test]
    fn what_was_asked_is_kept_in_its_order_with_what_was_sent() {
        let node = Node::default();
        let does = |ctx: &Context| {
            ctx.send(to("acme/before"))?;
            ctx.delegate("helper", &less())?;
            ctx.narrow(&less().conversation_only())?;
            Ok(vec![to("helper")])
        };
        let sent = react(&node, does).unwrap();
        assert_eq!(sent.len(), 2);
        let expected = [
            Deed::Send("acme/before".to_owned()),
            Deed::Delegate("helper".to_owned(), less()),
            Deed::Narrow(less().conversation_only()),
            Deed::Send("helper".to_owned()),
        ];
        assert_eq!(node.deeds(), expected);
        // The next reaction begins anew.
        react(&node, |_| Ok(vec![])).unwrap();
        assert!(node.deeds().is_empty());
    }

    #[test]
    fn an_agent_acts_for_who_handed_something_on_and_while_it_handles_that_message() {
        let node = Node::default();
        let acts = |ctx: &Context| ctx.act_for_sender().map(|()| vec![]);
        let nothing = |answer| matches!(answer, Err(Error::Denied(text)) if text.contains("handed on nothing"));
        assert!(nothing(react(&node, acts)));
        node.hand_on();
        react(&node, acts).unwrap();
        assert!(nothing(react(&node, acts)), "the message after has none");
        assert_eq!(node.deeds(), [Deed::ActForSender], "kept although denied");
    }

    #[test]
    fn what_was_narrowed_is_not_exchanged_for_what_the_sender_handed_on() {
        let node = Node::default();
        node.hand_on();
        let first_less = |ctx: &Context| {
            ctx.narrow(&less())?;
            ctx.act_for_sender().map(|()| vec![])
        };
        let answer = react(&node, first_less);
        assert!(matches!(answer, Err(Error::Denied(text)) if text.contains("stays so")));
        node.hand_on();
        let first_for_sender = |ctx: &Context| {
            ctx.act_for_sender()?;
            ctx.narrow(&less())?;
            ctx.act_for_sender().map(|()| vec![])
        };
        react(&node, first_for_sender).unwrap();
    }

    #[test]
    fn a_rule_of_the_test_denies_and_the_agent_goes_on() {
        let node = Node::default();
        node.decide(|deed| match deed {
            Deed::Delegate(to, _) | Deed::Send(to) if to == "acme/stranger" => {
                denied("not to strangers")
            }
            Deed::Narrow(_) => Err(Error::Failed("no".to_owned())),
            _ => Ok(()),
        });
        let does = |ctx: &Context| {
            let refused = ctx.delegate("acme/stranger", &less());
            assert!(matches!(refused, Err(Error::Denied(text)) if text == "not to strangers"));
            assert!(matches!(
                ctx.send(to("acme/stranger")),
                Err(Error::Denied(_))
            ));
            assert!(matches!(ctx.narrow(&less()), Err(Error::Failed(_))));
            ctx.delegate("acme/friend", &less())?;
            Ok(vec![to("acme/friend")])
        };
        assert_eq!(react(&node, does).unwrap(), [to("acme/friend")]);
        // One that is returned fails the reaction.
        let returned = react(&node, |_| Ok(vec![to("acme/stranger")]));
        assert!(matches!(returned, Err(Error::Denied(_))));
    }

    #[test]
    fn the_seventeenth_call_and_what_is_no_narrowing_are_refused_as_a_node_does() {
        let node = Node::default();
        let does = |ctx: &Context| {
            for _ in 0..CALLS_MAX {
                ctx.delegate("helper", &less())?;
            }
            ctx.narrow(&less()).map(|()| vec![])
        };
        assert!(matches!(react(&node, does), Err(Error::Quota(_))));
        let many = (0..=RIGHTS_MAX).fold(less(), |limits, _| limits.send_to("acme/more"));
        for wrong in [
            many,
            Narrowing::new().expires_in(Duration::ZERO),
            Narrowing {
                rights: Some(vec![]),
                ..Narrowing::new()
            },
            Narrowing {
                performatives: Some(vec![]),
                ..Narrowing::new()
            },
        ] {
            let answer = react(&node, |ctx| ctx.narrow(&wrong).map(|()| vec![]));
            assert!(matches!(answer, Err(Error::Invalid(_))), "{wrong:?}");
        }
    }
}
