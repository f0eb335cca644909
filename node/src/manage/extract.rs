//! What a request says, parsed at the door: the caller, names in the path, the query and the body.
//! Everything is strict: an unknown parameter or field is an error, not something that is not there.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, header, request::Parts as Head},
};
use caxton_api::{codes, paths};
use caxton_capabilities::{Address, PolicyPrincipal, Principal, Standing, TraceId};
use http_body_util::BodyExt as _;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    plane::Plane,
    problem::{Answer, Failure},
};
use crate::access::{keys::Known, service_tokens::Basis};

/// How long an upload of a program may take: 64 MiB over a line of 1 Mbit/s.
const UPLOAD_TIME: Duration = Duration::from_secs(600);
/// JSON around a message's content.
const MESSAGE_FRAME_BYTES: usize = 64 << 10;

/// Who asks, as `authenticate` found.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) principal: Principal,
    /// What of the operator's authority the credential has.
    pub(super) known: Arc<Known>,
    /// What tells the credential that was shown from others, and opens nothing.
    pub(super) credential: String,
    /// What it stands on, and ends with.
    pub(super) basis: Basis,
    pub(super) method: Method,
    /// Groups that the issuer of a JSON Web Token has them in, for this request alone.
    pub(super) groups: Arc<BTreeSet<Arc<str>>>,
    /// The request, and where it comes from.
    pub(super) stranger: Stranger,
}

impl Caller {
    /// Who it is, with what is known of them.
    pub(super) fn principal_in(&self, standing: &Standing) -> PolicyPrincipal {
        let mut asking = standing.principal(&self.principal);
        if !self.groups.is_empty() {
            let groups = self.groups.iter().cloned();
            Arc::make_mut(&mut asking.facts).groups.extend(groups);
        }
        asking
    }
}

/// How somebody proved who they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Method {
    ApiKey,
    ServiceToken,
    Jwt,
    Certificate,
}

impl Method {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api-key",
            Self::ServiceToken => "service-token",
            Self::Jwt => "jwt",
            Self::Certificate => "certificate",
        }
    }
}

/// A request and where it comes from, before anybody has proven anything.
#[derive(Clone, Debug)]
pub(super) struct Stranger {
    /// Method and path.
    pub(super) operation: String,
    /// The client's; none where a trusted proxy does not say it.
    pub(super) address: Option<IpAddr>,
    pub(super) trace: Option<TraceId>,
}

/// The trace that the request belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestTrace(pub(super) TraceId);

/// Where the request came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// The agent of a path.
#[derive(Clone, Debug)]
pub(super) struct AgentAt(pub(super) Address);

/// The one changing part of a path.
#[derive(Clone, Debug)]
pub(super) struct Part(pub(super) String);

/// The two changing parts of a path.
#[derive(Clone, Debug)]
pub(super) struct Parts(pub(super) String, pub(super) String);

/// The query of a list.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) T);

/// A path that takes no query.
#[derive(Debug)]
pub(super) struct NoQuery;

/// A JSON body. Without `OPTIONAL` it must be there; with it, an empty one is the default.
#[derive(Debug)]
pub(super) struct Given<T, const OPTIONAL: bool = false>(pub(super) T);

/// A WebAssembly body.
#[derive(Debug)]
pub(super) struct Wasm(pub(super) Bytes);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Head, _state: &S) -> Answer<Self> {
        // SECURITY: a handler behind no authentication would fail here, not run for nobody.
        let missing = || Failure::new(codes::UNAUTHENTICATED, "the request carries no API key");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

impl<S: Sync> FromRequestParts<S> for RequestTrace {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Head, _state: &S) -> Answer<Self> {
        let missing = || Failure::new(codes::INTERNAL, "the request has no trace");
        parts.extensions.get::<Self>().copied().ok_or_else(missing)
    }
}

impl<S: Sync + Send> FromRequestParts<S> for AgentAt {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Head, state: &S) -> Answer<Self> {
        let (tenant, agent) = path::<(String, String), S>(parts, state).await?;
        let address = Address::new(name("tenant", &tenant)?, name("agent", &agent)?);
        Ok(Self(address))
    }
}

impl<S: Sync + Send> FromRequestParts<S> for Part {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Head, state: &S) -> Answer<Self> {
        path(parts, state).await.map(Self)
    }
}

impl<S: Sync + Send> FromRequestParts<S> for Parts {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Head, state: &S) -> Answer<Self> {
        let (first, second) = path::<(String, String), S>(parts, state).await?;
        Ok(Self(first, second))
    }
}

async fn path<T: DeserializeOwned + Send, S: Sync + Send>(
    parts: &mut Head,
    state: &S,
) -> Answer<T> {
    let found = Path::<T>::from_request_parts(parts, state).await;
    let Path(found) = found.map_err(|error| Failure::bad_request(error.body_text()))?;
    Ok(found)
}

/// Reads a name, and says which one is wrong.
pub(super) fn name<T: std::str::FromStr>(what: &str, text: &str) -> Answer<T>
where
    T::Err: std::fmt::Display,
{
    text.parse()
        .map_err(|error| Failure::invalid(format!("{what} `{}`: {error}", shown(text))))
}

/// What a client sent, short and on one line.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

impl<T: DeserializeOwned, S: Sync + Send> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Head, state: &S) -> Answer<Self> {
        let asked = Query::<T>::from_request_parts(parts, state).await;
        let Query(asked) = asked.map_err(|error| {
            let text = error.body_text();
            let why = text.split_once(": ").map_or(text.as_str(), |(_, why)| why);
            Failure::bad_request(format!("the query is not what is due: {why}"))
        })?;
        Ok(Self(asked))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl<S: Sync + Send> FromRequestParts<S> for NoQuery {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Head, state: &S) -> Answer<Self> {
        let Asked(Nothing {}) = Asked::from_request_parts(parts, state).await?;
        Ok(Self)
    }
}

impl<T: DeserializeOwned + Default, const OPTIONAL: bool> FromRequest<Arc<Plane>>
    for Given<T, OPTIONAL>
{
    type Rejection = Failure;

    async fn from_request(request: Request, plane: &Arc<Plane>) -> Answer<Self> {
        let config = plane.config();
        let mut bytes_max = config.api.body_bytes_max;
        if request.uri().path() == paths::MESSAGES {
            // The largest message fits, base 64 included.
            let encoded = config.messages.bytes_max.div_ceil(3).saturating_mul(4);
            bytes_max = bytes_max.max(encoded.saturating_add(MESSAGE_FRAME_BYTES));
        }
        let json = is_type(request.headers(), "application/json");
        let (head, body) = request.into_parts();
        let bounds = Bounds {
            bytes_max,
            time: config.api.request_timeout,
            pause: plane.body_pause(),
        };
        if OPTIONAL && declared(&head.headers).is_none_or(|bytes| bytes == 0) && json.is_none() {
            let bytes = read(&head.headers, body, &bounds).await?;
            return match &*bytes {
                [] => Ok(Self(T::default())),
                _ => Err(wrong_type("application/json")),
            };
        }
        if json != Some(true) {
            return Err(wrong_type("application/json"));
        }
        let bytes = read(&head.headers, body, &bounds).await?;
        if OPTIONAL && bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        parse(&bytes).map(Self)
    }
}

/// Reads a JSON object; the error says line and column. Nesting is bounded by the parser at 128.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    // serde would take an array for an object as well, its items for fields in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        let detail = "the body is not what is due: a JSON object";
        return Err(Failure::bad_request(detail));
    }
    serde_json::from_slice(bytes)
        .map_err(|error| Failure::bad_request(format!("the body is not what is due: {error}")))
}

impl FromRequest<Arc<Plane>> for Wasm {
    type Rejection = Failure;

    async fn from_request(request: Request, plane: &Arc<Plane>) -> Answer<Self> {
        if is_type(request.headers(), "application/wasm") != Some(true) {
            return Err(wrong_type("application/wasm"));
        }
        let (head, body) = request.into_parts();
        let bounds = Bounds {
            bytes_max: plane.config().api.program_bytes_max,
            time: UPLOAD_TIME,
            pause: plane.body_pause(),
        };
        read(&head.headers, body, &bounds).await.map(Self)
    }
}

/// How much of a body is read, and how slowly it may come.
struct Bounds {
    bytes_max: usize,
    time: Duration,
    pause: Duration,
}

/// Reads a body that stays within its bounds.
async fn read(headers: &HeaderMap, mut body: Body, bounds: &Bounds) -> Answer<Bytes> {
    let too_large = || {
        let detail = format!("the body may have {} bytes", bounds.bytes_max);
        Failure::new(codes::TOO_LARGE, detail)
    };
    // What is announced is refused before a byte of it is taken.
    let announced = declared(headers).unwrap_or(0);
    if announced > u64::try_from(bounds.bytes_max).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    let deadline = Instant::now() + bounds.time;
    let mut bytes = Vec::new();
    loop {
        let next = timeout_at(deadline, timeout(bounds.pause, body.frame())).await;
        let Ok(Ok(frame)) = next else {
            return Err(Failure::bad_request(
                "the body does not come, or too slowly",
            ));
        };
        match frame {
            None => return Ok(bytes.into()),
            Some(Err(_broken)) => return Err(Failure::bad_request("the body broke off")),
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else {
                    continue;
                };
                if bytes.len().saturating_add(data.len()) > bounds.bytes_max {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&data);
            }
        }
    }
}

fn declared(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Whether the content type is `wanted`, parameters aside; none where there is no content type.
fn is_type(headers: &HeaderMap, wanted: &str) -> Option<bool> {
    let value = headers
        .get(header::CONTENT_TYPE)?
        .to_str()
        .unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    Some(essence.eq_ignore_ascii_case(wanted))
}

fn wrong_type(wanted: &str) -> Failure {
    Failure::new(
        codes::UNSUPPORTED_MEDIA,
        format!("this path takes {wanted}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use caxton_api::types::{Deployment, SendMessage};

    async fn asks_nothing(uri: &str) -> bool {
        let (mut parts, _) = Request::builder()
            .uri(uri)
            .body(Body::empty())
            .unwrap()
            .into_parts();
        NoQuery::from_request_parts(&mut parts, &()).await.is_ok()
    }

    #[tokio::test]
    async fn a_path_without_query_takes_none() {
        assert!(asks_nothing("/api/v1/whoami").await);
        assert!(asks_nothing("/api/v1/whoami?").await);
        assert!(!asks_nothing("/api/v1/whoami?verbose=1").await);
    }

    fn check(body: &str, expected: &str) {
        let failure = parse::<Deployment>(body.as_bytes()).unwrap_err();
        let text = format!("{failure:?}");
        assert!(
            text.contains("CX0400") && text.contains(expected),
            "{body}: {text}"
        );
    }

    #[test]
    fn a_bad_body_is_told_what_and_where() {
        check(
            "{\"program\":\"demo:echo\",\"limit\":{}}",
            "unknown field `limit`",
        );
        check(
            "{\"program\":\"demo:echo\",\n  \"dry_run\":3}",
            "line 2 column",
        );
        check(
            "{\"program\":\"a\",\"program\":\"b\"}",
            "duplicate field `program`",
        );
        check("{\"program\":\"a\"} x", "trailing characters");
        check("{", "EOF");
        for other in ["", "[]", "[null, null]", "\"{}\"", "null"] {
            check(other, "a JSON object");
        }
        let deep = format!("{{\"program\":{}", "[".repeat(100_000));
        assert!(parse::<Deployment>(deep.as_bytes()).is_err());
        assert!(parse::<SendMessage>(b"{\"to\":\"\xff\"}").is_err());
    }

    #[test]
    fn a_content_type_is_compared_without_its_parameters() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(
                header::CONTENT_TYPE,
                header::HeaderValue::from_static(value),
            );
            is_type(&headers, "application/json")
        };
        assert_eq!(with("Application/JSON; charset=utf-8"), Some(true));
        assert_eq!(with("application/json-patch+json"), Some(false));
        assert_eq!(is_type(&HeaderMap::new(), "application/json"), None);
    }

    async fn reads(bytes: &'static [u8], announced: &'static str) -> Answer<Bytes> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_LENGTH,
            header::HeaderValue::from_static(announced),
        );
        let second = Duration::from_secs(1);
        let bounds = Bounds {
            bytes_max: 4,
            time: second,
            pause: second,
        };
        read(&headers, Body::from(bytes), &bounds).await
    }

    #[tokio::test]
    async fn a_body_is_bounded_by_what_is_announced_and_by_what_comes() {
        assert_eq!(reads(b"abcd", "4").await.unwrap(), &b"abcd"[..]);
        assert_eq!(reads(b"", "5").await.unwrap_err().code(), codes::TOO_LARGE);
        assert_eq!(
            reads(b"abcde", "4").await.unwrap_err().code(),
            codes::TOO_LARGE
        );
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let body =
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        let (long, short) = (Duration::from_secs(3_600), Duration::from_millis(1));
        let bounds = Bounds {
            bytes_max: 4,
            time: long,
            pause: short,
        };
        let failure = read(&HeaderMap::new(), body, &bounds).await.unwrap_err();
        assert_eq!(failure.code(), codes::BAD_REQUEST);
        let drops = futures_util::stream::iter(std::iter::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::new())
        }));
        let drops = futures_util::StreamExt::then(drops, async |drop| {
            tokio::task::yield_now().await;
            drop
        });
        let bounds = Bounds {
            bytes_max: 4,
            time: short,
            pause: long,
        };
        let failure = read(&HeaderMap::new(), Body::from_stream(drops), &bounds)
            .await
            .unwrap_err();
        assert_eq!(failure.code(), codes::BAD_REQUEST);
    }
}
