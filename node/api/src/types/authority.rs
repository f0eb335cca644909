//! The certificate authority of a cluster: what it is made of, the change to the next, certificates taken back.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An authority as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Authority {
    /// Its trust domain.
    pub trust_domain: String,
    /// Its folder.
    pub folder: String,
    /// SHA-256 of what members are to trust.
    pub bundle: String,
    /// The same as a file.
    pub trust_file: String,
    /// `none`, `overlap` while older authorities are believed beside the newest, or `emergency` while they are
    /// about to be taken back.
    pub rotation: String,
    /// Whose certificate still hangs on an older authority (only of a running cluster).
    #[serde(default)]
    pub waiting_for: Vec<String>,
    /// Its certificates.
    pub authorities: Vec<AuthorityCertificate>,
    /// Its revocation lists.
    pub lists: Vec<RevocationList>,
    /// What an operator should know, or do next.
    pub notes: Vec<String>,
}

/// One certificate of an authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorityCertificate {
    /// `mesh-root`, `mesh-intermediate` or `web-root`.
    pub name: String,
    /// Its subject.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// The kind of its key.
    pub algorithm: String,
    /// `post-quantum` or `classical`.
    pub kind_of_key: String,
    /// Where its key lives, in words that claim no more than is so.
    pub custody: String,
    /// The file of its key.
    pub key_file: Option<String>,
    /// SHA-256 of the certificate.
    pub fingerprint: String,
    /// Its serial number.
    pub serial: String,
    /// Its last second.
    pub expires_at: String,
}

/// One revocation list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevocationList {
    /// Whose list: the subject of the authority.
    pub issuer: String,
    /// Its number.
    pub number: u64,
    /// How many certificates it takes back.
    pub revoked: u64,
    /// The first second in which it counts.
    pub issued_at: String,
    /// The last second in which it counts.
    pub expires_at: String,
    /// SHA-256 of the list.
    pub fingerprint: String,
}

/// From one authority to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RotationKind {
    /// A new intermediate.
    #[default]
    Intermediate,
    /// A new root with a new intermediate.
    Root,
    /// A new intermediate; the older ones are taken back within half a minute.
    Emergency,
    /// The end of an overlap, at once.
    Retire,
}

/// Why a certificate is taken back (RFC 5280, section 5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    /// No reason is given.
    #[default]
    Unspecified,
    /// Somebody else has, or may have, its key.
    KeyCompromise,
    /// The holder's name or place changed.
    AffiliationChanged,
    /// Another one took its place.
    Superseded,
    /// The holder is gone.
    CessationOfOperation,
    /// The holder may no longer do what it says.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// The word, as it is written.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }
}

/// A change of the authority to begin.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRotation {
    /// Which.
    pub kind: RotationKind,
    /// Why, in one line of 1 to 500 characters: needed for `emergency`, taken for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 500)]
    pub reason: Option<String>,
}

/// Certificates to take back: give one of `serial` and `node`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRevocation {
    /// The serial number in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// A node: every certificate of it that holds. Its name stays its own until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// Why.
    pub reason: RevocationReason,
}

/// A certificate that is taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevokedCertificate {
    /// Its serial number.
    pub serial: String,
    /// Whose it was, where that was noted.
    pub id: String,
    /// Why.
    pub reason: String,
    /// `revoked`, or `revoked before` when it stood on its list already.
    pub outcome: String,
}
