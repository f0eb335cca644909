//! What whoever started a node should know of it.

use std::time::{Duration, Instant};

use caxton_capabilities::Name;
use zeroize::Zeroizing;

use crate::app::App;

/// What whoever started the node should know of it.
pub struct Ready {
    /// The node's name.
    pub name: String,
    /// `https://…`
    pub api_url: String,
    /// Its SPIFFE id.
    pub spiffe_id: String,
    /// SHA-256 of the root certificate.
    pub ca_fingerprint: String,
    /// When the root certificate ends, RFC 3339.
    pub ca_expires_at: String,
    /// Its data folder.
    pub data: String,
    /// Whether the data outlives the node.
    pub persistent: bool,
    /// Whether it is a development node.
    pub development: bool,
    /// From the call to ready.
    pub took: Duration,
    /// What an operator should read.
    pub notes: Vec<String>,
    /// The cluster that it is a member of.
    pub cluster: Option<String>,
    /// Where other nodes dial it.
    pub mesh_address: Option<String>,
    /// Whether it joined a cluster that another node founded.
    pub joined: bool,
    /// The operator whose key it is.
    pub operator: String,
    /// The operator's key.
    pub api_key: Secret,
    /// The roots that clients are to trust.
    pub trust_pem: String,
    /// The same as a file, for `curl --cacert`.
    pub web_ca_path: String,
    /// Agents that can run at once.
    pub agents_max: u64,
    /// What sets that number.
    pub agents_max_reason: String,
}

/// A text that is not shown by accident.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    pub(crate) const fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// A secret that somebody has read.
    #[must_use]
    pub fn of(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the one place that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ready")
            .field("name", &self.name)
            .field("api", &self.api_url)
            .finish_non_exhaustive()
    }
}

pub(crate) fn ready(
    app: &App,
    notes: Vec<String>,
    operator: Name,
    api_key: Secret,
    begun: Instant,
) -> Ready {
    let roots = app.identity.roots();
    let expires = jiff::Timestamp::try_from(roots.not_after).unwrap_or_default();
    let path = app.identity.trust_path.as_ref();
    Ready {
        name: app.about.name.to_string(),
        api_url: format!("https://{}", app.about.address),
        spiffe_id: app.about.spiffe_id.clone(),
        ca_fingerprint: roots.fingerprint,
        ca_expires_at: format!("{expires:.0}"),
        data: app.about.data.clone(),
        persistent: app.about.persistent,
        development: app.about.development,
        took: begun.elapsed(),
        notes,
        cluster: app.cluster.as_ref().map(|cluster| cluster.name.clone()),
        mesh_address: app
            .cluster
            .as_ref()
            .map(|cluster| cluster.mesh.advertised().to_string()),
        joined: app
            .cluster
            .as_ref()
            .is_some_and(|cluster| cluster.ca.is_none()),
        operator: operator.to_string(),
        api_key,
        trust_pem: roots.pem,
        web_ca_path: path
            .map(|path| path.display().to_string())
            .unwrap_or_default(),
        agents_max: app.about.agents_max,
        agents_max_reason: app.about.agents_max_reason.clone(),
    }
}
