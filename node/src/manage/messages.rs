//! Messages: send one, ask what became of one, watch them pass.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use caxton_actors::{
    envelope::Envelope,
    gateway::{Accepted, Refusal, RequestError},
};
use caxton_api::{
    codes, paths,
    types::{MessageStatus, Passing, Problem, SendMessage, Sent},
};
use caxton_capabilities::{Address, MessageId, Moment, PolicyAction, ResourceId};
use serde::Deserialize;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};

use super::{
    agents::suggestion,
    convert::{message, micros, passing},
    extract::{Asked, Caller, Given, NoQuery, Part, RequestTrace, name},
    order::{key, order, receiver, wait},
    plane::{Permitted, Plane, Shared},
    problem::{Answer, Failure},
    streams::{self, Next, Source, Standing},
};
use crate::store::MessageState;

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
    Given(mut wish): Given<SendMessage>,
) -> Answer<(StatusCode, Json<Sent>)> {
    let receiver = receiver(&wish.to)?;
    let wait = wait(wish.wait_ms)?;
    let signature = wish.signature.take();
    let mut order = order(
        wish,
        &caller.principal,
        receiver.clone(),
        key(&headers)?,
        trace,
    )?;
    let node = plane
        .permit(
            &caller,
            PolicyAction::Send,
            ResourceId::Agent(receiver.clone()),
        )
        .await?;
    if let Some(text) = signature {
        let now = Moment::of(plane.now());
        let now = now.ok_or_else(|| Failure::new(codes::NOT_READY, "the clock is wrong"))?;
        let by = (&*plane.access(), now);
        plane.signatures.check(&text, &order, by)?;
        order.is_signed = true;
    }
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
            Ok((
                StatusCode::OK,
                Json(Sent {
                    answer,
                    took_us,
                    ..sent(&accepted)
                }),
            ))
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
        durable: accepted.sequence.is_some(),
        sequence: accepted.sequence,
        duplicate: accepted.duplicate,
        answer: None,
        took_us: None,
    }
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
    let node = plane.read_node(&caller).await?;
    let id: MessageId = name("message", &text)?;
    let (state, attempts) = match node.store.message_state(id)? {
        MessageState::Pending { attempts } => ("pending", attempts),
        MessageState::Done => ("done", 0),
        MessageState::Dead => (
            "dead",
            node.store
                .dead_letter(id)?
                .map_or(0, |letter| letter.attempts),
        ),
        MessageState::Unknown => ("unknown", 0),
    };
    Ok(Json(MessageStatus {
        message: text,
        state: state.to_owned(),
        attempts,
        sequence: None,
    }))
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
    let mut permitted: Vec<Permitted<'_>> = Vec::new();
    match &agents {
        None => permitted.push(plane.read_node(&caller).await?),
        Some(agents) => {
            for agent in agents {
                permitted.push(plane.agent(&caller, PolicyAction::Trace, agent).await?);
            }
        }
    }
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
    let rights = permitted.iter().map(|node| node.wish().clone()).collect();
    let standing = Standing {
        plane: Arc::clone(&plane),
        caller,
        rights,
    };
    Ok(streams::answer(source, standing, stop, place))
}

fn addresses(text: &str) -> Answer<BTreeSet<Address>> {
    let agents = text
        .split(',')
        .map(receiver)
        .collect::<Answer<BTreeSet<_>>>()?;
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
        .any(|party| {
            party
                .as_agent()
                .is_some_and(|address| agents.contains(address))
        })
}
