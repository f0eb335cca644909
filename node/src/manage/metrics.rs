//! Figures for monitoring, as OpenMetrics text. What the node keeps anyway is read when it is asked for;
//! only requests are counted on the way.

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicI64, AtomicU64},
    time::Duration,
};

use axum::{
    extract::State,
    http::{HeaderName, header},
};
use caxton_actors::{ports::Desired, supervision::ChildStatus};
use caxton_api::paths;
use caxton_mesh::membership::State as Standing;
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::{
    convert::count,
    extract::{Caller, NoQuery},
    nodes::resident_bytes,
    plane::{Plane, Shared},
    problem::{Answer, Failure},
};
use crate::app::App;

/// OpenMetrics 1.0, section "Overall structure".
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Seconds: from a look-up in memory to the longest wait.
const BUCKETS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 600.0];

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct StateLabel {
    state: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct CodeLabel {
    code: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct ActorLabel {
    actor: String,
}

type Durations = Family<RequestLabels, Histogram, fn() -> Histogram>;

/// What is counted of requests. Labels are routes, not paths, and words of closed sets: nobody can make
/// new ones.
#[derive(Clone)]
pub(super) struct Measures {
    requests: Family<RequestLabels, Counter>,
    durations: Durations,
}

impl Default for Measures {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            durations: Durations::new_with_constructor(|| Histogram::new(BUCKETS)),
        }
    }
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Measures")
    }
}

impl Measures {
    /// Counts a request that ended.
    pub(super) fn observe(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = RequestLabels {
            method: method.to_owned(),
            route: route.to_owned(),
            status: status.to_string(),
        };
        self.requests.get_or_create(&labels).inc();
        self.durations
            .get_or_create(&labels)
            .observe(took.as_secs_f64());
    }
}

/// Shows the figures of this node.
#[utoipa::path(get, path = paths::METRICS, tag = "metrics",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn get_metrics(
    State(plane): Shared,
    caller: Caller,
    _none: NoQuery,
) -> Answer<([(HeaderName, &'static str); 1], String)> {
    let node = plane.operate(&caller).await?;
    let text = encode(&node, &plane)
        .map_err(|error| Failure::internal("the figures cannot be written", &error))?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text))
}

fn encode(app: &App, plane: &Plane) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    agents(app, &mut registry);
    messages(app, &mut registry);
    restarts(app, &mut registry);
    mesh(app, &mut registry);
    let mut gauge = |name: &str, help: &str, value: u64| {
        registry.register(name, help, gauge_of(value));
    };
    gauge(
        "process_resident_memory_bytes",
        "Resident memory",
        resident_bytes(),
    );
    gauge(
        "caxton_store_trouble",
        "1 while the store takes no writes",
        u64::from(app.store.trouble().is_some()),
    );
    requests(plane, &mut registry);
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

fn gauge_of(value: u64) -> Gauge {
    let gauge = Gauge::<i64, AtomicI64>::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    gauge
}

fn counter_of(value: u64) -> Counter {
    let counter = Counter::<u64, AtomicU64>::default();
    counter.inc_by(value);
    counter
}

fn agents(app: &App, registry: &mut Registry) {
    let mut states: BTreeMap<&str, u64> = [("running", 0), ("stopped", 0), ("down", 0)].into();
    let mut queued = 0_usize;
    for port in app.tree.gateway.routes().all() {
        let state = match (port.desired(), port.is_up()) {
            (Desired::Stopped, _) => "stopped",
            (Desired::Running, true) => "running",
            (Desired::Running, false) => "down",
        };
        *states.entry(state).or_default() += 1;
        queued = queued.saturating_add(port.queued().0);
    }
    let family = Family::<StateLabel, Gauge>::default();
    for (state, number) in states {
        let labels = StateLabel {
            state: state.to_owned(),
        };
        family
            .get_or_create(&labels)
            .set(i64::try_from(number).unwrap_or(i64::MAX));
    }
    registry.register(
        "caxton_agents",
        "Agents; down are those that should run and do not take messages now",
        family,
    );
    registry.register(
        "caxton_mailbox_messages",
        "Messages that wait for agents or are being handled",
        gauge_of(count(queued)),
    );
    let room = app.wasm.capacity().agents;
    registry.register(
        "caxton_instances",
        "Live instances of programs",
        gauge_of(count(room.used)),
    );
    registry.register(
        "caxton_instances_max",
        "Instances that can be live at once",
        gauge_of(count(room.max)),
    );
}

fn messages(app: &App, registry: &mut Registry) {
    registry.register(
        "caxton_messages_accepted",
        "Messages accepted since the start",
        counter_of(app.traces.accepted()),
    );
    // A store that cannot be read shows in `caxton_store_trouble`; no figure is better than a wrong one.
    if let Ok(number) = app.store.dead_letter_count() {
        registry.register("caxton_dead_letters", "Dead letters held", gauge_of(number));
    }
    registry.register(
        "caxton_dead_letters_dropped",
        "Dead letters forgotten because there were too many",
        counter_of(app.store.dead_letters_dropped()),
    );
    let (hops, lines) = app.kept.losses();
    registry.register(
        "caxton_trace_hops_not_kept",
        "Hops that will not be there after a restart: too many at once, or the disk failed",
        counter_of(hops),
    );
    registry.register(
        "caxton_log_lines_not_kept",
        "Lines of agents' logs that will not be there after a restart",
        counter_of(lines),
    );
}

/// Restarts of the node's own actors, and of all agents in one: agents come and go, and their names
/// would be a series each.
fn restarts(app: &App, registry: &mut Registry) {
    let family = Family::<ActorLabel, Counter>::default();
    for child in app.tree.root().status() {
        let labels = ActorLabel {
            actor: format!("node/{}", child.name),
        };
        family.get_or_create(&labels).inc_by(child.restarts);
        if !child.children.is_empty() {
            let labels = ActorLabel {
                actor: format!("node/{}/*", child.name),
            };
            family.get_or_create(&labels).inc_by(restarts_below(&child));
        }
    }
    registry.register(
        "caxton_actor_restarts",
        "Restarts of actors since the start",
        family,
    );
}

/// The node's part in its cluster; nothing where it has none.
fn mesh(app: &App, registry: &mut Registry) {
    let Some(cluster) = &app.cluster else {
        return;
    };
    let view = cluster.mesh.view().borrow().clone();
    let members = Family::<StateLabel, Gauge>::default();
    for state in Standing::ALL {
        let labels = StateLabel {
            state: state.word().to_owned(),
        };
        let seen = i64::try_from(view.of(state).count()).unwrap_or(i64::MAX);
        members.get_or_create(&labels).set(seen);
    }
    registry.register("caxton_members", "Members, as this node sees them", members);
    let watch = cluster.mesh.watch();
    let refused = Family::<CodeLabel, Counter>::default();
    for (code, times) in watch.refusals() {
        let labels = CodeLabel {
            code: format!("0x{code:02x}"),
        };
        refused.get_or_create(&labels).inc_by(times);
    }
    registry.register(
        "caxton_mesh_refused",
        "Connections refused, by the code of docs/wire.md",
        refused,
    );
    let (broken, shed) = watch.handshakes_lost();
    let mut counter = |name: &str, help: &str, value: u64| {
        registry.register(name, help, counter_of(value));
    };
    counter(
        "caxton_mesh_handshakes_broken",
        "Handshakes that broke off",
        broken,
    );
    counter(
        "caxton_mesh_handshakes_shed",
        "Handshakes refused because too many were under way",
        shed,
    );
    counter(
        "caxton_mesh_violations",
        "Peers that broke the protocol",
        watch.violations(),
    );
    counter(
        "caxton_mesh_gossip_dropped",
        "Messages of gossip that were dropped",
        watch.gossip_lost(),
    );
}

fn restarts_below(status: &ChildStatus) -> u64 {
    status
        .children
        .iter()
        .map(|child| child.restarts.saturating_add(restarts_below(child)))
        .sum()
}

fn requests(plane: &Plane, registry: &mut Registry) {
    let Measures {
        requests,
        durations,
    } = plane.measures.clone();
    registry.register("caxton_http_requests", "Requests that ended", requests);
    registry.register_with_unit(
        "caxton_http_request_duration",
        "Time until the answer began",
        Unit::Seconds,
        durations,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_and_status() {
        let measures = Measures::default();
        measures.observe("GET", paths::AGENTS, 200, Duration::from_millis(2));
        measures.observe("GET", paths::AGENTS, 200, Duration::from_millis(20));
        let mut registry = Registry::default();
        registry.register("caxton_http_requests", "x", measures.requests.clone());
        registry.register_with_unit(
            "caxton_http_request_duration",
            "x",
            Unit::Seconds,
            measures.durations.clone(),
        );
        let mut encoded = String::new();
        text::encode(&mut encoded, &registry).unwrap();
        let line =
            "caxton_http_requests_total{method=\"GET\",route=\"/api/v1/agents\",status=\"200\"} 2";
        assert!(encoded.contains(line), "{encoded}");
        assert!(encoded.contains("caxton_http_request_duration_seconds_bucket{le=\"0.005\",method=\"GET\",route=\"/api/v1/agents\",status=\"200\"} 1"), "{encoded}");
    }
}
