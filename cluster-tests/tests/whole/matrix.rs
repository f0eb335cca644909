//! Every operation of the API, for every role, in its own tenant, in another and in none: who may is let through, who may
//! not hears 403 and nothing that tells what is there from what is not.
//!
//! The operations are those of the live node's own OpenAPI document: one that the table does not know fails the test, so
//! that nobody adds a door without saying who may go through it.

pub(crate) mod callers;
mod table;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use caxton_api::paths::{self, fill};
use caxton_cli::client::{Client, JSON, Request, WASM};
use caxton_cluster_tests::operator::{Operator, durable, until};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use self::{
    callers::{BY_SERVICE_TOKEN, Caller, Maker, Who, call, callers, expired, text},
    table::{May, NO_PROGRAM, Over, Row, Scope, table},
};
use crate::{
    logins::{JWT, configured},
    unsigned_node,
};

/// The tenant of those who have a role in one.
const OWN: &str = "acme";
/// A tenant in which they have none.
const OTHER: &str = "other";
/// Agents, by tenant and name: there, not there; the last of a tenant that is not there either.
const AGENTS: [(&str, &str); 5] = [
    (OWN, "one"),
    (OWN, "none"),
    (OTHER, "one"),
    (OTHER, "none"),
    ("nowhere", "none"),
];
/// What one row is asked for.
#[derive(Clone, Debug)]
struct Place {
    parts: Vec<String>,
    tenant: Option<&'static str>,
    is_there: bool,
    /// A key that deployments are signed with.
    public_key: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expected {
    Through,
    Forbidden,
    Unknown,
    /// Either of the two.
    Refused,
}

/// What the promises say of one question.
fn expected(row: &Row, place: &Place, caller: &Caller) -> Expected {
    let who = caller.who;
    // What holds for a quarter of an hour makes nothing that holds for years.
    let counts = !matches!(who, Who::Nobody | Who::Expiring | Who::Revoked);
    if counts && row.makes_keys() && caller.name.ends_with(BY_SERVICE_TOKEN) {
        return Expected::Forbidden;
    }
    let through = |is: bool| match is {
        true => Expected::Through,
        false => Expected::Forbidden,
    };
    let roles = match (row.may, who) {
        (May::Anyone, _) | (_, Who::Owner) => return Expected::Through,
        (_, Who::Nobody | Who::Expiring) => return Expected::Unknown,
        (_, Who::Revoked) => return Expected::Refused,
        (May::Known, _) => return Expected::Through,
        (May::Own, Who::Scoped(_)) => return Expected::Forbidden,
        (May::Own, _) => return Expected::Through,
        (May::Roles(roles), _) => roles,
    };
    let is_own = place.tenant == Some(OWN);
    let is_one = place.parts.get(1).is_some_and(|agent| agent == "one");
    match who {
        Who::Role(role, in_one) => through(roles.contains(role) && (!in_one || is_own)),
        Who::Scoped(Scope::Observe) => through(row.scope == Scope::Observe && is_own),
        Who::Scoped(Scope::Send) => through(row.scope == Scope::Send && is_own && is_one),
        _ => Expected::Forbidden,
    }
}

/// What the node gave names to.
struct Given {
    node: String,
    message: String,
    trace: String,
    public_key: String,
}

impl Given {
    fn resolve(&self, name: &str) -> String {
        match name {
            "@node" => self.node.clone(),
            "@message" => self.message.clone(),
            "@trace" => self.trace.clone(),
            name => name.to_owned(),
        }
    }

    fn places(&self, over: Over) -> Vec<Place> {
        let place = |parts: &[&str], tenant, is_there| Place {
            parts: parts.iter().map(|part| self.resolve(part)).collect(),
            tenant,
            is_there,
            public_key: self.public_key.clone(),
        };
        match over {
            Over::Whole => vec![place(&[], None, true)],
            Over::Thing(there, absent) => {
                vec![place(&[there], None, true), place(&[absent], None, false)]
            }
            Over::Tenant => [OWN, OTHER, "nowhere"]
                .iter()
                .map(|tenant| place(&[tenant], Some(tenant), *tenant != "nowhere"))
                .collect(),
            Over::Agent => AGENTS
                .iter()
                .map(|(tenant, agent)| place(&[tenant, agent], Some(tenant), *agent == "one"))
                .collect(),
        }
    }
}

/// A text of the table for one place.
fn filled(text: &str, place: &Place) -> String {
    let part = |nth: usize| place.parts.get(nth).map_or("", String::as_str);
    text.replace("{tenant}", part(0))
        .replace("{agent}", part(1))
        .replace("{thing}", part(0))
        .replace("{public_key}", &place.public_key)
}

fn request(row: &Row, place: &Place) -> Result<Request> {
    let parts = place.parts.iter().map(String::as_str);
    // What is named within a thing is not there.
    let parts: Vec<&str> = parts.chain(["none"]).collect();
    let path = fill(row.path, &parts) + &filled(row.query, place);
    let request = Request::new(row.method.parse()?, path);
    Ok(match row.body {
        "" => request,
        NO_PROGRAM => request.body(WASM, NO_PROGRAM.into()),
        body => request.body(JSON, filled(body, place).into_bytes()),
    })
}

/// The status, and the body of what is no success. Streams are not followed.
async fn ask(caller: &Caller, row: &Row, place: &Place) -> Result<(u16, Value)> {
    until("the node has room for the request", async || {
        let answer = caller.client.send(request(row, place)?).await?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("content-type");
        let is_stream = kind.is_some_and(|kind| kind == "text/event-stream");
        let body = match is_stream {
            true => Vec::new(),
            false => caller.client.bytes(answer).await?,
        };
        let body = match status {
            400.. => serde_json::from_slice(&body).context("a problem that is no JSON")?,
            _ => Value::Null,
        };
        // Full is neither yes nor no.
        Ok((status != 429).then_some((status, body)))
    })
    .await
}

/// A refusal without what must differ: the trace, and the name that was asked for.
fn anonymous(status: u16, mut body: Value, place: &Place) -> String {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("trace_id");
    }
    let text = format!("{status} {body}");
    match (place.tenant, place.parts.as_slice()) {
        (Some(tenant), [_, agent]) => text.replace(&format!("{tenant}/{agent}"), "THING"),
        (Some(tenant), _) => text.replace(&format!("{tenant}/*"), "THING"),
        (None, [name]) => text.replace(&format!(":{name}"), ":THING"),
        (None, _) => text,
    }
}

/// Asks everything that a row says of a caller; answers what is not as it should be.
async fn asked(caller: &Caller, row: &Row, places: &[Place]) -> Result<Vec<String>> {
    let most = if caller.once { 1 } else { places.len() };
    let (mut wrong, mut refusals) = (Vec::new(), BTreeSet::new());
    for place in places.iter().take(most) {
        let wanted = expected(row, place, caller);
        if wanted == Expected::Through && row.breaks && place.is_there {
            continue;
        }
        let (status, body) = ask(caller, row, place).await?;
        let is_right = match wanted {
            Expected::Through => !matches!(status, 401 | 403 | 500),
            Expected::Forbidden => status == 403,
            Expected::Unknown => status == 401,
            Expected::Refused => matches!(status, 401 | 403),
        };
        if !is_right {
            wrong.push(format!(
                "{} {}{} {:?} by {}: {wanted:?} expected, {status} {body}",
                row.method, row.path, row.query, place.parts, caller.name
            ));
        }
        if matches!(status, 401 | 403) {
            refusals.insert(anonymous(status, body, place));
        }
    }
    if refusals.len() > 1 {
        let (method, path, name) = (row.method, row.path, &caller.name);
        wrong.push(format!(
            "{method} {path} tells {name} what is there: {refusals:#?}"
        ));
    }
    Ok(wrong)
}

/// Agents, and what the table names besides.
async fn furnish(operator: &Operator) -> Result<Given> {
    let client = &operator.client;
    for tenant in [OWN, OTHER] {
        let path = fill(paths::AGENT, &[tenant, "one"]);
        call(client, "PUT", &path, json!({ "program": "demo:echo" })).await?;
    }
    let witness = fill(paths::OPERATOR, &["witness"]);
    call(client, "PUT", &witness, json!({})).await?;
    let key = json!({ "name": "witness-key", "operator": "witness" });
    call(client, "POST", paths::API_KEYS, key).await?;
    let policy =
        r#"@id("quiet") forbid (principal is Agent, action == Action::"connect", resource);"#;
    let path = fill(paths::POLICY, &["witness"]);
    call(client, "PUT", &path, json!({ "text": policy })).await?;
    let sent = operator
        .send(&durable("acme/one", "request", "x"), None)
        .await?;
    Ok(Given {
        node: operator.node().await?.name,
        message: sent.message,
        trace: sent.trace,
        public_key: String::new(),
    })
}

/// The operations of the node's own document and of the table are the same.
async fn nothing_is_forgotten(client: &Client, rows: &[Row]) -> Result<()> {
    let document = call(client, "GET", paths::OPENAPI, Value::Null).await?;
    let paths = document.get("paths").and_then(Value::as_object);
    let paths = paths.context("no paths")?;
    let described: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, item)| {
            let words = item.as_object().into_iter().flatten();
            let methods = words.filter(|(_, what)| what.get("responses").is_some());
            methods.map(move |(method, _)| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let known = rows
        .iter()
        .map(|row| format!("{} {}", row.method, row.path));
    let known: BTreeSet<String> = known.collect();
    ensure!(described.len() > 60, "{described:?}");
    let forgotten: Vec<_> = described.difference(&known).collect();
    ensure!(forgotten.is_empty(), "say who may: {forgotten:?}");
    let gone: Vec<_> = known.difference(&described).collect();
    ensure!(gone.is_empty(), "there is no such operation: {gone:?}");
    Ok(())
}

/// Asks every caller everything of a row, and takes back what was done.
async fn asked_by_all(callers: &[Caller], row: &Row, places: &[Place]) -> Result<Vec<String>> {
    let all = callers.iter().map(|caller| asked(caller, row, places));
    let wrong = try_join_all(all).await?.into_iter().flatten().collect();
    let owner = callers.iter().find(|caller| caller.who == Who::Owner);
    let Some(((method, path), owner)) = row.undo.zip(owner) else {
        return Ok(wrong);
    };
    for place in places.iter().filter(|place| place.is_there) {
        let parts: Vec<&str> = place.parts.iter().map(String::as_str).collect();
        call(&owner.client, method, &fill(path, &parts), Value::Null).await?;
    }
    Ok(wrong)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_lets_through_whom_it_should_and_tells_the_others_nothing() -> Result<()> {
    let unsigned = "security:\n  require_signed_deployment: false\n";
    let (home, _node, client) = configured(&format!("{unsigned}{JWT}"))?;
    let operator = Operator { client };
    let (rows, mut given) = (table(), furnish(&operator).await?);
    home.run(["agent", "deploy", "demo:echo", "--name", "signed"])?
        .expect(0)?;
    let public_key = home.path().join(".config/caxton/deployer.key.pub");
    let public_key = std::fs::read_to_string(public_key)?;
    public_key.trim().clone_into(&mut given.public_key);
    nothing_is_forgotten(&operator.client, &rows).await?;
    let mut now = callers(&home, &operator.client).await?;
    let is_expiring = |caller: &mut Caller| caller.who == Who::Expiring;
    let mut later: Vec<Caller> = now.extract_if(.., is_expiring).collect();
    let mut wrong = Vec::new();
    for row in &rows {
        let found = asked_by_all(&now, row, &given.places(row.over)).await;
        wrong.extend(found.with_context(|| format!("{} {}", row.method, row.path))?);
    }
    for caller in &mut later {
        expired(caller).await?;
    }
    for row in &rows {
        wrong.extend(asked_by_all(&later, row, &given.places(row.over)).await?);
    }
    let told = wrong.join("\n");
    ensure!(
        wrong.is_empty(),
        "{} answers are wrong:\n{told}",
        wrong.len()
    );
    Ok(())
}

/// The names in a list as one sees it.
async fn listed(caller: &Caller, path: &str, field: &str) -> Result<BTreeSet<String>> {
    let page = call(&caller.client, "GET", path, Value::Null).await?;
    let Some(items) = page.get("items").and_then(Value::as_array) else {
        bail!("no items: {page}");
    };
    items.iter().map(|item| text(item, field)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_hold_what_the_caller_may_see_and_nothing_else() -> Result<()> {
    let (home, _node, operator) = unsigned_node()?;
    furnish(&operator).await?;
    let callers = Vec::new();
    let admin = &operator.client;
    let home = &home;
    let mut maker = Maker {
        home,
        admin,
        callers,
    };
    let own = ["viewer@acme".to_owned()];
    maker.operator("of-acme", &own).await?;
    let key = maker.key("of-acme", "of-acme", Value::Null).await?;
    maker.push("of acme", Who::Role('v', true), Some(key), false)?;
    maker.operator("of-all", &["viewer".to_owned()]).await?;
    let key = maker.key("of-all", "of-all", Value::Null).await?;
    maker.push("of all", Who::Role('v', false), Some(key), false)?;
    maker.operator("of-none", &[]).await?;
    let key = maker.key("of-none", "of-none", Value::Null).await?;
    maker.push("of none", Who::Roleless, Some(key), false)?;
    let wish = json!({ "scopes": ["observe acme/*"] });
    let key = maker.key("scoped", "of-all", wish).await?;
    let scoped = Who::Scoped(Scope::Observe);
    maker.push("scoped to acme", scoped, Some(key), false)?;
    let seen = [&[OWN][..], &[OWN, OTHER], &[], &[OWN]];
    for (caller, tenants) in maker.callers.iter().zip(seen) {
        let tenants: BTreeSet<String> = tenants.iter().map(|one| (*one).to_owned()).collect();
        let agents = tenants.iter().map(|tenant| format!("{tenant}/one"));
        let agents: BTreeSet<String> = agents.collect();
        let name = &caller.name;
        assert_eq!(
            listed(caller, paths::TENANTS, "name").await?,
            tenants,
            "{name}"
        );
        assert_eq!(
            listed(caller, paths::TOKENS, "agent").await?,
            agents,
            "{name}"
        );
    }
    Ok(())
}
