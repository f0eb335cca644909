//! Around every request: its trace, its time limit, its line in the log and its figures. A panic ends
//! here as a 500, and whatever is no success leaves as a problem.

use std::{any::Any, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use caxton_api::{codes, paths};
use caxton_capabilities::TraceId;
use futures_util::FutureExt as _;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::{
    extract::{Peer, RequestTrace},
    plane::Plane,
    problem::Failure,
};

/// W3C Trace Context, section 3.2.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// The trace of the answer, for people and scripts.
const X_TRACE_ID: HeaderName = HeaderName::from_static("x-trace-id");
/// What a waiting request may take beyond the configured time: the longest `wait_ms`.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// What uploads, trials and stops of agents may take beyond it: a slow line, a long compilation.
const WORK_MAX: Duration = Duration::from_secs(900);
/// The route of what matched none.
const UNMATCHED: &str = "unmatched";

/// Runs the rest of the stack under all that is said above.
pub(super) async fn observe(
    State(plane): State<Arc<Plane>>,
    mut request: Request,
    next: Next,
) -> Response {
    let trace = trace_of(request.headers()).unwrap_or_else(|| plane.fresh_trace());
    request.extensions_mut().insert(RequestTrace(trace));
    let mut line = Line::begin(&plane, &request, trace);
    let limit = time_limit(
        plane.config().api.request_timeout,
        request.method(),
        &line.route,
    );
    let span = tracing::info_span!("request", %trace);
    let handled = AssertUnwindSafe(next.run(request))
        .catch_unwind()
        .instrument(span);
    let answer = match timeout(limit, handled).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => panicked(&*panic).into_response(),
        Err(_elapsed) => too_slow(limit).into_response(),
    };
    let mut answer = line.problem(answer, trace);
    line.status = Some(answer.status());
    set_headers(answer.headers_mut(), trace);
    answer
}

/// What is remembered of a request until its one line is written. Where the client goes away before
/// the answer, dropping it writes the line.
struct Line {
    plane: Arc<Plane>,
    begun: Instant,
    method: &'static str,
    route: String,
    peer: Option<std::net::SocketAddr>,
    trace: TraceId,
    status: Option<StatusCode>,
}

impl Line {
    fn begin(plane: &Arc<Plane>, request: &Request, trace: TraceId) -> Self {
        let route = request.extensions().get::<MatchedPath>();
        Self {
            plane: Arc::clone(plane),
            begun: Instant::now(),
            method: method_word(request.method()),
            route: route.map_or(UNMATCHED, MatchedPath::as_str).to_owned(),
            peer: request.extensions().get::<Peer>().map(|peer| peer.0),
            trace,
            status: None,
        }
    }

    /// Makes a problem of what is no success, and logs the inside story of what is our fault.
    fn problem(&self, mut answer: Response, trace: TraceId) -> Response {
        let status = answer.status();
        if status.is_success() || status.is_informational() || status.is_redirection() {
            return answer;
        }
        let failure = match answer.extensions_mut().remove::<Failure>() {
            Some(failure) => failure,
            // An answer with a body of its own, such as the state of a node that is not ready.
            None if is_json(answer.headers()) => return answer,
            None => Failure::of_status(status),
        };
        let (code, route) = (failure.code(), &self.route);
        if code == codes::INTERNAL {
            let error = failure.cause().unwrap_or("nothing more is known");
            tracing::error!(code = code.code, %trace, route, error, "request failed inside");
        } else if let Some(error) = failure.cause() {
            tracing::warn!(code = code.code, %trace, route, error, "request refused");
        }
        failure.render(answer, trace)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let Self {
            begun,
            method,
            route,
            peer,
            trace,
            status,
            ..
        } = self;
        let took = begun.elapsed();
        // 499: the client went away first; a word of the field, no status of the standard.
        let status = status.map_or(499, |status| status.as_u16());
        self.plane.measures.observe(method, route, status, took);
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let peer = peer.map(tracing::field::display);
        if matches!(&**route, paths::LIVE | paths::READY | paths::METRICS) {
            tracing::debug!(method, route = &**route, status, ms, peer, %trace, "request");
        } else {
            tracing::info!(method, route = &**route, status, ms, peer, %trace, "request");
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let json = HeaderValue::from_static("application/json");
    headers.get(header::CONTENT_TYPE) == Some(&json)
}

/// One of a closed set of words: a method is a label of figures, and a client may make up any.
fn method_word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// How long a request may take until its answer begins. Streams begin at once and then have no limit.
fn time_limit(configured: Duration, method: &Method, route: &str) -> Duration {
    let more = match route {
        paths::MESSAGES => WAIT_MAX,
        paths::PROGRAMS
        | paths::AGENT
        | paths::AGENT_ROLLBACK
        | paths::AGENT_START
        | paths::AGENT_STOP
            if method != Method::GET =>
        {
            WORK_MAX
        }
        _ => Duration::ZERO,
    };
    configured.saturating_add(more)
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let error = std::io::Error::other(format!("panic: {}", text.unwrap_or("without a text")));
    Failure::internal("the request could not be carried out", &error)
}

fn too_slow(limit: Duration) -> Failure {
    let detail = format!(
        "the request took longer than {} s; what it had begun may still take effect",
        limit.as_secs()
    );
    Failure::new(codes::NO_ANSWER, detail)
}

fn set_headers(headers: &mut HeaderMap, trace: TraceId) {
    // The span of the answer: the low half of the trace, which is random, and never zero.
    let span = u64::try_from(trace.as_u128() & u128::from(u64::MAX))
        .unwrap_or(1)
        .max(1);
    let values = [
        (X_TRACE_ID, trace.to_string()),
        (TRACEPARENT, format!("00-{trace}-{span:016x}-01")),
    ];
    for (name, value) in values {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    let store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(store);
}

/// The trace of a caller that is traced itself. What does not parse is ignored, as the standard asks.
pub(super) fn trace_of(headers: &HeaderMap) -> Option<TraceId> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let text = value.to_str().ok()?;
    let mut parts = text.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hex = |part: &str, digits: usize| {
        let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        part.len() == digits && part.bytes().all(lower)
    };
    let sound = hex(version, 2)
        && version != "ff"
        && hex(span, 16)
        && span.bytes().any(|digit| digit != b'0')
        && hex(flags, 2)
        // Only a later version may have more parts.
        && (version != "00" || parts.next().is_none());
    if sound { trace.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn check(values: &[&str], expected: Option<&str>) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRACEPARENT, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(
            trace_of(&headers).map(|trace| trace.to_string()).as_deref(),
            expected,
            "{values:?}"
        );
    }

    #[test]
    fn a_callers_trace_is_taken_up_where_it_is_sound() {
        let good = format!("00-{TRACE}-00f067aa0ba902b7-01");
        check(&[&good], Some(TRACE));
        check(
            &[&format!("01-{TRACE}-00f067aa0ba902b7-01-later")],
            Some(TRACE),
        );
        check(&[&good, &good], None);
        check(&[&format!("{good}-more")], None);
        check(&[&format!("ff-{TRACE}-00f067aa0ba902b7-01")], None);
        check(&[&format!("00-{TRACE}-0000000000000000-01")], None);
        check(
            &[&format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32))],
            None,
        );
        check(&[&good.to_uppercase()], None);
        check(&["", "x"], None);
    }

    #[test]
    fn an_answer_carries_its_trace_in_a_form_that_is_taken_up_again() {
        let mut headers = HeaderMap::new();
        set_headers(&mut headers, TRACE.parse().unwrap());
        assert_eq!(trace_of(&headers).unwrap().to_string(), TRACE);
        assert_eq!(headers.get(X_TRACE_ID).unwrap(), TRACE);
    }

    #[test]
    fn only_what_waits_or_works_may_take_longer() {
        let second = Duration::from_secs(1);
        assert_eq!(time_limit(second, &Method::GET, paths::AGENT), second);
        assert_eq!(
            time_limit(second, &Method::POST, paths::MESSAGES),
            second + WAIT_MAX
        );
        assert_eq!(
            time_limit(second, &Method::POST, paths::PROGRAMS),
            second + WORK_MAX
        );
        assert_eq!(time_limit(second, &Method::GET, UNMATCHED), second);
    }

    #[test]
    fn a_panic_is_a_problem_and_its_text_stays_inside() {
        let payload: Box<dyn Any + Send> = Box::new("index out of bounds".to_owned());
        let failure = panicked(&*payload);
        assert_eq!(failure.code(), codes::INTERNAL);
        assert_eq!(failure.cause(), Some("panic: index out of bounds"));
    }
}
