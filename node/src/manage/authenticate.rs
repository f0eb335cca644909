//! Who is it: `Authorization: Bearer cxk1_…`, a key, or `cxs1_…`, a service token (RFC 6750, section 2.1), against the
//! SHA-256 of those that are known; or a JSON Web Token of an issuer that is configured (docs/jwt.md). Or the operator whom
//! the client certificate of the connection names. Who shows both must be the same by both.
//!
//! It stands before every path, those that do not exist included; only the two health probes are open.
//! It runs before a body is read, so a stranger costs headers and one hash.

use std::{borrow::Cow, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use caxton_api::{codes, paths};

use caxton_jwt::TOKEN_BYTES_MAX;

use super::{
    credentials::Presented,
    extract::{Caller, Peer, RequestTrace, Stranger},
    forwarded::client,
    limits::{Standing, set_headers},
    plane::Plane,
    problem::Failure,
};
use crate::access::service_tokens;

/// What a key of ours starts with.
const KEY_PREFIX: &str = "cxk1_";
/// Longest key in bytes; ours have 69.
const KEY_BYTES_MAX: usize = 256;
/// What a JSON Web Token starts with: the base64 of `{"`.
pub(super) const JWT_PREFIX: &[u8] = b"eyJ";

/// Nobody has proven who they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Unproven {
    /// What whoever asks hears.
    pub(super) told: Cow<'static, str>,
    /// What the audit log is told.
    pub(super) why: String,
}

impl Unproven {
    /// A JSON Web Token does not count. Its bearer hears one sentence, whatever is wrong.
    pub(super) fn token(why: impl Into<String>) -> Self {
        Self {
            told: Cow::Borrowed("the token is not valid here"),
            why: why.into(),
        }
    }
}

impl From<&'static str> for Unproven {
    fn from(told: &'static str) -> Self {
        Self {
            told: Cow::Borrowed(told),
            why: told.to_owned(),
        }
    }
}

impl From<String> for Unproven {
    fn from(told: String) -> Self {
        Self {
            why: told.clone(),
            told: Cow::Owned(told),
        }
    }
}

/// Lets known callers pass, and anyone to the health probes.
pub(super) async fn authenticate(
    State(plane): State<Arc<Plane>>,
    request: Request,
    next: Next,
) -> Response {
    if matches!(request.uri().path(), paths::LIVE | paths::READY) {
        return next.run(request).await;
    }
    let stranger = stranger(&plane, &request);
    let shown = key(request.headers());
    if shown.is_ok_and(|shown| shown.is_some_and(|shown| shown.starts_with(JWT_PREFIX))) {
        plane.credentials.look_at_logins(plane.now_ns()).await;
    }
    let presented = request.extensions().get::<Arc<Presented>>();
    let presented = presented.map(Arc::as_ref);
    let known = shown.map_err(Unproven::from);
    let known =
        known.and_then(|shown| (plane.credentials).authenticate(shown, presented, &stranger));
    let (mut answer, standings) = match known {
        Ok(caller) => known_caller(&plane, caller, request, next).await,
        Err(Unproven { told, why }) => {
            plane.unknown(&stranger, &why).await;
            match plane.limits.stranger(stranger.address, plane.now_ns()) {
                Ok(standings) => {
                    let failure = Failure::new(codes::UNAUTHENTICATED, told);
                    (failure.into_response(), standings)
                }
                Err(soon) => (Failure::from(soon).into_response(), vec![soon.standing()]),
            }
        }
    };
    set_headers(answer.headers_mut(), &standings);
    answer
}

fn stranger(plane: &Plane, request: &Request) -> Stranger {
    let peer = request.extensions().get();
    let trusted = &plane.config().api.trusted_proxies;
    Stranger {
        operation: format!("{} {}", request.method(), request.uri().path()),
        address: peer.and_then(|Peer(peer)| client(peer.ip(), request.headers(), trusted)),
        trace: request.extensions().get().map(|RequestTrace(trace)| *trace),
    }
}

/// Hands on the request of one who is known, unless they ask too often.
async fn known_caller(
    plane: &Plane,
    caller: Caller,
    mut request: Request,
    next: Next,
) -> (Response, Vec<Standing>) {
    let operator = caller.known.operator.clone();
    if let Err(soon) = plane.limits.operator(&operator, plane.now_ns()) {
        return (Failure::from(soon).into_response(), vec![soon.standing()]);
    }
    let path = request.extensions().get().map(MatchedPath::as_str);
    let deploys = path == Some(paths::AGENT) && request.method() == Method::PUT;
    request.extensions_mut().insert(caller);
    let answer = next.run(request).await;
    let standings = plane.limits.of_operator(&operator, deploys, plane.now_ns());
    (answer, standings)
}

/// The API key that the headers carry; none where they carry nothing of the sort.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&[u8]>, &'static str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.as_bytes(),
        (None, _) => return Ok(None),
        (Some(_), Some(_)) => return Err("the request carries two Authorization headers"),
    };
    let (scheme, key) = value
        .split_at_checked("Bearer ".len())
        .unwrap_or((value, &[]));
    let kinds = [KEY_PREFIX, service_tokens::PREFIX];
    let ours = kinds.iter().any(|kind| key.starts_with(kind.as_bytes()));
    let bytes_max = match key.starts_with(JWT_PREFIX) {
        true => TOKEN_BYTES_MAX,
        false if ours => KEY_BYTES_MAX,
        false => 0,
    };
    if scheme.eq_ignore_ascii_case(b"Bearer ") && !key.is_empty() && key.len() <= bytes_max {
        Ok(Some(key))
    } else {
        Err("the Authorization header is not `Bearer cxk1_…`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn found(values: &[&str]) -> Result<Option<String>, &'static str> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let found = key(&headers)?;
        Ok(found.map(|key| String::from_utf8_lossy(key).into_owned()))
    }

    fn check(values: &[&str], expected: Option<&str>) {
        let expected = expected.map(|key| Some(key.to_owned()));
        assert_eq!(found(values).ok(), expected, "{values:?}");
    }

    #[test]
    fn a_request_without_a_key_is_no_request_with_a_wrong_one() {
        assert_eq!(found(&[]), Ok(None));
        assert!(found(&[""]).is_err());
    }

    #[test]
    fn only_one_bearer_key_of_ours_is_taken() {
        check(&["Bearer cxk1_abc"], Some("cxk1_abc"));
        check(&["bearer cxk1_abc"], Some("cxk1_abc"));
        check(&["Bearer cxk1_abc", "Bearer cxk1_abc"], None);
        check(&["Basic cxk1_abc"], None);
        check(&["Bearer abc"], None);
        check(&["Bearer"], None);
        check(&["Bea"], None);
        check(&[&format!("Bearer cxk1_{}", "a".repeat(300))], None);
        check(&["Bearer eyJh.eyJz.c2ln"], Some("eyJh.eyJz.c2ln"));
        let most = format!("eyJ{}", "a".repeat(TOKEN_BYTES_MAX - 3));
        check(&[&format!("Bearer {most}")], Some(&most));
        check(&[&format!("Bearer {most}a")], None);
        check(&["Basic eyJh.eyJz.c2ln"], None);
    }
}
