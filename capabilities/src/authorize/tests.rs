use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::*;
use crate::{
    cast::{BEGIN, at, first, holder, issued, issuers, terms},
    id::{Address, Name, TokenId},
    issuers::Revoked,
    request::{PolicyAction, PolicyPrincipal, PolicyResource, PrincipalId, ResourceId},
    right::Action,
    verify::verify,
};

/// Permits the one thing: to send.
#[derive(Debug)]
struct Sending;

impl Policies for Sending {
    fn epoch(&self) -> u64 {
        1
    }

    fn decide(&self, request: &PolicyRequest) -> Ruling {
        match request.action {
            PolicyAction::Send | PolicyAction::Start | PolicyAction::Read => {
                Ruling::Permit(["rules/one".into()].into())
            }
            _ => Ruling::Forbidden(["rules/secret".into()].into()),
        }
    }

    fn looks_at_context(&self, _request: &PolicyRequest) -> bool {
        false
    }
}

/// Permits an agent whatever it is asked, and counts. What is said to it counts or does not.
#[derive(Debug, Default)]
struct Counting {
    asked: AtomicUsize,
    looks: bool,
}

impl Policies for Counting {
    fn epoch(&self) -> u64 {
        1
    }

    fn decide(&self, request: &PolicyRequest) -> Ruling {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match request.principal.id {
            PrincipalId::Agent(_) => Ruling::Permit(["rules/one".into()].into()),
            _ => Ruling::NoRule,
        }
    }

    fn looks_at_context(&self, _request: &PolicyRequest) -> bool {
        self.looks
    }
}

fn address(text: &str) -> Address {
    let principal: Principal = text.parse().unwrap();
    principal.as_agent().unwrap().clone()
}

fn now() -> SystemTime {
    at(BEGIN).system_time()
}

fn token() -> Verified {
    let mut one = first(&["send acme/*"], Some(&holder(11)));
    one.subject = "operator:ann".parse().ok();
    let mut two = terms(&["send acme/two"], None);
    two.subject = "acme/one".parse().ok();
    let token = issued(one).attenuate(&holder(11), two, [2; 16]).unwrap();
    verify(&token, &issuers(), &Revoked::default(), at(BEGIN)).unwrap()
}

fn trust(change: impl FnOnce(&mut Standing)) -> Trust {
    let mut standing = Standing::new(issuers());
    change(&mut standing);
    Trust::new(Arc::new(Sending), Arc::new(standing), None)
}

fn sends(trust: &Trust, sender: &str, to: &str, token: Result<&Verified, Refusal>) -> String {
    let speech = Speech {
        said: Said {
            performative: "request",
            bytes: 5,
        },
        conversation: "cnv_01h455vb4pex5vsknk084sn02q".parse().ok(),
        token,
    };
    let right = Right::send(&to.parse().unwrap());
    let decided = trust.authorize(&sender.parse().unwrap(), right, Some(&speech), now());
    match decided {
        Ok(permit) => permit.rule().to_string(),
        Err(denied) => denied.refusal.told(),
    }
}

fn no_token() -> Result<&'static Verified, Refusal> {
    Err(TokenRefused::TrustDomain.into())
}

#[test]
fn stale_trust_denies_what_it_permitted() {
    let until = now();
    let standing = Arc::new(Standing::new(issuers()));
    let trust = Trust::new(Arc::new(Sending), standing, Some(until));
    let (owner, right) = ("operator:admin".parse().unwrap(), || {
        Right::new(Action::Read, Resource::Node)
    });
    assert!(trust.authorize(&owner, right(), None, until).is_ok());
    let later = until + Duration::from_secs(1);
    let denied = trust.authorize(&owner, right(), None, later).unwrap_err();
    assert!(denied.to_string().contains("out of date"), "{denied}");
}

/// How often policies that look at circumstances, or do not, are asked for these messages under one trust.
fn asked(looks: bool, ways: &[(&str, &str)]) -> usize {
    let counting = Arc::new(Counting {
        looks,
        ..Counting::default()
    });
    let policies = Arc::clone(&counting) as Arc<dyn Policies>;
    let standing = Arc::new(Standing::new(issuers()));
    let trust = Trust::new(policies, standing, None);
    for (sender, to) in ways {
        let expected = match sender.starts_with("operator:") {
            true => "no rule permits it",
            false => "rules/one",
        };
        assert_eq!(sends(&trust, sender, to, no_token()), expected);
    }
    counting.asked.load(Ordering::Relaxed)
}

#[test]
fn what_rests_on_no_circumstances_is_asked_once_for_each_way_and_a_denial_always() {
    let ways = [
        ("acme/one", "operator:ann"),
        ("acme/one", "operator:ann"),
        ("acme/two", "operator:ann"),
        ("acme/one", "operator:bob"),
        ("acme/one", "operator:ann"),
    ];
    assert_eq!(asked(false, &ways), 3);
    assert_eq!(asked(true, &ways), 5);
    let denied = [("operator:ann", "acme/one"); 3];
    assert_eq!(asked(false, &denied), 3);
}

#[test]
fn a_permit_that_is_remembered_is_for_the_one_action() {
    let (trust, ann) = (trust(|_| {}), "operator:ann".parse().unwrap());
    let decided = |action| {
        let right = Right::new(action, Resource::Agent(address("acme/one")));
        trust.authorize(&ann, right, None, now()).is_ok()
    };
    assert_eq!(
        [Action::Send, Action::Deploy, Action::Send].map(decided),
        [true, false, true]
    );
}

#[test]
fn an_agent_sends_to_an_agent_with_a_token_that_allows_it_and_not_without() {
    let (trust, token) = (trust(|_| {}), token());
    let sent = |sender, to, token| sends(&trust, sender, to, token);
    assert_eq!(sent("acme/one", "acme/two", Ok(&token)), "rules/one");
    // The token's second block narrows the first; and it is for one agent alone.
    assert!(sent("acme/one", "acme/three", Ok(&token)).contains("no right gives it"));
    assert!(sent("acme/six", "acme/two", Ok(&token)).contains("for somebody else"));
    assert!(sent("acme/one", "acme/two", no_token()).contains("another trust domain"));
    let right = Right::send(&"acme/two".parse().unwrap());
    let denied = trust.authorize(&"acme/one".parse().unwrap(), right, None, now());
    assert_eq!(denied.unwrap_err().refusal, Refusal::NoToken);
}

#[test]
fn answers_and_operators_need_no_token() {
    let trust = trust(|_| {});
    assert_eq!(
        sends(&trust, "acme/one", "operator:ann", no_token()),
        "rules/one"
    );
    assert_eq!(
        sends(&trust, "operator:ann", "acme/one", no_token()),
        "rules/one"
    );
}

#[test]
fn what_was_taken_back_is_refused_whatever_policies_permit() {
    let token = token();
    let check = |change: fn(&mut Standing), sender: &str, to: &str, expected: &str| {
        let told = sends(&trust(change), sender, to, Ok(&token));
        assert_eq!(told, expected, "{sender} to {to}");
    };
    let tenant: fn(&mut Standing) = |all| {
        all.blocked_tenants.insert("acme".parse().unwrap());
    };
    check(tenant, "acme/one", "acme/two", "the tenant is blocked");
    check(tenant, "operator:ann", "acme/two", "the tenant is blocked");
    check(tenant, "acme/one", "operator:ann", "the tenant is blocked");
    check(tenant, "operator:ann", "other/two", "rules/one");
    let agent: fn(&mut Standing) = |all| {
        all.revoked_agents.insert(address("acme/one"));
    };
    check(agent, "acme/one", "acme/two", "the agent was revoked");
    check(agent, "operator:ann", "acme/one", "the agent was revoked");
    check(agent, "operator:ann", "acme/two", "rules/one");
    let operator: fn(&mut Standing) = |all| {
        all.revoked_operators.insert("ann".parse().unwrap());
    };
    check(
        operator,
        "operator:ann",
        "acme/two",
        "the operator was revoked",
    );
    check(operator, "operator:bob", "acme/two", "rules/one");
}

#[test]
fn a_frozen_cluster_starts_nothing_and_still_shows_itself() {
    let asked = |action| PolicyRequest {
        principal: PolicyPrincipal::new(PrincipalId::Operator("ann".parse().unwrap())),
        action,
        resource: PolicyResource::new(ResourceId::Agent(address("acme/one"))),
        context: PolicyContext::default(),
    };
    let frozen = trust(|all| all.is_frozen = true);
    let told = |action| frozen.decide(&asked(action), now());
    assert!(
        matches!(told(PolicyAction::Start), Err(Refusal::Standing(why)) if why.contains("frozen"))
    );
    assert_eq!(told(PolicyAction::Read).unwrap().as_ref(), "rules/one");
    assert!(frozen.standing().stops(&address("acme/one"), 1).is_some());
}

#[test]
fn a_revoked_version_does_not_run_and_others_of_the_agent_do() {
    let trust = trust(|all| {
        all.revoked_versions = BTreeSet::from([(address("acme/one"), 2)]);
    });
    let stops = |agent: &str, version| trust.standing().stops(&address(agent), version);
    assert_eq!(stops("acme/one", 2), Some("the version was revoked"));
    assert_eq!(stops("acme/one", 1), None);
    assert_eq!(stops("acme/two", 2), None);
}

#[test]
fn who_asked_hears_no_rule_and_cannot_tell_it_from_its_absence() {
    let rules: Arc<[RuleName]> = ["rules/secret".into()].into();
    let forbidden = Refusal::Forbidden(Arc::clone(&rules));
    assert_eq!(forbidden.to_string(), Refusal::NoRule.to_string());
    assert_eq!(Refusal::Undecided(rules).to_string(), forbidden.to_string());
    assert!(forbidden.told().contains("rules/secret"));
}

#[test]
fn facts_of_an_operator_go_into_the_question() {
    let name: Name = "ann".parse().unwrap();
    let facts = Arc::new(crate::request::PrincipalFacts {
        roles: [crate::request::Role::Viewer].into(),
        ..Default::default()
    });
    let trust = trust(|all| {
        all.operators.insert(name.clone(), Arc::clone(&facts));
    });
    let known = trust.standing().principal(&Principal::Operator(name));
    assert_eq!(known.facts, facts);
    let stranger = trust.standing().principal(&"operator:eve".parse().unwrap());
    assert!(stranger.facts.roles.is_empty());
}

#[test]
fn a_taken_back_token_is_known_by_any_of_its_blocks() {
    let token = token();
    let first: TokenId = token.token().ids()[0];
    let revoked = Revoked::try_new(2, [first], []).unwrap();
    assert!(revoked.any_token(token.token().ids()));
    assert!(!Revoked::default().any_token(token.token().ids()));
}

/// The token of `acme/one`, handed on to `acme/six` and from there to `acme/seven`, who uses it.
fn handed_on() -> Verified {
    let mut one = first(&["send acme/*"], Some(&holder(11)));
    one.subject = "operator:ann".parse().ok();
    let mut token = issued(one);
    for (key, subject) in (11..).zip(["acme/one", "acme/six", "acme/seven", "acme/seven"]) {
        let mut next = terms(&["send acme/*"], Some(&holder(key + 1)));
        next.subject = subject.parse().ok();
        next.holder = next.holder.filter(|_| key < 14);
        token = token.attenuate(&holder(key), next, [key; 16]).unwrap();
    }
    verify(&token, &issuers(), &Revoked::default(), at(BEGIN)).unwrap()
}

#[test]
fn what_is_done_on_behalf_of_agents_needs_policies_that_permit_it_to_each_of_them() {
    let token = handed_on();
    let sent =
        |change: fn(&mut Standing)| sends(&trust(change), "acme/seven", "acme/two", Ok(&token));
    assert_eq!(sent(|_| {}), "rules/one");
    assert_eq!(
        sent(|all| {
            all.revoked_agents.insert(address("acme/one"));
        }),
        "on behalf of `acme/one`: the agent was revoked"
    );
    assert_eq!(
        sent(|all| {
            all.revoked_agents.insert(address("acme/six"));
        }),
        "on behalf of `acme/six`: the agent was revoked"
    );
    // Who deployed the first of them may have gone, as with everything that it sends itself.
    assert_eq!(
        sent(|all| {
            all.revoked_operators.insert("ann".parse().unwrap());
        }),
        "rules/one"
    );
}

#[test]
fn what_waits_is_refused_once_anybody_on_whose_behalf_it_was_sent_may_not_send_it() {
    let said = Said {
        performative: "request",
        bytes: 5,
    };
    let behalf: [Principal; 1] = ["acme/one".parse().unwrap()];
    let stands = |trust: &Trust| {
        let right = Right::send(&"acme/two".parse().unwrap());
        let stood = (said, [].as_slice(), behalf.as_slice());
        trust.reaffirm(&"acme/seven".parse().unwrap(), right, stood, now())
    };
    assert_eq!(stands(&trust(|_| {})), Ok(()));
    let denied = stands(&trust(|all| {
        all.revoked_agents.insert(address("acme/one"));
    }));
    let denied = denied.unwrap_err().to_string();
    assert!(denied.contains("on behalf of `acme/one`"), "{denied}");
}
