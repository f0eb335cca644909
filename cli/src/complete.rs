//! Live completions: names of agents, nodes, messages and contexts. In 100 ms or not at all, and
//! without a word when the node is away: a shell waits for us at every Tab.

use std::time::Duration;

use caxton_api::{
    paths,
    types::{
        Agent, ApiKey, CapabilityToken, DeadLetter, JoinToken, Member, Node, Operator, Policy,
        Tenant, TraceSummary,
    },
};
use clap_complete::CompletionCandidate;
use serde::de::DeserializeOwned;

use crate::{
    client::{Client, Request},
    context::{Contexts, DEFAULT_TENANT, Environment, Target, Wanted},
    values::harmless,
};

/// A person at the keyboard does not notice less.
const PATIENCE: Duration = Duration::from_millis(100);
/// More candidates than that help nobody.
const CANDIDATES_MAX: usize = 200;

/// Names of contexts.
#[must_use]
pub fn contexts() -> Vec<CompletionCandidate> {
    let Ok(contexts) = Contexts::of(&Environment::of_process()) else {
        return Vec::new();
    };
    let server = |name: &str| {
        contexts
            .load(name)
            .map(|context| context.server)
            .unwrap_or_default()
    };
    contexts
        .names()
        .into_iter()
        .map(|name| candidate(&name, server(&name)))
        .collect()
}

/// Names of agents, with their state.
#[must_use]
pub fn agents() -> Vec<CompletionCandidate> {
    live(paths::AGENTS, |agent: &Agent| {
        let name = match agent.tenant.as_str() {
            DEFAULT_TENANT => agent.name.clone(),
            tenant => format!("{tenant}/{}", agent.name),
        };
        candidate(
            &name,
            format!(
                "{}, version {}, {}",
                agent.state, agent.version, agent.source
            ),
        )
    })
}

/// Names of nodes, with their state.
#[must_use]
pub fn nodes() -> Vec<CompletionCandidate> {
    live(paths::NODES, |node: &Node| {
        candidate(&node.name, format!("{}, {}", node.state, node.address))
    })
}

/// Names of members, with their state.
#[must_use]
pub fn members() -> Vec<CompletionCandidate> {
    live(paths::MEMBERS, |member: &Member| {
        candidate(&member.name, member.state.clone())
    })
}

/// Ids of join tokens, with what they still allow.
#[must_use]
pub fn join_tokens() -> Vec<CompletionCandidate> {
    live(paths::JOIN_TOKENS, |token: &JoinToken| {
        candidate(
            &token.id,
            format!("{} of {} uses left", token.uses_left, token.uses),
        )
    })
}

/// Ids of capability tokens, with who has them.
#[must_use]
pub fn capability_tokens() -> Vec<CompletionCandidate> {
    live(paths::TOKENS, |token: &CapabilityToken| {
        let id = token.ids.last().map(String::as_str).unwrap_or_default();
        candidate(id, format!("{}, of {}", token.state, token.agent))
    })
}

/// Ids of tokens of either kind: two looks, each in its 100 ms.
#[must_use]
pub fn tokens() -> Vec<CompletionCandidate> {
    let mut all = capability_tokens();
    all.extend(join_tokens());
    all
}

/// Names of operators, with their roles.
#[must_use]
pub fn operators() -> Vec<CompletionCandidate> {
    live(paths::OPERATORS, |operator: &Operator| {
        let roles = operator.roles.join(", ");
        candidate(&operator.name, format!("{} {roles}", operator.state))
    })
}

/// Names of API keys, with whose they are.
#[must_use]
pub fn api_keys() -> Vec<CompletionCandidate> {
    live(paths::API_KEYS, |key: &ApiKey| {
        candidate(&key.name, format!("{}, of {}", key.state, key.operator))
    })
}

/// Names of tenants, with their state.
#[must_use]
pub fn tenants() -> Vec<CompletionCandidate> {
    live(paths::TENANTS, |tenant: &Tenant| {
        candidate(&tenant.name, tenant.state.clone())
    })
}

/// Names of policy documents, with their version.
#[must_use]
pub fn policies() -> Vec<CompletionCandidate> {
    live(paths::POLICIES, |policy: &Policy| {
        let rules = policy.rules.len();
        candidate(
            &policy.name,
            format!("version {}, {rules} rules", policy.version),
        )
    })
}

/// Recent traces, with what they were about.
#[must_use]
pub fn traces() -> Vec<CompletionCandidate> {
    live(paths::TRACES, |trace: &TraceSummary| {
        let about = format!(
            "{} {} → {}",
            trace.performative, trace.sender, trace.receiver
        );
        candidate(&trace.trace, about)
    })
}

/// Dead letters, with their reason.
#[must_use]
pub fn dead_letters() -> Vec<CompletionCandidate> {
    live(paths::DEAD_LETTERS, |letter: &DeadLetter| {
        candidate(
            &letter.message,
            format!("to {}: {}", letter.receiver, letter.reason),
        )
    })
}

fn candidate(value: &str, help: String) -> CompletionCandidate {
    CompletionCandidate::new(harmless(value, false)).help(Some(harmless(&help, false).into()))
}

fn live<T: DeserializeOwned>(
    path: &str,
    show: impl Fn(&T) -> CompletionCandidate,
) -> Vec<CompletionCandidate> {
    fetch(path).unwrap_or_default().iter().map(show).collect()
}

/// The items, or nothing for whatever reason.
fn fetch<T: DeserializeOwned>(path: &str) -> Option<Vec<T>> {
    let environment = Environment::of_process();
    let contexts = Contexts::of(&environment).ok()?;
    let target = Target::resolve(&Wanted::default(), &environment, &contexts).ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    runtime.block_on(async {
        let client = Client::new(target).ok()?;
        let items = client.list(Request::get(path), CANDIDATES_MAX);
        tokio::time::timeout(PATIENCE, items).await.ok()?.ok()
    })
}
