//! The one door: a token, the issuers that are trusted and the time go in; who it is about comes out, or why not.

use std::{fmt, sync::Arc};

use crate::{
    Claims, Issuer, KEY_NAME_BYTES_MAX, KeySet, LIFETIME_SECONDS_MAX, TOKEN_BYTES_MAX, claims,
    json::Members, token::Token,
};

/// A part of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The first.
    Header,
    /// The second.
    Claims,
    /// The third.
    Signature,
}

/// A token does not count. The text is for the log; it says what rule was broken, and nothing that the token held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// Longer than [`TOKEN_BYTES_MAX`].
    #[error("the token has more than `{TOKEN_BYTES_MAX}` bytes")]
    TooLong,
    /// Not three parts.
    #[error("the token does not have three parts")]
    Parts,
    /// Base64 of another alphabet, with padding, white space, or bits left over.
    #[error("{0} is not base64url in its one form")]
    Encoding(Part),
    /// Not a JSON object, or nested too deeply.
    #[error("{0} is no JSON object, or nests too deeply")]
    NotObject(Part),
    /// A member stands twice, and readers would differ about which counts.
    #[error("{0} has a member twice")]
    Twice(Part),
    /// `alg` is missing, or none that is taken: `none` and the symmetric ones among them.
    #[error("the header names no algorithm that is taken")]
    Algorithm,
    /// `alg` is not one that this issuer is trusted with.
    #[error("the issuer is not trusted with this algorithm")]
    OtherAlgorithm,
    /// `jku`, `x5u`, `jwk` or `x5c`.
    #[error("the token brings or names a key of its own")]
    OwnKey,
    /// `crit`.
    #[error("the header has extensions that must be understood")]
    Critical,
    /// `cty`: a token in a token.
    #[error("the token says that it holds something else than claims")]
    Nested,
    /// Any other member of the header that is not known, `zip` for one.
    #[error("the header has a member that is not taken")]
    HeaderMember,
    /// `typ` is of another kind of token.
    #[error("the token is of another kind")]
    Kind,
    /// `kid` is no text of 1 to [`KEY_NAME_BYTES_MAX`] bytes.
    #[error("the token's `kid` is no text of 1 to `{KEY_NAME_BYTES_MAX}` bytes")]
    KeyName,
    /// `iss` is nobody who is trusted.
    #[error("the issuer is not one that is trusted")]
    UnknownIssuer,
    /// The configuration trusts this issuer twice, and so on unclear terms. Our own fault.
    #[error("the issuer is configured twice")]
    IssuerTwice,
    /// `iss` is not the issuer whose key signed.
    #[error("the token names another issuer than the one whose key was used")]
    OtherIssuer,
    /// The issuer has no key of this name, or none that fits.
    #[error("the issuer has no such key")]
    NoKey,
    /// The key of this name is of another type, or for another algorithm.
    #[error("the issuer's key of this name is not for this algorithm")]
    OtherKey,
    /// No `kid`, and more than one key that fits.
    #[error("the token does not say which of several keys signed it")]
    ManyKeys,
    /// The signature does not hold.
    #[error("the signature does not hold")]
    Signature,
    /// A claim that must be there is not.
    #[error("the claim `{0}` is missing")]
    Missing(&'static str),
    /// A claim is not what it must be.
    #[error("the claim `{0}` is malformed or out of bounds")]
    Malformed(&'static str),
    /// `aud` names nobody that the issuer is trusted for.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies ahead.
    #[error("the token does not count yet")]
    NotYet,
    /// More than [`LIFETIME_SECONDS_MAX`] from `iat` to `exp`.
    #[error("the token lives longer than `{LIFETIME_SECONDS_MAX}` s")]
    LongLived,
    /// `cnf`: it counts only with a proof of a key, which is not taken yet.
    #[error("the token is bound to a key, and no proof of it is taken")]
    Bound,
    /// The groups are said to lie elsewhere, so who the subject is is not all here.
    #[error("the token's groups lie elsewhere")]
    GroupsElsewhere,
}

impl Refused {
    /// What a stranger is told: the same for every reason, so that nobody learns which issuers and keys there are.
    #[must_use]
    pub const fn public(&self) -> &'static str {
        "the token is not valid here"
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "the header",
            Self::Claims => "the claims",
            Self::Signature => "the signature",
        })
    }
}

/// Claims under a signature that holds by a key of the issuer. Only [`check`] makes it.
struct Signed<'a> {
    claims: Members,
    issuer: &'a Issuer,
}

/// What the token says, if one of `issuers` signed it for us and it counts at `now`, in Unix seconds.
///
/// Everything cheap is asked before the signature; at most one signature is verified.
///
/// # Errors
/// Any rule that the token breaks. Nothing is remembered, also not how often one was refused.
pub fn verify(token: &str, issuers: &[(Issuer, Arc<KeySet>)], now: u64) -> Result<Claims, Refused> {
    let signed = check(Token::read(token)?, issuers)?;
    claims::read(&signed.claims, signed.issuer, now)
}

/// Whether a key of the issuer that the token names signed it.
fn check<'a>(
    token: Token<'_>,
    issuers: &'a [(Issuer, Arc<KeySet>)],
) -> Result<Signed<'a>, Refused> {
    // The name is not believed: it says whose keys to try, and no other issuer's are.
    let name = token.claims.get("iss").ok_or(Refused::Missing("iss"))?;
    let name = name.as_text().ok_or(Refused::Malformed("iss"))?;
    let mut named = issuers.iter().filter(|(issuer, _)| issuer.name() == name);
    let (issuer, keys) = match (named.next(), named.next()) {
        (Some(one), None) => one,
        (None, _) => return Err(Refused::UnknownIssuer),
        (Some(_), Some(_)) => return Err(Refused::IssuerTwice),
    };
    if !issuer.algorithms().contains(&token.algorithm) {
        return Err(Refused::OtherAlgorithm);
    }
    let key = keys.choose(token.key_name.as_deref(), token.algorithm)?;
    if !key.holds(token.algorithm, token.signed, &token.signature) {
        return Err(Refused::Signature);
    }
    Ok(Signed {
        claims: token.claims,
        issuer,
    })
}
