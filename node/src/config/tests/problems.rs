//! Each way to be wrong, word for word: the text is what an operator has at three in the morning.

use std::path::PathBuf;

use super::Machine;
use crate::config::{ConfigError, ExportTo, Flags};

fn check(file: &str, expected: &str) {
    let machine = Machine::new().write("node.yaml", file);
    let flags = Flags {
        config: Some(machine.path("node.yaml")),
        ..Flags::default()
    };
    assert_eq!(machine.refused(&flags), expected.trim_matches('\n'));
}

#[test]
fn an_unknown_key_shows_its_line_and_the_nearest_known_one() {
    check(
        "# mine\napi:\n  lisen: 127.0.0.1:8443\n",
        "
error: unknown key `api.lisen`
 --> node.yaml:3:3
  |
3 |   lisen: 127.0.0.1:8443
  |   ^^^^^ did you mean `listen`?
",
    );
}

#[test]
fn a_key_in_the_wrong_section_is_shown_the_right_one() {
    check(
        "listen: 127.0.0.1:8443\napi.listen: 127.0.0.1:8443\ntelemetry:\n  on: true\n",
        "
error: unknown key `listen`
 --> node.yaml:1:1
  |
1 | listen: 127.0.0.1:8443
  | ^^^^^^ did you mean `api.listen`?

error: unknown key `api.listen`
 --> node.yaml:2:1
  |
2 | api.listen: 127.0.0.1:8443
  | ^^^^^^^^^^ write `listen:` under `api:`

error: unknown key `telemetry`
 --> node.yaml:3:1
  |
3 | telemetry:
  | ^^^^^^^^^ no such setting
  = help: `caxton config example` prints every setting
",
    );
}

#[test]
fn units_and_bounds_are_named() {
    check(
        "shutdown_grace: 10\napi:\n  header_timeout: 24 hurs\n  body_bytes_max: 1GiB\nmessages:\n  mailbox_max: many\n",
        "
error: `api.body_bytes_max` is `1GiB`, and may be `1KiB` to `256MiB`
 --> node.yaml:4:19
  |
4 |   body_bytes_max: 1GiB
  |                   ^^^^ at most `256MiB`

error: `api.header_timeout` is not a duration: `hurs` is no unit
 --> node.yaml:3:19
  |
3 |   header_timeout: 24 hurs
  |                   ^^^^^^^ units are d, h, m, s and ms: write `24h`

error: `shutdown_grace` is not a duration: `10` has no unit
 --> node.yaml:1:17
  |
1 | shutdown_grace: 10
  |                 ^^ write `10s`, or `10ms` for milliseconds

error: `messages.mailbox_max` is not a whole number: `many`
 --> node.yaml:6:16
  |
6 |   mailbox_max: many
  |                ^^^^ write digits alone, as in `1024`
",
    );
}

#[test]
fn too_little_is_refused_like_too_much() {
    check(
        "messages:\n  attempts_max: 0\n  bytes_max: 1023B\napi: {keep_alive: 999ms}\n",
        "
error: `api.keep_alive` is `999ms`, and may be `1s` to `1h`
 --> node.yaml:4:19
  |
4 | api: {keep_alive: 999ms}
  |                   ^^^^^ at least `1s`

error: `messages.bytes_max` is `1023B`, and may be `1KiB` to `64MiB`
 --> node.yaml:3:14
  |
3 |   bytes_max: 1023B
  |              ^^^^^ at least `1KiB`

error: `messages.attempts_max` is `0`, and may be `1` to `100`
 --> node.yaml:2:17
  |
2 |   attempts_max: 0
  |                 ^ at least `1`
",
    );
}

#[test]
fn words_names_addresses_and_paths_say_what_they_are() {
    check(
        "node: {ephemeral: yes, mode: prod, name: A, data: ~/data}\napi: {listen: ':80'}\nagents: {max: all}\n",
        "
error: `node.mode` is not `development` or `production`: `prod`
 --> node.yaml:1:30
  |
1 | node: {ephemeral: yes, mode: prod, name: A, data: ~/data}
  |                              ^^^^ write `development` or `production`

error: `node.name` is refused: `A`
 --> node.yaml:1:42
  |
1 | node: {ephemeral: yes, mode: prod, name: A, data: ~/data}
  |                                          ^ a name has 3 to 64 characters, this one has 1

error: `node.data` is not a plain path: `~/data`
 --> node.yaml:1:51
  |
1 | node: {ephemeral: yes, mode: prod, name: A, data: ~/data}
  |                                                   ^^^^^^ `~` and `$` are not expanded: write the whole path

error: `node.ephemeral` is not `true` or `false`: `yes`
 --> node.yaml:1:19
  |
1 | node: {ephemeral: yes, mode: prod, name: A, data: ~/data}
  |                   ^^^ write `true` or `false`

error: `api.listen` is not an IP address with a port: `:80`
 --> node.yaml:2:15
  |
2 | api: {listen: ':80'}
  |               ^^^^^ write `127.0.0.1:80`

error: `agents.max` is not `auto` or a number: `all`
 --> node.yaml:3:15
  |
3 | agents: {max: all}
  |               ^^^ write `auto`, or digits alone, as in `1000`
",
    );
}

#[test]
fn shapes_that_do_not_fit_are_shown_in_their_place() {
    check(
        "api: 127.0.0.1:8443\nlog:\n  level: [info]\n  format:\n    json: true\nlog:\n  level: info\n",
        "
error: `api` is a section, not a single value
 --> node.yaml:1:1
  |
1 | api: 127.0.0.1:8443
  | ^^^ write its settings on the lines below

error: no setting is a list
 --> node.yaml:3:10
  |
3 |   level: [info]
  |          ^ write a single value

error: `log.format` is a single value, not a section
 --> node.yaml:4:3
  |
4 |   format:
  |   ^^^^^^ write its value on this line

error: key `log` is given twice
 --> node.yaml:6:1
  |
6 | log:
  | ^^^ it stands on line 2 already
",
    );
}

#[test]
fn what_is_no_yaml_is_shown_where_it_stops_being_yaml() {
    check(
        "log:\n\tlevel: info\n",
        "
error: not YAML: tabs disallowed within this context (block indentation)
 --> node.yaml:2:2
  |
2 |  level: info
  |  ^ here
",
    );
    check(
        "log:\n  level: \"info\n",
        "
error: not YAML: invalid indentation in multiline quoted scalar
 --> node.yaml:2:15
  |
2 |   level: \"info
  |               ^ here
",
    );
}

#[test]
fn a_development_node_stays_on_loopback_and_the_way_out_is_named() {
    let flags = Flags {
        listen: Some("0.0.0.0:8443".to_owned()),
        ..Flags::default()
    };
    let expected = "\
error: a development node listens on loopback addresses alone, and `0.0.0.0:8443` is none
 --> flag --listen
  = help: set `node.mode: production` with `api.tls.certificate` and `api.tls.key` of your own CA, or stay on \
127.0.0.1 and come in through a tunnel: `ssh -L 8443:127.0.0.1:8443 HOST`";
    assert_eq!(Machine::new().refused(&flags), expected);
    for text in ["[::]:8443", "10.0.0.1:8443", "[::ffff:127.0.0.1]:8443"] {
        let refused = Machine::new()
            .set("CAXTON_API_LISTEN", text)
            .refused(&Flags::default());
        assert!(refused.contains("loopback"), "{text}: {refused}");
    }
}

#[test]
fn a_certificate_comes_with_its_key() {
    check(
        "node:\n  mode: production\napi:\n  tls:\n    certificate: cert.pem\n",
        "
error: `api.tls.key` is missing
 --> node.yaml:5:18
  |
5 |     certificate: cert.pem
  |                  ^^^^^^^^
  = help: `api.tls.certificate` and `api.tls.key` are PEM files that belong together: give both
",
    );
}

#[test]
fn a_receiver_of_the_audit_log_comes_with_its_ca() {
    check(
        "audit:\n  export:\n    address: collector.example:6514\n",
        "
error: `audit.export` is one receiver, `address` with the `ca` of its certificate, or one `file`
 --> node.yaml:3:14
  |
3 |     address: collector.example:6514
  |              ^^^^^^^^^^^^^^^^^^^^^^
  = help: give both of a receiver, or a file, or nothing
",
    );
    let taken = |text: &str| {
        let loaded = super::of_file(&format!("audit: {{export: {{{text}}}}}\n"));
        loaded
            .ok()
            .map(|loaded| loaded.config.audit_export.unwrap().to)
    };
    let receiver = "address: \"[::1]:6514\", ca: ca.pem";
    let is_receiver =
        |to| matches!(to, ExportTo::Syslog { address, .. } if address == "[::1]:6514");
    assert!(taken(receiver).is_some_and(is_receiver));
    let is_file = |to| matches!(to, ExportTo::File(path) if path.ends_with("audit.ndjson"));
    assert!(taken("file: audit.ndjson, format: ndjson").is_some_and(is_file));
    for wrong in [
        &format!("{receiver}, file: audit.ndjson"),
        "ca: ca.pem, file: audit.ndjson",
        "address: \"a:1, b:2\", ca: ca.pem",
        "file: audit.ndjson, format: xml",
    ] {
        assert!(taken(wrong).is_none(), "{wrong}");
    }
}

#[test]
fn settings_that_contradict_each_other_are_shown_at_the_one_that_was_given() {
    check(
        "messages:\n  bytes_max: 64MiB\n  tenant_in_flight_bytes_max: 32MiB\n  backoff_max: 50ms\ncompile: {wall_max: 2s}\nlimits:\n  wall: 100ms\n",
        "
error: `limits.cpu` must not be above `limits.wall`
 --> node.yaml:7:9
  |
7 |   wall: 100ms
  |         ^^^^^
  = help: lower `limits.cpu` or raise `limits.wall`

error: `messages.backoff_first` must not be above `messages.backoff_max`
 --> node.yaml:4:16
  |
4 |   backoff_max: 50ms
  |                ^^^^
  = help: lower the first pause or raise the longest one

error: `messages.tenant_in_flight_bytes_max` must not be below `messages.bytes_max`
 --> node.yaml:3:31
  |
3 |   tenant_in_flight_bytes_max: 32MiB
  |                               ^^^^^
  = help: a tenant could not send the largest message: raise the first or lower the second

error: `compile.cpu_max` must not be above `compile.wall_max`
 --> node.yaml:5:21
  |
5 | compile: {wall_max: 2s}
  |                     ^^
  = help: lower the processor time or raise the time by the clock
",
    );
}

#[test]
fn data_is_kept_or_thrown_away() {
    let both = Flags {
        ephemeral: true,
        data: Some("/srv".into()),
        ..Flags::default()
    };
    assert_eq!(
        Machine::new().refused(&both),
        "error: `node.ephemeral` throws data away, `node.data` names where to keep it\n --> flag --ephemeral\n  \
         = help: remove one of the two"
    );
    let homeless = Machine::new().set("HOME", "").refused(&Flags::default());
    assert_eq!(
        homeless,
        "error: no folder for the node's data: neither HOME nor XDG_DATA_HOME is set\n  \
         = help: set `node.data`, or `node.ephemeral: true`"
    );
    let production = Machine::new()
        .set("CAXTON_NODE_MODE", "production")
        .set("CAXTON_API_TLS_CERTIFICATE", "/c")
        .set("CAXTON_API_TLS_KEY", "/k");
    let refused = production.refused(&Flags {
        ephemeral: true,
        ..Flags::default()
    });
    assert!(
        refused.starts_with("error: a production node keeps its data"),
        "{refused}"
    );
}

#[test]
fn a_wrong_limit_is_named_with_its_bounds() {
    check(
        "limits:\n  memory_bytes: 1TiB\n  memory: 1MiB\n",
        "
error: unknown key `limits.memory`
 --> node.yaml:3:3
  |
3 |   memory: 1MiB
  |   ^^^^^^ did you mean `memory_bytes`?

error: `limits.memory_bytes` is `1TiB`, and may be `64KiB` to `256MiB`
 --> node.yaml:2:17
  |
2 |   memory_bytes: 1TiB
  |                 ^^^^ at most `256MiB`
",
    );
}

#[test]
fn a_misspelt_key_does_not_raise_false_alarms_about_what_it_should_have_set() {
    let text = "node:\n  mode: production\napi:\n  tsl:\n    certificate: c\n    key: k\n";
    let machine = Machine::new().write("node.yaml", text);
    let flags = Flags {
        config: Some(machine.path("node.yaml")),
        ..Flags::default()
    };
    let error = machine.load(&flags).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    assert_eq!(
        error.problems()[0].label.as_deref(),
        Some("did you mean `tls`?")
    );
}

#[test]
fn a_report_ends_before_it_tires() {
    let many: String = (0..10_000)
        .map(|number| format!("wrong_{number}: 1\n"))
        .collect();
    let machine = Machine::new().write("node.yaml", many);
    let flags = Flags {
        config: Some(machine.path("node.yaml")),
        ..Flags::default()
    };
    let error = machine.load(&flags).unwrap_err();
    assert_eq!(error.problems().len(), 21);
    assert!(
        error.to_string().contains("error: and more in `"),
        "{error}"
    );
}

#[test]
fn files_that_cannot_be_read_are_told_apart_from_those_that_are_not_there() {
    let machine = Machine::new();
    assert!(
        machine.load(&Flags::default()).is_ok(),
        "no implicit file is no problem"
    );
    let named = Flags {
        config: Some(machine.path("gone.yaml")),
        ..Flags::default()
    };
    let ConfigError::Read { path, source } = machine.load(&named).unwrap_err() else {
        panic!()
    };
    assert_eq!(
        (path, source.kind()),
        (machine.path("gone.yaml"), std::io::ErrorKind::NotFound)
    );
    assert_eq!(
        machine.refused(&named),
        "error: reading config file `gone.yaml`"
    );

    // A folder in the file's place: there, and not readable.
    let machine = machine.write("etc/caxton/node.yaml/inside", "");
    assert!(matches!(
        machine.load(&Flags::default()),
        Err(ConfigError::Read { .. })
    ));
}

#[test]
fn large_files_and_other_encodings_are_refused() {
    let check = |content: Vec<u8>, expected: &str| {
        let machine = Machine::new().write("node.yaml", content);
        let flags = Flags {
            config: Some(machine.path("node.yaml")),
            ..Flags::default()
        };
        assert_eq!(machine.refused(&flags), expected);
    };
    let mut largest = vec![b'#'; 1 << 20];
    let machine = Machine::new().write("node.yaml", &largest);
    let flags = Flags {
        config: Some(machine.path("node.yaml")),
        ..Flags::default()
    };
    assert!(machine.load(&flags).is_ok(), "exactly the largest size");
    largest.push(b'#');
    check(
        largest,
        "error: a config file has at most `1MiB`\n --> file node.yaml",
    );
    check(
        b"log:\n  level: \xff\n".to_vec(),
        "error: a config file is UTF-8 text, line 2 is not\n --> file node.yaml",
    );
}

#[test]
fn a_path_that_is_not_text_does_not_become_another_path() {
    use std::os::unix::ffi::OsStringExt as _;
    let path = PathBuf::from(std::ffi::OsString::from_vec(b"/srv/\xff".to_vec()));
    let refused = Machine::new().refused(&Flags {
        data: Some(path),
        ..Flags::default()
    });
    assert!(
        refused.starts_with("error: `node.data` is not a path"),
        "{refused}"
    );
}

#[test]
fn an_error_does_not_carry_terminal_codes_from_file_or_environment() {
    let file =
        "\"\\u001b[2J\\u202e\": 1\nlog: {level: \"\\u001b[31m\"}\n# \u{202e}\nfoo\u{202e}: 1\n";
    let machine = Machine::new()
        .write("node.yaml", file)
        .set("CAXTON_API_LISTEN", "\u{1b}]0;x\u{7}");
    let text = machine.refused(&Flags {
        config: Some(machine.path("node.yaml")),
        ..Flags::default()
    });
    assert!(text.lines().count() > 10, "{text}");
    assert!(!text.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{text:?}");
}
