use super::*;

fn scope(text: &str) -> Scope {
    text.parse().unwrap()
}

#[test]
fn a_scope_is_written_as_it_was_read() {
    for text in [
        "* *",
        "observe acme/*",
        "token-create acme/billing",
        "administer cluster",
        "operate node",
        "send operator:ann",
    ] {
        assert_eq!(scope(text).to_string(), text);
    }
    for action in PolicyAction::ALL {
        let text = format!("{action} *");
        assert_eq!(scope(&text).to_string(), text);
    }
    for (group, _) in PolicyAction::GROUPS {
        let text = format!("{group} *");
        assert_eq!(scope(&text).to_string(), text);
    }
}

#[test]
fn what_is_no_scope_is_refused_with_the_reason() {
    let pattern = ScopeError::Pattern(ParseRightError::Pattern);
    for (text, expected) in [
        ("", ScopeError::Form),
        ("read", ScopeError::Form),
        ("*", ScopeError::Form),
        ("fly acme/*", ScopeError::Action),
        ("Read acme/*", ScopeError::Action),
        ("kv acme/*", ScopeError::Action),
        (" acme/*", ScopeError::Action),
        ("read  acme/*", pattern),
        ("read acme", pattern),
        ("read acme/* ", pattern),
        ("read acme#orders", ScopeError::Thing),
        ("* acme#*", ScopeError::Thing),
    ] {
        assert_eq!(text.parse::<Scope>(), Err(expected), "{text:?}");
    }
}

#[test]
fn a_scope_covers_the_actions_of_its_word_and_no_others() {
    let node = PolicyResource::new(ResourceId::Node(None));
    let covered = |word: &str| {
        let scope = scope(&format!("{word} node"));
        let all = PolicyAction::ALL.iter();
        let all = all.filter(|action| scope.covers(**action, &node));
        all.map(|action| action.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(covered("*").len(), PolicyAction::ALL.len());
    assert_eq!(covered("read"), ["read"]);
    assert_eq!(covered("observe"), ["read", "logs", "trace"]);
    assert_eq!(covered("manage"), ["deploy", "start", "stop", "remove"]);
    assert_eq!(covered("run"), ["start", "stop", "replay", "operate"]);
    let secure = [
        "policy-write",
        "token-create",
        "revoke",
        "certificate-rotate",
    ];
    assert_eq!(covered("secure"), secure);
    let administer = ["tenant-admin", "operator-admin", "cluster-admin"];
    assert_eq!(covered("administer"), administer);
}

#[test]
fn no_group_has_the_word_of_an_action() {
    for (group, members) in PolicyAction::GROUPS {
        assert_eq!(PolicyAction::from_word(group), None, "{group}");
        assert!(members.len() > 1, "{group}");
        assert!(ScopeError::Action.to_string().contains(group), "{group}");
    }
}

/// Each pattern of the table below, in its order.
const PATTERNS: [&str; 7] = [
    "*",
    "cluster",
    "node",
    "operator:ann",
    "acme/*",
    "acme/billing",
    "other/*",
];

#[test]
fn each_resource_is_covered_where_it_is_placed_and_nowhere_else() {
    let address = |text: &str| text.parse().unwrap();
    let name = |text: &str| text.parse().unwrap();
    let acme = |id| PolicyResource {
        of_tenant: "acme".parse().ok(),
        ..PolicyResource::new(id)
    };
    let free = PolicyResource::new;
    let billing = || address("acme/billing");
    let tenant = || "acme".parse().unwrap();
    // Beside each: the patterns that cover it, by their places in `PATTERNS`.
    let rows: [(PolicyResource, &[usize]); 23] = [
        (free(ResourceId::Agent(billing())), &[0, 4, 5]),
        (free(ResourceId::Agent(address("acme/other"))), &[0, 4]),
        (free(ResourceId::Agent(address("third/billing"))), &[0]),
        (free(ResourceId::Deployment(billing())), &[0, 4, 5]),
        (free(ResourceId::Message(tenant(), "msg_1".into())), &[0, 4]),
        (free(ResourceId::Tenant(tenant())), &[0, 4]),
        (free(ResourceId::Node(None)), &[0, 2]),
        (free(ResourceId::Node(Some(name("node-1")))), &[0, 2]),
        (free(ResourceId::Cluster), &[0, 1]),
        // What serves all tenants is in none, whatever is said of it.
        (acme(ResourceId::Cluster), &[0, 1]),
        (acme(ResourceId::Node(None)), &[0, 2]),
        (free(ResourceId::Policy(name("base"))), &[0, 1]),
        (acme(ResourceId::Policy(name("base"))), &[0, 4]),
        (free(ResourceId::AuditLog), &[0, 1]),
        (acme(ResourceId::AuditLog), &[0, 4]),
        (free(ResourceId::Certificate("01".into())), &[0, 1]),
        (acme(ResourceId::Certificate("01".into())), &[0, 4]),
        (free(ResourceId::Operator(name("bob"))), &[0, 1]),
        (free(ResourceId::Operator(name("ann"))), &[0, 1, 3]),
        (acme(ResourceId::Operator(name("ann"))), &[0, 3, 4]),
        (free(ResourceId::Token("tok_1".into())), &[0]),
        (acme(ResourceId::Token("tok_1".into())), &[0, 4]),
        (free(ResourceId::ApiKey(name("exporter"))), &[0]),
    ];
    for (resource, expected) in rows {
        let covering = (0..PATTERNS.len()).filter(|at| {
            let scope = scope(&format!("observe {}", PATTERNS[*at]));
            assert!(!scope.covers(PolicyAction::Deploy, &resource));
            scope.covers(PolicyAction::Read, &resource)
        });
        assert_eq!(covering.collect::<Vec<_>>(), expected, "{:?}", resource.id);
    }
}

#[test]
fn no_scope_at_all_is_everything_and_one_is_only_what_it_says() {
    let node = PolicyResource::new(ResourceId::Node(None));
    let cluster = PolicyResource::new(ResourceId::Cluster);
    let none = Scopes::default();
    assert!(none.is_everything() && none.cover(PolicyAction::ClusterAdmin, &cluster));
    let two = Scopes::parse(["read node", "cluster-admin cluster", "read node"]).unwrap();
    assert_eq!(two.iter().len(), 2);
    for (action, resource, covered) in [
        (PolicyAction::Read, &node, true),
        (PolicyAction::ClusterAdmin, &cluster, true),
        // Two scopes are not the actions of one over the pattern of the other.
        (PolicyAction::Read, &cluster, false),
        (PolicyAction::ClusterAdmin, &node, false),
    ] {
        assert_eq!(two.cover(action, resource), covered, "{action}");
    }
}

#[test]
fn scopes_are_thirty_two_at_most_and_none_is_lost() {
    let texts: Vec<_> = (0..33)
        .map(|nth| format!("read acme/agent-{nth}"))
        .collect();
    let texts = || texts.iter().map(String::as_str);
    assert_eq!(Scopes::parse(texts().take(32)).unwrap().iter().len(), 32);
    assert_eq!(Scopes::parse(texts()), Err(ScopeError::Many));
    // What is there twice takes no place, and hides nothing behind it.
    let twice = texts().take(31).chain(texts().take(31));
    let all = Scopes::parse(twice.chain(["read node"])).unwrap();
    assert_eq!(all.iter().last(), Some(&scope("read node")));
    let bad = texts().take(2).chain(["read acme"]);
    let pattern = ScopeError::Pattern(ParseRightError::Pattern);
    assert_eq!(Scopes::parse(bad), Err(pattern));
}
