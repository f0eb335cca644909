//! The composition root: what is started in which order, and stopped in the reverse.

use std::{
    collections::BTreeMap, fs, path::PathBuf, sync::Arc, thread::available_parallelism,
    time::Duration,
};

use caxton_actors::{
    agent::RetryPolicy,
    gateway::AdmissionLimits,
    ports::unix_ms,
    supervision::Intensity,
    tree::{Tree, TreeParts},
};
use caxton_audit::EventType;
use caxton_sandbox::{Engine, EngineConfig};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    access::{self, issuer::TokenIssuer, manifests::Manifests},
    app::{About, App, Phase},
    audit::{self, Audit, StartAuditError, seen},
    cluster::{self, drain::Drain, start::Ground},
    config::{Config, Mode},
    environment::Environment,
    garbage,
    history::Queue,
    logs::Logs,
    manage,
    parts::{
        StartNodeError, compiler, data_folder, history, identity, keeper, listen, named, operator,
        room, store_options,
    },
    ready::{Ready, Secret, ready},
    store::Store,
    trace::TraceRing,
    wasm::Wasm,
    wiring::Wiring,
};

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) app: Arc<App>,
    phase: watch::Sender<Phase>,
    ephemeral: Option<PathBuf>,
}

impl Node {
    /// Starts: store, identity, socket, sandbox, tree, management API; ready is said last.
    pub(crate) async fn start(
        config: Config,
        join_token: Option<Secret>,
    ) -> Result<(Self, Ready), StartNodeError> {
        let begun = Environment::instant();
        let environment = Arc::new(Environment::new());
        let mut notes = Vec::new();
        let config = named(config);
        let folder = data_folder(&config, &environment)?;
        let ephemeral = config.node.ephemeral.then(|| folder.clone());

        let store = Arc::new(Store::open(
            &folder,
            store_options(&config),
            environment.clone(),
        )?);
        let orphans = store.bury_orphans(unix_ms(environment.now())).await;
        if let Ok(agents @ 1..) = orphans {
            tracing::warn!(agents, "what was left of removed agents was cleared up");
        }
        let (identity, cluster) =
            identity(&config, &folder, &environment, join_token.as_ref()).await?;
        let (operator, api_key, founding) = operator(&folder, &environment)?;
        let owner = audit::Owner {
            id: &identity.spiffe_id,
        };
        let audit = Audit::start(&folder, &owner, &environment).await?;
        audit
            .record(seen::configured(&audit, &config.summary))
            .await
            .map_err(StartAuditError::First)?;
        let exporter = match &config.audit_export {
            Some(to) => Some(audit.exporter(&folder, to)?),
            None => None,
        };
        let issuer = Arc::new(TokenIssuer::open(
            &folder,
            &identity.spiffe_id,
            &environment,
        )?);
        let in_force = watch::Sender::new(0);
        let (listener, address) = listen(&config, &mut notes).await?;

        let cluster = cluster::start::start(
            Ground {
                config: &config,
                data: &folder,
                identity: &identity,
                store: &store,
                audit: &audit,
                environment: &environment,
                cluster,
                in_force: in_force.subscribe(),
            },
            &mut notes,
        )
        .await?;

        let ground = access::keeper::Ground {
            owner: operator.clone(),
            founding,
            issuers: issuer.issuers().map_err(StartNodeError::Access)?,
            store: Arc::clone(&store),
            environment: Arc::clone(&environment),
        };
        let keeper = keeper(ground, cluster.as_ref(), in_force).await?;
        let is_required = config.security.require_signed_deployment;
        let manifests = Arc::new(Manifests::new(Arc::clone(&keeper), is_required));

        let drain = Drain::open(&folder);
        let (agents_max, agents_max_reason) = room(&config);
        let cores = available_parallelism().map_or(1, usize::from);
        let engine = Engine::new(EngineConfig::for_agents(agents_max, cores))?;
        let compiler = compiler(&config, &folder)?;
        let wasm = Arc::new(Wasm::new(
            engine,
            compiler,
            Arc::clone(&store),
            config.limits.clone(),
        ));
        wasm.check_limits(&BTreeMap::new())?;

        let traces = Arc::new(TraceRing::new(config.trace.hops_max));
        let kept = Arc::<Queue>::default();
        let logs = Arc::new(Logs::kept(Arc::clone(&kept)));
        let history = match config.node.ephemeral {
            true => None,
            false => Some(history(&config, &folder, &store, &kept, (&traces, &logs))?),
        };
        let parts = TreeParts {
            trust: keeper.trust(),
            authority: issuer,
            ledger: store.clone(),
            certificates: identity.clone(),
            ids: environment.clone(),
            clock: environment.clone(),
            hops: traces.clone(),
            denials: audit.clone(),
            admission: AdmissionLimits {
                message_bytes_max: config.messages.bytes_max,
                mailbox_max: config.messages.mailbox_max,
                tenant_bytes_max: config.messages.tenant_in_flight_bytes_max,
            },
            retry: RetryPolicy {
                attempts_max: config.messages.attempts_max,
                first: config.messages.backoff_first,
                longest: config.messages.backoff_max,
            },
            conversations_max: config.messages.conversation_max,
            versions_kept: config.agents.versions_kept,
            agent_intensity: Intensity {
                restarts: config.agents.restart_intensity,
                period: config.agents.restart_period,
            },
            seed: u64::from_le_bytes(environment.bytes()),
            grace: config.shutdown_grace,
        };
        let tree = Tree::start(parts, |gateway| {
            Arc::new(Wiring {
                wasm: wasm.clone(),
                gateway: gateway.clone(),
                store: store.clone(),
                logs: logs.clone(),
                environment: environment.clone(),
                manifests: Arc::clone(&manifests),
            })
        })
        .await?;

        keeper.attach(&tree);

        let (phase, phase_now) = watch::channel(Phase::Starting);
        let about = About {
            name: config.node.name.clone(),
            spiffe_id: identity.spiffe_id.clone(),
            development: config.node.mode == Mode::Development,
            address,
            started: environment.now(),
            data: folder.display().to_string(),
            persistent: !config.node.ephemeral,
            agents_max: u64::try_from(agents_max).unwrap_or(u64::MAX),
            agents_max_reason: agents_max_reason.clone(),
        };
        let app = Arc::new(App {
            config: Arc::new(config),
            tree,
            store,
            wasm,
            audit,
            traces,
            logs,
            kept,
            history,
            keeper,
            manifests,
            environment,
            phase: phase_now,
            identity,
            cluster,
            drain,
            about,
            freed: Arc::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let serving = manage::serve(Arc::clone(&app), listener);
        app.tasks.spawn(serving);
        app.tasks.spawn(garbage::collect(
            Arc::clone(&app.wasm),
            Arc::clone(&app.freed),
            app.stop.clone(),
        ));
        if let Some(exporter) = exporter {
            app.tasks.spawn(exporter.run(app.stop.clone()));
        }
        app.tasks.spawn(cluster::attend::attend(Arc::clone(&app)));
        app.tasks.spawn(seen::look(Arc::clone(&app)));
        app.tasks
            .spawn(cluster::cosign::asking::ask(Arc::clone(&app)));
        app.tasks.spawn(access::keeper::follow(Arc::clone(&app)));
        phase.send_replace(Phase::Ready);

        let ready = ready(&app, notes, operator, api_key, begun);
        Ok((
            Self {
                app,
                phase,
                ephemeral,
            },
            ready,
        ))
    }

    /// Stops in the reverse order, within the grace. Answers what was lost.
    pub(crate) async fn stop(self, grace: Duration) -> Vec<String> {
        let deadline = tokio::time::Instant::now() + grace;
        self.phase.send_replace(Phase::Draining);
        let app = &self.app;
        app.tree.gateway.drain();
        // What was accepted is worked off, as long as the grace lasts.
        while app.tree.gateway.under_way() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left = app.tree.gateway.under_way();
        app.stop.cancel();
        if let Some(cluster) = &app.cluster {
            cluster.stop().await;
        }
        app.tasks.close();
        let _late = tokio::time::timeout_at(deadline, app.tasks.wait()).await;
        let rest = deadline.saturating_duration_since(tokio::time::Instant::now());
        let report = app.tree.stop(rest.max(Duration::from_millis(200))).await;
        app.store.close();
        let stopped = EventType::NodeStopped;
        app.audit.tell(app.audit.event(stopped, "stop", "node"));
        app.audit.close().await;
        if let Some(history) = &app.history {
            history.close();
        }
        app.wasm.stop();
        if let Some(folder) = &self.ephemeral {
            let _left_behind = fs::remove_dir_all(folder);
        }
        let mut lost = report.killed;
        if left > 0 {
            lost.push(format!(
                "{left} messages under way; the durable ones are taken up at the next start"
            ));
        }
        lost
    }
}

/// Says a line to systemd, where it listens.
pub(crate) fn tell_systemd(state: &[sd_notify::NotifyState<'_>]) {
    let _nobody = sd_notify::notify(state);
}
