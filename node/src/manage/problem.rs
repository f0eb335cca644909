//! The form of an error: problem details after RFC 9457, one for every answer that is no success.
//!
//! A handler returns a [`Failure`]. It becomes a body only in `observe`, which knows the trace id and
//! writes the inside story to the log; what is public is the code, the detail and the findings.

use std::error::Error;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use caxton_api::{
    codes::{self, Code},
    types::Problem,
};
use caxton_capabilities::TraceId;

/// `application/problem+json` (RFC 9457, section 3).
pub(super) const PROBLEM_JSON: &str = "application/problem+json";
/// Characters of a detail or a finding: it may quote what a client sent.
const TEXT_CHARS_MAX: usize = 1_000;
/// What a request is answered that comes when something is full: most queues drain faster.
pub(super) const RETRY_AFTER_S: u64 = 1;

/// A request was not carried out.
#[derive(Clone, Debug)]
pub(super) struct Failure(Box<Inside>);

#[derive(Clone, Debug)]
struct Inside {
    code: Code,
    detail: String,
    findings: Vec<String>,
    retry_after_s: Option<u64>,
    cause: Option<String>,
}

/// What a handler answers.
pub(super) type Answer<T> = Result<T, Failure>;

impl Failure {
    /// A failure with its public detail.
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self(Box::new(Inside {
            code,
            detail: detail.into(),
            findings: Vec::new(),
            retry_after_s: None,
            cause: None,
        }))
    }

    /// The request does not parse.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(codes::BAD_REQUEST, detail)
    }

    /// It parses, but a value is outside its bounds.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(codes::INVALID_VALUE, detail)
    }

    /// There is no such thing.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(codes::NOT_FOUND, detail)
    }

    /// Something that must hold did not. The chain goes to the log, not to the client.
    pub(super) fn internal(detail: &'static str, error: &(dyn Error + 'static)) -> Self {
        Self::new(codes::INTERNAL, detail).because(error)
    }

    /// Single findings beside the detail.
    pub(super) fn findings(mut self, findings: Vec<String>) -> Self {
        self.0.findings = findings;
        self
    }

    /// When trying again may help.
    pub(super) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// The inside story, for the log alone.
    pub(super) fn because(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut chain = error.to_string();
        let mut next = error.source();
        while let Some(source) = next {
            chain.push_str(": ");
            chain.push_str(&source.to_string());
            next = source.source();
        }
        self.0.cause = Some(chain);
        self
    }

    /// The code.
    pub(super) fn code(&self) -> Code {
        self.0.code
    }

    /// What the log is to say beside the code.
    pub(super) fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The body.
    fn problem(&self, trace: TraceId) -> Problem {
        let Inside {
            code,
            detail,
            findings,
            ..
        } = &*self.0;
        Problem {
            kind: format!("urn:caxton:error:{}", code.code),
            title: code.title.to_owned(),
            status: code.status,
            detail: clip(detail),
            code: code.code.to_owned(),
            remedy: code.remedy.to_owned(),
            trace_id: trace.to_string(),
            findings: findings.iter().map(|finding| clip(finding)).collect(),
        }
    }

    /// The whole answer, in place of `answer`, whose headers stay.
    pub(super) fn render(&self, answer: Response, trace: TraceId) -> Response {
        let body = serde_json::to_vec(&self.problem(trace)).unwrap_or_default();
        let (mut head, _) = answer.into_parts();
        head.status = status(self.0.code);
        let headers = &mut head.headers;
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if head.status == StatusCode::UNAUTHORIZED {
            // RFC 6750, section 3.
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"caxton\""),
            );
        }
        Response::from_parts(head, Body::from(body))
    }

    /// What an error that the HTTP library made is in our words.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found("there is no such path"),
            StatusCode::METHOD_NOT_ALLOWED => Self::new(
                codes::METHOD_NOT_ALLOWED,
                "this path does not take that method; see the Allow header",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(codes::TOO_LARGE, "the request is too large")
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(
                codes::UNSUPPORTED_MEDIA,
                "the content type is not one that this path takes",
            ),
            other if other.is_client_error() => {
                Self::bad_request("the request cannot be understood")
            }
            _ => Self::new(codes::INTERNAL, "the request could not be carried out"),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut answer = status(self.0.code).into_response();
        answer.extensions_mut().insert(self);
        answer
    }
}

fn status(code: Code) -> StatusCode {
    StatusCode::from_u16(code.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;

    async fn rendered(failure: Failure) -> (StatusCode, axum::http::HeaderMap, Problem) {
        let trace = TraceId::from_u128(7).unwrap();
        let answer = failure.clone().into_response();
        let answer = failure.render(answer, trace);
        let (head, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            head.status,
            head.headers,
            serde_json::from_slice(&bytes).unwrap(),
        )
    }

    #[tokio::test]
    async fn a_problem_says_code_remedy_and_trace_and_nothing_of_the_inside() {
        let inside = std::io::Error::other("/var/lib/caxton: disk on fire");
        let failure = Failure::internal("the store cannot be read", &inside);
        assert_eq!(failure.cause(), Some("/var/lib/caxton: disk on fire"));
        let (status, headers, problem) = rendered(failure).await;
        assert_eq!((status.as_u16(), problem.status), (500, 500));
        assert_eq!(headers.get(header::CONTENT_TYPE).unwrap(), PROBLEM_JSON);
        assert_eq!(problem.kind, "urn:caxton:error:CX0500");
        assert_eq!(problem.trace_id, "00000000000000000000000000000007");
        assert_eq!(problem.remedy, codes::INTERNAL.remedy);
        assert!(!format!("{problem:?}").contains("fire"), "{problem:?}");
    }

    #[tokio::test]
    async fn not_authenticated_says_how_and_busy_says_when() {
        let (status, headers, _) = rendered(Failure::new(codes::UNAUTHENTICATED, "who?")).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(
            headers.get(header::WWW_AUTHENTICATE).unwrap(),
            "Bearer realm=\"caxton\""
        );
        let (_, headers, _) = rendered(Failure::new(codes::BUSY, "full").retry_after(3)).await;
        assert_eq!(headers.get(header::RETRY_AFTER).unwrap(), "3");
    }

    #[tokio::test]
    async fn what_a_client_sent_is_quoted_only_in_part() {
        let (.., problem) = rendered(Failure::bad_request("ä".repeat(5_000))).await;
        assert_eq!(problem.detail.chars().count(), TEXT_CHARS_MAX + 1);
    }

    #[test]
    fn errors_of_the_library_have_a_code() {
        for (status, code) in [
            (404, "CX0404"),
            (405, "CX0405"),
            (413, "CX0416"),
            (415, "CX0415"),
            (431, "CX0400"),
            (502, "CX0500"),
        ] {
            let failure = Failure::of_status(StatusCode::from_u16(status).unwrap());
            assert_eq!(failure.code().code, code);
        }
    }
}
