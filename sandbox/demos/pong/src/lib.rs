//! Answers `request` with `inform`: the far end of `ping`. Offers the service `pong`.

use caxton_sdk::{Agent, Context, Error, Message, Outgoing, Performative};

/// Keeps nothing.
#[derive(Debug, Default)]
pub struct Pong;

impl Agent for Pong {
    fn handle(&mut self, mut message: Message, _ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
        if message.performative != Performative::Request {
            return Ok(message.not_understood("pong answers request"));
        }
        let content = std::mem::take(&mut message.content);
        Ok(vec![
            message
                .reply(Performative::Inform, content)
                .content_type(&message.content_type),
        ])
    }
}

caxton_sdk::agent!(Pong);
