//! `config/systemd/caxton.service` starts the right thing, waits long enough and gives nothing away.

use std::{fs, process::Command};

use super::Machine;
use crate::config::{Flags, Origin, load::known_keys, resolve::variable, units::parse_duration};

const UNIT: &str = include_str!("../../../../config/systemd/caxton.service");

/// All values of a directive; a line that starts with `#` is a comment.
fn values(name: &str) -> Vec<&'static str> {
    let line = |line: &'static str| line.split_once('=').filter(|(key, _)| *key == name);
    UNIT.lines()
        .filter_map(line)
        .map(|(_, value)| value)
        .collect()
}

#[track_caller]
fn check(name: &str, expected: &str) {
    assert_eq!(values(name), [expected], "{name}");
}

#[test]
fn the_unit_starts_the_node_and_is_told_when_it_is_ready() {
    check("Type", "notify");
    check("WatchdogSec", "30s");
    check(
        "ExecStart",
        "/usr/bin/caxton node start --config /etc/caxton/node.yaml",
    );
    check("WantedBy", "multi-user.target");
    check("Restart", "on-failure");
}

#[test]
fn the_unit_stops_the_node_gently_and_later_than_the_node_stops_itself() {
    check("KillSignal", "SIGTERM");
    let timeout = parse_duration(values("TimeoutStopSec")[0]).unwrap();
    let grace = Machine::new()
        .load(&Flags::default())
        .unwrap()
        .config
        .shutdown_grace;
    assert!(timeout > grace, "{timeout:?} is not longer than {grace:?}");
}

#[test]
fn the_unit_is_hardened() {
    for (name, value) in [
        ("DynamicUser", "yes"),
        ("StateDirectory", "caxton"),
        ("StateDirectoryMode", "0700"),
        ("UMask", "0077"),
        ("ProtectSystem", "strict"),
        ("ProtectHome", "yes"),
        ("PrivateTmp", "yes"),
        ("PrivateDevices", "yes"),
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("AmbientCapabilities", ""),
        ("RestrictNamespaces", "yes"),
        ("LimitNOFILE", "65536"),
        ("LimitCORE", "0"),
    ] {
        check(name, value);
    }
}

#[test]
fn the_unit_lets_programs_be_compiled_and_says_why() {
    check("MemoryDenyWriteExecute", "no");
    let before = UNIT.split("\nMemoryDenyWriteExecute=").next().unwrap();
    let reason = before.rsplit("\n\n").next().unwrap();
    assert!(reason.contains("machine code"), "{reason}");
}

#[test]
fn each_setting_of_the_unit_is_one_and_makes_the_node_a_production_node() {
    let mut machine = Machine::new()
        .set("CAXTON_API_TLS_CERTIFICATE", "/etc/caxton/tls/cert.pem")
        .set("CAXTON_API_TLS_KEY", "/etc/caxton/tls/key.pem");
    let known: Vec<String> = known_keys().iter().map(|key| variable(key)).collect();
    let settings = values("Environment");
    for setting in &settings {
        let (name, value) = setting.split_once('=').unwrap();
        assert!(known.contains(&name.to_owned()), "{name} is no setting");
        machine = machine.set(name, value);
    }
    let loaded = machine.load(&Flags::default()).unwrap();
    assert_eq!(loaded.config.node.mode.to_string(), "production");
    assert_eq!(
        loaded.config.node.data.to_str(),
        Some("/var/lib/caxton"),
        "the unit's StateDirectory"
    );
    let given = loaded
        .origins
        .iter()
        .filter(|setting| matches!(setting.origin, Origin::Environment(_)));
    assert_eq!(given.count(), settings.len() + 2);
}

#[test]
fn systemd_accepts_the_unit() {
    let machine = Machine::new();
    let path = machine.path("caxton.service");
    // Neither the binary nor its manual is installed where tests run; a shell and no manual stand for them.
    let unit = UNIT
        .replace("/usr/bin/caxton", "/bin/sh")
        .replace("Documentation=man:caxton(1)\n", "");
    fs::write(&path, unit).unwrap();
    let mut command = Command::new("systemd-analyze");
    command.args(["verify", "--man=no"]).arg(&path);
    match command.output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let ours: Vec<&str> = said
                .lines()
                .filter(|line| line.contains("caxton"))
                .collect();
            assert!(output.status.success() && ours.is_empty(), "{said}");
        }
        Err(error) => println!("skipped: systemd-analyze does not run here: {error}"),
    }
}
