//! The agent `{{name}}`: answers a request with what it heard, and counts how often it was asked.

use caxton_sdk::{Agent, Context, Error, Message, Outgoing, Performative};

/// Memory may be recycled between two messages, so nothing is kept here; see `Context::kv`.
#[derive(Default)]
struct Program;

impl Agent for Program {
    fn handle(&mut self, message: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
        if message.performative != Performative::Request {
            return Ok(message.not_understood("{{name}} takes requests"));
        }
        let asked = ctx
            .kv()
            .get("asked")?
            .and_then(|n| String::from_utf8(n).ok()?.parse().ok())
            .unwrap_or(0_u64)
            + 1;
        ctx.kv().set("asked", asked.to_string())?;
        ctx.info(&format!("request {asked} from {}", message.sender));
        Ok(vec![message.reply(
            Performative::Inform,
            format!("{{name}} heard: {}", message.text()),
        )])
    }
}

caxton_sdk::agent!(Program);

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_sdk::fake;

    #[test]
    fn request_is_answered_and_counted() {
        let node = fake::Node::default();
        let answer = node
            .deliver(
                &mut Program,
                fake::message("m1", Performative::Request, "hello"),
            )
            .unwrap();
        assert_eq!(answer[0].content, b"{{name}} heard: hello");
        assert_eq!(node.keys(), ["asked"]);
    }
}
