use super::*;

fn deed() -> Deed {
    Deed {
        by: "operator:admin".into(),
        at_ms: 1_000,
        reason: "a test".into(),
    }
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn issuers() -> Issuers {
    Issuers::try_new("acme.example".parse().unwrap(), 1, []).unwrap()
}

fn key(operator: &str, expires_ms: u64) -> KeyRow {
    KeyRow {
        hash: [1; 32],
        operator: name(operator),
        scopes: Vec::new(),
        networks: Vec::new(),
        made: deed(),
        expires_ms,
        revoked: None,
    }
}

fn full() -> Access {
    let mut access = Access::default();
    let roles = ["viewer", "operator@acme"].map(|text| text.parse().unwrap());
    access
        .set_operator(
            &name("ann"),
            roles.into(),
            ["crew".to_owned()].into(),
            deed(),
        )
        .unwrap();
    access.add_key(&name("first"), key("ann", 9_000)).unwrap();
    let quota = [("agents".to_owned(), 5)].into();
    access
        .set_tenant(&"acme".parse().unwrap(), quota, deed())
        .unwrap();
    let by = (name("ann"), 7);
    access
        .put_policy(&name("one"), "text".into(), by, Some(0))
        .unwrap();
    let token = "tok_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    access.revoke_token(token, deed()).unwrap();
    let (agent, _) = deployment("acme/one@3").unwrap();
    access.revoke_agent(&agent, deed()).unwrap();
    access.revoke_deployment((&agent, 3), deed()).unwrap();
    access.frozen = Some(deed());
    access
}

#[test]
fn what_is_written_is_read_and_nothing_is_nothing() {
    let access = full();
    assert_eq!(Access::decode(&access.encode()).unwrap(), access);
    assert_eq!(Access::decode(b"").unwrap(), Access::default());
    assert!(Access::decode(b"{\"epoch\":1,\"more\":2}").is_err());
}

#[test]
fn decisions_rest_on_what_is_written() {
    let standing = full().standing(issuers());
    let facts = &standing.operators[&name("ann")];
    assert_eq!(facts.roles, [Role::Viewer].into());
    let tenant: TenantId = "acme".parse().unwrap();
    assert_eq!(facts.tenant_roles, [(Role::Operator, tenant)].into());
    assert!(facts.groups.contains("crew") && standing.is_frozen);
    let quota = standing.quota(&"acme".parse().unwrap());
    assert_eq!((quota.agents, quota.cpu_ms_per_s), (Some(5), None));
    let agent = deployment("acme/one@3").unwrap();
    assert!(standing.revoked_versions.contains(&agent));
    assert!(standing.revoked_agents.contains(&agent.0));
    let token = "tok_01h455vb4pex5vsknk084sn02q".parse().unwrap();
    assert!(standing.revoked.has_token(&token));
    assert!(standing.revoked_operators.is_empty() && standing.blocked_tenants.is_empty());
}

#[test]
fn an_operator_is_revoked_and_reinstated_and_the_first_word_stays() {
    let mut access = full();
    let later = Deed {
        at_ms: 2_000,
        ..deed()
    };
    access.revoke_operator(&name("ann"), Some(deed())).unwrap();
    access.revoke_operator(&name("ann"), Some(later)).unwrap();
    assert_eq!(access.operators[&name("ann")].revoked, Some(deed()));
    assert!(
        access
            .standing(issuers())
            .revoked_operators
            .contains(&name("ann"))
    );
    access.revoke_operator(&name("ann"), None).unwrap();
    assert!(access.standing(issuers()).revoked_operators.is_empty());
    assert!(access.revoke_operator(&name("eve"), None).is_err());
}

#[test]
fn a_tenant_is_blocked_and_goes_on() {
    let (mut access, tenant) = (full(), "acme".parse().unwrap());
    access.block_tenant(&tenant, (deed(), true)).unwrap();
    assert!(access.standing(issuers()).blocked_tenants.contains(&tenant));
    access.block_tenant(&tenant, (deed(), false)).unwrap();
    assert!(access.standing(issuers()).blocked_tenants.is_empty());
    let strange = [("wishes".to_owned(), 1)].into();
    let refused = access.set_tenant(&tenant, strange, deed()).unwrap_err();
    assert!(
        refused.to_string().contains("known are agents"),
        "{refused}"
    );
}

#[test]
fn a_policy_has_the_next_version_and_is_not_overwritten_unseen() {
    let mut access = full();
    let by = || (name("ann"), 8);
    let text = || "other".to_owned();
    let put = |access: &mut Access, wanted| {
        let row = access.put_policy(&name("one"), text(), by(), wanted);
        row.map(|row| row.version)
    };
    let current = 1;
    assert_eq!(
        put(&mut access, Some(0)),
        Err(ChangeError::Version { current, wanted: 0 })
    );
    assert_eq!(put(&mut access, Some(1)), Ok(2));
    let long = "x".repeat(POLICY_BYTES_MAX - 4);
    let refused = access.put_policy(&name("two"), long, by(), None);
    assert!(matches!(refused, Err(ChangeError::Full { .. })));
    access.delete_policy(&name("one")).unwrap();
    assert!(access.delete_policy(&name("one")).is_err());
}

#[test]
fn dead_keys_make_room_and_live_ones_do_not() {
    let mut access = Access::default();
    for nth in 0..KEYS_MAX {
        let expires_ms = if nth == 0 { 500 } else { 9_000 };
        access
            .add_key(&name(&format!("key-{nth}")), key("ann", expires_ms))
            .unwrap();
    }
    assert!(access.add_key(&name("key-1"), key("ann", 9_000)).is_err());
    access
        .add_key(&name("one-more"), key("ann", 9_000))
        .unwrap();
    assert!(!access.keys.contains_key(&name("key-0")));
    let refused = access.add_key(&name("too-many"), key("ann", 9_000));
    assert!(matches!(refused, Err(ChangeError::Full { .. })));
}

#[test]
fn a_deployment_is_an_agent_and_a_number() {
    assert!(deployment("acme/one@12").is_some());
    for text in [
        "",
        "acme/one",
        "acme/one@",
        "acme/one@x",
        "one@1",
        "Acme/one@1",
        "acme/one@-1",
    ] {
        assert!(deployment(text).is_none(), "{text}");
    }
    assert!("cook".parse::<Held>().is_err() && "viewer@Acme".parse::<Held>().is_err());
}
