//! What each operation of the API is asked for, and who may: written by hand from what `docs/policy.md` and the built-in
//! policies promise of the roles. Nothing here asks the policy engine, which is what is tested.
//!
//! Roles stand by their letters: `a`dministrator, `p`roject-manager, agent-`d`esigner, `o`perator, `v`iewer.

use caxton_api::paths;

/// An id of a message, a trace and a token that nothing has.
const NO_MESSAGE: &str = "msg_00000000000000000000000001";
const NO_TRACE: &str = "00000000000000000000000000000001";
const NO_TOKEN: &str = "tok_00000000000000000000000001";
/// A program that is none: who may upload hears that.
pub(super) const NO_PROGRAM: &str = "\0asm";

/// Who may.
#[derive(Clone, Copy, Debug)]
pub(super) enum May {
    /// Whoever asks.
    Anyone,
    /// Whoever is known, whatever they may do besides.
    Known,
    /// Whoever has all of their own authority.
    Own,
    /// These roles over everything and, of what is a tenant's, in that tenant.
    Roles(&'static str),
}

/// What it is done to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over {
    /// The node or the cluster as a whole.
    Whole,
    /// An agent of a tenant.
    Agent,
    /// A tenant.
    Tenant,
    /// Something of no tenant: one that is there, one that is not. `@` stands before a name that the node gave.
    Thing(&'static str, &'static str),
}

/// What a credential with scopes has of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    None,
    Observe,
    Send,
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) query: &'static str,
    pub(super) body: &'static str,
    pub(super) over: Over,
    pub(super) may: May,
    pub(super) scope: Scope,
    /// Who may is not let do it to what is there: the node would not be the same after it.
    pub(super) breaks: bool,
    /// What takes it back again.
    pub(super) undo: Option<(&'static str, &'static str)>,
}

const fn row(method: &'static str, path: &'static str, over: Over, may: May) -> Row {
    Row {
        method,
        path,
        query: "",
        body: "",
        over,
        may,
        scope: Scope::None,
        breaks: false,
        undo: None,
    }
}

impl Row {
    pub(super) fn makes_keys(&self) -> bool {
        let makes = [paths::API_KEYS, paths::OPERATOR_CERTIFICATES];
        self.method == "POST" && makes.contains(&self.path)
    }

    const fn query(self, query: &'static str) -> Self {
        Self { query, ..self }
    }

    const fn body(self, body: &'static str) -> Self {
        Self { body, ..self }
    }

    /// The scope `observe acme/*` has it.
    const fn observed(self) -> Self {
        let scope = Scope::Observe;
        Self { scope, ..self }
    }

    /// The scope `send acme/one` has it.
    const fn sent(self) -> Self {
        let scope = Scope::Send;
        Self { scope, ..self }
    }

    const fn breaks(self) -> Self {
        Self {
            breaks: true,
            ..self
        }
    }

    const fn undone(self, method: &'static str, path: &'static str) -> Self {
        Self {
            undo: Some((method, path)),
            ..self
        }
    }
}

/// All of it, in the order in which it is asked: what leaves something behind comes last.
pub(super) fn table() -> Vec<Row> {
    let mut all = node();
    for more in [agents(), messages(), access(), taking_back(), cluster()] {
        all.extend(more);
    }
    all.extend(leaving_something());
    all
}

fn node() -> Vec<Row> {
    use Over::{Tenant, Thing, Whole};
    let looks = May::Roles("aov");
    vec![
        row("GET", paths::LIVE, Whole, May::Anyone),
        row("GET", paths::READY, Whole, May::Anyone),
        row("GET", paths::OPENAPI, Whole, May::Known),
        row("GET", paths::WHOAMI, Whole, May::Known),
        row("GET", paths::METRICS, Whole, May::Roles("ao")),
        row("GET", paths::NODES, Whole, looks),
        row("GET", paths::NODE, Thing("@node", "none"), looks),
        row("GET", paths::LIMITS, Whole, looks),
        row("GET", paths::ACTORS, Whole, May::Roles("ao")),
        row(
            "POST",
            paths::ACTOR_RESTART,
            Thing("node/gateway", "node/none"),
            May::Roles("ao"),
        )
        .breaks(),
        row("GET", paths::PROGRAMS, Whole, looks),
        row("GET", paths::PROGRAM, Tenant, May::Roles("apd")).query("?tenant={tenant}"),
        row("POST", paths::PROGRAMS, Tenant, May::Roles("apd"))
            .query("?tenant={tenant}")
            .body(NO_PROGRAM),
        row("GET", paths::AGENTS, Whole, looks),
        row("GET", paths::AGENTS, Tenant, May::Roles("apov"))
            .query("?tenant={tenant}")
            .observed(),
    ]
}

fn agents() -> Vec<Row> {
    use Over::Agent;
    let looks = May::Roles("apdov");
    let runs = May::Roles("apdo");
    vec![
        row("GET", paths::AGENT, Agent, looks).observed(),
        row("PUT", paths::AGENT, Agent, May::Roles("apd"))
            .body(r#"{"program":"demo:echo","dry_run":true}"#),
        row("DELETE", paths::AGENT, Agent, May::Roles("ap")).breaks(),
        row("POST", paths::AGENT_ROLLBACK, Agent, May::Roles("apd")).body(r#"{"version":1}"#),
        row("GET", paths::AGENT_LOGS, Agent, looks).observed(),
        row("GET", paths::AGENT_LOGS_STREAM, Agent, looks).observed(),
        row("POST", paths::AGENT_REINSTATE, Agent, May::Roles("apo")),
        row("POST", paths::AGENT_STOP, Agent, runs).undone("POST", paths::AGENT_START),
        row("POST", paths::AGENT_START, Agent, runs),
    ]
}

fn messages() -> Vec<Row> {
    use Over::{Agent, Thing, Whole};
    let looks = May::Roles("aov");
    let follows = May::Roles("apdov");
    let letters = May::Roles("ao");
    let message = Thing("@message", NO_MESSAGE);
    vec![
        row("POST", paths::MESSAGES, Agent, May::Roles("apd"))
            .body(r#"{"to":"{tenant}/{agent}","content":"x"}"#)
            .sent(),
        row("GET", paths::MESSAGES_STREAM, Whole, looks),
        row("GET", paths::MESSAGES_STREAM, Agent, follows)
            .query("?agents={tenant}/{agent}")
            .observed(),
        row("GET", paths::MESSAGE, message, looks),
        row("GET", paths::TRACES, Whole, looks),
        row("GET", paths::TRACES, Agent, follows)
            .query("?agent={tenant}/{agent}")
            .observed(),
        row("GET", paths::TRACE, Thing("@trace", NO_TRACE), looks),
        row("GET", paths::DEAD_LETTERS, Whole, letters),
        row("GET", paths::DEAD_LETTER, message, letters),
        row("POST", paths::DEAD_LETTER_REPLAY, message, letters),
    ]
}

fn access() -> Vec<Row> {
    use Over::{Tenant, Thing, Whole};
    let (looks, all) = (May::Roles("aov"), May::Roles("a"));
    let operator = Thing("witness", "nobody-there");
    let policy = Thing("witness", "none-such");
    vec![
        row("GET", paths::OPERATORS, Whole, looks),
        row("GET", paths::OPERATOR, operator, all),
        row("POST", paths::OPERATOR_REINSTATE, operator, all),
        row("POST", paths::DEPLOYER_KEYS, operator, all)
            .body(r#"{"public_key":"{public_key}"}"#),
        row("DELETE", paths::DEPLOYER_KEY, operator, all),
        row("POST", paths::OPERATOR_CERTIFICATES, operator, all).body(r#"{"request":"none"}"#),
        row("POST", paths::SERVICE_TOKENS, Whole, May::Known),
        // A list of what the caller may see is nobody's to be refused; what is in it is looked at by itself.
        row("GET", paths::API_KEYS, Whole, May::Known),
        row("GET", paths::TENANTS, Whole, May::Known),
        row("GET", paths::TOKENS, Whole, May::Known),
        row("GET", paths::TENANT, Tenant, May::Roles("apov")).observed(),
        row("GET", paths::POLICIES, Whole, looks),
        row("GET", paths::POLICY, policy, all),
        row("PUT", paths::POLICY, policy, all).body(
            r#"{"text":"@id(\"none\") forbid (principal is Agent, action == Action::\"connect\", resource);","dry_run":true}"#,
        ),
        row("POST", paths::POLICIES_EVALUATE, Whole, looks)
            .body(r#"{"request":{"principal":"operator:admin","action":"read","resource":"cluster"}}"#),
        row("GET", paths::FREEZE, Whole, looks),
        row("GET", paths::ACCESS_REVOCATIONS, Whole, looks),
        row("GET", paths::AUDIT_EVENTS, Whole, all).query("?tail=1"),
        row("GET", paths::AUDIT_HEAD, Whole, all),
    ]
}

fn taking_back() -> Vec<Row> {
    use Over::{Agent, Tenant, Thing, Whole};
    let (all, stops) = (May::Roles("a"), May::Roles("apo"));
    let revoke = |over, may, body| row("POST", paths::ACCESS_REVOCATIONS, over, may).body(body);
    vec![
        revoke(Thing(NO_TOKEN, NO_TOKEN), all, r#"{"token":"{thing}"}"#),
        revoke(
            Thing("witness-key", "none-such"),
            all,
            r#"{"key":"{thing}"}"#,
        ),
        revoke(
            Thing("witness", "nobody-there"),
            all,
            r#"{"operator":"{thing}"}"#,
        ),
        revoke(Agent, stops, r#"{"agent":"{tenant}/{agent}"}"#)
            .undone("POST", paths::AGENT_REINSTATE),
        // No version has that number.
        revoke(Agent, stops, r#"{"deployment":"{tenant}/{agent}@999"}"#),
        row("POST", paths::TENANT_BLOCK, Tenant, stops).undone("DELETE", paths::TENANT_BLOCK),
        row("DELETE", paths::TENANT_BLOCK, Tenant, stops),
        row("POST", paths::FREEZE, Whole, May::Roles("ao")).undone("DELETE", paths::FREEZE),
        row("DELETE", paths::FREEZE, Whole, May::Roles("ao")),
    ]
}

/// A development node is a cluster of its own, and its CA.
fn cluster() -> Vec<Row> {
    use Over::{Thing, Whole};
    let (looks, all, operates) = (May::Roles("aov"), May::Roles("a"), May::Roles("ao"));
    let member = Thing("@node", "none");
    vec![
        row("GET", paths::CLUSTER, Whole, looks),
        row("GET", paths::MEMBERS, Whole, looks),
        row("GET", paths::MEMBERS_STREAM, Whole, looks),
        row("GET", paths::MEMBER, member, looks),
        row("DELETE", paths::MEMBER, member, all).breaks(),
        row("POST", paths::CLUSTER_LEAVE, Whole, all).breaks(),
        row("POST", paths::CLUSTER_DRAIN, Whole, operates).breaks(),
        row("DELETE", paths::CLUSTER_DRAIN, Whole, operates),
        row("GET", paths::AUTHORITY, Whole, looks),
        row("POST", paths::ROTATIONS, Whole, operates)
            .body(r#"{"kind":"intermediate"}"#)
            .breaks(),
        row("POST", paths::REVOCATIONS, Thing("@node", "none"), all)
            .body(r#"{"node":"{thing}","reason":"unspecified"}"#)
            .breaks(),
        row("GET", paths::JOIN_TOKENS, Whole, all),
        row("POST", paths::JOIN_TOKENS, Whole, all).body("{}"),
        row("DELETE", paths::JOIN_TOKEN, Thing("first", "none"), all),
    ]
}

/// What makes things that were not there, or takes away what was.
fn leaving_something() -> Vec<Row> {
    use Over::{Tenant, Thing, Whole};
    let all = May::Roles("a");
    vec![
        row("PUT", paths::OPERATOR, Thing("witness", "newcomer"), all).body(r#"{"roles":[]}"#),
        row("POST", paths::API_KEYS, Whole, May::Own).body(r#"{"name":"own-key"}"#),
        row("POST", paths::API_KEYS, Whole, all)
            .body(r#"{"name":"key-of-witness","operator":"witness"}"#),
        row("DELETE", paths::POLICY, Thing("witness", "none-such"), all),
        row("PUT", paths::TENANT, Tenant, May::Roles("ap")).body(r#"{"quota":{}}"#),
    ]
}
