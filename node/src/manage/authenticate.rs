//! Who is it: `Authorization: Bearer cxk1_…`, a key, or `cxs1_…`, a service token (RFC 6750, section 2.1), against the
//! SHA-256 of those that are known.
//!
//! It stands before every path, those that do not exist included; only the two health probes are open.
//! It runs before a body is read, so a stranger costs headers and one hash.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use caxton_api::{codes, paths};

use super::{
    extract::{Peer, RequestTrace, Stranger},
    plane::Plane,
    problem::Failure,
};
use crate::access::service_tokens;

/// What a key of ours starts with.
const KEY_PREFIX: &str = "cxk1_";
/// Longest key in bytes; ours have 69.
const KEY_BYTES_MAX: usize = 256;

/// Lets known callers pass, and anyone to the health probes.
pub(super) async fn authenticate(
    State(plane): State<Arc<Plane>>,
    mut request: Request,
    next: Next,
) -> Response {
    if matches!(request.uri().path(), paths::LIVE | paths::READY) {
        return next.run(request).await;
    }
    let stranger = Stranger {
        operation: format!("{} {}", request.method(), request.uri().path()),
        address: request.extensions().get().map(|Peer(address)| *address),
        trace: request.extensions().get().map(|RequestTrace(trace)| *trace),
    };
    let known = key(request.headers()).and_then(|key| plane.authenticate(key, &stranger));
    match known {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(why) => {
            plane.unknown(&stranger, why).await;
            Failure::new(codes::UNAUTHENTICATED, why).into_response()
        }
    }
}

/// The API key that the headers carry.
pub(super) fn key(headers: &HeaderMap) -> Result<&[u8], &'static str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (Some(value), None) => value.as_bytes(),
        (None, _) => return Err("the request carries no API key: Authorization: Bearer cxk1_…"),
        (Some(_), Some(_)) => return Err("the request carries two Authorization headers"),
    };
    let (scheme, key) = value
        .split_at_checked("Bearer ".len())
        .unwrap_or((value, &[]));
    let kinds = [KEY_PREFIX, service_tokens::PREFIX];
    let ours = scheme.eq_ignore_ascii_case(b"Bearer ")
        && kinds.iter().any(|kind| key.starts_with(kind.as_bytes()))
        && key.len() <= KEY_BYTES_MAX;
    if ours {
        Ok(key)
    } else {
        Err("the Authorization header is not `Bearer cxk1_…`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn check(values: &[&str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(
            key(&headers).ok(),
            expected.map(str::as_bytes),
            "{values:?}"
        );
    }

    #[test]
    fn only_one_bearer_key_of_ours_is_taken() {
        check(&["Bearer cxk1_abc"], Some("cxk1_abc"));
        check(&["bearer cxk1_abc"], Some("cxk1_abc"));
        check(&[], None);
        check(&["Bearer cxk1_abc", "Bearer cxk1_abc"], None);
        check(&["Basic cxk1_abc"], None);
        check(&["Bearer abc"], None);
        check(&["Bearer"], None);
        check(&["Bea"], None);
        check(&[&format!("Bearer cxk1_{}", "a".repeat(300))], None);
    }
}
