use std::{sync::Arc, time::SystemTime};

use caxton_capabilities::{
    Action, Device, Policies, PolicyAction, PolicyContext, PolicyPrincipal, PolicyRequest,
    PolicyResource, Principal, PrincipalFacts, PrincipalId, Resource, ResourceId, Right, Role,
    Ruling,
};

use crate::{Engine, Place, PolicyDocument, Problems, Said, Source, load};

fn document(name: &str, text: &str) -> PolicyDocument {
    PolicyDocument {
        name: name.parse().unwrap(),
        version: 1,
        author: "ada".parse().unwrap(),
        text: text.to_owned(),
    }
}

fn try_load(documents: &[PolicyDocument]) -> Result<Engine, Problems> {
    load(&Source {
        epoch: 7,
        owner: Some(&"admin".parse().unwrap()),
        documents,
    })
}

fn engine(text: &str) -> Engine {
    try_load(&[document("first", text)]).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[track_caller]
fn refused(text: &str, place: Option<(usize, usize)>, says: &str) {
    let problems = try_load(&[document("first", text)]).unwrap_err();
    let place = place.map(|(line, column)| Place { line, column });
    let told = problems.told();
    assert!(
        told.iter()
            .any(|problem| problem.place == place && problem.message.contains(says)),
        "{told:#?}"
    );
}

fn request(principal: &str, action: PolicyAction, id: ResourceId) -> PolicyRequest {
    PolicyRequest {
        principal: PolicyPrincipal::of(&principal.parse().unwrap()),
        action,
        resource: PolicyResource::new(id),
        context: PolicyContext::at(SystemTime::UNIX_EPOCH),
    }
}

fn agent(address: &str) -> ResourceId {
    ResourceId::Agent(address.parse().unwrap())
}

fn permit(rules: &[&str]) -> Ruling {
    Ruling::Permit(rules.iter().map(|rule| Arc::from(*rule)).collect())
}

fn forbidden(rules: &[&str]) -> Ruling {
    Ruling::Forbidden(rules.iter().map(|rule| Arc::from(*rule)).collect())
}

/// What the guide promises of the set that holds before anybody writes a policy, in other words.
fn expected(principal: &Principal, right: &Right) -> Option<&'static str> {
    let sends = right.action == Action::Send;
    match (principal, &right.resource) {
        (Principal::Operator(name), _) if name.as_str() == "admin" => Some("builtin/owner"),
        (Principal::Agent(from), Resource::Agent(to)) if sends && from.tenant == to.tenant => {
            Some("builtin/same-tenant")
        }
        (Principal::Agent(_), Resource::Operator(_) | Resource::Node) if sends => {
            Some("builtin/answer")
        }
        (Principal::Node, _) if sends => Some("builtin/runtime"),
        _ => None,
    }
}

#[test]
fn the_built_in_set_lets_the_owner_do_everything_agents_of_a_tenant_talk_and_answers_through() {
    let engine = try_load(&[]).unwrap();
    let names = ["admin", "eve", "acme", "other"];
    let mut everyone = vec![Principal::Node];
    let mut everything = vec![Resource::Node];
    for one in names {
        everyone.push(Principal::Operator(one.parse().unwrap()));
        everything.push(Resource::Operator(one.parse().unwrap()));
        everything.push(Resource::Tenant(one.parse().unwrap()));
        for other in names {
            let address = format!("{one}/{other}").parse().unwrap();
            everything.push(Resource::Agent(address));
            let address = format!("{one}/{other}").parse().unwrap();
            everyone.push(Principal::Agent(address));
        }
    }
    let mut compared = 0;
    for principal in &everyone {
        for resource in &everything {
            for action in [Action::Send, Action::Deploy, Action::Read, Action::Operate] {
                let right = Right::new(action, resource.clone());
                let asked = PolicyRequest::of(principal, &right, SystemTime::UNIX_EPOCH).unwrap();
                let expected =
                    expected(principal, &right).map_or(Ruling::NoRule, |rule| permit(&[rule]));
                assert_eq!(engine.decide(&asked), expected, "{principal} {right}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 21 * 25 * 4);
}

#[test]
fn without_an_owner_nobody_is_it() {
    let engine = load(&Source {
        epoch: 1,
        owner: None,
        documents: &[],
    })
    .unwrap();
    assert!(engine.rules().all(|rule| &**rule != "builtin/owner"));
    assert!(engine.rules().any(|rule| &**rule == "builtin/same-tenant"));
    for name in ["operator:admin", "operator:owner"] {
        let asked = request(name, PolicyAction::Read, ResourceId::Node(None));
        assert_eq!(engine.decide(&asked), Ruling::NoRule);
    }
}

#[test]
fn deny_beats_allow_and_nothing_means_deny() {
    let engine = engine(
        "@id(\"open\") permit (principal is Agent, action == Action::\"send\", resource is Agent);
         @id(\"shut\") forbid (principal, action, resource is Agent) when { resource.tenant == Tenant::\"vault\" };",
    );
    let ask = |to| engine.decide(&request("acme/one", PolicyAction::Send, agent(to)));
    assert_eq!(ask("other/two"), permit(&["first/open"]));
    assert_eq!(
        ask("acme/two"),
        permit(&["builtin/same-tenant", "first/open"])
    );
    assert_eq!(ask("vault/two"), forbidden(&["first/shut"]));
    let read = request("acme/one", PolicyAction::Read, agent("acme/two"));
    assert_eq!(engine.decide(&read), Ruling::NoRule);
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies_and_is_named() {
    let engine = engine(
        "@id(\"open\") permit (principal is Agent, action == Action::\"send\", resource is Agent);
         @id(\"huge\") forbid (principal, action == Action::\"send\", resource)
           when { context has size && context.size * 9223372036854775807 > 0 && false };",
    );
    let mut asked = request("acme/one", PolicyAction::Send, agent("other/two"));
    asked.context.size_bytes = Some(1);
    assert_eq!(engine.decide(&asked), permit(&["first/open"]));
    asked.context.size_bytes = Some(2);
    let failed = Ruling::Undecided(["first/huge".into()].into());
    assert_eq!(engine.decide(&asked), failed);
    assert_eq!(engine.decide_by_cedar_alone(&asked), failed);
    let explained = engine.explain(&asked);
    let said = |name: &str| {
        let found = explained.considered.iter().find(|one| &*one.rule == name);
        found.unwrap().clone()
    };
    assert!(matches!(said("first/huge").said, Said::Failed(ref why) if why.contains("overflow")));
    assert_eq!(said("first/open").said, Said::Applies);
    assert!(!said("first/open").is_determining);
    assert_eq!(said("builtin/same-tenant").said, Said::DoesNotApply);
}

#[test]
fn a_time_outside_the_calendar_denies_where_a_clock_is_read() {
    let engine = engine(
        "@id(\"clock\") permit (principal is Agent, action == Action::\"send\", resource is Agent)
           when { context.clock[\"Etc/UTC\"].minute >= 0 };",
    );
    let mut asked = request("acme/one", PolicyAction::Send, agent("acme/two"));
    assert!(engine.decide(&asked).is_permit());
    asked.context.now_ms = i64::MAX;
    assert_eq!(engine.decide(&asked), Ruling::Undecided([].into()));
}

#[test]
fn a_decision_stands_on_every_fact_that_its_policies_read() {
    let engine = engine(
        "@id(\"office\") permit (principal is Operator, action == Action::\"deploy\", resource is Agent)
           when { context has device && context.device.posture == \"compliant\" &&
                  context has address && context.address.isInRange(ip(\"10.0.0.0/8\")) &&
                  principal in Group::\"makers\" && principal.hasTag(\"level\") && principal.getTag(\"level\") == \"senior\" };",
    );
    let mut asked = request("operator:eve", PolicyAction::Deploy, agent("acme/one"));
    let facts = PrincipalFacts {
        groups: ["makers".into()].into(),
        attributes: [("level".into(), "senior".into())].into(),
        ..PrincipalFacts::default()
    };
    let device = |posture: &str| {
        Some(Device {
            os: "Linux".into(),
            posture: posture.into(),
        })
    };
    asked.principal.facts = Arc::new(facts.clone());
    asked.context.device = device("compliant");
    asked.context.address = Some("10.1.2.3".parse().unwrap());
    let expect = |asked: &PolicyRequest, expected: bool| {
        assert_eq!(engine.decide(asked).is_permit(), expected, "{asked:#?}");
        assert_eq!(engine.decide_by_cedar_alone(asked).is_permit(), expected);
    };
    expect(&asked, true);
    let changes: [fn(&mut PolicyRequest); 6] = [
        |asked| asked.context.device.as_mut().unwrap().posture = "stale".into(),
        |asked| asked.context.device = None,
        |asked| asked.context.address = Some("11.1.2.3".parse().unwrap()),
        |asked| asked.context.address = None,
        |asked| drop(Arc::make_mut(&mut asked.principal.facts).groups.pop_first()),
        |asked| asked.principal.id = PrincipalId::ApiKey("eve".parse().unwrap()),
    ];
    for change in changes {
        let mut other = asked.clone();
        change(&mut other);
        expect(&other, false);
        expect(&asked, true);
    }
    let mut junior = asked.clone();
    let attributes = &mut Arc::make_mut(&mut junior.principal.facts).attributes;
    attributes.insert("level".into(), "junior".into());
    expect(&junior, false);
}

#[test]
fn ownership_is_the_owner_attribute_of_what_is_asked_for() {
    let engine = engine(
        "@id(\"own\") permit (principal is Operator, action in Action::\"manage\", resource)
           when { resource has owner && resource.owner == principal };",
    );
    let mut asked = request("operator:eve", PolicyAction::Stop, agent("acme/one"));
    assert_eq!(engine.decide(&asked), Ruling::NoRule);
    asked.resource.owner = Some("eve".parse().unwrap());
    assert_eq!(engine.decide(&asked), permit(&["first/own"]));
    asked.action = PolicyAction::Logs;
    assert_eq!(engine.decide(&asked), Ruling::NoRule);
}

#[test]
fn a_principal_that_is_the_resource_is_one_entity_with_what_both_know() {
    let engine = engine(
        "@id(\"self\") permit (principal is Operator, action == Action::\"read\", resource is Operator)
           when { principal == resource && principal.viewer_of.contains(resource.tenant) };"
            .replace("resource.tenant)", "Tenant::\"acme\") && resource has tenant")
            .as_str(),
    );
    let mut asked = request(
        "operator:eve",
        PolicyAction::Read,
        ResourceId::Operator("eve".parse().unwrap()),
    );
    asked.resource.of_tenant = Some("acme".parse().unwrap());
    assert_eq!(engine.decide(&asked), Ruling::NoRule);
    let held = (Role::Viewer, "acme".parse().unwrap());
    Arc::make_mut(&mut asked.principal.facts).tenant_roles = [held].into();
    assert_eq!(engine.decide(&asked), permit(&["first/self"]));
    assert_eq!(
        engine.decide_by_cedar_alone(&asked),
        permit(&["first/self"])
    );
}

#[test]
fn a_request_that_the_schema_does_not_have_is_denied_to_the_owner_too() {
    let engine = try_load(&[]).unwrap();
    let asked = request(
        "operator:admin",
        PolicyAction::PolicyWrite,
        ResourceId::Cluster,
    );
    assert_eq!(engine.decide(&asked), Ruling::NoRule);
    let asked = request(
        "operator:admin",
        PolicyAction::PolicyWrite,
        ResourceId::Policy("first".parse().unwrap()),
    );
    assert_eq!(engine.decide(&asked), permit(&["builtin/owner"]));
}

#[test]
fn a_misspelt_attribute_is_an_error_that_names_it_and_its_place() {
    refused(
        "@id(\"one\")\npermit (principal, action, resource)\nwhen { context has device && context.device.postur == \"x\" };",
        Some((3, 30)),
        "postur",
    );
    refused(
        "@id(\"one\")\npermit (principal, action == Action::\"sned\", resource);",
        Some((2, 30)),
        "sned",
    );
    refused(
        "@id(\"one\")\npermit (principal is Agnet, action, resource);",
        Some((2, 22)),
        "Agnet",
    );
}

#[test]
fn an_optional_fact_must_be_asked_for_before_it_is_read() {
    refused(
        "@id(\"one\") permit (principal, action, resource) when { context.risk > 50 };",
        Some((1, 56)),
        "risk",
    );
}

#[test]
fn an_unknown_time_zone_is_an_error_at_its_place() {
    refused(
        "@id(\"one\") permit (principal, action, resource)\nwhen { context.clock[\"Europe/Berlim\"].minute > 1 };",
        Some((2, 22)),
        "Europe/Berlim",
    );
}

#[test]
fn a_rule_has_a_name_and_no_other_has_it() {
    refused("permit (principal, action, resource);", None, "@id");
    refused(
        "@id(\"A b\")\npermit (principal, action, resource);",
        Some((1, 1)),
        "A b",
    );
    let twice = "@id(\"one\") permit (principal, action, resource);";
    refused(&format!("{twice}{twice}"), None, "two rules");
    let slots = "@id(\"one\") permit (principal == ?principal, action, resource);";
    refused(slots, None, "template");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let wrong = "@id(\"one\") permit (principal, action == Action::\"sned\", resource);
        @id(\"two\") permit (principal, action, resource) when { resource.ownr == principal };";
    let documents = [document("first", wrong), document("second", wrong)];
    let problems = try_load(&documents).unwrap_err();
    let told: std::collections::BTreeSet<_> = problems
        .told()
        .iter()
        .map(|problem| {
            format!(
                "{}/{}",
                problem.document.as_ref().unwrap(),
                problem.rule.as_ref().unwrap()
            )
        })
        .collect();
    let expected = ["first/one", "first/two", "second/one", "second/two"];
    assert_eq!(
        told.into_iter().collect::<Vec<_>>(),
        expected,
        "{problems:#?}"
    );
}

#[test]
fn documents_do_not_take_each_others_names_nor_ours() {
    let text = "@id(\"one\") permit (principal, action, resource);";
    let twice = [document("first", text), document("first", text)];
    assert!(
        try_load(&twice)
            .unwrap_err()
            .to_string()
            .contains("two documents")
    );
    let ours = [document("builtin", text)];
    assert!(
        try_load(&ours)
            .unwrap_err()
            .to_string()
            .contains("own policies")
    );
}

#[test]
fn a_set_is_bounded_in_documents_and_policies() {
    let empty: Vec<_> = (0..=crate::DOCUMENTS_MAX)
        .map(|at| document(&format!("doc-{at}"), ""))
        .collect();
    assert!(try_load(&empty).is_err());
    assert!(try_load(&empty[1..]).is_ok());
    let many: String = (0..1_100)
        .map(|at| format!("@id(\"rule-{at}\") permit (principal is Node, action == Action::\"freeze\", resource);\n"))
        .collect();
    let two = [document("first", &many), document("second", &many)];
    assert!(
        try_load(&two)
            .unwrap_err()
            .to_string()
            .contains("2048 are the most")
    );
}

#[test]
fn the_texts_that_nest_deepest_are_parsed_and_evaluated_or_refused() {
    let small_stack = std::thread::Builder::new().stack_size(1 << 20);
    let run = small_stack.spawn(|| {
        let most = crate::OPERATORS_MAX - 8;
        let mut evaluated = 0;
        for condition in [
            "(".repeat(crate::NESTING_MAX - 2) + "true" + &")".repeat(crate::NESTING_MAX - 2),
            "true && ".repeat(most) + "true",
            "(true && ".repeat(20) + &"true && ".repeat(most - 20) + "true" + &")".repeat(20),
            "true || ".repeat(most) + "true",
            "if true then true else ".repeat(most) + "true",
            "context".to_owned() + &".time".repeat(most) + " == 1",
            "1".to_owned() + &" + 1".repeat(most) + " > 0",
            "!".repeat(most) + "true",
            "- ".repeat(most) + "1 < 2",
        ] {
            let text = format!(
                "@id(\"one\") permit (principal, action, resource) when {{ {condition} }};"
            );
            if let Ok(engine) = try_load(&[document("first", &text)]) {
                let asked = request("operator:eve", PolicyAction::Read, ResourceId::Cluster);
                let ruling = engine.decide(&asked);
                assert_eq!(ruling.rules().len(), 1, "{ruling:?}");
                evaluated += 1;
            }
        }
        assert!(evaluated >= 5, "only {evaluated} were short enough");
    });
    run.unwrap().join().unwrap();
}
