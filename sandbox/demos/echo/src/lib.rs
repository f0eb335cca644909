//! Answers every request with its own content. The smallest agent, and what benchmarks talk to.

use caxton_sdk::{Agent, Context, Error, Message, Outgoing, Performative};

/// Keeps nothing.
#[derive(Debug, Default)]
pub struct Echo;

impl Agent for Echo {
    fn handle(&mut self, mut message: Message, _ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
        if !matches!(
            message.performative,
            Performative::Request | Performative::Query
        ) {
            return Ok(message.not_understood("echo answers request and query"));
        }
        let content = std::mem::take(&mut message.content);
        Ok(vec![
            message
                .reply(Performative::Inform, content)
                .content_type(&message.content_type),
        ])
    }
}

caxton_sdk::agent!(Echo);
