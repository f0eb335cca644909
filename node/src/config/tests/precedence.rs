//! Flags beat the environment, which beats files, which beat defaults.

use std::time::Duration;

use super::{Machine, of_file, origin};
use crate::config::{
    AgentsMax, Flags, JwksUrl, JwtKeys, Mode, load::known_keys, resolve::variable,
};

fn listen(text: &str) -> Flags {
    Flags {
        listen: Some(text.to_owned()),
        ..Flags::default()
    }
}

#[test]
fn each_source_beats_those_below_it_and_is_named() {
    let default = Machine::new();
    let check = |machine: &Machine, flags: &Flags, port: u16, from: String| {
        let loaded = machine.load(flags).unwrap();
        assert_eq!(loaded.config.api.listen.port(), port);
        assert_eq!(
            origin(&loaded, "api.listen"),
            (format!("127.0.0.1:{port}"), from)
        );
        assert_eq!(loaded.config.api.listen_explicit, port != 8443);
    };
    let none = Flags::default();
    check(&default, &none, 8443, "default".to_owned());

    let system = default.write("etc/caxton/node.yaml", "api:\n  listen: 127.0.0.1:1001\n");
    check(
        &system,
        &none,
        1001,
        format!("file {}:2", system.system_file().display()),
    );

    let user = system.write(
        "home/.config/caxton/node.yaml",
        "# mine\napi: {listen: '127.0.0.1:1002'}\n",
    );
    check(
        &user,
        &none,
        1002,
        format!("file {}:2", user.user_file().display()),
    );

    let xdg = user.write("xdg/caxton/node.yaml", "api: {listen: '127.0.0.1:1003'}\n");
    let folder = xdg.path("xdg").display().to_string();
    let xdg = xdg.set("XDG_CONFIG_HOME", &folder);
    check(
        &xdg,
        &none,
        1003,
        format!("file {}:1", xdg.path("xdg/caxton/node.yaml").display()),
    );

    let environment = xdg.set("CAXTON_API_LISTEN", "127.0.0.1:1004");
    check(
        &environment,
        &none,
        1004,
        "environment CAXTON_API_LISTEN".to_owned(),
    );
    check(
        &environment,
        &listen("127.0.0.1:1005"),
        1005,
        "flag --listen".to_owned(),
    );

    let taken_back = environment.set("CAXTON_API_LISTEN", "");
    check(
        &taken_back,
        &none,
        1003,
        format!(
            "file {}:1",
            taken_back.path("xdg/caxton/node.yaml").display()
        ),
    );
}

#[test]
fn the_files_of_user_and_system_are_merged_setting_by_setting() {
    let machine = Machine::new()
        .write(
            "etc/caxton/node.yaml",
            "log:\n  level: warn\n  format: json\n",
        )
        .write("home/.config/caxton/node.yaml", "log:\n  level: debug\n");
    let loaded = machine.load(&Flags::default()).unwrap();
    assert_eq!(origin(&loaded, "log.level").0, "debug");
    assert_eq!(origin(&loaded, "log.format").0, "json");
}

#[test]
fn a_named_file_is_read_alone_and_the_flag_names_it_before_the_environment() {
    let machine = Machine::new()
        .write("etc/caxton/node.yaml", "log: {format: json}\n")
        .write("a.yaml", "log: {level: warn}\n")
        .write("b.yaml", "log: {level: error}\n");
    let (a, b) = (machine.path("a.yaml"), machine.path("b.yaml"));
    let machine = machine.set("CAXTON_CONFIG", &b.display().to_string());
    let loaded = machine.load(&Flags::default()).unwrap();
    assert_eq!(
        origin(&loaded, "log.level"),
        ("error".to_owned(), format!("file {}:1", b.display()))
    );
    assert_eq!(origin(&loaded, "log.format").1, "default");
    let loaded = machine
        .load(&Flags {
            config: Some(a),
            ..Flags::default()
        })
        .unwrap();
    assert_eq!(origin(&loaded, "log.level").0, "warn");
}

#[test]
fn each_flag_reaches_its_setting() {
    let flags = Flags {
        config: None,
        name: Some("node-7".to_owned()),
        data: Some("/srv/caxton".into()),
        ephemeral: false,
        listen: Some("[::1]:9000".to_owned()),
        mesh_listen: Some("127.0.0.1:7947".to_owned()),
        advertise: Some("127.0.0.1:7948".to_owned()),
        join: Some("127.0.0.1:7949".to_owned()),
        token_file: Some("/run/token".into()),
        log_level: Some("trace".to_owned()),
        log_format: Some("json".to_owned()),
        agents_max: Some(7),
    };
    let loaded = Machine::new().load(&flags).unwrap();
    let config = &loaded.config;
    assert_eq!(config.node.name.as_str(), "node-7");
    assert_eq!(config.node.data, std::path::Path::new("/srv/caxton"));
    assert_eq!(config.api.listen.to_string(), "[::1]:9000");
    assert_eq!(config.mesh.listen.to_string(), "127.0.0.1:7947");
    let advertise = config.mesh.advertise.map(|address| address.to_string());
    assert_eq!(advertise.as_deref(), Some("127.0.0.1:7948"));
    assert_eq!(config.mesh.join.0, ["127.0.0.1:7949"]);
    let token = config.mesh.token_file.as_deref();
    assert_eq!(token, Some(std::path::Path::new("/run/token")));
    assert_eq!(
        (config.log.level.to_string(), config.log.format.to_string()),
        ("trace".into(), "json".into())
    );
    assert_eq!(config.agents.max, AgentsMax::Count(7));
    let flags = loaded
        .origins
        .iter()
        .filter(|setting| setting.origin.to_string().starts_with("flag --"));
    assert_eq!(flags.count(), 10);

    let ephemeral = Machine::new()
        .load(&Flags {
            ephemeral: true,
            ..Flags::default()
        })
        .unwrap();
    assert!(ephemeral.config.node.ephemeral);
    assert_eq!(origin(&ephemeral, "node.ephemeral").1, "flag --ephemeral");
}

#[test]
fn each_setting_has_a_name_in_the_environment() {
    let plain = Machine::new().load(&Flags::default()).unwrap();
    let keys = known_keys();
    assert_eq!(keys.len(), plain.origins.len());
    for setting in &plain.origins {
        assert!(
            keys.contains(&setting.key),
            "{} is read but not known",
            setting.key
        );
        // A value no setting accepts: were the name not looked up, nothing would be refused.
        let name = variable(&setting.key);
        let text = Machine::new()
            .set(&name, "$ \u{1}")
            .refused(&Flags::default());
        assert!(
            text.contains(&format!("--> environment {name}")),
            "{}: {text}",
            setting.key
        );
        assert!(text.contains(&setting.key), "{text}");
    }
}

#[test]
fn the_data_folder_follows_mode_name_and_environment() {
    let check = |machine: Machine, flags: &Flags, expected: &str| {
        let loaded = machine.load(flags).unwrap();
        let data = loaded.config.node.data.display().to_string();
        assert_eq!(
            data.replace(&machine.root.path().display().to_string(), "ROOT"),
            expected
        );
        assert_eq!(
            origin(&loaded, "node.data").0,
            data,
            "what is shown is what is used"
        );
    };
    let named = Flags {
        name: Some("node-9".to_owned()),
        ..Flags::default()
    };
    check(
        Machine::new(),
        &Flags::default(),
        "ROOT/home/.local/share/caxton/dev/node-1",
    );
    check(
        Machine::new().set("XDG_DATA_HOME", "/xdg"),
        &named,
        "/xdg/caxton/dev/node-9",
    );
    check(
        Machine::new().set("XDG_DATA_HOME", "not/absolute"),
        &named,
        "ROOT/home/.local/share/caxton/dev/node-9",
    );
    let production = Machine::new()
        .set("CAXTON_NODE_MODE", "production")
        .set("CAXTON_API_TLS_CERTIFICATE", "/tls/cert.pem")
        .set("CAXTON_API_TLS_KEY", "/tls/key.pem")
        .set("CAXTON_API_LISTEN", "0.0.0.0:8443");
    check(production, &Flags::default(), "/var/lib/caxton");
    let ephemeral = Flags {
        ephemeral: true,
        ..Flags::default()
    };
    check(Machine::new().set("HOME", ""), &ephemeral, "/tmp");
    check(
        Machine::new().set("TMPDIR", "/scratch"),
        &ephemeral,
        "/scratch",
    );
}

#[test]
fn relative_paths_of_a_file_start_from_its_folder_and_others_from_here() {
    let machine = Machine::new().write(
        "conf/node.yaml",
        "node: {mode: production, data: data}\napi: {tls: {certificate: tls/cert.pem, key: /abs/key.pem, ca: ../ca.pem}}\n",
    );
    let file = Flags {
        config: Some(machine.path("conf/node.yaml")),
        ..Flags::default()
    };
    let config = machine.load(&file).unwrap().config;
    assert_eq!(config.node.mode, Mode::Production);
    assert_eq!(config.node.data, machine.path("conf/data"));
    let tls = config.api.tls.unwrap();
    assert_eq!(tls.certificate, machine.path("conf/tls/cert.pem"));
    assert_eq!(tls.key, std::path::Path::new("/abs/key.pem"));
    assert_eq!(tls.ca, Some(machine.path("conf/../ca.pem")));

    let flag = Flags {
        data: Some("data".into()),
        ..Flags::default()
    };
    assert_eq!(
        machine.load(&flag).unwrap().config.node.data,
        std::path::Path::new("data")
    );
}

#[test]
fn limits_are_handed_on_in_their_own_unit_and_only_where_given() {
    let loaded =
        of_file("limits:\n  cpu: 1500ms\n  memory_bytes: 1MiB\n  host_calls: 5\n").unwrap();
    let expected = [("cpu", 1_500), ("host_calls", 5), ("memory_bytes", 1 << 20)];
    assert_eq!(
        loaded.config.limits,
        expected
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    );
    assert_eq!(
        origin(&loaded, "limits.wall"),
        ("5s".to_owned(), "default".to_owned())
    );
    assert!(caxton_sandbox::Limits::checked(expected).is_ok());
}

#[test]
fn empty_sections_and_empty_values_say_nothing() {
    let loaded = of_file("node:\n  data:\n  name: ~\napi:\n  tls:\nshutdown_grace: 3s\n").unwrap();
    assert_eq!(loaded.config.shutdown_grace, Duration::from_secs(3));
    let given = loaded
        .origins
        .iter()
        .filter(|setting| setting.origin.to_string() != "default");
    assert_eq!(given.count(), 1);
}

#[test]
fn a_production_node_has_limits_and_a_development_node_only_those_that_are_set() {
    let of = |text: &str| {
        let limits = of_file(text).unwrap().config.api.limits;
        [
            limits.operator_per_minute,
            limits.unknown_per_minute,
            limits.unknown_in_all_per_minute,
            limits.new_agents_per_hour,
        ]
    };
    assert_eq!(of(""), [None; 4]);
    let production = "node: {mode: production, data: /srv}\n";
    assert_eq!(of(production), [100, 10, 1_000, 10].map(Some));
    let api = "api:\n  limits: {operator_per_minute: 7, unknown_per_minute: none}\n";
    assert_eq!(of(api), [Some(7), None, None, None]);
    let set = of(&format!("{production}{api}"));
    assert_eq!(set, [Some(7), None, Some(1_000), Some(10)]);
    let shown = of_file(production).unwrap();
    let shown = origin(&shown, "api.limits.unknown_in_all_per_minute");
    assert_eq!(shown, ("1000".into(), "default".into()));
    for wrong in ["0", "1000001", "many", "-1", ""] {
        let text = format!("api: {{limits: {{new_agents_per_hour: '{wrong}'}}}}\n");
        assert!(of_file(&text).is_err(), "{wrong}");
    }
}

#[test]
fn an_issuer_its_audiences_and_its_keys_come_together() {
    let with = |lines: &[&str]| {
        let lines = lines.iter().map(|line| format!("    {line}\n"));
        of_file(&format!("auth:\n  jwt:\n{}", lines.collect::<String>()))
    };
    assert!(of_file("").unwrap().config.jwt.is_none());
    let whole = [
        "issuer: https://idp.example",
        "audiences: one, two",
        "keys_file: /keys.json",
    ];
    let jwt = with(&whole).unwrap().config.jwt.unwrap();
    assert_eq!(jwt.issuer.name(), "https://idp.example");
    assert_eq!(jwt.issuer.audiences().len(), 2);
    assert_eq!(jwt.issuer.algorithms().len(), 5);
    for missing in 0..whole.len() {
        let mut lines = whole.to_vec();
        let gone = lines.remove(missing);
        let key = gone.split(':').next().unwrap();
        let told = with(&lines).unwrap_err().to_string();
        assert!(
            told.contains(&format!("`auth.jwt.{key}` is missing")),
            "{told}"
        );
    }
    for wrong in ["algorithms: HS256", "algorithms: ''"] {
        let [issuer, audiences, keys] = whole;
        assert!(with(&[issuer, audiences, keys, wrong]).is_err(), "{wrong}");
    }
    let [issuer, _, keys] = whole;
    assert!(with(&[issuer, "audiences: one,", keys]).is_err());
}

#[test]
fn a_setting_that_is_not_at_its_default_is_told_by_its_name_and_by_a_hash_alone() {
    let machine = Machine::new();
    let summary = |at: &str| machine.load(&listen(at)).unwrap().config.summary;
    let (default, one, other) = (
        summary("127.0.0.1:8443"),
        summary("127.0.0.1:9001"),
        summary("127.0.0.1:9002"),
    );
    assert!(
        default.changed.is_empty(),
        "what is said is what it is anyway"
    );
    assert_eq!(
        (&one.changed, &other.changed),
        (&vec!["api.listen".to_owned()], &one.changed)
    );
    assert_eq!(one.sha256.len(), 64);
    assert!(one.sha256 != other.sha256 && one.sha256 != default.sha256);
    assert_eq!(one, summary("127.0.0.1:9001"));
}

#[test]
fn the_keys_of_an_issuer_are_in_one_file_or_at_one_address_that_somebody_vouches_for() {
    let with = |lines: &[&str]| {
        let all = ["issuer: https://idp.example", "audiences: one"];
        let lines = all.iter().chain(lines);
        let lines: String = lines.map(|line| format!("    {line}\n")).collect();
        of_file(&format!("auth:\n  jwt:\n{lines}"))
    };
    let (url, ca) = (
        "jwks_url: https://idp.example/keys",
        "jwks_ca_file: /ca.pem",
    );
    let jwt = with(&[url, ca, "jwks_refresh: 5m"]).unwrap().config.jwt;
    let JwtKeys::Url {
        url: found,
        refresh,
        ..
    } = jwt.unwrap().keys
    else {
        panic!("no address");
    };
    assert_eq!(found.to_string(), "https://idp.example:443/keys");
    assert_eq!(refresh, Duration::from_secs(300));
    for wrong in [
        &[url][..],
        &[ca],
        &[url, "keys_file: /keys.json"],
        &[url, ca, "keys_file: /keys.json"],
        &[ca, "keys_file: /keys.json"],
        &[url, ca, "jwks_refresh: 30s"],
    ] {
        assert!(with(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_address_of_a_key_set_is_https_and_names_a_host_and_nobody() {
    let read = |text: &str| text.parse::<JwksUrl>().map(|url| url.to_string());
    for (text, expected) in [
        ("https://idp.example", "https://idp.example:443/"),
        (
            "https://idp.example:8443/a?b=c",
            "https://idp.example:8443/a?b=c",
        ),
        ("https://[::1]:1/a", "https://[::1]:1/a"),
    ] {
        assert_eq!(read(text).unwrap(), expected);
    }
    for text in [
        "http://127.0.0.1/a",
        "http://idp.example/a",
        "idp.example/a",
        "/a",
        "https:///a",
        "https://ann@idp.example/a",
        "https://idp.example:0/a",
        "https://idp.example:99999/a",
        "https://idp.example/a#b",
        "file:///a",
        "",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}
