//! Documents to an [`Engine`]: parsed, named, validated against the schema, sliced. All problems at once; a
//! failure makes nothing, so whoever holds an engine keeps it.

use std::{collections::BTreeSet, sync::Arc};

use caxton_capabilities::Name;
use cedar_policy::{
    Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
    pst::{Effect, Template},
};
use miette::Diagnostic;

use crate::{
    clock::{ZONES_MAX, Zones, zone},
    document::{BUILTIN, PolicyDocument, rule_name},
    engine::Engine,
    problem::{Place, Problem, Problems, shown},
    reads::{Sight, sight},
    schema,
    slice::Slices,
};

/// Policies of a whole set. 1,000 take 7 MB, a second to load on a busy machine, and 0.2 to 2 ms to decide on
/// where none is left out; twice that is the most.
pub const POLICIES_MAX: usize = 2_048;
/// Documents of a whole set.
pub const DOCUMENTS_MAX: usize = 256;

const BUILTIN_TEXT: &str = include_str!("builtin.cedar");
/// The name that the built-in text has in the owner's place; no [`Name`] is spelt like it.
const OWNER_PLACE: &str = "OWNER";

/// What an engine is made from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'source> {
    /// Must be higher than that of the engine before.
    pub epoch: u64,
    /// The operator who may do everything, where there is one.
    pub owner: Option<&'source Name>,
    /// The policies beside those that are built in.
    pub documents: &'source [PolicyDocument],
}

/// One policy.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// `document/rule`.
    pub(crate) name: Arc<str>,
    pub(crate) document: Name,
    pub(crate) place: Option<Place>,
    pub(crate) policy: Policy,
    pub(crate) body: Arc<Template>,
    pub(crate) sight: Sight,
}

impl Rule {
    pub(crate) fn permits(&self) -> bool {
        self.body.effect == Effect::Permit
    }

    /// The rule's own part of its name.
    pub(crate) fn own_name(&self) -> &str {
        self.name.split_once('/').map_or("", |(_, rule)| rule)
    }
}

/// A document whose text was parsed.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) document: PolicyDocument,
    pub(crate) rules: Vec<Rule>,
}

/// Makes an engine.
///
/// # Errors
/// Any document is wrong, or there is too much of them. Nothing was made.
pub fn load(source: &Source<'_>) -> Result<Engine, Problems> {
    let mut problems = Vec::new();
    let read = read_all(source, &mut problems);
    let zones = zones(&read, &mut problems);
    Problems::check(problems)?;
    let schema = schema(&zones)?;
    let mut problems = Vec::new();
    for one in &read {
        check(one, &schema, &mut problems);
    }
    Problems::check(problems)?;
    let rules: Vec<Rule> = read.into_iter().flat_map(|one| one.rules).collect();
    let slices = Slices::new(&rules)?;
    Ok(Engine::new(source.epoch, rules, slices, zones, schema))
}

/// The set that holds before anybody writes a policy.
#[must_use]
pub fn builtin(owner: Option<&Name>) -> PolicyDocument {
    let text = match owner {
        // A name's grammar has no quote and no backslash: it cannot leave its string.
        Some(owner) => BUILTIN_TEXT.replace(OWNER_PLACE, owner.as_str()),
        None => without_owner(),
    };
    let name: Name = BUILTIN.parse().expect("the built-in set's name is one");
    PolicyDocument {
        author: name.clone(),
        name,
        version: 1,
        text,
    }
}

fn without_owner() -> String {
    let lines = BUILTIN_TEXT.lines();
    let mut before = None;
    let mut text = String::new();
    for line in lines {
        if line.contains(OWNER_PLACE) {
            before = None;
            continue;
        }
        if let Some(line) = before.replace(line) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.push_str(before.unwrap_or_default());
    text
}

pub(crate) fn schema(zones: &Zones) -> Result<Schema, Problems> {
    let text = schema::text(zones.names());
    match Schema::from_cedarschema_str(&text) {
        Ok((schema, _warnings)) => Ok(schema),
        Err(error) => Err(Problem::new(format!("our own schema is wrong: {error}")).into()),
    }
}

fn read_all(source: &Source<'_>, problems: &mut Vec<Problem>) -> Vec<Read> {
    if source.documents.len() > DOCUMENTS_MAX {
        let found = source.documents.len();
        let message = format!("there are {found} documents, {DOCUMENTS_MAX} are the most");
        problems.push(Problem::new(message));
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut read = vec![read(&builtin(source.owner), problems)];
    for document in source.documents {
        if document.name.as_str() == BUILTIN {
            let message = format!("`{BUILTIN}` is the name of Caxton's own policies");
            problems.push(Problem::new(message).within(&document.name));
        } else if !names.insert(&document.name) {
            let message = "there are two documents of this name";
            problems.push(Problem::new(message).within(&document.name));
        } else {
            read.push(self::read(document, problems));
        }
    }
    let rules: usize = read.iter().map(|one| one.rules.len()).sum();
    if rules > POLICIES_MAX {
        let message = format!("there are {rules} policies, {POLICIES_MAX} are the most");
        problems.push(Problem::new(message));
    }
    read
}

pub(crate) fn read(document: &PolicyDocument, problems: &mut Vec<Problem>) -> Read {
    let mut read = Read {
        document: document.clone(),
        rules: Vec::new(),
    };
    if let Err(problem) = document.check_size() {
        problems.push(problem);
        return read;
    }
    let set: PolicySet = match document.text.parse() {
        Ok(set) => set,
        Err(error) => {
            let errors: &cedar_policy::ParseErrors = &error;
            let told = errors
                .iter()
                .map(|error| Problem::of_cedar(error, &document.text));
            problems.extend(told.map(|problem| problem.within(&document.name)));
            return read;
        }
    };
    for template in set.templates() {
        let message = format!(
            "`{}` is a template; write out who and what",
            shown(template.id().as_ref())
        );
        problems.push(Problem::new(message).within(&document.name));
    }
    let mut seen = BTreeSet::new();
    for policy in set.policies() {
        match rule(document, policy) {
            Ok(rule) if !seen.insert(Arc::clone(&rule.name)) => {
                let message = "there are two rules of this name";
                problems.push(
                    Problem::new(message)
                        .within(&document.name)
                        .of_rule(rule.own_name()),
                );
            }
            Ok(rule) => read.rules.push(rule),
            Err(problem) => problems.push(problem.within(&document.name)),
        }
    }
    // Cedar gives policies in no order.
    read.rules
        .sort_by(|one, other| (one.place, &one.name).cmp(&(other.place, &other.name)));
    read
}

fn rule(document: &PolicyDocument, policy: &Policy) -> Result<Rule, Problem> {
    let Some(id) = policy.annotation("id") else {
        let ordinal = policy.id().to_string();
        let ordinal = ordinal
            .trim_start_matches("policy")
            .parse()
            .map_or(0, |at: usize| at + 1);
        let message = format!(
            "policy {ordinal} of the text has no name: write `@id(\"its-name\")` before it"
        );
        return Err(Problem::new(message));
    };
    let place = place_of(&document.text, &format!("@id({id:?})"));
    let own = rule_name(id).map_err(|message| Problem::new(message).at(place))?;
    let name = format!("{}/{own}", document.name);
    let policy = policy.new_id(PolicyId::new(&name));
    let body = policy
        .to_pst()
        .map_err(|error| {
            Problem::new(error.to_string())
                .at(place)
                .of_rule(own.as_str())
        })?
        .body()
        .clone();
    Ok(Rule {
        sight: sight(&body),
        name: name.into(),
        document: document.name.clone(),
        place,
        policy,
        body: Arc::new(body),
    })
}

fn place_of(text: &str, piece: &str) -> Option<Place> {
    text.find(piece).map(|at| Place::of(text, at))
}

/// The zones that occur, each known.
pub(crate) fn zones(read: &[Read], problems: &mut Vec<Problem>) -> Zones {
    let mut zones = Zones::default();
    for one in read {
        for rule in &one.rules {
            for name in &rule.sight.zones {
                match zone(name) {
                    Some(found) => zones.add(name, found),
                    None => problems.push(unknown_zone(one, rule, name)),
                }
            }
        }
    }
    if zones.len() > ZONES_MAX {
        let message = format!(
            "the policies read {} time zones, {ZONES_MAX} are the most",
            zones.len()
        );
        problems.push(Problem::new(message));
    }
    zones
}

fn unknown_zone(read: &Read, rule: &Rule, name: &str) -> Problem {
    let place = place_of(&read.document.text, &format!("{name:?}"));
    let message = format!("`{}` is no time zone of the IANA database", shown(name));
    Problem::new(message)
        .at(place)
        .within(&rule.document)
        .of_rule(rule.own_name())
}

/// Strict: what Cedar cannot prove to be well typed is an error, a misspelt attribute foremost.
pub(crate) fn check(read: &Read, schema: &Schema, problems: &mut Vec<Problem>) {
    let result = match set(&read.rules) {
        Ok(set) => Validator::new(schema.clone()).validate(&set, ValidationMode::Strict),
        Err(problem) => return problems.push(problem.within(&read.document.name)),
    };
    let mut found: Vec<Problem> = result
        .validation_errors()
        .map(|error| {
            let problem = Problem::of_cedar(error as &dyn Diagnostic, &read.document.text);
            let id = error.policy_id().to_string();
            let rule = id.split_once('/').map_or("", |(_, rule)| rule);
            problem.within(&read.document.name).of_rule(rule)
        })
        .collect();
    // The same mistake is found once for each kind of request that it concerns; one telling is enough.
    found.sort_by(|one, other| (one.place, &one.message).cmp(&(other.place, &other.message)));
    found.dedup_by(|one, other| {
        one.rule == other.rule && one.place == other.place && one.place.is_some() || one == other
    });
    problems.extend(found);
}

pub(crate) fn set<'rules>(
    rules: impl IntoIterator<Item = &'rules Rule>,
) -> Result<PolicySet, Problem> {
    PolicySet::from_policies(rules.into_iter().map(|rule| rule.policy.clone()))
        .map_err(|error| Problem::new(error.to_string()))
}
