//! Who is trusted to say who somebody is: configuration, checked once. Keys come separately, as they change.

use std::collections::BTreeSet;

use crate::Algorithm;

/// Longest name of an issuer or audience.
pub const ISSUER_BYTES_MAX: usize = 255;
/// Audiences of an issuer: what this cluster is called in its tokens.
pub const AUDIENCES_MAX: usize = 16;

/// An issuer that is trusted, for some audiences and algorithms alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issuer {
    name: String,
    audiences: BTreeSet<String>,
    algorithms: BTreeSet<Algorithm>,
}

/// An issuer cannot be trusted on these terms. Nothing was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum IssuerError {
    /// The issuer has no name, or too long a one.
    #[error("an issuer's name has 1 to `{ISSUER_BYTES_MAX}` bytes")]
    Name,
    /// No audience: each token that the issuer makes for anybody would count here (RFC 8725, section 3.9).
    #[error("an issuer is trusted for 1 to `{AUDIENCES_MAX}` audiences")]
    Audiences,
    /// An audience has no name, or too long a one.
    #[error("an audience's name has 1 to `{ISSUER_BYTES_MAX}` bytes")]
    Audience,
    /// No algorithm: the token would choose (RFC 8725, section 3.1).
    #[error("an issuer is trusted with at least one algorithm")]
    Algorithms,
}

impl Issuer {
    /// An issuer by its exact name, what its tokens may be for, and how it may sign them.
    ///
    /// # Errors
    /// No audience, no algorithm, or a name that is empty or too long.
    pub fn try_new(
        name: String,
        audiences: BTreeSet<String>,
        algorithms: BTreeSet<Algorithm>,
    ) -> Result<Self, IssuerError> {
        let sound = |name: &String| (1..=ISSUER_BYTES_MAX).contains(&name.len());
        if !sound(&name) {
            return Err(IssuerError::Name);
        }
        if !(1..=AUDIENCES_MAX).contains(&audiences.len()) {
            return Err(IssuerError::Audiences);
        }
        if !audiences.iter().all(sound) {
            return Err(IssuerError::Audience);
        }
        if algorithms.is_empty() {
            return Err(IssuerError::Algorithms);
        }
        Ok(Self {
            name,
            audiences,
            algorithms,
        })
    }

    /// What stands in `iss`. Compared byte by byte: a slash more is another issuer.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One of these must stand in `aud`.
    #[must_use]
    pub const fn audiences(&self) -> &BTreeSet<String> {
        &self.audiences
    }

    /// One of these must stand in `alg`.
    #[must_use]
    pub const fn algorithms(&self) -> &BTreeSet<Algorithm> {
        &self.algorithms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[track_caller]
    fn check(
        name: &str,
        audiences: &[&str],
        algorithms: &[Algorithm],
        expected: Option<IssuerError>,
    ) {
        let algorithms = algorithms.iter().copied().collect();
        let made = Issuer::try_new(name.to_owned(), set(audiences), algorithms);
        assert_eq!(made.err(), expected, "{name} {audiences:?}");
    }

    #[test]
    fn an_issuer_without_a_name_an_audience_or_an_algorithm_is_not_trusted() {
        let es256 = [Algorithm::Es256];
        let long = "n".repeat(ISSUER_BYTES_MAX + 1);
        check("i", &["a"], &es256, None);
        check("", &["a"], &es256, Some(IssuerError::Name));
        check(&long, &["a"], &es256, Some(IssuerError::Name));
        check("i", &[], &es256, Some(IssuerError::Audiences));
        check("i", &["a", ""], &es256, Some(IssuerError::Audience));
        check("i", &[&long], &es256, Some(IssuerError::Audience));
        check("i", &["a"], &[], Some(IssuerError::Algorithms));
        let many: Vec<String> = (0..=AUDIENCES_MAX).map(|n| n.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check("i", &many, &es256, Some(IssuerError::Audiences));
    }

    #[test]
    fn no_algorithm_that_needs_a_secret_or_nothing_has_a_name() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        for text in [
            "none", "None", "HS256", "HS384", "HS512", "es256", "ES256 ", "ES512", "",
        ] {
            assert!(text.parse::<Algorithm>().is_err(), "{text}");
        }
    }
}
