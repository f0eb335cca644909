//! A message that somebody wants sent, checked value by value: the wish in the gateway's words.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderMap, HeaderName};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use caxton_actors::{
    envelope::{
        CONTENT_TYPE_BYTES_MAX, Delivery, LABEL_BYTES_MAX, Performative, is_content_type, is_label,
    },
    gateway::Order,
};
use caxton_api::types::SendMessage;
use caxton_capabilities::{Address, MessageId, Principal, TenantId, TraceId};
use sha2::{Digest as _, Sha256};
use uuid::Builder;

use super::{
    extract::{name, shown},
    problem::{Answer, Failure},
};

/// The tenant of an agent that is named alone.
const DEFAULT_TENANT: &str = "default";
/// Milliseconds that a request may wait: a connection and a place in the gateway for ten minutes.
const WAIT_MS_MAX: u64 = 600_000;
/// Longest idempotency key in bytes: a UUID and a hash fit.
const KEY_BYTES_MAX: usize = 128;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// An agent, of tenant `default` where it is named alone.
pub(super) fn receiver(text: &str) -> Answer<Address> {
    let home: TenantId = name("tenant", DEFAULT_TENANT)?;
    Address::parse_in(&home, text)
        .map_err(|error| Failure::invalid(format!("agent `{}`: {error}", shown(text))))
}

/// How long to wait for the answer.
pub(super) fn wait(ms: Option<u64>) -> Answer<Option<Duration>> {
    match ms {
        Some(ms) if !(1..=WAIT_MS_MAX).contains(&ms) => Err(Failure::invalid(format!(
            "wait_ms is {ms}, and may be 1 to {WAIT_MS_MAX}"
        ))),
        ms => Ok(ms.map(Duration::from_millis)),
    }
}

/// The wish in the gateway's words, every value checked.
pub(super) fn order(
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
        performative: wish
            .performative
            .as_deref()
            .map_or(Ok(Performative::Request), str::parse)?,
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
        is_signed: false,
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
            Failure::invalid(format!(
                "content_base64 is not base 64 (RFC 4648, section 4): {error}"
            ))
        }),
        (None, None) => Err(Failure::invalid("give content or content_base64")),
        (Some(_), Some(_)) => Err(Failure::invalid("give content or content_base64, not both")),
    }
}

fn label(what: &str, text: Option<String>) -> Answer<Option<Arc<str>>> {
    match text {
        Some(text) if !is_label(&text) => Err(Failure::invalid(format!(
            "{what} has 1 to {LABEL_BYTES_MAX} bytes and no control characters"
        ))),
        text => Ok(text.map(Arc::from)),
    }
}

fn content_type(text: &str) -> Answer<&str> {
    if is_content_type(text) {
        return Ok(text);
    }
    Err(Failure::invalid(format!(
        "content_type `{}` is not `type/subtype`, or longer than {CONTENT_TYPE_BYTES_MAX} bytes",
        shown(text)
    )))
}

/// The idempotency key of the headers.
pub(super) fn key(headers: &HeaderMap) -> Answer<Option<&str>> {
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
        assert_ne!(
            id_of(&operator("admin1"), "23"),
            id_of(&operator("admin12"), "3")
        );
        assert_eq!(id.uuid().get_version_num(), 8);
        // Known by clients and by stores: it must not change between versions.
        assert_eq!(
            id.uuid().to_string(),
            "d7c858a0-8810-8435-9fde-51b93c8c2b23"
        );
    }

    fn wish() -> SendMessage {
        SendMessage {
            to: "one".into(),
            content: Some("x".into()),
            ..SendMessage::default()
        }
    }

    fn ordered(wish: SendMessage, key: Option<&str>) -> Answer<Order> {
        let to = receiver(&wish.to)?;
        order(
            wish,
            &operator("admin"),
            to,
            key,
            TraceId::from_u128(1).unwrap(),
        )
    }

    #[test]
    fn a_bare_wish_is_a_request_of_text_to_the_default_tenant() {
        let order = ordered(wish(), None).unwrap();
        assert_eq!(order.receiver.to_string(), "default/one");
        assert_eq!(order.performative, Performative::Request);
        assert_eq!(
            (&*order.content_type, &*order.content),
            ("text/plain", &b"x"[..])
        );
        assert_eq!((order.delivery, order.id), (Delivery::AtMostOnce, None));
    }

    fn refuses(wish: SendMessage, expected: &str) {
        let text = format!("{:?}", ordered(wish, None).unwrap_err());
        assert!(text.contains("CX0422") && text.contains(expected), "{text}");
    }

    #[test]
    fn values_out_of_bounds_are_refused_and_named() {
        let some = |text: &str| Some(text.to_owned());
        refuses(
            SendMessage {
                content: None,
                ..wish()
            },
            "give content or content_base64",
        );
        refuses(
            SendMessage {
                content_base64: some("eA=="),
                ..wish()
            },
            "not both",
        );
        refuses(
            SendMessage {
                content: None,
                content_base64: some("e"),
                ..wish()
            },
            "base 64",
        );
        refuses(
            SendMessage {
                performative: some("shout"),
                ..wish()
            },
            "accept-proposal",
        );
        refuses(
            SendMessage {
                delivery: some("exactly-once"),
                ..wish()
            },
            "at-least-once",
        );
        refuses(
            SendMessage {
                protocol: some("gossip"),
                ..wish()
            },
            "contract-net",
        );
        refuses(
            SendMessage {
                conversation: some("msg_1"),
                ..wish()
            },
            "cnv_",
        );
        refuses(
            SendMessage {
                reply_with: some(""),
                ..wish()
            },
            "reply_with",
        );
        refuses(
            SendMessage {
                in_reply_to: some(&"x".repeat(129)),
                ..wish()
            },
            "in_reply_to",
        );
        refuses(
            SendMessage {
                to: "operator:admin".into(),
                ..wish()
            },
            "agent `operator:admin`",
        );
        assert!(wait(Some(0)).is_err() && wait(Some(600_001)).is_err());
    }

    #[test]
    fn a_key_needs_a_delivery_that_remembers() {
        let fleeting = SendMessage {
            delivery: Some("at-most-once".into()),
            ..wish()
        };
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
