//! Messages over their sender's own signature, for agents that take no other: with the key that deployments are signed with.

use aws_lc_rs::rand;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use caxton_api::types::SendMessage;
use caxton_capabilities::{Moment, Spoken};
use jiff::Timestamp;

use crate::{
    client::Client,
    deployer::{Signer, wrong},
    error::CliError,
    exit::Exit,
    explain,
};

/// Signs a message and sends it, after the node was told the key where it does not know it.
///
/// # Errors
/// As [`signed`] and `send`.
pub(crate) async fn send<T>(
    client: &Client,
    message: &SendMessage,
    send: impl AsyncFn(&SendMessage) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let message = signed(client, message).await?;
    signer(client)?
        .known(client, async || send(&message).await)
        .await
}

fn signer(client: &Client) -> Result<Signer<'_>, CliError> {
    Signer::of(client)?.ok_or_else(|| {
        let what = "this context has no place for a key to sign with";
        CliError::new(&explain::INPUT, Exit::Usage, what)
            .fix("make one: caxton context add NAME --server URL …")
    })
}

/// The same message with the signature of whoever calls. It counts for five minutes, once.
///
/// # Errors
/// There is no key and none can be made, or the message is none.
pub async fn signed(client: &Client, message: &SendMessage) -> Result<SendMessage, CliError> {
    let signer = signer(client)?;
    let sender = signer.caller(client).await?;
    let receiver = message.to.parse();
    let receiver = receiver.map_err(|error| wrong("the receiver", &error))?;
    let content = match (&message.content, &message.content_base64) {
        (Some(text), _) => text.clone().into_bytes(),
        (None, Some(encoded)) => {
            (BASE64_STANDARD.decode(encoded)).map_err(|error| wrong("the content", &error))?
        }
        (None, None) => Vec::new(),
    };
    let spoken = Spoken {
        sender: &sender,
        receiver: &receiver,
        performative: message.performative.as_deref().unwrap_or("request"),
        conversation: message.conversation.as_deref(),
        content_type: message.content_type.as_deref().unwrap_or("text/plain"),
        content: &content,
    };
    let failed = |what: &str| CliError::new(&explain::INTERNAL, Exit::Failed, what);
    let seconds = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
    let at = Moment::from_seconds(seconds);
    let at = at.ok_or_else(|| failed("the clock is outside all calendars"))?;
    let mut nonce = [0; 16];
    rand::fill(&mut nonce).map_err(|_error| failed("the system gave no random bytes"))?;
    let signature = spoken.sign(signer.key(), at, nonce);
    let signature = signature.map_err(|error| wrong("the key", &error))?;
    Ok(SendMessage {
        signature: Some(signature.to_text()),
        ..message.clone()
    })
}
