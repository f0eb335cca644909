//! What stands in `ca.json`: all that an authority knows besides its private keys.
//!
//! It is one file so that each step is one rename: what was told stands in it, what does not stand in it never
//! happened. Keys are files of their own that it names.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use caxton_pki::TrustBundle;
use serde::{Deserialize, Serialize};

/// 16 MiB: the longest trust bundle and every certificate that is noted.
pub(super) const STATE_BYTES_MAX: usize = 16 << 20;
const VERSION: u32 = 1;
/// Certificates that are noted until they have expired: ten years of a cluster of thousands have fewer at
/// one time. 300 bytes each.
pub(super) const ISSUED_MAX: usize = 32_768;
/// Steps that are remembered; the oldest go.
const STEPS_MAX: usize = 1_000;

/// A file that does not hold an authority.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is no JSON of this form.
    #[error("`ca.json` is damaged")]
    Malformed(#[source] serde_json::Error),
    /// A later version of Caxton wrote it.
    #[error("`ca.json` has version {found}; this program reads version {VERSION}")]
    Version {
        /// What it says.
        found: u32,
    },
    /// What members are to trust cannot be read.
    #[error("the trust bundle in `ca.json` is damaged")]
    Bundle(#[source] caxton_pki::TrustBundleError),
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    MeshRoot,
    MeshIntermediate,
    WebRoot,
}

impl Place {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::MeshRoot => "mesh-root",
            Self::MeshIntermediate => "mesh-intermediate",
            Self::WebRoot => "web-root",
        }
    }
}

/// A private key, by the SHA-256 of its public half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyEntry {
    pub(super) place: Place,
    pub(super) fingerprint: String,
}

impl KeyEntry {
    /// The file in `keys/`. Of the fingerprint 32 digits are enough to tell keys apart.
    pub(super) fn file(&self) -> String {
        let digits: String = self.fingerprint.chars().take(32).collect();
        format!("{}-{digits}.key.pem", self.place.name())
    }
}

/// A certificate that was issued and has not expired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Noted {
    pub(super) serial: String,
    /// Who signed it, as revocation lists are named.
    pub(super) issuer: String,
    pub(super) id: String,
    pub(super) not_after_s: u64,
}

/// Something that was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) at_s: u64,
    pub(super) what: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) reason: String,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    version: u32,
    pub(super) trust_domain: String,
    /// Whether the keys lie under a passphrase.
    pub(super) sealed: bool,
    /// How long a list of an authority that signs leaves counts.
    pub(super) list_lifetime_s: u64,
    /// Of several for one place the newest comes first.
    pub(super) keys: Vec<KeyEntry>,
    /// Certificates and lists, as PEM.
    bundle: String,
    pub(super) issued: Vec<Noted>,
    pub(super) steps: Vec<Step>,
    /// An emergency has begun: the roots are to take every older intermediate back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) emergency: bool,
}

impl State {
    pub(super) fn new(bundle: &TrustBundle, sealed: bool, list_lifetime: Duration) -> Self {
        Self {
            version: VERSION,
            trust_domain: bundle.trust_domain().as_str().to_owned(),
            sealed,
            list_lifetime_s: list_lifetime.as_secs(),
            keys: Vec::new(),
            bundle: bundle.to_pem(),
            issued: Vec::new(),
            steps: Vec::new(),
            emergency: false,
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, TrustBundle), StateError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(bytes).map_err(StateError::Malformed)?;
        if version != VERSION {
            return Err(StateError::Version { found: version });
        }
        let state: Self = serde_json::from_slice(bytes).map_err(StateError::Malformed)?;
        let bundle = TrustBundle::from_pem(&state.bundle).map_err(StateError::Bundle)?;
        Ok((state, bundle))
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("the state has string keys alone");
        bytes.push(b'\n');
        bytes
    }

    pub(super) fn set_bundle(&mut self, bundle: &TrustBundle) {
        self.bundle = bundle.to_pem();
    }

    /// Remembers a step; the oldest make room.
    pub(super) fn add_step(&mut self, what: String, reason: &str, now: SystemTime) {
        let surplus = (self.steps.len() + 1).saturating_sub(STEPS_MAX);
        self.steps.drain(..surplus);
        let (at_s, reason) = (seconds(now), reason.to_owned());
        self.steps.push(Step { at_s, what, reason });
    }

    /// Forgets what has expired: it is refused for its age.
    pub(super) fn forget_expired(&mut self, now: SystemTime) {
        let now = seconds(now);
        self.issued.retain(|noted| noted.not_after_s >= now);
    }
}

pub(super) fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
