//! Who is it: `Authorization: Bearer cxk1_…` (RFC 6750, section 2.1) against the SHA-256 of known keys.
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
use sha2::{Digest as _, Sha256};

use super::{
    extract::{Caller, Peer, RequestTrace, Stranger},
    plane::Plane,
    problem::Failure,
};

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
    let known = key(request.headers()).and_then(|key| {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let principal = plane.authenticate(&digest);
        let principal = principal.ok_or("this node does not know the API key")?;
        Ok((principal, credential(&digest)))
    });
    match known {
        Ok((principal, credential)) => {
            request.extensions_mut().insert(Caller {
                principal,
                credential,
                stranger,
            });
            next.run(request).await
        }
        Err(why) => {
            plane.unknown(&stranger, why).await;
            Failure::new(codes::UNAUTHENTICATED, why).into_response()
        }
    }
}

/// What is told of a key: 64 bits of its digest. The key has 256 random bits, so that they help nobody to guess it.
fn credential(digest: &[u8; 32]) -> String {
    let digits = digest.iter().take(8).map(|byte| format!("{byte:02x}"));
    std::iter::once("key_".to_owned()).chain(digits).collect()
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
    let ours = scheme.eq_ignore_ascii_case(b"Bearer ")
        && key.starts_with(KEY_PREFIX.as_bytes())
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
