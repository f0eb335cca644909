//! Senders that number their messages, and the check of what a journal has of them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use caxton_api::{codes, types::SendMessage};

use crate::operator::{Operator, durable, message, until};

/// What a sender pauses between messages: load, not a flood that turns into `busy`.
const PAUSE: Duration = Duration::from_millis(3);

/// One conversation as its sender knows it.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// The conversation.
    pub conversation: String,
    /// How many of its messages were acknowledged: 0, 1, … up to that.
    pub count: u64,
    /// Whether they were durable.
    pub durable: bool,
}

/// Sends 0, 1, 2, … to `agent` in one conversation, one after the other, until `enough`. What is
/// answered `busy` was not accepted and is sent again.
///
/// # Errors
/// The node refuses a message for another reason, or gives a broken conversation.
pub async fn send_numbers(
    operator: &Operator,
    agent: &str,
    is_durable: bool,
    enough: &AtomicBool,
) -> Result<Acknowledged> {
    let mut conversation: Option<String> = None;
    let mut count = 0_u64;
    while !enough.load(Ordering::Acquire) {
        let text = count.to_string();
        let one = if is_durable {
            durable(agent, "inform", &text)
        } else {
            message(agent, "inform", &text)
        };
        let one = SendMessage {
            conversation: conversation.clone(),
            ..one
        };
        match operator.send(&one, None).await {
            Ok(sent) => {
                ensure!(sent.durable == is_durable, "durable: {}", sent.durable);
                let known = conversation.get_or_insert_with(|| sent.conversation.clone());
                ensure!(*known == sent.conversation, "another conversation");
                count += 1;
            }
            Err(error) if error.code == codes::BUSY.code => {}
            Err(error) => bail!("number {count}: {error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(Acknowledged {
        conversation: conversation.unwrap_or_default(),
        count,
        durable: is_durable,
    })
}

/// Waits until the journal has all that was acknowledged; then each number must stand there once and
/// in order. Answers the tags of the versions that wrote them.
///
/// # Errors
/// Something is lost, twice or out of order.
pub async fn check_numbers(
    operator: &Operator,
    agent: &str,
    sent: &Acknowledged,
) -> Result<Vec<String>> {
    let expected: Vec<String> = (0..sent.count).map(|number| number.to_string()).collect();
    let lines = until("the journal has every number", async || {
        let lines = operator.lines(agent, &sent.conversation).await?;
        Ok((lines.len() >= expected.len()).then_some(lines))
    })
    .await;
    let lines = match lines {
        Ok(lines) => lines,
        Err(_late) => operator.lines(agent, &sent.conversation).await?,
    };
    let is_tag = |c: char| c.is_ascii_uppercase();
    let numbers: Vec<&str> = lines
        .iter()
        .map(|line| line.trim_end_matches(is_tag))
        .collect();
    ensure!(
        numbers == expected,
        "durable: {}; of {} acknowledged the journal has {}: {}",
        sent.durable,
        expected.len(),
        numbers.len(),
        numbers.join(" ")
    );
    Ok(lines
        .iter()
        .map(|line| {
            line.trim_start_matches(|c: char| c.is_ascii_digit())
                .to_owned()
        })
        .collect())
}
