//! What a node says when it is ready: who it is, what to trust, where its data is and whether that
//! lasts, what to do next. Only what is true.

use jiff::Timestamp;
use owo_colors::OwoColorize;
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use crate::{
    render::table::short_digest,
    values::{harmless, relative, tilde},
};

/// What is told; the API key is not part of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Facts {
    /// The node's name.
    pub name: String,
    /// `https://…`
    pub api_url: String,
    /// Its SPIFFE id.
    pub spiffe_id: String,
    /// SHA-256 of the root certificate.
    pub ca_fingerprint: String,
    /// When that ends.
    pub ca_expires_at: String,
    /// A PEM file with the certificates to trust.
    pub ca_file: String,
    /// The data folder.
    pub data: String,
    /// Whether the data outlives the node.
    pub persistent: bool,
    /// Whether it is a development node.
    pub development: bool,
    /// Until it was ready.
    pub took_us: u64,
    /// Who the key in the context belongs to.
    pub operator: String,
    /// The context that was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// Its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_file: Option<String>,
    /// Agents that can run at once.
    pub agents_max: u64,
    /// What sets that number.
    pub agents_max_reason: String,
    /// The cluster that it is a member of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Where other nodes dial it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mesh_address: Option<String>,
    /// What an operator should read.
    pub notes: Vec<String>,
}

/// Draws it; paths below `home` are shortened.
#[must_use]
pub fn render(facts: &Facts, home: Option<&str>, now: Timestamp) -> String {
    let kind = if facts.development {
        "development node"
    } else {
        "node"
    };
    let seconds = format!(
        "{}.{:02} s",
        facts.took_us / 1_000_000,
        facts.took_us / 10_000 % 100
    );
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!(
        "{} caxton {version} {kind} ready in {seconds}\n",
        "✓".green()
    );
    let rows = rows(facts, home, now);
    let widest = rows
        .iter()
        .map(|(_, value, _)| value.width())
        .max()
        .unwrap_or_default();
    for (label, value, remark) in &rows {
        let line = format!("  {label:<9} {value}{}  {remark}", pad(value, widest));
        text.push_str(harmless(line.trim_end(), false).as_str());
        text.push('\n');
    }
    for note in &facts.notes {
        text.push_str(&format!("  ! {}\n", harmless(note, false)));
    }
    if facts.development {
        text.push_str("  ! development node: loopback only, keys on this disk\n");
    }
    let next = "caxton agent deploy demo:ping · caxton doctor";
    text.push_str(&format!(
        "  next  {next}        stop  Ctrl-C drains; twice forces\n"
    ));
    text
}

fn pad(value: &str, widest: usize) -> String {
    " ".repeat(widest.saturating_sub(value.width()))
}

fn rows(facts: &Facts, home: Option<&str>, now: Timestamp) -> Vec<(&'static str, String, String)> {
    let expires = format!("expires {}", relative(now, &facts.ca_expires_at));
    let authority = if facts.development {
        "development CA "
    } else {
        "CA "
    };
    let lasts = match (facts.persistent, facts.development) {
        (true, true) => "kept (--ephemeral to discard)",
        (true, false) => "kept",
        (false, _) => "discarded when the node ends",
    };
    let api = format!("{}/api/v1", facts.api_url);
    let openapi = "openapi 3.1: /api/v1/openapi.json";
    let mut rows = vec![
        ("api", api, openapi.to_owned()),
        ("node", facts.name.clone(), facts.spiffe_id.clone()),
        (
            "trust",
            format!("{authority}{}", short_digest(&facts.ca_fingerprint)),
            expires,
        ),
        (
            "ca file",
            tilde(home, &facts.ca_file),
            "for curl --cacert".to_owned(),
        ),
        ("data", tilde(home, &facts.data), lasts.to_owned()),
        (
            "agents",
            format!("{} at once", facts.agents_max),
            facts.agents_max_reason.clone(),
        ),
    ];
    if let (Some(cluster), Some(address)) = (&facts.cluster, &facts.mesh_address) {
        rows.push((
            "mesh",
            address.clone(),
            format!("cluster {cluster}, QUIC, post-quantum mutual TLS"),
        ));
    }
    if let (Some(name), Some(file)) = (&facts.context, &facts.context_file) {
        rows.push((
            "context",
            name.clone(),
            format!("{} (0600)", tilde(home, file)),
        ));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            name: "node-1".into(),
            api_url: "https://127.0.0.1:8443".into(),
            spiffe_id: "spiffe://dev.caxton/node/node-1".into(),
            ca_fingerprint: "9f2c71aa".repeat(8),
            ca_expires_at: "2026-12-21T12:00:00Z".into(),
            ca_file: "/home/me/ca.pem".into(),
            data: "/home/me/data".into(),
            persistent: true,
            development: true,
            took_us: 420_000,
            operator: "dev".into(),
            context: Some("dev".into()),
            context_file: Some("/home/me/dev.yaml".into()),
            agents_max: 10_000,
            agents_max_reason: "vm.max_map_count".into(),
            cluster: Some("dev.caxton".into()),
            mesh_address: Some("127.0.0.1:7946".into()),
            notes: vec!["port 8443 is taken: using 8444".into()],
        }
    }

    #[test]
    fn the_banner_is_aligned_and_whole() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let plain =
            anstream::adapter::strip_str(&render(&facts(), Some("/home/me"), now)).to_string();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            plain,
            format!(
                "✓ caxton {version} development node ready in 0.42 s\n\
                 \x20 api       https://127.0.0.1:8443/api/v1    openapi 3.1: /api/v1/openapi.json\n\
                 \x20 node      node-1                           spiffe://dev.caxton/node/node-1\n\
                 \x20 trust     development CA sha256:9f2c71aa…  expires in 30d\n\
                 \x20 ca file   ~/ca.pem                         for curl --cacert\n\
                 \x20 data      ~/data                           kept (--ephemeral to discard)\n\
                 \x20 agents    10000 at once                    vm.max_map_count\n\
                 \x20 mesh      127.0.0.1:7946                   cluster dev.caxton, QUIC, post-quantum mutual TLS\n\
                 \x20 context   dev                              ~/dev.yaml (0600)\n\
                 \x20 ! port 8443 is taken: using 8444\n\
                 \x20 ! development node: loopback only, keys on this disk\n\
                 \x20 next  caxton agent deploy demo:ping · caxton doctor        stop  Ctrl-C drains; twice forces\n"
            )
        );
    }

    #[test]
    fn a_production_node_promises_nothing_of_a_development_node() {
        let production = Facts {
            development: false,
            context: None,
            notes: vec![],
            ..facts()
        };
        let drawn = render(&production, None, "2026-11-21T12:00:00Z".parse().unwrap());
        assert!(
            !drawn.contains("development") && !drawn.contains("context"),
            "{drawn}"
        );
        let ephemeral = Facts {
            persistent: false,
            ..facts()
        };
        assert!(
            render(&ephemeral, None, Timestamp::UNIX_EPOCH)
                .contains("discarded when the node ends")
        );
    }
}
