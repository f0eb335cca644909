//! What contexts are written as, read from, and refused for.

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn example(server: &str) -> Context {
    Context {
        server: server.into(),
        ca_pem: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".into(),
        api_key: Some(Secret::new("cxk_no: # tricky")),
        certificate: None,
        tenant: None,
    }
}

fn contexts() -> (tempfile::TempDir, Contexts) {
    let home = tempfile::tempdir().unwrap();
    let environment = Environment::from_pairs([("HOME", home.path().to_str().unwrap())]);
    let contexts = Contexts::of(&environment).unwrap();
    (home, contexts)
}

#[test]
fn a_context_is_readable_by_its_owner_alone() {
    let (home, contexts) = contexts();
    let path = contexts
        .save("dev", &example("https://127.0.0.1:8443"))
        .unwrap();
    assert_eq!(path, home.path().join(".config/caxton/contexts/dev.yaml"));
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(contexts.exposed("dev").unwrap(), None);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(contexts.exposed("dev").unwrap(), Some(0o644));
    contexts
        .save("dev", &example("https://127.0.0.1:9000"))
        .unwrap();
    assert_eq!(mode(&path), 0o600, "writing again mends it");
}

#[test]
fn a_context_reads_back_as_it_was_written() {
    let (_home, contexts) = contexts();
    let context = example("https://127.0.0.1:8443");
    contexts.save("dev", &context).unwrap();
    assert_eq!(contexts.load("dev").unwrap(), context);
    assert_eq!(contexts.names(), ["dev"]);
}

#[test]
fn a_damaged_context_does_not_show_its_key() {
    let (_home, contexts) = contexts();
    let path = contexts.save("dev", &example("x")).unwrap();
    fs::write(&path, "server: x\nca_pem: y\napi_key: [cxk_secret]\n").unwrap();
    let error = contexts.load("dev").unwrap_err();
    assert_eq!(error.code, "CX1005");
    assert!(!format!("{error:?}").contains("cxk_secret"), "{error:?}");
    assert!(
        !format!("{:?}", example("x")).contains("cxk_"),
        "nor does Debug"
    );
}

#[test]
fn the_current_context_is_kept_and_goes_with_its_file() {
    let (_home, contexts) = contexts();
    assert_eq!(contexts.current(), None);
    contexts
        .save("prod", &example("https://prod:8443"))
        .unwrap();
    assert_eq!(contexts.select("prd").unwrap_err().exit, Exit::NotFound);
    contexts.select("prod").unwrap();
    assert_eq!(contexts.current().as_deref(), Some("prod"));
    contexts.remove("prod").unwrap();
    assert_eq!(contexts.current(), None);
}

#[test]
fn a_misspelt_context_gets_a_suggestion() {
    let (_home, contexts) = contexts();
    contexts.save("production", &example("x")).unwrap();
    let error = contexts.load("prodution").unwrap_err();
    assert_eq!(
        error.fix.first().map(String::as_str),
        Some("did you mean `production`?")
    );
}

#[test]
fn a_name_cannot_leave_the_folder() {
    let (_home, contexts) = contexts();
    for name in ["", "..", "../x", "a/b", ".hidden", "a\nb"] {
        assert_eq!(
            contexts.file(name).unwrap_err().exit,
            Exit::Usage,
            "{name:?}"
        );
    }
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_context() {
    let (home, contexts) = contexts();
    contexts.save("dev", &example("https://dev:1/")).unwrap();
    contexts.save("prod", &example("https://prod:1")).unwrap();
    contexts.select("dev").unwrap();
    let home = home.path().to_str().unwrap();
    let resolve = |wanted: &Wanted, pairs: &[(&str, &str)]| {
        let all = pairs.iter().copied().chain([("HOME", home)]);
        Target::resolve(wanted, &Environment::from_pairs(all), &contexts).unwrap()
    };
    let none = Wanted::default();
    assert_eq!(resolve(&none, &[]).server, "https://dev:1");
    assert_eq!(
        resolve(&none, &[("CAXTON_CONTEXT", "prod")]).server,
        "https://prod:1"
    );
    assert_eq!(
        resolve(&none, &[("CAXTON_SERVER", "https://env:1")]).server,
        "https://env:1"
    );
    let flags = Wanted {
        context: Some("dev".into()),
        server: Some("https://flag:1".into()),
        tenant: Some("acme".into()),
        ..Wanted::default()
    };
    let env = [
        ("CAXTON_CONTEXT", "prod"),
        ("CAXTON_SERVER", "https://env:1"),
        ("CAXTON_TENANT", "b"),
    ];
    let target = resolve(&flags, &env);
    assert_eq!(
        (target.server.as_str(), target.tenant.as_str()),
        ("https://flag:1", "acme")
    );
    assert_eq!(resolve(&none, &[]).tenant, "default");
    let key = |target: Target| target.api_key.unwrap().expose().to_owned();
    assert_eq!(key(resolve(&none, &[])), "cxk_no: # tricky");
    assert_eq!(
        key(resolve(&none, &[("CAXTON_API_KEY", "cxk_env")])),
        "cxk_env"
    );
}

#[test]
fn a_key_for_one_command_takes_the_place_of_the_contexts_certificate() {
    let (home, contexts) = contexts();
    let context = Context {
        api_key: None,
        certificate: Some(ClientCertificate {
            chain_pem: "chain".to_owned(),
            key_pem: Secret::new("key"),
        }),
        ..example("https://dev:1")
    };
    let path = contexts.save("dev", &context).unwrap();
    assert_eq!(contexts.load("dev").unwrap(), context);
    assert_eq!(mode(&path), 0o600);
    contexts.select("dev").unwrap();
    let home = home.path().to_str().unwrap();
    let resolve = |pairs: &[(&str, &str)]| {
        let all = pairs.iter().copied().chain([("HOME", home)]);
        let environment = Environment::from_pairs(all);
        let target = Target::resolve(&Wanted::default(), &environment, &contexts).unwrap();
        (target.api_key.is_some(), target.certificate.is_some())
    };
    assert_eq!(resolve(&[]), (false, true));
    assert_eq!(resolve(&[("CAXTON_API_KEY", "cxk1_a")]), (true, false));
}

#[test]
fn a_certificates_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("crt"), folder.path().join("key"));
    fs::write(&chain, "chain").unwrap();
    fs::write(&key, "key").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(ClientCertificate::read(&chain, &key).is_err());
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(ClientCertificate::read(&chain, &key).is_ok());
}

#[test]
fn without_a_context_a_server_needs_an_authority() {
    let (home, contexts) = contexts();
    let environment = Environment::default();
    let error = Target::resolve(&Wanted::default(), &environment, &contexts).unwrap_err();
    assert_eq!((error.code.as_str(), error.exit), ("CX1004", Exit::Usage));
    let ca = home.path().join("ca.pem");
    fs::write(&ca, "PEM").unwrap();
    let mut wanted = Wanted {
        server: Some("https://a:1".into()),
        ..Wanted::default()
    };
    assert!(Target::resolve(&wanted, &environment, &contexts).is_err());
    wanted.ca_file = Some(ca);
    assert_eq!(
        Target::resolve(&wanted, &environment, &contexts)
            .unwrap()
            .ca_pem,
        "PEM"
    );
}
