//! Passes a request on to `pong` and the answer back to who asked.
//!
//! Who asked is kept in kv under the mark that pong's answer carries, so that a recycled instance or a restarted node
//! still knows. Pong is asked in a conversation of its own: two pairs of speakers are two conversations.

use caxton_sdk::{Agent, Context, Error, Message, Outgoing, Performative};

/// Keeps nothing in memory.
#[derive(Debug, Default)]
pub struct Ping;

impl Agent for Ping {
    fn handle(&mut self, message: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
        use Performative as P;
        match message.performative {
            P::Request => ask_pong(&message, ctx),
            P::Inform | P::Refuse | P::Failure | P::NotUnderstood => pass_back(message, ctx),
            _ => Ok(message.not_understood("ping answers request")),
        }
    }
}

fn ask_pong(message: &Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
    let found = ctx.find("pong");
    let Some(pong) = found
        .iter()
        .find(|name| name.ends_with("/pong"))
        .or(found.first())
    else {
        let alone = message.reply(Performative::Inform, message.content.clone());
        return Ok(vec![alone.content_type(&message.content_type)]);
    };
    let mark = format!("ping.{}", message.id);
    ctx.kv().set(&asked_key(&mark), encode(message))?;
    let question = Outgoing::new(Performative::Request, pong, message.content.clone());
    Ok(vec![
        question
            .content_type(&message.content_type)
            .reply_with(&mark)
            .conversation(&message.sub_conversation(&mark)),
    ])
}

/// A second answer to the same question finds no key and is dropped.
fn pass_back(answer: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
    let Some(mark) = &answer.in_reply_to else {
        return Ok(answer.not_understood("an answer without `in-reply-to`"));
    };
    let key = asked_key(mark);
    let Some(asked) = ctx.kv().get(&key)? else {
        return Ok(vec![]);
    };
    ctx.kv().delete(&key)?;
    let asked = String::from_utf8_lossy(&asked);
    let mut lines = asked.splitn(4, '\n');
    let (Some(sender), Some(conversation), Some(protocol), Some(token)) =
        (lines.next(), lines.next(), lines.next(), lines.next())
    else {
        return Err(Error::Failed(format!("`{key}` is damaged")));
    };
    let act = if answer.performative == Performative::Inform {
        Performative::Inform
    } else {
        Performative::Failure
    };
    let mut back = Outgoing::new(act, sender, answer.content).content_type(&answer.content_type);
    back.protocol = Some(protocol)
        .filter(|protocol| !protocol.is_empty())
        .map(str::to_owned);
    Ok(vec![back.conversation(conversation).in_reply_to(token)])
}

fn asked_key(mark: &str) -> String {
    format!("asked/{mark}")
}

/// One line each: who asked, where, under which protocol, and last what the answer is to carry, whatever it holds.
fn encode(message: &Message) -> String {
    let protocol = message.protocol.as_deref().unwrap_or_default();
    [
        &message.sender,
        &message.conversation_id,
        protocol,
        message.reply_token(),
    ]
    .join("\n")
}

caxton_sdk::agent!(Ping);

#[cfg(test)]
mod tests {
    use caxton_sdk::fake;

    use super::*;

    fn node() -> fake::Node {
        let node = fake::Node::default();
        node.offer("pong", &["acme/pong"]);
        node
    }

    fn answer(mark: &str, act: Performative) -> Message {
        Message {
            sender: "acme/pong".into(),
            in_reply_to: Some(mark.into()),
            ..fake::message("m2", act, "hi")
        }
    }

    #[test]
    fn answer_reaches_who_asked_even_after_a_restart() {
        let node = node();
        let request = Message {
            reply_with: Some("q7".into()),
            ..fake::message("m1", Performative::Request, "hi")
        };
        let asked = node.deliver(&mut Ping, request).unwrap();
        assert_eq!(
            (asked[0].receiver.as_str(), asked[0].performative),
            ("acme/pong", Performative::Request)
        );

        let mark = asked[0].reply_with.clone().unwrap();
        let back = node
            .deliver(&mut Ping, answer(&mark, Performative::Inform))
            .unwrap();
        assert_eq!(
            (back[0].receiver.as_str(), back[0].performative),
            ("acme/tester", Performative::Inform)
        );
        assert_eq!(
            (
                back[0].in_reply_to.as_deref(),
                back[0].conversation_id.as_deref()
            ),
            (Some("q7"), Some("cnv_1"))
        );
        assert_eq!(back[0].content, b"hi");
        assert!(node.keys().is_empty());
        assert!(
            node.deliver(&mut Ping, answer(&mark, Performative::Inform))
                .unwrap()
                .is_empty(),
            "a second answer is late"
        );
    }

    #[test]
    fn refusal_of_pong_is_a_failure_for_who_asked() {
        let node = node();
        let asked = node
            .deliver(&mut Ping, fake::message("m1", Performative::Request, "hi"))
            .unwrap();
        let mark = asked[0].reply_with.clone().unwrap();
        let back = node
            .deliver(&mut Ping, answer(&mark, Performative::Refuse))
            .unwrap();
        assert_eq!(back[0].performative, Performative::Failure);
    }

    #[test]
    fn without_pong_ping_answers_itself() {
        let back = fake::Node::default()
            .deliver(&mut Ping, fake::message("m1", Performative::Request, "hi"))
            .unwrap();
        assert_eq!(
            (back[0].receiver.as_str(), back[0].performative),
            ("acme/tester", Performative::Inform)
        );
    }
}
