//! The node under test: a whole one, reached as its management API reaches it.

use std::{sync::Arc, time::Duration};

use caxton_actors::{
    envelope::{Delivery, Performative},
    gateway::{Gateway, Order},
    ports::Accepts,
    registry::Deployment,
};
use caxton_capabilities::{Address, Principal};
use caxton_sandbox::{Host, Instance, Limits};
use tokio::time::Instant;

use super::{BenchError, limits::Silent};
use crate::{config::Config, demos::Demo, node::Node};

/// Longest wait for one answer: a machine that needs more is no machine to measure on.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running node and its operator.
pub(super) struct Rig {
    node: Node,
    operator: Principal,
    grace: Duration,
}

impl Rig {
    pub(super) async fn start(mut config: Config) -> Result<Self, BenchError> {
        // Its agents are deployed from inside, where nobody signs.
        config.security.require_signed_deployment = false;
        let grace = config.shutdown_grace;
        let (node, ready) = Node::start(config, None).await?;
        let operator = format!("operator:{}", ready.operator);
        let operator = operator
            .parse()
            .map_err(|error| BenchError::Demo(format!("{operator}: {error}")))?;
        Ok(Self {
            node,
            operator,
            grace,
        })
    }

    pub(super) async fn stop(self) {
        let _lost = self.node.stop(self.grace).await;
    }

    pub(super) fn node(&self) -> &Node {
        &self.node
    }

    /// Deploys a sample agent as `address`.
    pub(super) async fn deploy(&self, address: &Address, demo: &str) -> Result<(), BenchError> {
        let program = self.node.app.wasm.resolve(&format!("demo:{demo}")).await?;
        let demo = Demo::find(demo);
        let limits = demo.map(|demo| demo.limits).unwrap_or_default();
        let services = demo.map(|demo| demo.services).unwrap_or_default();
        let deployment = Deployment {
            address: address.clone(),
            by: self.operator.clone(),
            program: program.digest,
            source: "bench".to_owned(),
            limits: limits
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
            protocols: Vec::new(),
            services: services
                .iter()
                .filter_map(|name| name.parse().ok())
                .collect(),
            rights: vec![format!("send {}/*", address.tenant)],
            accepts: Accepts::default(),
            manifest: Vec::new(),
            if_version: None,
        };
        self.node
            .app
            .tree
            .registry
            .deploy(deployment, false)
            .await?;
        Ok(())
    }

    /// Deploys `count` echoes and answers where they are.
    pub(super) async fn echoes(
        &self,
        tenant: &str,
        count: usize,
    ) -> Result<Vec<Principal>, BenchError> {
        let mut addresses = Vec::with_capacity(count);
        for number in 0..count {
            let address = address(tenant, &format!("echo-{number}"))?;
            self.deploy(&address, "echo").await?;
            addresses.push(Principal::Agent(address));
        }
        Ok(addresses)
    }

    /// Who asks.
    pub(super) fn client(&self) -> Client {
        Client {
            gateway: self.node.app.tree.gateway.clone(),
            operator: self.operator.clone(),
        }
    }

    /// An instance of a sample agent with nothing of the node around it.
    pub(super) async fn bare(&self, demo: &str) -> Result<Instance, BenchError> {
        let wasm = &self.node.app.wasm;
        let resolved = wasm.resolve(&format!("demo:{demo}")).await?;
        let program = wasm
            .program(resolved.digest)
            .await
            .map_err(|error| BenchError::Demo(error.to_string()))?;
        let host: Arc<dyn Host> = Arc::new(Silent);
        program
            .start(Arc::new(Limits::default()), host)
            .await
            .map_err(|fault| BenchError::Demo(fault.to_string()))
    }
}

/// An operator's requests, as the management API hands them in.
#[derive(Clone)]
pub(super) struct Client {
    gateway: Gateway,
    pub(super) operator: Principal,
}

impl Client {
    /// Sends a request and waits for the answer. Answers how long that took.
    pub(super) async fn ask(
        &self,
        to: &Principal,
        content: &Arc<[u8]>,
        delivery: Delivery,
    ) -> Result<Duration, BenchError> {
        let order = Order {
            sender: self.operator.clone(),
            receiver: to.clone(),
            performative: Performative::Request,
            conversation: None,
            protocol: None,
            reply_with: None,
            in_reply_to: None,
            reply_by: None,
            content_type: "text/plain".into(),
            content: Arc::clone(content),
            delivery,
            id: None,
            trace: None,
            is_signed: false,
        };
        let begun = Instant::now();
        let (_accepted, answer) = self.gateway.request(order, PATIENCE).await?;
        let took = begun.elapsed();
        match answer.performative {
            Performative::Refuse | Performative::Failure | Performative::NotUnderstood => {
                let why = String::from_utf8_lossy(&answer.content).into_owned();
                Err(BenchError::Answer(why))
            }
            _ => Ok(took),
        }
    }
}

/// An address of the measurement.
pub(super) fn address(tenant: &str, name: &str) -> Result<Address, BenchError> {
    let text = format!("{tenant}/{name}");
    text.parse()
        .map_err(|error| BenchError::Demo(format!("{text}: {error}")))
}

/// Content of `bytes` bytes.
pub(super) fn content(bytes: usize) -> Arc<[u8]> {
    "measure ".bytes().cycle().take(bytes).collect()
}
