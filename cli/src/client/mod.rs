//! The REST client: every command but `node start` and `config` speaks to a node through this and
//! nothing else, so whatever the command can do, any client can.

pub mod fault;
pub mod sse;
mod tls;

use std::time::Duration;

use caxton_api::types::{Page, Problem};
use reqwest::{Method, Response, StatusCode, Url, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{context::Target, error::CliError, exit::Exit, explain};

/// How long a node may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a node may take to answer where the command does not say. Compiling a large program
/// is the longest.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer that is read: a page of 1,000 things of 64 KiB each. More comes from no node.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Items asked for at once.
const PAGE_ITEMS: usize = 200;
/// `application/json`.
pub const JSON: &str = "application/json";
/// `application/wasm`.
pub const WASM: &str = "application/wasm";

/// A connection to a node.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    target: Target,
}

/// A body with its media type.
#[derive(Clone, Debug)]
pub struct Body {
    /// The media type.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(&'static str, String)>,
    body: Option<Body>,
    timeout: Option<Duration>,
}

impl Request {
    /// Asks for something.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Does something.
    #[must_use]
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            timeout: Some(ANSWER_TIMEOUT),
        }
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a query parameter where there is a value for it.
    #[must_use]
    pub fn query_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Adds a header where there is a value for it.
    #[must_use]
    pub fn header_if(mut self, name: &'static str, value: Option<String>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// Sends a shape of the API.
    ///
    /// # Errors
    /// It has no form in JSON, which no shape of the API lacks.
    pub fn json<T: Serialize>(self, value: &T) -> Result<Self, CliError> {
        let value = crate::render::document::value(value)?;
        Ok(self.body(JSON, value.to_string().into_bytes()))
    }

    /// Sends bytes.
    #[must_use]
    pub fn body(mut self, content_type: impl Into<String>, bytes: Vec<u8>) -> Self {
        self.body = Some(Body {
            content_type: content_type.into(),
            bytes,
        });
        self
    }

    /// Waits this long for the whole answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Waits for ever, as a stream does.
    #[must_use]
    pub fn endless(mut self) -> Self {
        self.timeout = None;
        self
    }
}

/// A list as a node answers it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed<T> {
    Page(Page<T>),
    All(Vec<T>),
}

impl Client {
    /// Prepares a connection; nothing is sent yet.
    ///
    /// # Errors
    /// The address or the certificates of the context cannot be used.
    pub fn new(target: Target) -> Result<Self, CliError> {
        let host = fault::host(&target.server)?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(&target.ca_pem, target.certificate.as_ref())?)
            .https_only(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("caxton/", env!("CARGO_PKG_VERSION")));
        if fault::is_loopback(&host) {
            // A proxy cannot reach this machine's own loopback.
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| {
            CliError::new(
                &explain::INTERNAL,
                Exit::Failed,
                "the client cannot be made",
            )
            .because(&error)
        })?;
        Ok(Self { http, target })
    }

    /// Where it connects to, and as whom.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends a request; the answer may be anything, but something answered.
    ///
    /// # Errors
    /// Nothing answered, in time or at all, or it is not trusted.
    pub async fn send(&self, request: Request) -> Result<Response, CliError> {
        let mut sent = self
            .http
            .request(request.method.clone(), self.url(&request)?);
        if let Some(timeout) = request.timeout {
            sent = sent.timeout(timeout);
        }
        if let Some(key) = &self.target.api_key {
            sent = sent.bearer_auth(key.expose());
        }
        for (name, value) in request.headers {
            sent = sent.header(name, value);
        }
        if let Some(body) = request.body {
            sent = sent
                .header(CONTENT_TYPE, body.content_type)
                .body(body.bytes);
        }
        sent.send()
            .await
            .map_err(|error| fault::of_transport(&error, &self.target))
    }

    fn url(&self, request: &Request) -> Result<Url, CliError> {
        let text = format!("{}{}", self.target.server, request.path);
        let mut url = Url::parse(&text).map_err(|error| {
            CliError::new(
                &explain::INPUT,
                Exit::Usage,
                format!("`{text}` is no address"),
            )
            .because(&error)
        })?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        Ok(url)
    }

    /// Sends a request whose answer must be a success.
    ///
    /// # Errors
    /// As [`Self::send`], or the node answered with a problem.
    pub async fn succeed(&self, request: Request) -> Result<Response, CliError> {
        let answer = self.send(request).await?;
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(self.problem(answer).await)
        }
    }

    /// Sends a request and reads the answer.
    ///
    /// # Errors
    /// As [`Self::succeed`], or the answer is not the shape it must be.
    pub async fn call<T: DeserializeOwned>(&self, request: Request) -> Result<T, CliError> {
        let bytes = self.bytes(self.succeed(request).await?).await?;
        parse(&bytes)
    }

    /// Sends a request whose answer may be empty.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn call_or_empty(&self, request: Request) -> Result<serde_json::Value, CliError> {
        let answer = self.succeed(request).await?;
        if answer.status() == StatusCode::NO_CONTENT {
            return Ok(serde_json::Value::Null);
        }
        let bytes = self.bytes(answer).await?;
        if bytes.is_empty() {
            Ok(serde_json::Value::Null)
        } else {
            parse(&bytes)
        }
    }

    /// Reads a list, page after page, up to `limit` items.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn list<T: DeserializeOwned>(
        &self,
        request: Request,
        limit: usize,
    ) -> Result<Vec<T>, CliError> {
        let mut items: Vec<T> = Vec::new();
        let mut cursor: Option<String> = None;
        while items.len() < limit {
            let page = request
                .clone()
                .query("limit", (limit - items.len()).min(PAGE_ITEMS))
                .query_if("cursor", cursor.as_deref());
            match self.call(page).await? {
                Listed::All(all) => {
                    items.extend(all);
                    break;
                }
                Listed::Page(Page { items: more, next }) => {
                    // A page without items that promises another would never end.
                    let ended = next.is_none() || more.is_empty() || next == cursor;
                    items.extend(more);
                    cursor = next;
                    if ended {
                        break;
                    }
                }
            }
        }
        items.truncate(limit);
        Ok(items)
    }

    /// Opens a stream of server-sent events.
    ///
    /// # Errors
    /// As [`Self::succeed`].
    pub async fn stream(&self, request: Request) -> Result<sse::Events, CliError> {
        let request = request
            .endless()
            .header_if("accept", Some("text/event-stream".into()));
        Ok(sse::Events::new(self.succeed(request).await?))
    }

    /// The whole body of an answer.
    ///
    /// # Errors
    /// The connection ended or time ran out before it was whole, or it is larger than 64 MiB.
    pub async fn bytes(&self, mut answer: Response) -> Result<Vec<u8>, CliError> {
        let mut body = Vec::new();
        loop {
            let chunk = answer.chunk().await;
            let chunk = chunk.map_err(|error| fault::of_transport(&error, &self.target))?;
            let Some(chunk) = chunk else { return Ok(body) };
            append(&mut body, &chunk)?;
        }
    }

    async fn problem(&self, answer: Response) -> CliError {
        let status = answer.status();
        let body = match self.bytes(answer).await {
            Ok(body) => body,
            Err(error) => return error,
        };
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => CliError::from(problem),
            Err(_not_a_problem) => fault::not_ours(status, &body),
        }
    }
}

fn append(body: &mut Vec<u8>, chunk: &[u8]) -> Result<(), CliError> {
    if body.len() + chunk.len() > BODY_BYTES_MAX {
        let what = "the answer is larger than 64 MiB";
        return Err(CliError::new(&explain::BAD_ANSWER, Exit::Failed, what));
    }
    body.extend_from_slice(chunk);
    Ok(())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CliError> {
    serde_json::from_slice(bytes).map_err(|error| {
        CliError::new(
            &explain::BAD_ANSWER,
            Exit::Failed,
            "the answer cannot be understood",
        )
        .because(&error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_end_is_refused() {
        let mut body = vec![0; BODY_BYTES_MAX - 1];
        append(&mut body, b"x").unwrap();
        let error = append(&mut body, b"x").unwrap_err();
        assert!(error.what.contains("64 MiB"), "{error}");
        assert_eq!(body.len(), BODY_BYTES_MAX);
    }
}
