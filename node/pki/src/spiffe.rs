//! SPIFFE identities: the one name in a certificate that counts.
//!
//! The form is `spiffe://<trust-domain>/{node|agent|operator}/<name...>`. It follows the SPIFFE-ID
//! standard (sections 2 to 2.3) and takes nothing outside it: no port, query, fragment or
//! percent-encoding, no empty, `.` or `..` segment, at most 2048 bytes. Two departures, both
//! narrower: upper case in scheme or trust domain is refused, not folded, so that equal identities
//! are equal bytes; and the first segment is one of Caxton's three roles.

use std::fmt;
use std::str::FromStr;

const SCHEME: &str = "spiffe://";
/// SPIFFE-ID, section 2.3: a whole identity.
const ID_BYTES_MAX: usize = 2048;
/// SPIFFE-ID, section 2.1: a trust domain name.
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

/// Why a text is no identity or trust domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSpiffeIdError {
    /// It is longer than the standard allows.
    #[error(
        "a SPIFFE ID has at most {ID_BYTES_MAX} bytes, its trust domain {TRUST_DOMAIN_BYTES_MAX}"
    )]
    TooLong,
    /// It does not begin with `spiffe://`.
    #[error("a SPIFFE ID begins with `spiffe://`")]
    Scheme,
    /// The trust domain is empty or has other characters than it may.
    #[error("a trust domain is made of `a-z`, `0-9`, `.`, `-` and `_`")]
    TrustDomain,
    /// The first path segment is not one of the three roles.
    #[error("the path begins with `node`, `agent` or `operator`")]
    Role,
    /// Nothing follows the role.
    #[error("the role is followed by a name")]
    NoName,
    /// A segment of the path is empty, `.` or `..`, or has other characters than it may.
    #[error("path segments are made of letters, digits, `.`, `-` and `_`, and are not `.` or `..`")]
    Segment,
}

/// The realm in which identities are issued: one root of trust, one trust domain.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(String);

impl TrustDomain {
    /// The name, such as `cluster.example`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identity of the trust domain itself, which an authority's certificate carries
    /// (X509-SVID, section 3.1: no path).
    pub(crate) fn to_uri(&self) -> String {
        format!("{SCHEME}{}", self.0)
    }

    /// The reverse of [`Self::to_uri`].
    pub(crate) fn from_uri(uri: &str) -> Result<Self, ParseSpiffeIdError> {
        uri.strip_prefix(SCHEME)
            .ok_or(ParseSpiffeIdError::Scheme)?
            .parse()
    }
}

impl FromStr for TrustDomain {
    type Err = ParseSpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > TRUST_DOMAIN_BYTES_MAX {
            return Err(ParseSpiffeIdError::TooLong);
        }
        let allowed = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(ParseSpiffeIdError::TrustDomain);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrustDomain({})", self.0)
    }
}

/// What kind of thing an identity names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// A process of the cluster.
    Node,
    /// A tenant's program at an address, here one that runs outside the cluster.
    Agent,
    /// A person or a tool that manages the cluster.
    Operator,
}

impl Role {
    /// The word that stands in the identity.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Agent => "agent",
            Self::Operator => "operator",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Node, Self::Agent, Self::Operator]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A parsed identity. Equal identities are equal bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    trust_domain: TrustDomain,
    role: Role,
    /// The segments after the role, joined by `/`, already checked.
    name: String,
}

impl SpiffeId {
    /// The identity of `name`, one segment or several joined by `/`, in a role.
    ///
    /// # Errors
    /// When the name is empty, has a segment that is not allowed, or makes the whole too long.
    pub fn try_new(
        trust_domain: TrustDomain,
        role: Role,
        name: &str,
    ) -> Result<Self, ParseSpiffeIdError> {
        if name.is_empty() {
            return Err(ParseSpiffeIdError::NoName);
        }
        let frame = SCHEME.len() + role.as_str().len() + "//".len();
        if frame + trust_domain.0.len() + name.len() > ID_BYTES_MAX {
            return Err(ParseSpiffeIdError::TooLong);
        }
        if !name.split('/').all(is_segment) {
            return Err(ParseSpiffeIdError::Segment);
        }
        Ok(Self {
            trust_domain,
            role,
            name: name.to_owned(),
        })
    }

    /// The identity of a node.
    ///
    /// # Errors
    /// As [`Self::try_new`].
    pub fn node(trust_domain: TrustDomain, name: &str) -> Result<Self, ParseSpiffeIdError> {
        Self::try_new(trust_domain, Role::Node, name)
    }

    /// The realm that vouches for this identity.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// What kind of thing it names.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// What follows the role, such as `n1` or `tenant/agent`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn is_segment(segment: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_');
    !matches!(segment, "" | "." | "..") && segment.bytes().all(allowed)
}

impl FromStr for SpiffeId {
    type Err = ParseSpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > ID_BYTES_MAX {
            return Err(ParseSpiffeIdError::TooLong);
        }
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or(ParseSpiffeIdError::Scheme)?;
        let (trust_domain, path) = rest.split_once('/').unwrap_or((rest, ""));
        let trust_domain = trust_domain.parse()?;
        let (role, name) = path.split_once('/').unwrap_or((path, ""));
        Self::try_new(
            trust_domain,
            Role::parse(role).ok_or(ParseSpiffeIdError::Role)?,
            name,
        )
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{SCHEME}{}/{}/{}",
            self.trust_domain, self.role, self.name
        )
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpiffeId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, Role, &str), ParseSpiffeIdError>) {
        let parsed = text.parse::<SpiffeId>();
        let parts = parsed
            .as_ref()
            .map(|id| (id.trust_domain().as_str(), id.role(), id.name()));
        assert_eq!(parts, expected.as_ref().map(|parts| *parts), "{text}");
        if let Ok(id) = parsed {
            assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn identities_of_the_three_roles_parse_and_print() {
        check(
            "spiffe://a.example/node/n1",
            Ok(("a.example", Role::Node, "n1")),
        );
        check(
            "spiffe://d_0-x/agent/acme/Mailer_2",
            Ok(("d_0-x", Role::Agent, "acme/Mailer_2")),
        );
        check("spiffe://d/operator/...", Ok(("d", Role::Operator, "...")));
    }

    #[test]
    fn everything_outside_the_grammar_is_refused() {
        use ParseSpiffeIdError::{NoName, Role, Scheme, Segment, TrustDomain};
        check("", Err(Scheme));
        check("SPIFFE://d/node/n", Err(Scheme));
        check("https://d/node/n", Err(Scheme));
        check("spiffe:///node/n", Err(TrustDomain));
        check("spiffe://D/node/n", Err(TrustDomain));
        check("spiffe://d:80/node/n", Err(TrustDomain));
        check("spiffe://u@d/node/n", Err(TrustDomain));
        check("spiffe://d", Err(Role));
        check("spiffe://d/", Err(Role));
        check("spiffe://d//n", Err(Role));
        check("spiffe://d/Node/n", Err(Role));
        check("spiffe://d/service/n", Err(Role));
        check("spiffe://d/node", Err(NoName));
        check("spiffe://d/node/", Err(NoName));
        check("spiffe://d/node//", Err(Segment));
        check("spiffe://d/node/n/", Err(Segment));
        check("spiffe://d/node/./n", Err(Segment));
        check("spiffe://d/node/a/../n", Err(Segment));
        check("spiffe://d/node/%6e", Err(Segment));
        check("spiffe://d/node/n?q", Err(Segment));
        check("spiffe://d/node/n#f", Err(Segment));
        check("spiffe://d/node/n\0", Err(Segment));
        check("spiffe://d/node/ü", Err(Segment));
    }

    #[test]
    fn the_bounds_of_the_standard_hold_to_the_byte() {
        let prefix = "spiffe://d/node/";
        let longest = format!("{prefix}{}", "n".repeat(ID_BYTES_MAX - prefix.len()));
        assert!(longest.parse::<SpiffeId>().is_ok());
        assert_eq!(
            format!("{longest}n").parse::<SpiffeId>(),
            Err(ParseSpiffeIdError::TooLong)
        );

        let d = |bytes| "d".repeat(bytes).parse::<TrustDomain>();
        assert!(d(TRUST_DOMAIN_BYTES_MAX).is_ok());
        assert_eq!(
            d(TRUST_DOMAIN_BYTES_MAX + 1),
            Err(ParseSpiffeIdError::TooLong)
        );

        let name = "n".repeat(ID_BYTES_MAX - prefix.len());
        let domain = || "d".parse::<TrustDomain>().unwrap();
        assert!(SpiffeId::node(domain(), &name).is_ok());
        assert_eq!(
            SpiffeId::node(domain(), &format!("{name}n")),
            Err(ParseSpiffeIdError::TooLong)
        );
    }
}
