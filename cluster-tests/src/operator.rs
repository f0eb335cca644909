//! An operator's calls of the REST API in the words of the tests.

use std::time::Duration;

use anyhow::{Result, ensure};
use caxton_api::{
    paths::{self, fill},
    types::{
        Actor, Agent, DeadLetter, Deployed, Deployment, MessageStatus, Node, Program, Rollback,
        SendMessage, Sent,
    },
};
use caxton_cli::{
    client::{Client, Request, WASM},
    error::CliError,
};

/// What a condition may take to come true on a machine that builds at the same time.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const GLANCE: Duration = Duration::from_millis(20);
/// How long an answer is waited for.
const WAIT_MS: u64 = 60_000;

/// An operator of the tenant `default`, with the key of a context.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The way to the node.
    pub client: Client,
}

/// A message that is to be answered.
#[must_use]
pub fn message(to: &str, performative: &str, content: &str) -> SendMessage {
    SendMessage {
        to: to.to_owned(),
        performative: Some(performative.to_owned()),
        content: Some(content.to_owned()),
        ..SendMessage::default()
    }
}

/// The same, but durable.
#[must_use]
pub fn durable(to: &str, performative: &str, content: &str) -> SendMessage {
    SendMessage {
        delivery: Some("at-least-once".to_owned()),
        ..message(to, performative, content)
    }
}

impl Operator {
    /// Uploads a program; answers its digest.
    ///
    /// # Errors
    /// The node refuses it.
    pub async fn upload(&self, wasm: Vec<u8>) -> Result<String, CliError> {
        let request = Request::new("POST".parse().map_err(bad)?, paths::PROGRAMS).body(WASM, wasm);
        Ok(self.client.call::<Program>(request).await?.digest)
    }

    /// Makes an agent so.
    ///
    /// # Errors
    /// The node refuses it.
    pub async fn deploy(&self, agent: &str, wish: &Deployment) -> Result<Deployed, CliError> {
        caxton_cli::deployer::deploy_named(&self.client, ("default", agent), wish, None).await
    }

    /// Deploys an uploaded program without any further wish.
    ///
    /// # Errors
    /// The node refuses it.
    pub async fn run(&self, agent: &str, program: &str) -> Result<Deployed, CliError> {
        let program = program.to_owned();
        self.deploy(
            agent,
            &Deployment {
                program,
                ..Deployment::default()
            },
        )
        .await
    }

    /// Goes back to a version.
    ///
    /// # Errors
    /// The node refuses it.
    pub async fn rollback(&self, agent: &str, version: Option<u64>) -> Result<Deployed, CliError> {
        let path = fill(paths::AGENT_ROLLBACK, &["default", agent]);
        self.client
            .call(Request::new("POST".parse().map_err(bad)?, path).json(&Rollback { version })?)
            .await
    }

    /// Starts or stops an agent: `path` is one of [`paths`].
    ///
    /// # Errors
    /// The node refuses it.
    pub async fn order(&self, path: &str, agent: &str) -> Result<serde_json::Value, CliError> {
        let path = fill(path, &["default", agent]);
        self.client
            .call_or_empty(Request::new("POST".parse().map_err(bad)?, path))
            .await
    }

    /// Sends a message; with `key`, under that idempotency key.
    ///
    /// # Errors
    /// The node refuses it.
    pub async fn send(&self, message: &SendMessage, key: Option<&str>) -> Result<Sent, CliError> {
        let request = Request::new("POST".parse().map_err(bad)?, paths::MESSAGES)
            .header_if("idempotency-key", key.map(str::to_owned))
            .json(message)?
            .timeout(Duration::from_secs(90));
        self.client.call(request).await
    }

    /// Sends a message and waits for its answer, whose performative must be `inform`.
    ///
    /// # Errors
    /// It was refused or failed, or nothing came in time.
    pub async fn ask(&self, message: SendMessage) -> Result<String> {
        let waiting = SendMessage {
            wait_ms: Some(WAIT_MS),
            ..message
        };
        let answer = self.send(&waiting, None).await?.answer;
        let answer = answer.ok_or_else(|| anyhow::anyhow!("no answer"))?;
        ensure!(answer.performative == "inform", "{answer:?}");
        Ok(answer.content.unwrap_or_default())
    }

    /// One agent.
    ///
    /// # Errors
    /// There is none.
    pub async fn agent(&self, agent: &str) -> Result<Agent, CliError> {
        let path = fill(paths::AGENT, &["default", agent]);
        self.client.call(Request::get(path)).await
    }

    /// The node itself.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn node(&self) -> Result<Node> {
        let nodes: Vec<Node> = self.client.list(Request::get(paths::NODES), 1).await?;
        nodes
            .into_iter()
            .next()
            .ok_or_else(|| anyhow::anyhow!("no node"))
    }

    /// The supervised tree.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn actors(&self) -> Result<Vec<Actor>, CliError> {
        self.client.list(Request::get(paths::ACTORS), 1_000).await
    }

    /// Restarts an actor by its whole name.
    ///
    /// # Errors
    /// There is none.
    pub async fn restart(&self, actor: &str) -> Result<Actor, CliError> {
        let path = fill(paths::ACTOR_RESTART, &[actor]);
        self.client
            .call(Request::new("POST".parse().map_err(bad)?, path))
            .await
    }

    /// Dead letters.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, CliError> {
        self.client
            .list(Request::get(paths::DEAD_LETTERS), 1_000)
            .await
    }

    /// What became of a durable message.
    ///
    /// # Errors
    /// That is no id of a message.
    pub async fn status(&self, message: &str) -> Result<MessageStatus, CliError> {
        let path = fill(paths::MESSAGE, &[message]);
        self.client.call(Request::get(path)).await
    }

    /// The lines that a journal keeps of a conversation.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn lines(&self, agent: &str, conversation: &str) -> Result<Vec<String>> {
        let kept = self.ask(message(agent, "query", conversation)).await?;
        Ok(kept.lines().map(str::to_owned).collect())
    }
}

/// Looks until `condition` gives something.
///
/// # Errors
/// It never did, or it failed.
pub async fn until<T>(
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = condition().await? {
            return Ok(found);
        }
        ensure!(
            tokio::time::Instant::now() < deadline,
            "never came true: {what}"
        );
        tokio::time::sleep(GLANCE).await;
    }
}

fn bad<E: std::fmt::Display>(error: E) -> CliError {
    std::io::Error::other(error.to_string()).into()
}
