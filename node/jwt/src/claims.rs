//! What a token says, once its signature holds: for whom, about whom, and for how long (RFC 7519, section 4).
//!
//! Stricter than the RFC where its openness is of no use here: `iss`, `sub`, `aud`, `exp` and `iat` must be there, as
//! RFC 9068, section 2.2, has them; times are whole seconds; a claim that is known and malformed refuses the token.

use crate::{
    Issuer, Refused,
    json::{Json, Members},
};

/// How far clocks may be apart.
pub const LEEWAY_SECONDS: u64 = 30;
/// Longest time from `iat` to `exp`: a token cannot be taken back, so it must end by itself.
pub const LIFETIME_SECONDS_MAX: u64 = 24 * 60 * 60;
/// Longest `sub`.
pub const SUBJECT_BYTES_MAX: usize = 255;
/// Longest `jti`.
pub const ID_BYTES_MAX: usize = 255;
/// Most groups of a subject.
pub const GROUPS_MAX: usize = 64;
/// Longest name of a group.
pub const GROUP_BYTES_MAX: usize = 128;

/// The end of the year 9999: what comes later is milliseconds, or a mistake.
const SECONDS_MAX: u64 = 253_402_300_799;

/// What an issuer said of a subject. Only [`verify()`](crate::verify()) makes it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Claims {
    /// `iss`: the name of the issuer whose key signed it. A subject means something only together with it.
    pub issuer: String,
    /// `sub`: who it is about. 1 to [`SUBJECT_BYTES_MAX`] bytes without control characters.
    pub subject: String,
    /// The first of `aud` that the issuer is trusted for.
    pub audience: String,
    /// `exp`, in Unix seconds: nothing that stands on this token may last longer.
    pub expires: u64,
    /// `iat`, in Unix seconds.
    pub issued_at: u64,
    /// `jti`: what the issuer calls the token. At most [`ID_BYTES_MAX`] bytes without control characters.
    pub id: Option<String>,
    /// `groups`: at most [`GROUPS_MAX`] names of at most [`GROUP_BYTES_MAX`] bytes. Absent means none.
    pub groups: Vec<String>,
}

/// Judges claims whose signature holds by a key of `issuer`, at `now` in Unix seconds.
pub(crate) fn read(claims: &Members, issuer: &Issuer, now: u64) -> Result<Claims, Refused> {
    // SECURITY: whose key was used and who is named must be one (RFC 8725, section 3.8).
    let name = text(claims, "iss", usize::MAX)?.ok_or(Refused::Missing("iss"))?;
    if name != issuer.name() {
        return Err(Refused::OtherIssuer);
    }
    // Whoever sends it must prove a key (RFC 7800), which nobody here asks for: it is not a token for the bearer.
    if claims.has("cnf") {
        return Err(Refused::Bound);
    }
    let audience = audience(claims, issuer)?;
    let subject = text(claims, "sub", SUBJECT_BYTES_MAX)?.ok_or(Refused::Missing("sub"))?;
    let (issued_at, expires) = times(claims, now)?;
    Ok(Claims {
        issuer: name.to_owned(),
        subject: subject.to_owned(),
        audience,
        expires,
        issued_at,
        id: text(claims, "jti", ID_BYTES_MAX)?.map(str::to_owned),
        groups: groups(claims)?,
    })
}

fn is_plain(text: &str, bytes_max: usize) -> bool {
    (1..=bytes_max).contains(&text.len()) && !text.contains(char::is_control)
}

/// A claim that is text: it goes into logs and decisions.
fn text<'a>(
    claims: &'a Members,
    claim: &'static str,
    bytes_max: usize,
) -> Result<Option<&'a str>, Refused> {
    claims
        .get(claim)
        .map(|value| {
            let plain = value.as_text().filter(|text| is_plain(text, bytes_max));
            plain.ok_or(Refused::Malformed(claim))
        })
        .transpose()
}

/// RFC 7519, section 4.1.3: one text, or a list of them.
fn audience(claims: &Members, issuer: &Issuer) -> Result<String, Refused> {
    let value = claims.get("aud").ok_or(Refused::Missing("aud"))?;
    let named = match value.as_text() {
        Some(one) => vec![one],
        None => value.as_texts().ok_or(Refused::Malformed("aud"))?,
    };
    let ours = named
        .into_iter()
        .find(|name| issuer.audiences().contains(*name));
    Ok(ours.ok_or(Refused::Audience)?.to_owned())
}

/// Whole seconds since 1970.
fn seconds(claims: &Members, claim: &'static str) -> Result<Option<u64>, Refused> {
    match claims.get(claim) {
        None => Ok(None),
        Some(Json::Whole(seconds)) if *seconds <= SECONDS_MAX => Ok(Some(*seconds)),
        Some(_) => Err(Refused::Malformed(claim)),
    }
}

/// `iat` and `exp`, when the token counts now.
fn times(claims: &Members, now: u64) -> Result<(u64, u64), Refused> {
    let expires = seconds(claims, "exp")?.ok_or(Refused::Missing("exp"))?;
    let issued_at = seconds(claims, "iat")?.ok_or(Refused::Missing("iat"))?;
    let not_before = seconds(claims, "nbf")?.unwrap_or(issued_at);
    if now >= expires.saturating_add(LEEWAY_SECONDS) {
        return Err(Refused::Expired);
    }
    let soon = now.saturating_add(LEEWAY_SECONDS);
    if issued_at > soon || not_before > soon {
        return Err(Refused::NotYet);
    }
    let lifetime = expires
        .checked_sub(issued_at)
        .filter(|seconds| *seconds > 0);
    if lifetime.ok_or(Refused::Malformed("exp"))? > LIFETIME_SECONDS_MAX {
        return Err(Refused::LongLived);
    }
    Ok((issued_at, expires))
}

/// All groups or none: a group that was cut off is a rule that does not hold.
fn groups(claims: &Members) -> Result<Vec<String>, Refused> {
    // OpenID Connect Core, section 5.6.2: groups that are too many are said to lie elsewhere, and nobody goes there.
    let elsewhere = claims.get("_claim_names").is_some_and(|names| match names {
        Json::Object(names) => names.has("groups"),
        Json::Text(_) | Json::Whole(_) | Json::List(_) | Json::Other => true,
    });
    if elsewhere {
        return Err(Refused::GroupsElsewhere);
    }
    let Some(value) = claims.get("groups") else {
        return Ok(Vec::new());
    };
    let groups = value
        .as_texts()
        .filter(|list| list.len() <= GROUPS_MAX)
        .filter(|list| list.iter().all(|name| is_plain(name, GROUP_BYTES_MAX)))
        .ok_or(Refused::Malformed("groups"))?;
    Ok(groups.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Algorithm;

    #[test]
    fn claims_that_name_another_issuer_than_whose_key_was_used_are_refused() {
        let claims = br#"{"iss":"b","sub":"ada","aud":"us","iat":100,"exp":200}"#;
        let claims = Members::parse(claims).unwrap();
        let judge = |name: &str| {
            let audiences = BTreeSet::from(["us".to_owned()]);
            let algorithms = BTreeSet::from([Algorithm::Es256]);
            let issuer = Issuer::try_new(name.to_owned(), audiences, algorithms).unwrap();
            read(&claims, &issuer, 150).map(|said| said.issuer)
        };
        assert_eq!(judge("a"), Err(Refused::OtherIssuer));
        assert_eq!(judge("b").as_deref(), Ok("b"));
    }
}
