//! Random requests and random policies from a seed: the same numbers make the same cases everywhere. Shared by
//! the oracle's test and its long run.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

use std::sync::Arc;

use caxton_capabilities::{
    Destination, Device, Policies, PolicyAction, PolicyContext, PolicyPrincipal, PolicyRequest,
    PolicyResource, PrincipalFacts, PrincipalId, ResourceId, Role, Ruling,
};
use caxton_policy::{Engine, PolicyDocument, Source, load};

/// SplitMix64.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound as u64)).unwrap()
    }

    pub(crate) fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(2).then(|| value(self))
    }
}

const NAMES: [&str; 4] = ["acme", "beta", "admin", "vault"];
const WORDS: [&str; 3] = ["public", "secret", "request"];

fn principal(chance: &mut Chance) -> PolicyPrincipal {
    let name = chance.of(&NAMES);
    let id = match chance.below(4) {
        0 => PrincipalId::Agent(format!("{name}/{}", chance.of(&NAMES)).parse().unwrap()),
        1 => PrincipalId::Operator(name.parse().unwrap()),
        2 => PrincipalId::ApiKey(name.parse().unwrap()),
        _ => PrincipalId::Node,
    };
    let mut facts = PrincipalFacts {
        tenant: chance.maybe(|chance| chance.of(&NAMES).parse().unwrap()),
        ..PrincipalFacts::default()
    };
    if chance.one_in(2) {
        facts.groups.insert(chance.of(&NAMES).into());
    }
    if chance.one_in(4) {
        facts.roles.insert(chance.of(Role::ALL));
    }
    for _ in 0..chance.below(3) {
        let held = (chance.of(Role::ALL), chance.of(&NAMES).parse().unwrap());
        facts.tenant_roles.insert(held);
    }
    if chance.one_in(3) {
        facts
            .attributes
            .insert("level".into(), chance.of(&WORDS).into());
    }
    PolicyPrincipal {
        id,
        owner: chance.maybe(|chance| chance.of(&NAMES).parse().unwrap()),
        facts: Arc::new(facts),
    }
}

fn resource(chance: &mut Chance) -> PolicyResource {
    let name = chance.of(&NAMES);
    let address = format!("{name}/{}", chance.of(&NAMES)).parse().unwrap();
    let id = match chance.below(16) {
        0 => ResourceId::Tenant(name.parse().unwrap()),
        1 => ResourceId::Node(None),
        2 => ResourceId::Node(Some(name.parse().unwrap())),
        3 => ResourceId::Cluster,
        4 => ResourceId::Policy(name.parse().unwrap()),
        5 => ResourceId::Token(name.into()),
        6 => ResourceId::AuditLog,
        7 => ResourceId::Certificate(name.into()),
        8 | 9 => ResourceId::Operator(name.parse().unwrap()),
        10 => ResourceId::ApiKey(name.parse().unwrap()),
        11 => ResourceId::Deployment(address),
        12 => ResourceId::Message(name.parse().unwrap(), "msg\"\\".into()),
        _ => ResourceId::Agent(address),
    };
    PolicyResource {
        id,
        of_tenant: chance.maybe(|chance| chance.of(&NAMES).parse().unwrap()),
        owner: chance.maybe(|chance| chance.of(&NAMES).parse().unwrap()),
    }
}

fn context(chance: &mut Chance) -> PolicyContext {
    let now_ms = match chance.below(200) {
        0 => i64::MAX,
        1 => -62_135_596_800_000,
        // Few minutes, so that the cache is met, at changes of summer time and of the day.
        at => 1_774_746_000_000 + i64::try_from(at % 8).unwrap() * 59_999,
    };
    PolicyContext {
        now_ms,
        device: chance.maybe(|chance| Device {
            os: chance.of(&["Linux", "macOS"]).into(),
            posture: chance.of(&["compliant", "stale"]).into(),
        }),
        address: chance.maybe(|chance| {
            let addresses = ["10.1.2.3", "192.168.0.1", "::1"];
            chance.of(&addresses).parse().unwrap()
        }),
        risk: chance.maybe(|chance| chance.of(&[0, 60, 100])),
        classification: chance.maybe(|chance| chance.of(&WORDS).into()),
        performative: chance.maybe(|chance| chance.of(&WORDS).into()),
        size_bytes: chance.maybe(|chance| chance.of(&[0, 3, 70_000])),
        destination: chance.maybe(|chance| Destination {
            address: chance.of(&["10.100.1.1", "8.8.8.8"]).parse().unwrap(),
            port: chance.of(&[22, 443, 8_080]),
            protocol: chance.of(&["tcp", "udp"]).into(),
        }),
    }
}

pub(crate) fn request(chance: &mut Chance) -> PolicyRequest {
    PolicyRequest {
        principal: principal(chance),
        action: chance.of(PolicyAction::ALL),
        resource: resource(chance),
        context: context(chance),
    }
}

/// Another request, or the one before with one fact changed: that is what a cache confuses.
fn next(chance: &mut Chance, before: PolicyRequest) -> PolicyRequest {
    let other = request(chance);
    let mut asked = before;
    match chance.below(16) {
        0 => asked.principal = other.principal,
        1 => asked.principal.id = other.principal.id,
        2 => asked.principal.owner = other.principal.owner,
        3 => asked.principal.facts = other.principal.facts,
        4 => asked.resource = other.resource,
        5 => asked.resource.of_tenant = other.resource.of_tenant,
        6 => asked.resource.owner = other.resource.owner,
        7 => asked.action = other.action,
        8 => asked.context.now_ms = other.context.now_ms,
        9 => asked.context.device = other.context.device,
        10 => asked.context.address = other.context.address,
        11 => asked.context.risk = other.context.risk,
        12 => asked.context.classification = other.context.classification,
        13 => asked.context.size_bytes = other.context.size_bytes,
        14 => asked.context.destination = other.context.destination,
        _ => return other,
    }
    asked
}

const PRINCIPALS: [&str; 9] = [
    "principal",
    "principal is Agent",
    "principal is Operator",
    "principal is Operator in Group::\"acme\"",
    "principal in Group::\"beta\"",
    "principal in Role::\"viewer\"",
    "principal == Operator::\"vault\"",
    "principal == Agent::\"acme/beta\"",
    "principal in Operator::\"beta\"",
];
const ACTIONS: [&str; 7] = [
    "action",
    "action == Action::\"send\"",
    "action in Action::\"observe\"",
    "action in [Action::\"manage\", Action::\"connect\"]",
    "action == Action::\"read\"",
    "action in [Action::\"run\", Action::\"administer\"]",
    "action in Action::\"secure\"",
];
const RESOURCES: [&str; 6] = [
    "resource",
    "resource is Agent",
    "resource is Operator",
    "resource == Tenant::\"acme\"",
    "resource in Agent::\"beta/vault\"",
    "resource == Cluster::\"cluster\"",
];
const CONDITIONS: [&str; 22] = [
    "true",
    "resource has tenant && resource.tenant == Tenant::\"acme\"",
    "resource has owner && principal == resource.owner",
    "resource has owner && resource.owner == Operator::\"vault\"",
    "principal has viewer_of && resource has tenant && principal.viewer_of.contains(resource.tenant)",
    "principal is Agent && principal.tenant == Tenant::\"beta\"",
    "principal == resource",
    "principal has tenant && resource has tenant && principal.tenant == resource.tenant",
    "principal.hasTag(\"level\") && principal.getTag(\"level\") == \"secret\"",
    "context has device && context.device.posture == \"compliant\"",
    "context has device && [\"Linux\"].contains(context.device.os)",
    "context has address && context.address.isInRange(ip(\"10.0.0.0/8\"))",
    "context has risk && context.risk > 50",
    "context has classification && context.classification == \"secret\"",
    "context has performative && context.performative == \"request\"",
    "context has size && context.size * 4611686018427387904 > 0",
    "context has dst_ip && context.dst_ip.isInRange(ip(\"10.100.0.0/16\"))",
    "context has dst_port && context has protocol && [22, 443].contains(context.dst_port) && context.protocol == \"tcp\"",
    "context.clock[\"Europe/Berlin\"].minute >= 119",
    "[\"saturday\", \"sunday\"].contains(context.clock[\"America/New_York\"].weekday)",
    "context.time > 1774746000000",
    "context has address && context.address.isLoopback() && context.clock == context.clock",
];

pub(crate) fn document(chance: &mut Chance, rules: usize) -> PolicyDocument {
    let text = (0..rules).map(|at| {
        let effect = if chance.one_in(4) { "forbid" } else { "permit" };
        let mut clauses = String::new();
        for _ in 0..=chance.below(2) {
            let clause = if chance.one_in(4) { "unless" } else { "when" };
            let join = chance.of(&[" && ", " || "]);
            let condition = format!(
                "({}){join}({})",
                chance.of(&CONDITIONS),
                chance.of(&CONDITIONS)
            );
            clauses += &format!(" {clause} {{ {condition} }}");
        }
        format!(
            "@id(\"rule-{at}\") {effect} ({}, {}, {}){clauses};\n",
            chance.of(&PRINCIPALS),
            chance.of(&ACTIONS),
            chance.of(&RESOURCES)
        )
    });
    PolicyDocument {
        name: "random".parse().unwrap(),
        version: 1,
        author: "chance".parse().unwrap(),
        text: text.collect(),
    }
}

/// An engine over random policies; what does not validate is left out, rule by rule.
pub(crate) fn engine(chance: &mut Chance, rules: usize) -> Engine {
    let owner = "admin".parse().unwrap();
    let try_load = |document: PolicyDocument| {
        load(&Source {
            epoch: 1,
            owner: Some(&owner),
            documents: &[document],
        })
    };
    let mut document = document(chance, rules);
    match try_load(document.clone()) {
        Ok(engine) => engine,
        Err(problems) => {
            let wrong: Vec<String> = problems
                .told()
                .iter()
                .filter_map(|problem| problem.rule.clone())
                .map(|rule| format!("@id(\"{rule}\")"))
                .collect();
            let lines = document.text.lines();
            let right = lines.filter(|line| !wrong.iter().any(|name| line.starts_with(name)));
            document.text = right.map(|line| format!("{line}\n")).collect();
            try_load(document).unwrap_or_else(|problems| panic!("{problems:#?}"))
        }
    }
}

/// What was seen, so that a run that compared nothing but denials is told.
#[derive(Default, Debug)]
pub(crate) struct Seen {
    pub(crate) requests: u64,
    pub(crate) permits: u64,
    pub(crate) forbidden: u64,
    pub(crate) undecided: u64,
    /// Asked again under other circumstances, which no policy was to look at.
    pub(crate) elsewhere: u64,
    pub(crate) differences: u64,
}

/// Compares `requests` decisions over each of `sets` random sets of `rules` policies.
pub(crate) fn compare(seed: u64, sets: usize, rules: usize, requests: usize) -> Seen {
    let mut chance = Chance(seed);
    let mut seen = Seen::default();
    for _ in 0..sets {
        let engine = engine(&mut chance, rules);
        let mut asked = request(&mut chance);
        for _ in 0..requests {
            asked = next(&mut chance, asked);
            let expected = engine.decide_by_cedar_alone(&asked);
            // Twice: the second answer is remembered, where it may be.
            for told in [engine.decide(&asked), engine.decide(&asked)] {
                if !same(&told, &expected, &asked) {
                    seen.differences += 1;
                    eprintln!("seed {seed}: {told:?} instead of {expected:?}\n{asked:#?}");
                }
            }
            if !engine.looks_at_context(&asked) {
                let elsewhere = PolicyRequest {
                    context: context(&mut chance),
                    ..asked.clone()
                };
                let told = engine.decide_by_cedar_alone(&elsewhere);
                seen.elsewhere += 1;
                if !same(&expected, &told, &elsewhere) && !same(&told, &expected, &asked) {
                    seen.differences += 1;
                    eprintln!(
                        "seed {seed}: elsewhere {told:?} instead of {expected:?}\n{asked:#?}"
                    );
                }
            }
            seen.requests += 1;
            match expected {
                Ruling::Permit(_) => seen.permits += 1,
                Ruling::Forbidden(_) => seen.forbidden += 1,
                Ruling::Undecided(_) => seen.undecided += 1,
                Ruling::NoRule => {}
            }
        }
    }
    seen
}

/// The same answer for the same reasons. A time outside the calendar fails the whole of Cedar's request, and
/// ours only where a clock is read: there both deny, or we decide without one.
fn same(told: &Ruling, expected: &Ruling, asked: &PolicyRequest) -> bool {
    told == expected
        || (asked.context.now_ms == i64::MAX
            && matches!(expected, Ruling::Undecided(rules) if rules.is_empty()))
}
