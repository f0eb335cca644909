//! The paths of the API. A client builds them here, a server mounts the same text.

/// Everything below is under this prefix, but health and metrics.
pub const PREFIX: &str = "/api/v1";

/// `GET`: liveness.
pub const LIVE: &str = "/health/live";
/// `GET`: readiness; 503 with reasons while it is not.
pub const READY: &str = "/health/ready";
/// `GET`: OpenMetrics text.
pub const METRICS: &str = "/metrics";
/// `GET`: the OpenAPI 3.1 document.
pub const OPENAPI: &str = "/api/v1/openapi.json";
/// `GET`: who the caller is.
pub const WHOAMI: &str = "/api/v1/whoami";
/// `GET`: nodes.
pub const NODES: &str = "/api/v1/nodes";
/// `GET`: one node.
pub const NODE: &str = "/api/v1/nodes/{node}";
/// `GET`: the supervised tree.
pub const ACTORS: &str = "/api/v1/actors";
/// `POST`: restarts one actor.
pub const ACTOR_RESTART: &str = "/api/v1/actors/{actor}/restart";
/// `GET`: limits of programs with their defaults and maxima.
pub const LIMITS: &str = "/api/v1/limits";
/// `GET`, `POST`: programs.
pub const PROGRAMS: &str = "/api/v1/programs";
/// `GET`: one program.
pub const PROGRAM: &str = "/api/v1/programs/{program}";
/// `GET`: agents of all tenants.
pub const AGENTS: &str = "/api/v1/agents";
/// `GET`, `PUT`, `DELETE`: one agent.
pub const AGENT: &str = "/api/v1/tenants/{tenant}/agents/{agent}";
/// `POST`: start it.
pub const AGENT_START: &str = "/api/v1/tenants/{tenant}/agents/{agent}/start";
/// `POST`: stop it.
pub const AGENT_STOP: &str = "/api/v1/tenants/{tenant}/agents/{agent}/stop";
/// `POST`: back to an earlier version.
pub const AGENT_ROLLBACK: &str = "/api/v1/tenants/{tenant}/agents/{agent}/rollback";
/// `GET`: its log.
pub const AGENT_LOGS: &str = "/api/v1/tenants/{tenant}/agents/{agent}/logs";
/// `GET`: its log as server-sent events.
pub const AGENT_LOGS_STREAM: &str = "/api/v1/tenants/{tenant}/agents/{agent}/logs/stream";
/// `POST`: send a message.
pub const MESSAGES: &str = "/api/v1/messages";
/// `GET`: messages as they pass, as server-sent events.
pub const MESSAGES_STREAM: &str = "/api/v1/messages/stream";
/// `GET`: what became of one message.
pub const MESSAGE: &str = "/api/v1/messages/{message}";
/// `GET`: recent traces.
pub const TRACES: &str = "/api/v1/traces";
/// `GET`: one trace by trace, message or conversation id.
pub const TRACE: &str = "/api/v1/traces/{id}";
/// `GET`: dead letters.
pub const DEAD_LETTERS: &str = "/api/v1/dead-letters";
/// `GET`: one dead letter.
pub const DEAD_LETTER: &str = "/api/v1/dead-letters/{message}";
/// `POST`: deliver it again.
pub const DEAD_LETTER_REPLAY: &str = "/api/v1/dead-letters/{message}/replay";
/// `GET`: the cluster as the node sees it.
pub const CLUSTER: &str = "/api/v1/cluster";
/// `GET`: its members.
pub const MEMBERS: &str = "/api/v1/cluster/members";
/// `GET`: members as they change, as server-sent events.
pub const MEMBERS_STREAM: &str = "/api/v1/cluster/members/stream";
/// `GET`: one member. `DELETE`: takes it out of the cluster.
pub const MEMBER: &str = "/api/v1/cluster/members/{member}";
/// `POST`: the node takes no new agents. `DELETE`: it does again.
pub const CLUSTER_DRAIN: &str = "/api/v1/cluster/drain";
/// `POST`: the node leaves its cluster for good, and stops.
pub const CLUSTER_LEAVE: &str = "/api/v1/cluster/leave";
/// `GET`: the cluster's certificate authority.
pub const AUTHORITY: &str = "/api/v1/cluster/authority";
/// `POST`: begins the change to the next authority.
pub const ROTATIONS: &str = "/api/v1/cluster/authority/rotations";
/// `POST`: takes certificates back.
pub const REVOCATIONS: &str = "/api/v1/cluster/authority/revocations";
/// `GET`: the events of the node's audit log.
pub const AUDIT_EVENTS: &str = "/api/v1/audit/events";
/// `GET`: its signed head.
pub const AUDIT_HEAD: &str = "/api/v1/audit/head";
/// `GET`: operators.
pub const OPERATORS: &str = "/api/v1/operators";
/// `GET`, `PUT`: one operator.
pub const OPERATOR: &str = "/api/v1/operators/{operator}";
/// `POST`: a key that they sign deployments with.
pub const DEPLOYER_KEYS: &str = "/api/v1/operators/{operator}/deployer-keys";
/// `DELETE`: takes it away.
pub const DEPLOYER_KEY: &str = "/api/v1/operators/{operator}/deployer-keys/{key}";
/// `POST`: a certificate with which they call this API.
pub const OPERATOR_CERTIFICATES: &str = "/api/v1/operators/{operator}/certificates";
/// `POST`: an operator who was revoked counts again.
pub const OPERATOR_REINSTATE: &str = "/api/v1/operators/{operator}/reinstate";
/// `GET`, `POST`: keys to this API.
pub const API_KEYS: &str = "/api/v1/api-keys";
/// `POST`: a token of a quarter of an hour, for one who is known.
pub const SERVICE_TOKENS: &str = "/api/v1/service-tokens";
/// `GET`: tenants.
pub const TENANTS: &str = "/api/v1/tenants";
/// `GET`, `PUT`: one tenant.
pub const TENANT: &str = "/api/v1/tenants/{tenant}";
/// `POST`: nothing of the tenant's runs, sends or receives. `DELETE`: it does again.
pub const TENANT_BLOCK: &str = "/api/v1/tenants/{tenant}/block";
/// `GET`: policy documents.
pub const POLICIES: &str = "/api/v1/policies";
/// `GET`, `PUT`, `DELETE`: one document.
pub const POLICY: &str = "/api/v1/policies/{policy}";
/// `POST`: what the policies would decide.
pub const POLICIES_EVALUATE: &str = "/api/v1/policies/evaluate";
/// `GET`, `POST`: authority that was taken back.
pub const ACCESS_REVOCATIONS: &str = "/api/v1/revocations";
/// `POST`: an agent that was revoked may send and receive again.
pub const AGENT_REINSTATE: &str = "/api/v1/tenants/{tenant}/agents/{agent}/reinstate";
/// `GET`: whether all programs are stopped. `POST`: stops them. `DELETE`: lets them go on.
pub const FREEZE: &str = "/api/v1/freeze";
/// `GET`: capability tokens of this node's agents.
pub const TOKENS: &str = "/api/v1/tokens";
/// `GET`, `POST`: tokens to join with.
pub const JOIN_TOKENS: &str = "/api/v1/join-tokens";
/// `DELETE`: takes one back.
pub const JOIN_TOKEN: &str = "/api/v1/join-tokens/{id}";

/// Fills the `{…}` parts of a path in order, percent-encoding what is not unreserved (RFC 3986, section 2.3).
#[must_use]
pub fn fill(path: &str, parts: &[&str]) -> String {
    let mut parts = parts.iter();
    let mut filled = String::with_capacity(path.len() + 32);
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        encode(parts.next().copied().unwrap_or_default(), &mut filled);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    filled.push_str(rest);
    filled
}

fn encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_filled_in_order_and_encoded() {
        assert_eq!(
            fill(AGENT_STOP, &["acme", "one"]),
            "/api/v1/tenants/acme/agents/one/stop"
        );
        assert_eq!(fill(NODE, &["../x y"]), "/api/v1/nodes/..%2Fx%20y");
        assert_eq!(fill(NODES, &[]), NODES);
    }
}
