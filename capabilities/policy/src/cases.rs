//! Requests in YAML: tests that lie beside policies, and the one question of an `explain`.
//!
//! A case says who asks for what and which answer is expected; running them changes nothing. Results are data.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use caxton_capabilities::{
    Destination, Device, Name, PolicyAction, PolicyContext, PolicyPrincipal, PolicyRequest,
    PolicyResource, PrincipalFacts, PrincipalId, ResourceId, Role, Ruling, TenantId,
};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, de};

use crate::{
    engine::Engine,
    problem::{Problem, shown},
    yaml,
};

/// Longest file of cases, in bytes.
pub const CASES_BYTES_MAX: usize = 1 << 20;

/// A file of cases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    cases: Vec<Case>,
}

/// A request, and what is expected of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    #[serde(rename = "request")]
    asked: Asked,
    #[serde(rename = "expect")]
    expected: Expected,
    /// The policy that it must rest on.
    #[serde(default)]
    rule: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Permit,
    Deny,
}

/// What became of a case.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The case's name.
    pub name: String,
    /// What was decided.
    pub ruling: Ruling,
    /// What differs from what was expected; `None` where nothing does.
    pub failure: Option<String>,
}

impl Cases {
    /// Reads a file.
    ///
    /// # Errors
    /// The bytes are no such file: an unknown key or value, with its place, or too much of it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Problem> {
        yaml::read(bytes, CASES_BYTES_MAX)
    }

    /// The cases, in their order.
    #[must_use]
    pub fn all(&self) -> &[Case] {
        &self.cases
    }

    /// Puts each case to the engine, which remembers nothing of it.
    #[must_use]
    pub fn run(&self, engine: &Engine) -> Vec<Outcome> {
        self.cases.iter().map(|case| case.run(engine)).collect()
    }
}

impl Case {
    /// The request of it.
    #[must_use]
    pub fn request(&self) -> PolicyRequest {
        self.asked.request()
    }

    fn run(&self, engine: &Engine) -> Outcome {
        let ruling = engine.decide_anew(&self.request());
        let is = if ruling.is_permit() {
            Expected::Permit
        } else {
            Expected::Deny
        };
        let failure = if is != self.expected {
            Some(format!(
                "{}, where the opposite was expected",
                ruling.told()
            ))
        } else {
            let wanted = self.rule.as_deref();
            let missing = wanted.filter(|rule| !ruling.rules().iter().any(|one| &**one == *rule));
            missing.map(|rule| format!("{}, and not by {}", ruling.told(), shown(rule)))
        };
        Outcome {
            name: shown(&self.name),
            ruling,
            failure,
        }
    }
}

/// One request, as people write it.
///
/// # Errors
/// The bytes are no request, with the place.
pub fn decode_request(bytes: &[u8]) -> Result<PolicyRequest, Problem> {
    let asked: Asked = yaml::read(bytes, CASES_BYTES_MAX)?;
    Ok(asked.request())
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    principal: Who,
    #[serde(default)]
    owner: Option<Name>,
    #[serde(default)]
    tenant: Option<TenantId>,
    #[serde(default)]
    groups: Vec<Arc<str>>,
    #[serde(default)]
    roles: Vec<Held>,
    #[serde(default)]
    attributes: BTreeMap<Arc<str>, Arc<str>>,
    #[serde(deserialize_with = "action")]
    action: PolicyAction,
    resource: What,
    #[serde(default)]
    resource_tenant: Option<TenantId>,
    #[serde(default)]
    resource_owner: Option<Name>,
    #[serde(default)]
    context: Circumstances,
}

#[derive(Clone, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Circumstances {
    time: Option<Timestamp>,
    device: Option<SeenDevice>,
    address: Option<IpAddr>,
    risk: Option<u8>,
    classification: Option<Arc<str>>,
    performative: Option<Arc<str>>,
    size: Option<u32>,
    destination: Option<Far>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeenDevice {
    os: Arc<str>,
    posture: Arc<str>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Far {
    address: IpAddr,
    port: u16,
    protocol: Arc<str>,
}

impl Asked {
    fn request(&self) -> PolicyRequest {
        let held = |held: &Held| held.1.clone().map(|tenant| (held.0, tenant));
        let facts = PrincipalFacts {
            tenant: self.tenant.clone(),
            groups: self.groups.iter().cloned().collect(),
            roles: (self.roles.iter())
                .filter(|held| held.1.is_none())
                .map(|held| held.0)
                .collect(),
            tenant_roles: self.roles.iter().filter_map(held).collect(),
            attributes: self.attributes.clone(),
        };
        PolicyRequest {
            principal: PolicyPrincipal {
                id: self.principal.0.clone(),
                owner: self.owner.clone(),
                facts: Arc::new(facts),
            },
            action: self.action,
            resource: PolicyResource {
                id: self.resource.0.clone(),
                of_tenant: self.resource_tenant.clone(),
                owner: self.resource_owner.clone(),
            },
            context: self.context.context(),
        }
    }
}

impl Circumstances {
    fn context(&self) -> PolicyContext {
        PolicyContext {
            now_ms: self.time.map_or(0, Timestamp::as_millisecond),
            device: self.device.as_ref().map(|device| Device {
                os: Arc::clone(&device.os),
                posture: Arc::clone(&device.posture),
            }),
            address: self.address,
            risk: self.risk,
            classification: self.classification.clone(),
            performative: self.performative.clone(),
            size_bytes: self.size,
            destination: self.destination.as_ref().map(|to| Destination {
                address: to.address,
                port: to.port,
                protocol: Arc::clone(&to.protocol),
            }),
        }
    }
}

/// `acme/one`, `operator:ada`, `key:exporter` or `node`.
#[derive(Clone, Debug)]
struct Who(PrincipalId);

/// `viewer`, or `viewer of acme`.
#[derive(Clone, Debug)]
struct Held(Role, Option<TenantId>);

/// `agent:acme/one`, `tenant:acme`, `node`, `cluster`, …
#[derive(Clone, Debug)]
struct What(ResourceId);

fn who(text: &str) -> Option<Who> {
    let id = match text.split_once(':') {
        Some(("operator", name)) => PrincipalId::Operator(name.parse().ok()?),
        Some(("key", name)) => PrincipalId::ApiKey(name.parse().ok()?),
        None if text == "node" => PrincipalId::Node,
        None => PrincipalId::Agent(text.parse().ok()?),
        Some(_) => return None,
    };
    Some(Who(id))
}

fn held(text: &str) -> Option<Held> {
    let (role, tenant) = match text.split_once(" of ") {
        Some((role, tenant)) => (role, Some(tenant.parse().ok()?)),
        None => (text, None),
    };
    Some(Held(Role::from_word(role)?, tenant))
}

fn what(text: &str) -> Option<What> {
    let id = match text.split_once(':') {
        None => match text {
            "node" => ResourceId::Node(None),
            "cluster" => ResourceId::Cluster,
            "audit" => ResourceId::AuditLog,
            _ => return None,
        },
        Some((kind, name)) => match kind {
            "agent" => ResourceId::Agent(name.parse().ok()?),
            "tenant" => ResourceId::Tenant(name.parse().ok()?),
            "node" => ResourceId::Node(Some(name.parse().ok()?)),
            "policy" => ResourceId::Policy(name.parse().ok()?),
            "token" => ResourceId::Token(name.into()),
            "certificate" => ResourceId::Certificate(name.into()),
            "operator" => ResourceId::Operator(name.parse().ok()?),
            "key" => ResourceId::ApiKey(name.parse().ok()?),
            "deployment" => ResourceId::Deployment(name.parse().ok()?),
            "message" => {
                let (tenant, id) = name.split_once('/')?;
                ResourceId::Message(tenant.parse().ok()?, id.into())
            }
            _ => return None,
        },
    };
    Some(What(id))
}

fn word<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    read: fn(&str) -> Option<T>,
    what: &str,
) -> Result<T, D::Error> {
    let text = String::deserialize(deserializer)?;
    read(&text).ok_or_else(|| de::Error::custom(format!("`{}` is not {what}", shown(&text))))
}

impl<'de> Deserialize<'de> for Who {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let what = "a principal: `tenant/agent`, `operator:name`, `key:name` or `node`";
        word(deserializer, who, what)
    }
}

impl<'de> Deserialize<'de> for Held {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        word(deserializer, held, "a role: `viewer`, or `viewer of acme`")
    }
}

impl<'de> Deserialize<'de> for What {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let what = "a resource: `agent:tenant/name`, `tenant:name`, `node`, `cluster`, `audit`, …";
        word(deserializer, self::what, what)
    }
}

fn action<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PolicyAction, D::Error> {
    word(
        deserializer,
        PolicyAction::from_word,
        "an action, such as `send`",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Place, Source, load};

    const FILE: &str = "\
cases:
  - name: a viewer of acme sees acme
    request: {principal: \"operator:eve\", roles: [viewer of acme], action: read, resource: \"agent:acme/one\"}
    expect: permit
    rule: builtin/tenant-viewer
  - name: and nothing else
    request:
      principal: operator:eve
      roles: [viewer of acme]
      action: read
      resource: agent:beta/one
      context: {time: 2026-11-22T10:00:00Z, device: {os: Linux, posture: compliant}, risk: 3}
    expect: deny
";

    fn outcomes(text: &str) -> Vec<Outcome> {
        let engine = load(&Source {
            epoch: 1,
            owner: None,
            documents: &[],
        });
        Cases::decode(text.as_bytes())
            .unwrap()
            .run(&engine.unwrap())
    }

    #[test]
    fn cases_that_hold_pass_and_others_say_what_differs() {
        assert!(outcomes(FILE).iter().all(|one| one.failure.is_none()));
        let failed = outcomes(&FILE.replace("expect: deny", "expect: permit"));
        assert_eq!(failed[0].failure, None);
        let why = failed[1].failure.as_deref().unwrap();
        assert!(why.contains("no rule permits it"), "{why}");
        let failed = outcomes(&FILE.replace("builtin/tenant-viewer", "builtin/viewer"));
        let why = failed[0].failure.as_deref().unwrap();
        assert!(why.contains("permitted by builtin/tenant-viewer"), "{why}");
    }

    #[track_caller]
    fn refused(find: &str, replace: &str, line: usize) {
        assert!(FILE.contains(find));
        let problem = Cases::decode(FILE.replace(find, replace).as_bytes()).unwrap_err();
        assert_eq!(
            problem.place.map(|Place { line, .. }| line),
            Some(line),
            "{problem}"
        );
    }

    #[test]
    fn what_is_not_known_is_an_error_with_its_place() {
        refused("expect: permit", "expected: permit", 4);
        refused("action: read\n", "action: raed\n", 10);
        refused("resource: agent:beta", "resource: agnet:beta", 11);
        refused("principal: operator:eve\n", "principal: human:eve\n", 8);
        refused("posture:", "postur:", 12);
        refused(
            "      roles: [viewer of acme]",
            "      roles: [viewer in acme]",
            9,
        );
    }

    #[test]
    fn a_request_is_read_with_all_its_facts() {
        let asked = decode_request(
            b"principal: acme/one
owner: ada
groups: [makers]
attributes: {level: senior}
action: connect
resource: message:acme/msg_1
resource_owner: eve
context:
  time: 1970-01-01T00:00:01Z
  address: 10.0.0.1
  classification: secret
  performative: request
  size: 7
  destination: {address: 10.1.1.1, port: 22, protocol: tcp}
",
        )
        .unwrap();
        assert_eq!(asked.context.now_ms, 1_000);
        assert_eq!(asked.context.destination.as_ref().unwrap().port, 22);
        assert_eq!(asked.principal.facts.groups.len(), 1);
        assert_eq!(asked.resource.tenant().unwrap().as_str(), "acme");
        let request = Cases::decode(FILE.as_bytes()).unwrap().all()[1].request();
        assert_eq!(request.context.risk, Some(3));
    }
}
