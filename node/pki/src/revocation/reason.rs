//! Why a certificate was taken back: the codes of RFC 5280, section 5.3.1.

use std::fmt;

use x509_parser::x509::ReasonCode;

/// Why a certificate was taken back. Every reason refuses the certificate alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationReason {
    /// No reason was given.
    Unspecified,
    /// Somebody else has, or may have, the certificate's private key.
    KeyCompromise,
    /// The same of an authority's private key.
    CaCompromise,
    /// The holder's name or its place in the organisation changed.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// The holder is gone.
    CessationOfOperation,
    /// The certificate is set aside for a while. Read, never written: a list of ours takes
    /// nothing back into trust.
    CertificateHold,
    /// The holder may no longer do what the certificate says.
    PrivilegeWithdrawn,
    /// The key of an attribute authority is compromised. Read for the sake of other tools.
    AaCompromise,
}

impl RevocationReason {
    /// Nothing for the codes that have no meaning in a whole list: 7 is not defined, 8 ("remove
    /// from the list") exists in delta lists alone.
    pub(crate) fn from_code(code: ReasonCode) -> Option<Self> {
        Some(match code {
            ReasonCode::Unspecified => Self::Unspecified,
            ReasonCode::KeyCompromise => Self::KeyCompromise,
            ReasonCode::CACompromise => Self::CaCompromise,
            ReasonCode::AffiliationChanged => Self::AffiliationChanged,
            ReasonCode::Superseded => Self::Superseded,
            ReasonCode::CessationOfOperation => Self::CessationOfOperation,
            ReasonCode::CertificateHold => Self::CertificateHold,
            ReasonCode::PrivilegeWithdrawn => Self::PrivilegeWithdrawn,
            ReasonCode::AACompromise => Self::AaCompromise,
            _ => return None,
        })
    }

    pub(crate) fn for_rcgen(self) -> rcgen::RevocationReason {
        use rcgen::RevocationReason as R;
        match self {
            Self::Unspecified => R::Unspecified,
            Self::KeyCompromise => R::KeyCompromise,
            Self::CaCompromise => R::CaCompromise,
            Self::AffiliationChanged => R::AffiliationChanged,
            Self::Superseded => R::Superseded,
            Self::CessationOfOperation => R::CessationOfOperation,
            Self::CertificateHold => R::CertificateHold,
            Self::PrivilegeWithdrawn => R::PrivilegeWithdrawn,
            Self::AaCompromise => R::AaCompromise,
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key compromise",
            Self::CaCompromise => "authority compromise",
            Self::AffiliationChanged => "affiliation changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation of operation",
            Self::CertificateHold => "on hold",
            Self::PrivilegeWithdrawn => "privilege withdrawn",
            Self::AaCompromise => "attribute authority compromise",
        })
    }
}
