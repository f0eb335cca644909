//! `config/node.yaml` is true: every setting is in it, at its default, with its bounds.

use std::collections::BTreeMap;

use super::{Machine, of_file};
use crate::config::{EXAMPLE, Flags, load::known_keys, resolve::variable};

/// The example with every setting taken in: the `#` before a key removed.
fn uncommented() -> String {
    let line = |line: &str| {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        match text.strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase()) => {
                format!("{}{setting}\n", " ".repeat(indent))
            }
            _ => format!("{line}\n"),
        }
    };
    EXAMPLE.lines().map(line).collect()
}

#[test]
fn the_example_as_it_is_changes_nothing() {
    let plain = Machine::new().load(&Flags::default()).unwrap();
    let loaded = of_file(EXAMPLE).unwrap();
    assert!(
        loaded
            .origins
            .iter()
            .all(|setting| setting.origin.to_string() == "default")
    );
    assert_eq!(loaded.config.messages, plain.config.messages);
}

#[test]
fn the_example_taken_in_is_the_default_setting_by_setting() {
    let machine = Machine::new().write("node.yaml", uncommented());
    let plain = machine.load(&Flags::default()).unwrap();
    let named = Flags {
        config: Some(machine.path("node.yaml")),
        ..Flags::default()
    };
    let mut loaded = machine
        .load(&named)
        .unwrap_or_else(|error| panic!("{error}"));

    let of = |loaded: &crate::config::Loaded| -> BTreeMap<String, String> {
        loaded
            .origins
            .iter()
            .map(|setting| (setting.key.clone(), setting.value.clone()))
            .collect()
    };
    assert_eq!(of(&loaded), of(&plain));
    let optional = [
        "node.data",
        "api.tls.certificate",
        "api.tls.key",
        "api.tls.ca",
        "api.trusted_proxies",
        "auth.jwt.issuer",
        "auth.jwt.audiences",
        "auth.jwt.keys_file",
        "auth.jwt.jwks_url",
        "auth.jwt.jwks_ca_file",
        "mesh.advertise",
        "mesh.join",
        "mesh.token_file",
        "security.ca_passphrase_file",
        "audit.export.address",
        "audit.export.ca",
        "audit.export.file",
    ];
    for setting in &loaded.origins {
        let from_file = setting.origin.to_string().starts_with("file ");
        assert_eq!(
            from_file,
            !optional.contains(&setting.key.as_str()),
            "{} is in the example",
            setting.key
        );
    }
    assert!(loaded.config.api.listen_explicit);
    loaded.config.api.listen_explicit = false;
    loaded.config.mesh.listen_explicit = plain.config.mesh.listen_explicit;
    loaded.config.node.name_explicit = plain.config.node.name_explicit;
    assert_eq!(loaded.config.limits.len(), caxton_sandbox::LIMITS.len());
    loaded.config.limits.clear();
    assert_eq!(loaded.config, plain.config);
}

#[test]
fn the_example_names_each_setting_once_in_its_section_with_a_comment_above() {
    let mut sections: Vec<(usize, String)> = Vec::new();
    let mut found = Vec::new();
    let mut before = "";
    for line in EXAMPLE.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        let setting = text
            .strip_prefix('#')
            .filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()));
        if let Some((name, _)) = setting.unwrap_or(text).split_once(':')
            && (setting.is_some() || !text.starts_with('#'))
        {
            sections.retain(|(depth, _)| *depth < indent);
            let path: String = sections
                .iter()
                .map(|(_, name)| format!("{name}."))
                .collect();
            if setting.is_some() {
                assert!(
                    before.trim_start().starts_with("# "),
                    "`{name}` has no comment above it"
                );
                found.push(format!("{path}{name}"));
            } else {
                sections.push((indent, name.to_owned()));
            }
        }
        before = line;
    }
    let mut known = known_keys();
    known.sort();
    found.sort();
    assert_eq!(found, known);
}

#[test]
fn the_example_states_the_bounds_that_are_checked() {
    for key in known_keys() {
        // Too much of anything: the refusal of a bounded setting names its bounds.
        let bound = ["99999TiB", "99999d", "99999999999"]
            .iter()
            .find_map(|huge| {
                let text = Machine::new()
                    .set(&variable(&key), huge)
                    .load(&Flags::default())
                    .err()?
                    .to_string();
                let (_, rest) = text.split_once("and may be ")?;
                Some(rest.lines().next()?.replace('`', ""))
            });
        let Some(bound) = bound else { continue };
        let name = key.rsplit('.').next().unwrap();
        let section = match key.rsplit_once('.') {
            Some((section, _)) => {
                let parts = section.split('.').enumerate();
                parts.fold(EXAMPLE, |text, (depth, part)| {
                    let heading = format!("\n{}{part}:\n", "  ".repeat(depth));
                    let start = text.find(&heading);
                    &text[start.unwrap_or_else(|| panic!("no section `{section}`"))..]
                })
            }
            None => EXAMPLE,
        };
        let end = section
            .find(&format!("#{name}:"))
            .unwrap_or_else(|| panic!("no `{key}`"));
        let comment = section[..end].rsplit("\n\n").next().unwrap();
        assert!(
            comment.contains(&bound),
            "`{key}` may be {bound}; its comment says: {comment}"
        );
    }
}

#[test]
fn the_example_fits_a_terminal() {
    for line in EXAMPLE.lines() {
        assert!(line.chars().count() <= 120, "{line}");
    }
}
