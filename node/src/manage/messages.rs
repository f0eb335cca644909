//! Messages: send one, ask what became of one, watch them pass.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode},
    response::Response,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use caxton_actors::{
    envelope::{CONTENT_TYPE_BYTES_MAX, Delivery, Envelope, LABEL_BYTES_MAX, Performative},
    gateway::{Accepted, Order, Refusal, RequestError},
};
use caxton_api::{
    paths,
    types::{MessageStatus, Passing, Problem, SendMessage, Sent},
};
use caxton_capabilities::{
    Action, Address, MessageId, Principal, Resource, TenantId, TraceId,
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};
use uuid::Builder;

use super::{
    agents::suggestion,
    convert::{micros, message, passing},
    extract::{Asked, Caller, Given, NoQuery, Part, RequestTrace, name, shown},
    plane::{Permitted, Plane, Shared},
    problem::{Answer, Failure},
    streams::{self, Next, Source, Standing},
};
use crate::store::MessageState;

/// The tenant of an agent that is named alone.
const DEFAULT_TENANT: &str = "default";
/// Milliseconds that a request may wait: a connection and a place in the gateway for ten minutes.
const WAIT_MS_MAX: u64 = 600_000;
/// Longest idempotency key in bytes: a UUID and a hash fit.
const KEY_BYTES_MAX: usize = 128;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Agents that one stream is filtered by.
const AGENTS_MAX: usize = 64;

/// Sends a message. With `wait_ms` it waits for the answer.
///
/// An `Idempotency-Key` makes sending again safe: an at-least-once message of the same caller and key
/// is accepted once. With a key, at-least-once is what an absent `delivery` means.
#[utoipa::path(post, path = paths::MESSAGES, tag = "messages", request_body = SendMessage,
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 128 visible ASCII characters; for at-least-once alone, which it makes the default")),
    responses((status = 200, description = "It was answered", body = Sent),
        (status = 202, description = "It was accepted", body = Sent),
        (status = 404, description = "There is no such agent", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "The agent is stopped", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The body or the content is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "The body is not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "A value is out of bounds", body = Problem, content_type = "application/problem+json"),
        (status = 504, description = "It was accepted, and no answer came in time", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn send_message(
    State(plane): Shared,
    caller: Caller,
    RequestTrace(trace): RequestTrace,
    _none: NoQuery,
    headers: HeaderMap,
    Given(wish): Given<SendMessage>,
) -> Answer<(StatusCode, Json<Sent>)> {
    let receiver = receiver(&wish.to)?;
    let wait = wait(wish.wait_ms)?;
    let order = order(wish, &caller.0, receiver.clone(), key(&headers)?, trace)?;
    let node = plane.permit(&caller, Action::Send, Resource::Agent(receiver.clone()))?;
    let begun = Instant::now();
    let wait = wait.filter(|_| !is_settled(&node, order.id));
    let Some(wait) = wait else {
        let accepted = node.tree.gateway.send(order).await;
        let accepted = accepted.map_err(|refusal| refused(&node, &receiver, refusal))?;
        return Ok((StatusCode::ACCEPTED, Json(sent(&accepted))));
    };
    match node.tree.gateway.request(order, wait).await {
        Ok((accepted, answer)) => {
            let answer = Some(message(&answer));
            let took_us = Some(micros(begun.elapsed()));
            Ok((StatusCode::OK, Json(Sent { answer, took_us, ..sent(&accepted) })))
        }
        Err(RequestError::Refused(refusal)) => Err(refused(&node, &receiver, refusal)),
        Err(error @ RequestError::NoAnswer { .. }) => Err(error.into()),
    }
}

/// Whether a message that is sent again was handled already: nothing would answer it a second time.
fn is_settled(node: &Permitted<'_>, id: Option<MessageId>) -> bool {
    let state = id.and_then(|id| node.store.message_state(id).ok());
    matches!(state, Some(MessageState::Done | MessageState::Dead))
}

fn refused(node: &Permitted<'_>, receiver: &Address, refusal: Refusal) -> Failure {
    match (&refusal, suggestion(node, receiver)) {
        (Refusal::UnknownReceiver(_), Some(close)) => {
            Failure::not_found(format!("{refusal}; did you mean `{close}`?"))
        }
        _ => refusal.into(),
    }
}

fn sent(accepted: &Accepted) -> Sent {
    Sent {
        message: accepted.id.to_string(),
        conversation: accepted.conversation.to_string(),
        trace: accepted.trace.to_string(),
        durable: accepted.durable,
        duplicate: accepted.duplicate,
        answer: None,
        took_us: None,
    }
}

/// An agent, of tenant `default` where it is named alone.
pub(super) fn receiver(text: &str) -> Answer<Address> {
    let home: TenantId = name("tenant", DEFAULT_TENANT)?;
    Address::parse_in(&home, text)
        .map_err(|error| Failure::invalid(format!("agent `{}`: {error}", shown(text))))
}

fn wait(ms: Option<u64>) -> Answer<Option<Duration>> {
    match ms {
        Some(ms) if !(1..=WAIT_MS_MAX).contains(&ms) => {
            Err(Failure::invalid(format!("wait_ms is {ms}, and may be 1 to {WAIT_MS_MAX}")))
        }
        ms => Ok(ms.map(Duration::from_millis)),
    }
}

/// The wish in the gateway's words, every value checked.
fn order(
    wish: SendMessage,
    sender: &Principal,
    receiver: Address,
    key: Option<&str>,
    trace: TraceId,
) -> Answer<Order> {
    let delivery = delivery(wish.delivery.as_deref(), key.is_some())?;
    Ok(Order {
        sender: sender.clone(),
        receiver: Principal::Agent(receiver),
        performative: wish.performative.as_deref().map_or(Ok(Performative::Request), str::parse)?,
        conversation: wish
            .conversation
            .as_deref()
            .map(|text| name("conversation", text))
            .transpose()?,
        protocol: wish.protocol.as_deref().map(str::parse).transpose()?,
        reply_with: label("reply_with", wish.reply_with)?,
        in_reply_to: label("in_reply_to", wish.in_reply_to)?,
        reply_by: None,
        content_type: content_type(wish.content_type.as_deref().unwrap_or("text/plain"))?.into(),
        content: content(wish.content, wish.content_base64)?.into(),
        delivery,
        id: key.map(|key| id_of(sender, key)),
        trace: Some(trace),
    })
}

/// A key makes `at-least-once` the default: what is not durable cannot be recognised again.
fn delivery(word: Option<&str>, has_key: bool) -> Answer<Delivery> {
    match (word.map(str::parse).transpose()?, has_key) {
        (Some(Delivery::AtMostOnce), true) => Err(Failure::invalid(
            "an Idempotency-Key is kept for at-least-once messages alone: leave delivery out",
        )),
        (None, true) => Ok(Delivery::AtLeastOnce),
        (delivery, _) => Ok(delivery.unwrap_or(Delivery::AtMostOnce)),
    }
}

fn content(text: Option<String>, base64: Option<String>) -> Answer<Vec<u8>> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(encoded)) => BASE64_STANDARD.decode(encoded).map_err(|error| {
            Failure::invalid(format!("content_base64 is not base 64 (RFC 4648, section 4): {error}"))
        }),
        (None, None) => Err(Failure::invalid("give content or content_base64")),
        (Some(_), Some(_)) => Err(Failure::invalid("give content or content_base64, not both")),
    }
}

fn label(what: &str, text: Option<String>) -> Answer<Option<Arc<str>>> {
    let Some(text) = text else { return Ok(None) };
    let sound = (1..=LABEL_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    if sound {
        Ok(Some(text.into()))
    } else {
        Err(Failure::invalid(format!(
            "{what} has 1 to {LABEL_BYTES_MAX} bytes and no control characters"
        )))
    }
}

/// `type/subtype` of tokens, and parameters behind a semicolon (RFC 9110, section 8.3.1).
fn content_type(text: &str) -> Answer<&str> {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let token = |part: &str| {
        let marks = b"!#$%&'*+-.^_`|~";
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
    };
    let halves = essence.trim_end().split_once('/');
    let sound = text.len() <= CONTENT_TYPE_BYTES_MAX
        && halves.is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        && parameters.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if sound {
        Ok(text)
    } else {
        Err(Failure::invalid(format!(
            "content_type `{}` is not `type/subtype`, or longer than {CONTENT_TYPE_BYTES_MAX} bytes",
            shown(text)
        )))
    }
}

fn key(headers: &HeaderMap) -> Answer<Option<&str>> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().unwrap_or_default(),
        (Some(_), Some(_)) => "",
    };
    let sound = (1..=KEY_BYTES_MAX).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_graphic());
    if sound {
        Ok(Some(value))
    } else {
        Err(Failure::invalid(format!(
            "one Idempotency-Key of 1 to {KEY_BYTES_MAX} visible ASCII characters"
        )))
    }
}

/// The id of the message that `principal` sends under `key`: always the same, and nobody else's.
///
/// UUID v8 (RFC 9562, section 5.8) of a SHA-256. The principal ends with a zero byte, which neither
/// part can hold, so that no two pairs are one text.
fn id_of(principal: &Principal, key: &str) -> MessageId {
    let hash = Sha256::new()
        .chain_update(b"caxton/idempotency/v1\0")
        .chain_update(principal.to_string())
        .chain_update(b"\0")
        .chain_update(key)
        .finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(byte, of)| *byte = of);
    MessageId::from_uuid(Builder::from_custom_bytes(bytes).into_uuid())
}

/// Tells what became of a message. Only durable ones are remembered.
#[utoipa::path(get, path = paths::MESSAGE, tag = "messages",
    params(("message" = String, Path, description = "`msg_…`")),
    responses((status = 200, description = "Where it stands", body = MessageStatus),
        (status = 422, description = "That is no id of a message", body = Problem, content_type = "application/problem+json")))]
pub(super) async fn get_message(
    State(plane): Shared,
    caller: Caller,
    Part(text): Part,
    _none: NoQuery,
) -> Answer<Json<MessageStatus>> {
    let node = plane.read_node(&caller)?;
    let id: MessageId = name("message", &text)?;
    let (state, attempts) = match node.store.message_state(id)? {
        MessageState::Pending { attempts } => ("pending", attempts),
        MessageState::Done => ("done", 0),
        MessageState::Dead => {
            ("dead", node.store.dead_letter(id)?.map_or(0, |letter| letter.attempts))
        }
        MessageState::Unknown => ("unknown", 0),
    };
    Ok(Json(MessageStatus { message: text, state: state.to_owned(), attempts }))
}

/// Whose messages.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct StreamQuery {
    /// Messages from or to these agents, separated by commas; of all if absent.
    agents: Option<String>,
}

/// Streams messages as they are accepted, without their content.
///
/// Events are named `message`. A client that falls behind by 1,024 gets a last event `lagged`.
#[utoipa::path(get, path = paths::MESSAGES_STREAM, tag = "messages", params(StreamQuery),
    responses((status = 200, description = "Events, each with one of these as its data", body = Passing, content_type = "text/event-stream")))]
pub(super) async fn stream_messages(
    State(plane): Shared,
    caller: Caller,
    Asked(asked): Asked<StreamQuery>,
) -> Answer<Response> {
    let agents = asked.agents.as_deref().map(addresses).transpose()?;
    let permitted: Vec<Permitted<'_>> = match &agents {
        None => vec![plane.read_node(&caller)?],
        Some(agents) => agents
            .iter()
            .map(|agent| plane.read_agent(&caller, agent))
            .collect::<Answer<_>>()?,
    };
    let Some(node) = permitted.first() else {
        return Err(Failure::invalid("agents names none"));
    };
    let place = plane.stream_place()?;
    let source = Messages {
        envelopes: node.tree.gateway.observe(),
        agents,
        plane: Arc::clone(&plane),
        sent: 0,
    };
    let stop = node.stop.clone();
    let rights = permitted.iter().map(|node| node.right().clone()).collect();
    let standing = Standing { plane: Arc::clone(&plane), caller, rights };
    Ok(streams::answer(source, standing, stop, place))
}

fn addresses(text: &str) -> Answer<BTreeSet<Address>> {
    let agents = text.split(',').map(receiver).collect::<Answer<BTreeSet<_>>>()?;
    if agents.len() > AGENTS_MAX {
        return Err(Failure::invalid(format!("agents may name {AGENTS_MAX}")));
    }
    Ok(agents)
}

struct Messages {
    envelopes: Receiver<Arc<Envelope>>,
    agents: Option<BTreeSet<Address>>,
    plane: Arc<Plane>,
    sent: u64,
}

impl Source for Messages {
    type Item = Passing;
    const EVENT: &'static str = "message";

    async fn next(&mut self) -> Next<Passing> {
        loop {
            match self.envelopes.recv().await {
                Ok(envelope) if concerns(&envelope, self.agents.as_ref()) => {
                    self.sent += 1;
                    return Next::Item(self.sent, passing(&envelope, self.plane.now()));
                }
                Ok(_other) => {}
                Err(RecvError::Lagged(lost)) => return Next::Lagged(lost),
                Err(RecvError::Closed) => return Next::End,
            }
        }
    }
}

fn concerns(envelope: &Envelope, agents: Option<&BTreeSet<Address>>) -> bool {
    let Some(agents) = agents else { return true };
    [&envelope.sender, &envelope.receiver]
        .into_iter()
        .any(|party| party.as_agent().is_some_and(|address| agents.contains(address)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn operator(name: &str) -> Principal {
        format!("operator:{name}").parse().unwrap()
    }

    #[test]
    fn the_same_key_of_the_same_caller_is_the_same_message_and_of_another_another() {
        let id = id_of(&operator("admin"), "order-1");
        assert_eq!(id, id_of(&operator("admin"), "order-1"));
        assert_ne!(id, id_of(&operator("admin"), "order-2"));
        assert_ne!(id, id_of(&operator("admin2"), "order-1"));
        assert_ne!(id_of(&operator("admin1"), "23"), id_of(&operator("admin12"), "3"));
        assert_eq!(id.uuid().get_version_num(), 8);
        // Known by clients and by stores: it must not change between versions.
        assert_eq!(id.uuid().to_string(), "PIN");
    }

    fn checks(text: &str, sound: bool) {
        assert_eq!(content_type(text).is_ok(), sound, "{text:?}");
    }

    #[test]
    fn a_content_type_is_two_tokens_and_perhaps_parameters() {
        checks("text/plain", true);
        checks("application/vnd.caxton.health+json", true);
        checks("text/plain; charset=utf-8", true);
        checks("text", false);
        checks("text/", false);
        checks("/plain", false);
        checks("text/plain/x", false);
        checks("text /plain", false);
        checks("text/plain\r\nx: y", false);
        checks("text/plain; \u{7f}", false);
        checks("téxt/plain", false);
        checks(&format!("text/{}", "a".repeat(CONTENT_TYPE_BYTES_MAX)), false);
        checks("", false);
    }

    fn wish() -> SendMessage {
        SendMessage { to: "one".into(), content: Some("x".into()), ..SendMessage::default() }
    }

    fn ordered(wish: SendMessage, key: Option<&str>) -> Answer<Order> {
        let to = receiver(&wish.to)?;
        order(wish, &operator("admin"), to, key, TraceId::from_u128(1).unwrap())
    }

    #[test]
    fn a_bare_wish_is_a_request_of_text_to_the_default_tenant() {
        let order = ordered(wish(), None).unwrap();
        assert_eq!(order.receiver.to_string(), "default/one");
        assert_eq!(order.performative, Performative::Request);
        assert_eq!((&*order.content_type, &*order.content), ("text/plain", &b"x"[..]));
        assert_eq!((order.delivery, order.id), (Delivery::AtMostOnce, None));
    }

    fn refuses(wish: SendMessage, expected: &str) {
        let text = format!("{:?}", ordered(wish, None).unwrap_err());
        assert!(text.contains("CX0422") && text.contains(expected), "{text}");
    }

    #[test]
    fn values_out_of_bounds_are_refused_and_named() {
        let some = |text: &str| Some(text.to_owned());
        refuses(SendMessage { content: None, ..wish() }, "give content or content_base64");
        refuses(SendMessage { content_base64: some("eA=="), ..wish() }, "not both");
        refuses(SendMessage { content: None, content_base64: some("e"), ..wish() }, "base 64");
        refuses(SendMessage { performative: some("shout"), ..wish() }, "accept-proposal");
        refuses(SendMessage { delivery: some("exactly-once"), ..wish() }, "at-least-once");
        refuses(SendMessage { protocol: some("gossip"), ..wish() }, "contract-net");
        refuses(SendMessage { conversation: some("msg_1"), ..wish() }, "cnv_");
        refuses(SendMessage { reply_with: some(""), ..wish() }, "reply_with");
        refuses(SendMessage { in_reply_to: some(&"x".repeat(129)), ..wish() }, "in_reply_to");
        refuses(SendMessage { to: "operator:admin".into(), ..wish() }, "agent `operator:admin`");
        assert!(wait(Some(0)).is_err() && wait(Some(600_001)).is_err());
    }

    #[test]
    fn a_key_needs_a_delivery_that_remembers() {
        let fleeting = SendMessage { delivery: Some("at-most-once".into()), ..wish() };
        assert!(ordered(fleeting, Some("k")).is_err());
        let order = ordered(wish(), Some("k")).unwrap();
        assert_eq!(order.delivery, Delivery::AtLeastOnce);
        assert_eq!(order.id, Some(id_of(&operator("admin"), "k")));
    }

    #[test]
    fn a_key_is_one_header_of_visible_ascii() {
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_KEY, HeaderValue::from_str(value).unwrap());
            }
            key(&headers).map(|key| key.map(str::to_owned))
        };
        assert_eq!(with(&[]).unwrap(), None);
        assert_eq!(with(&["order-1"]).unwrap(), Some("order-1".to_owned()));
        assert!(with(&[""]).is_err() && with(&["a b"]).is_err() && with(&["a", "a"]).is_err());
        assert!(with(&[&"x".repeat(129)]).is_err());
    }
}
