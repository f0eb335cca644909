//! Decides. [`Engine`] is the whole of a compiled set: slices, zones and the decisions already made.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use caxton_capabilities::{Policies, PolicyRequest, RuleName, Ruling};
use cedar_policy::{Authorizer, Decision, PolicySet, Response, Schema};

use crate::{
    cache::{Cache, Key},
    clock::Zones,
    facts::speak,
    load::{Rule, set},
    problem::shown,
    reads::{Reads, Sight},
    schema::{Kind, PrincipalKind},
    slice::{Slice, Slices},
    stack::with_room,
};

/// A compiled set of policies. Made by [`load`](crate::load), replaced by another and never changed.
pub struct Engine {
    epoch: u64,
    rules: Vec<Rule>,
    slices: Slices,
    zones: Zones,
    schema: Schema,
    cache: Cache,
    authorizer: Authorizer,
    /// Everything in one set, for who wants to compare.
    whole: OnceLock<Option<PolicySet>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("epoch", &self.epoch)
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}

impl Policies for Engine {
    fn epoch(&self) -> u64 {
        self.epoch
    }

    fn decide(&self, request: &PolicyRequest) -> Ruling {
        let Some(slice) = self.slice(request) else {
            return Ruling::NoRule;
        };
        if slice.rules.is_empty() {
            return Ruling::NoRule;
        }
        let Some(key) = Key::of(request, slice) else {
            return self.evaluate(request, slice);
        };
        if let Some(ruling) = self.cache.get(&key) {
            return ruling;
        }
        let ruling = self.evaluate(request, slice);
        self.cache.put(key, ruling.clone());
        ruling
    }

    fn looks_at_context(&self, request: &PolicyRequest) -> bool {
        let slice = self.slice(request);
        slice.is_none_or(|slice| !slice.sight.reads.is_empty())
    }
}

/// What one policy said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// It applies: its scope and conditions hold.
    Applies,
    /// It does not.
    DoesNotApply,
    /// It could not be evaluated.
    Failed(String),
}

/// One policy that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Considered {
    /// Its name.
    pub rule: RuleName,
    /// Whether it permits or forbids.
    pub permits: bool,
    /// What it said.
    pub said: Said,
    /// Whether the decision rests on it.
    pub is_determining: bool,
}

/// A decision and how it came about. For those who may read policies.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// The decision.
    pub ruling: Ruling,
    /// The policies that such a request can concern, in the order of their texts.
    pub considered: Vec<Considered>,
    /// How many were passed over, because they are about other kinds of requests.
    pub passed_over: usize,
}

impl Engine {
    pub(crate) fn new(
        epoch: u64,
        rules: Vec<Rule>,
        slices: Slices,
        zones: Zones,
        schema: Schema,
    ) -> Self {
        Self {
            epoch,
            rules,
            slices,
            zones,
            schema,
            cache: Cache::new(),
            authorizer: Authorizer::new(),
            whole: OnceLock::new(),
        }
    }

    /// Decides without looking at or keeping what was decided before.
    #[must_use]
    pub fn decide_anew(&self, request: &PolicyRequest) -> Ruling {
        self.slice(request)
            .map_or(Ruling::NoRule, |slice| self.evaluate(request, slice))
    }

    /// Decides, and tells what each policy said that was looked at.
    #[must_use]
    pub fn explain(&self, request: &PolicyRequest) -> Explanation {
        let ruling = self.decide_anew(request);
        let members = self.slice(request).map_or(&[][..], |slice| &slice.rules);
        let considered: Vec<_> = members
            .iter()
            .filter_map(|at| self.rules.get(*at))
            .map(|rule| Considered {
                rule: Arc::clone(&rule.name),
                permits: rule.permits(),
                said: self.ask_one(request, rule),
                is_determining: ruling.rules().contains(&rule.name),
            })
            .collect();
        Explanation {
            ruling,
            passed_over: self.rules.len().saturating_sub(considered.len()),
            considered,
        }
    }

    /// The names of all policies, in the order of their texts.
    pub fn rules(&self) -> impl Iterator<Item = &RuleName> {
        self.rules.iter().map(|rule| &rule.name)
    }

    /// The schema that the policies were validated against, as Cedar text.
    #[must_use]
    pub fn schema_text(&self) -> String {
        crate::schema::text(self.zones.names())
    }

    /// Decides as Cedar alone would: every policy, every fact, checked against the schema, nothing
    /// remembered. Tests and benchmarks hold [`decide`](Policies::decide) against it.
    #[must_use]
    pub fn decide_by_cedar_alone(&self, request: &PolicyRequest) -> Ruling {
        let everything = Sight {
            reads: Reads::ALL,
            all_zones: true,
            ..Sight::default()
        };
        let whole = self.whole.get_or_init(|| set(&self.rules).ok());
        let (Ok((asked, entities)), Some(all)) =
            (speak(request, &everything, &self.zones), whole.as_ref())
        else {
            return Ruling::Undecided([].into());
        };
        match self.checked(&asked, &entities) {
            None => Ruling::NoRule,
            Some(()) => ruling(&self.authorizer.is_authorized(&asked, all, &entities)),
        }
    }

    /// Whether a request and its entities are of the schema's types.
    fn checked(
        &self,
        asked: &cedar_policy::Request,
        entities: &cedar_policy::Entities,
    ) -> Option<()> {
        let context = asked.context()?.clone();
        let parts = (asked.principal()?, asked.action()?, asked.resource()?);
        let (principal, action, resource) = (parts.0.clone(), parts.1.clone(), parts.2.clone());
        let schema = Some(&self.schema);
        cedar_policy::Request::new(principal, action, resource, context, schema).ok()?;
        let entities = entities.clone().into_iter();
        let own = entities.filter(|entity| entity.uid().type_name().basename() != "Action");
        cedar_policy::Entities::from_entities(own, schema).ok()?;
        Some(())
    }

    fn slice(&self, request: &PolicyRequest) -> Option<&Slice> {
        let principal = PrincipalKind::of(&request.principal.id);
        let resource = Kind::of(&request.resource.id);
        self.slices.of(principal, request.action, resource)
    }

    fn evaluate(&self, request: &PolicyRequest, slice: &Slice) -> Ruling {
        with_room(|| match speak(request, &slice.sight, &self.zones) {
            Ok((asked, entities)) => {
                ruling(&(self.authorizer).is_authorized(&asked, &slice.set, &entities))
            }
            // SECURITY: what cannot be asked is denied.
            Err(_) => Ruling::Undecided([].into()),
        })
    }

    fn ask_one(&self, request: &PolicyRequest, rule: &Rule) -> Said {
        let (Ok((asked, entities)), Ok(alone)) =
            (speak(request, &rule.sight, &self.zones), set([rule]))
        else {
            return Said::Failed("the request's facts could not be put into Cedar's form".into());
        };
        let response = (self.authorizer).is_authorized(&asked, &alone, &entities);
        let mut errors = response.diagnostics().errors();
        match errors.next() {
            Some(error) => Said::Failed(shown(&error.to_string())),
            None if response.diagnostics().reason().next().is_some() => Said::Applies,
            None => Said::DoesNotApply,
        }
    }

    #[cfg(test)]
    pub(crate) const fn cache(&self) -> &Cache {
        &self.cache
    }
}

/// Cedar's answer as ours. Cedar passes over a policy that fails; here that is a denial, because the one
/// that failed may be the one that forbids.
fn ruling(response: &Response) -> Ruling {
    let names = |ids: &mut dyn Iterator<Item = String>| -> Arc<[RuleName]> {
        let mut names: Vec<RuleName> = ids.map(RuleName::from).collect();
        names.sort();
        names.into()
    };
    let told = response.diagnostics();
    let failed = names(&mut told.errors().map(failed_rule));
    if !failed.is_empty() {
        return Ruling::Undecided(failed);
    }
    let reasons = names(&mut told.reason().map(ToString::to_string));
    match response.decision() {
        Decision::Allow => Ruling::Permit(reasons),
        Decision::Deny if reasons.is_empty() => Ruling::NoRule,
        Decision::Deny => Ruling::Forbidden(reasons),
    }
}

fn failed_rule(error: &cedar_policy::AuthorizationError) -> String {
    match error {
        cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
            error.policy_id().to_string()
        }
    }
}
