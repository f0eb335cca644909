//! What roles may do, worked out by asking for everything, is what the guide's table says.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as the tests do"
)]

use std::sync::Arc;

use caxton_capabilities::{
    Policies, PolicyAction, PolicyContext, PolicyPrincipal, PolicyRequest, PolicyResource,
    PrincipalId, ResourceId, Role,
};
use caxton_policy::{
    Engine, Source, load,
    schema::{Kind, resources},
};

fn request(action: PolicyAction, id: ResourceId) -> PolicyRequest {
    PolicyRequest {
        principal: PolicyPrincipal::new(PrincipalId::Operator("eve".parse().unwrap())),
        action,
        resource: PolicyResource::new(id),
        context: PolicyContext::default(),
    }
}

/// Which kinds of resource of its tenant, or without one, a role reaches by an action.
fn reach(
    engine: &Engine,
    role: Role,
    action: PolicyAction,
    in_one_tenant: bool,
) -> Vec<&'static str> {
    let id = |kind| -> ResourceId {
        let address = "acme/one".parse().unwrap();
        match kind {
            Kind::Agent => ResourceId::Agent(address),
            Kind::Tenant => ResourceId::Tenant("acme".parse().unwrap()),
            Kind::Node => ResourceId::Node(None),
            Kind::Cluster => ResourceId::Cluster,
            Kind::Policy => ResourceId::Policy("first".parse().unwrap()),
            Kind::Token => ResourceId::Token("tok".into()),
            Kind::AuditLog => ResourceId::AuditLog,
            Kind::Certificate => ResourceId::Certificate("01".into()),
            Kind::Operator => ResourceId::Operator("somebody".parse().unwrap()),
            Kind::ApiKey => ResourceId::ApiKey("some-key".parse().unwrap()),
            Kind::Deployment => ResourceId::Deployment(address),
            Kind::Message => ResourceId::Message("acme".parse().unwrap(), "msg".into()),
            Kind::Role | Kind::Group => unreachable!("no action has them"),
        }
    };
    let kinds = resources(action).iter().filter(|kind| {
        let mut asked = request(action, id(**kind));
        // Every resource that can belong to a tenant does.
        asked.resource.of_tenant = Some("acme".parse().unwrap());
        let facts = Arc::make_mut(&mut asked.principal.facts);
        if in_one_tenant {
            facts.tenant_roles = [(role, "acme".parse().unwrap())].into();
        } else {
            facts.roles = [role].into();
        }
        let ruling = engine.decide(&asked);
        let mut elsewhere = asked.clone();
        Arc::make_mut(&mut elsewhere.principal.facts).tenant_roles =
            [(role, "other".parse().unwrap())].into();
        Arc::make_mut(&mut elsewhere.principal.facts).roles.clear();
        assert!(
            !engine.decide(&elsewhere).is_permit(),
            "{role} of another tenant: {action}"
        );
        ruling.is_permit()
    });
    kinds.map(|kind| kind.as_str()).collect()
}

#[test]
fn roles_may_do_what_the_guide_says_and_nothing_in_another_tenant() {
    let engine = load(&Source {
        epoch: 1,
        owner: None,
        documents: &[],
    })
    .unwrap();
    let mut table = String::from("| action |");
    for role in Role::ALL {
        table += &format!(" {role} |");
    }
    table += "\n|---|---|---|---|---|---|\n";
    for action in PolicyAction::ALL {
        table += &format!("| `{action}` |");
        for role in Role::ALL {
            let everywhere = reach(&engine, *role, *action, false);
            let in_tenant = reach(&engine, *role, *action, true);
            let cell: Vec<_> = everywhere
                .iter()
                .map(|kind| {
                    let both = in_tenant.contains(kind);
                    format!("{kind}{}", if both { "" } else { "*" })
                })
                .collect();
            assert!(in_tenant.iter().all(|kind| everywhere.contains(kind)));
            let all = everywhere.len() == resources(*action).len() && everywhere == in_tenant;
            let text = match cell.as_slice() {
                [] => "–".to_owned(),
                _ if all => "all".to_owned(),
                cell => cell.join(", "),
            };
            table += &format!(" {text} |");
        }
        table += "\n";
    }
    let guide = include_str!("../../../docs/policy.md");
    assert!(
        guide.contains(&table),
        "docs/policy.md lacks this table:\n{table}"
    );
}
