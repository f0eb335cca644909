//! Keeps a tally in durable keys: a request with a name adds one to it, a query with a prefix lists tallies.
//!
//! It shows what "its effect is applied once" means: a name that was asked for once stands at 1, however
//! often the node died in between.

use caxton_sdk::{Agent, Context, Error, Message, Outgoing, Performative};

/// Keeps nothing in memory.
#[derive(Debug, Default)]
pub struct Tally;

impl Agent for Tally {
    fn handle(&mut self, message: Message, ctx: &mut Context) -> Result<Vec<Outgoing>, Error> {
        let name = message.text().trim().to_owned();
        match message.performative {
            Performative::Request => {
                if name.is_empty() || name.len() > 100 || name.chars().any(char::is_whitespace) {
                    return Err(Error::Invalid("a tally's name has 1 to 100 characters, none blank".to_owned()));
                }
                let key = format!("tally/{name}");
                let count = read(ctx, &key)? + 1;
                ctx.kv().set(&key, count.to_string())?;
                Ok(vec![message.reply(Performative::Inform, count.to_string())])
            }
            Performative::Query => {
                let mut lines = String::new();
                for key in ctx.kv().keys(&format!("tally/{name}"))? {
                    let count = read(ctx, &key)?;
                    lines.push_str(&format!("{count} {}\n", key.trim_start_matches("tally/")));
                }
                Ok(vec![message.reply(Performative::Inform, lines)])
            }
            _ => Ok(message.not_understood("tally answers request and query")),
        }
    }
}

fn read(ctx: &Context, key: &str) -> Result<u64, Error> {
    let value = ctx.kv().get(key)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&value).parse().unwrap_or(0))
}

caxton_sdk::agent!(Tally);
