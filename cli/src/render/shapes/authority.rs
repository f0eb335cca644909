//! How certificates, their authority and what was taken back are shown.

use super::{Shape, own_name, text};
use crate::render::table::{
    Show::{Count, Digest, Id, Text, Time},
    column, wide,
};

/// A certificate authority in a folder, as a whole.
pub const CERTIFICATE_AUTHORITY: Shape = Shape {
    kind: "CertificateAuthority",
    plural: "certificate authorities",
    name: |value| text(value, "trust_domain"),
    columns: &[],
};

/// The certificates of an authority.
pub const AUTHORITY: Shape = Shape {
    kind: "Authority",
    plural: "authorities",
    name: own_name,
    columns: &[
        column("AUTHORITY", "name", Id),
        column("KEY", "algorithm", Id),
        column("", "kind_of_key", Id),
        column("LIVES IN", "custody", Text),
        column("EXPIRES", "expires_at", Time),
        column("FINGERPRINT", "fingerprint", Digest),
        wide("SERIAL", "serial", Id),
        wide("SUBJECT", "subject", Text),
        wide("SIGNED BY", "issuer", Text),
    ],
};

/// Revocation lists.
pub const REVOCATION_LIST: Shape = Shape {
    kind: "RevocationList",
    plural: "revocation lists",
    name: |value| text(value, "issuer"),
    columns: &[
        column("LIST OF", "issuer", Text),
        column("NUMBER", "number", Count),
        column("REVOKED", "revoked", Count),
        column("COUNTS UNTIL", "expires_at", Time),
        wide("ISSUED", "issued_at", Time),
        wide("FINGERPRINT", "fingerprint", Digest),
    ],
};

/// A certificate that was issued or renewed.
pub const CERTIFICATE: Shape = Shape {
    kind: "Certificate",
    plural: "certificates",
    name: |value| text(value, "id"),
    columns: &[
        column("CERTIFICATE OF", "id", Id),
        column("SERIAL", "serial", Id),
        column("KEY", "algorithm", Id),
        column("", "kind_of_key", Id),
        column("EXPIRES", "expires_at", Time),
        wide("FINGERPRINT", "fingerprint", Digest),
    ],
};

/// What a file holds.
pub const ARTEFACT: Shape = Shape {
    kind: "Artefact",
    plural: "certificates, lists or requests",
    name: |value| text(value, "fingerprint"),
    columns: &[
        column("FILE", "file", Text),
        column("WHAT", "what", Id),
        column("SPIFFE ID", "spiffe_id", Id),
        column("SERIAL", "serial", Text),
        column("KEY", "algorithm", Id),
        column("", "kind_of_key", Id),
        column("EXPIRES", "expires_at", Time),
        column("FINGERPRINT", "fingerprint", Digest),
        wide("ENTRIES", "entries", Count),
        wide("SUBJECT", "subject", Text),
        wide("SIGNED BY", "issuer", Text),
        wide("SIGNATURE", "signature", Id),
        wide("BEGINS", "begins_at", Time),
        wide("KEY'S FINGERPRINT", "key_fingerprint", Digest),
    ],
};

/// Certificates that were taken back.
pub const REVOKED: Shape = Shape {
    kind: "RevokedCertificate",
    plural: "certificates taken back",
    name: |value| text(value, "serial"),
    columns: &[
        column("SERIAL", "serial", Id),
        column("OF", "id", Id),
        column("REASON", "reason", Id),
        column("OUTCOME", "outcome", Id),
    ],
};

/// What a check of a file came to.
pub const VERDICT: Shape = Shape {
    kind: "Verdict",
    plural: "verdicts",
    name: |value| text(value, "verdict"),
    columns: &[],
};
