//! What an agent's token may give it: nothing that its deployer could not do; and what a new version asks for beyond the
//! one in use.

use std::collections::{BTreeMap, BTreeSet};

use caxton_actors::{gateway::SENDERS_MAX, ports::Accepts};
use caxton_api::types;
use caxton_capabilities::{
    Address, Contents, Grant, Moment, Name, Pattern, PolicyAction, Rate, Refusal, ResourceId,
    Rights, Widened, widening,
};

use super::{
    extract::{Caller, shown},
    plane::{Plane, Wish},
    problem::{Answer, Failure},
};

/// The rights that were asked for, in their one spelling; absent, to send within the tenant.
///
/// # Errors
/// One of them is none, there are too many, or one is more than the deployer's own.
pub(super) async fn rights(
    plane: &Plane,
    caller: &Caller,
    agent: &Address,
    asked: Option<Vec<String>>,
) -> Answer<Vec<String>> {
    let Some(asked) = asked else {
        return Ok(vec![format!("send {}/*", agent.tenant)]);
    };
    let grant = |text: &String| {
        let parsed = text.parse::<Grant>();
        parsed.map_err(|error| Failure::invalid(format!("right `{}`: {error}", shown(text))))
    };
    let grants: Vec<Grant> = asked.iter().map(grant).collect::<Answer<_>>()?;
    for grant in &grants {
        let wish = wish(grant);
        if !plane.may(caller, &wish) {
            let refused = plane.refuse(caller, &wish, Refusal::Beyond).await;
            return Err(refused.findings(vec![format!("right `{grant}`")]));
        }
    }
    let mut texts: Vec<String> = grants.iter().map(ToString::to_string).collect();
    Rights::try_new(grants).map_err(|error| Failure::invalid(format!("rights: {error}")))?;
    texts.sort_unstable();
    texts.dedup();
    Ok(texts)
}

/// What the deployer must be permitted. Where policies have no word for an action, or a pattern is over everything, that
/// is the administration of the cluster.
fn wish(grant: &Grant) -> Wish {
    let everything = Wish::new(PolicyAction::ClusterAdmin, ResourceId::Cluster);
    let Some(action) = PolicyAction::of(grant.action) else {
        return everything;
    };
    let id = match &grant.over {
        Pattern::Agent(address) => ResourceId::Agent(address.clone()),
        Pattern::Tenant(tenant) => ResourceId::Tenant(tenant.clone()),
        Pattern::Operator(name) => ResourceId::Operator(name.clone()),
        Pattern::Node => ResourceId::Node(None),
        Pattern::Everything | Pattern::Cluster | Pattern::Thing(..) | Pattern::Things(..) => {
            return everything;
        }
    };
    Wish::new(action, id)
}

/// What a version asks of the node.
pub(super) struct Asks<'a> {
    pub(super) address: &'a Address,
    /// Every limit that it runs under.
    pub(super) limits: BTreeMap<String, u64>,
    pub(super) protocols: BTreeSet<String>,
    pub(super) services: BTreeSet<Name>,
    pub(super) rights: &'a [String],
    pub(super) imports: Vec<String>,
}

/// What the new version asks for beyond the old one, whoever signed them or nobody.
pub(super) fn widened(old: Asks<'_>, new: Asks<'_>) -> Vec<Widened> {
    widening(&contents(old), &contents(new), |_all_are_set| None)
}

fn contents(asks: Asks<'_>) -> Contents {
    // Checked when they were asked for.
    let grants = asks.rights.iter().filter_map(|text| text.parse().ok());
    Contents {
        trust_domain: None,
        address: asks.address.clone(),
        program: [0; 32],
        number: 1,
        limits: asks.limits,
        imports: asks.imports.into_iter().collect(),
        protocols: asks.protocols,
        services: asks.services,
        rights: Rights::try_new(grants).ok(),
        signed_at: Moment::EPOCH,
    }
}

/// The receiver's own terms.
pub(super) fn accepts(asked: Option<types::Accepts>) -> Answer<Accepts> {
    let asked = asked.unwrap_or_default();
    if asked.senders.len() > SENDERS_MAX {
        let detail = format!("accepts.senders: {SENDERS_MAX} at most");
        return Err(Failure::invalid(detail));
    }
    let sender = |text: &String| {
        let parsed = text.parse::<Pattern>();
        let parsed = parsed
            .map_err(|error| Failure::invalid(format!("sender `{}`: {error}", shown(text))))?;
        Ok(parsed.to_string())
    };
    let mut senders: Vec<String> = asked.senders.iter().map(sender).collect::<Answer<_>>()?;
    senders.sort_unstable();
    senders.dedup();
    let acts = asked.performatives.iter().map(|word| word.parse());
    let mut performatives: Vec<_> = acts.collect::<Result<_, _>>()?;
    performatives.sort_unstable();
    performatives.dedup();
    Ok(Accepts {
        senders,
        performatives,
        rate: asked.rate.as_deref().map(rate).transpose()?,
        signed: asked.signed,
    })
}

fn rate(text: &str) -> Answer<(u32, u32)> {
    let wrong = || {
        let detail = format!(
            "rate `{}` is not `N/SECONDS`, 1 or more in 1 to 86400 seconds",
            shown(text)
        );
        Failure::invalid(detail)
    };
    let (count, seconds) = text.split_once('/').ok_or_else(wrong)?;
    let parse = |text: &str| text.parse().map_err(|_none| wrong());
    let rate = Rate::try_new(parse(count)?, parse(seconds)?).map_err(|_bounds| wrong())?;
    Ok((rate.count(), rate.seconds()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_the_version_in_use_does_not_have_is_named() {
        let address: Address = "acme/one".parse().unwrap();
        let before = texts(&["send acme/*", "read acme/one"]);
        let asked = texts(&["send acme/two", "read acme/two", "send other/one"]);
        let asks = |rights, memory, imports: &[&str]| Asks {
            address: &address,
            limits: [("memory_bytes".to_owned(), memory)].into(),
            protocols: BTreeSet::new(),
            services: BTreeSet::new(),
            rights,
            imports: texts(imports),
        };
        let told = |old, new| -> Vec<String> {
            widened(old, new).iter().map(ToString::to_string).collect()
        };
        let (log, both) = (
            &["caxton:agent/log"],
            &["caxton:agent/log", "caxton:agent/kv"],
        );
        assert_eq!(
            told(asks(&before, 1, log), asks(&asked, 2, both)),
            [
                "a higher limit: `memory_bytes` is 2, was 1",
                "a new import: `caxton:agent/kv`",
                "a new right: `send other/one`",
                "a new right: `read acme/two`",
            ]
        );
        let none: [String; 0] = [];
        assert_eq!(told(asks(&before, 2, both), asks(&before, 1, log)), none);
        assert_eq!(told(asks(&[], 1, log), asks(&before, 1, log)).len(), 2);
    }

    #[test]
    fn terms_are_read_once_and_bounded() {
        let asked = |senders: &[&str], rate: Option<&str>| {
            accepts(Some(types::Accepts {
                senders: texts(senders),
                performatives: texts(&["request", "request"]),
                rate: rate.map(str::to_owned),
                signed: true,
            }))
        };
        let terms = asked(&["operator:ann", "acme/*", "acme/*"], Some("5/60")).unwrap();
        assert_eq!(terms.senders, ["acme/*", "operator:ann"]);
        assert_eq!((terms.performatives.len(), terms.rate), (1, Some((5, 60))));
        assert!(terms.signed);
        for rate in ["5", "0/1", "1/0", "1/86401", "x/1", "-1/1"] {
            assert!(asked(&[], Some(rate)).is_err(), "{rate}");
        }
        assert!(asked(&["not a pattern"], None).is_err());
        assert!(asked(&vec!["acme/*"; SENDERS_MAX + 1], None).is_err());
    }
}
