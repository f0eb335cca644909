//! The key set of an issuer of JSON Web Tokens, fetched over HTTPS from the one address that is configured: one request on a
//! connection of its own, HTTP/1.1, bounded in bytes and time, without redirects and without a proxy. No token has a say in
//! where it is fetched from.
//!
//! It is fetched by a task of its own, so that no request waits for it: every `auth.jwt.jwks_refresh`, and when a token names
//! a key that is not there, but never twice within 30 seconds.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use axum::http::{Request, StatusCode, header};
use bytes::Bytes;
use caxton_actors::ports::unix_ms;
use caxton_jwt::KEY_SET_BYTES_MAX;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use super::jwt::Logins;
use crate::{
    config::JwksUrl,
    environment::Environment,
    trusting::{TrustingError, trusting},
};

/// How long a fetch may take.
const TIME_MAX: Duration = Duration::from_secs(5);
/// The pause between two fetches at least, and after one that failed.
const APART: Duration = Duration::from_secs(30);
/// The head of an answer.
const HEAD_BYTES_MAX: usize = 32 << 10;
const HEADERS_MAX: usize = 64;

/// The key set was not got. What was got before counts until it is too old.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("`{path}`: {why}")]
    Ca { path: PathBuf, why: TrustingError },
    #[error("the host has no name that a certificate could have: {0}")]
    Host(#[from] InvalidDnsNameError),
    #[error("the host cannot be reached or is not trusted: {0}")]
    Network(#[from] io::Error),
    #[error("the exchange broke off: {0}")]
    Http(#[from] hyper::Error),
    #[error("the request cannot be written: {0}")]
    Request(#[from] axum::http::Error),
    #[error("the answer is {0}, not 200")]
    Status(StatusCode),
    #[error("the answer broke off, or has more than {KEY_SET_BYTES_MAX} bytes")]
    Body,
    #[error("it took too long")]
    Slow,
}

/// Where a key set is fetched from, and whom it is believed of.
#[derive(Debug)]
struct Desk<'a> {
    url: &'a JwksUrl,
    /// PEM file of the authorities that may vouch for the host. Read with each fetch, so that it may be replaced.
    ca: &'a PathBuf,
    time_max: Duration,
}

impl Desk<'_> {
    async fn fetch(&self) -> Result<Bytes, FetchError> {
        let fetched = timeout(self.time_max, self.exchange()).await;
        fetched.unwrap_or(Err(FetchError::Slow))
    }

    async fn exchange(&self) -> Result<Bytes, FetchError> {
        let tls = trusting(self.ca).map_err(|why| FetchError::Ca {
            path: self.ca.clone(),
            why,
        })?;
        let name = ServerName::try_from(self.url.host.clone())?;
        let socket = TcpStream::connect((self.url.host.as_str(), self.url.port)).await?;
        let stream = tls.connect(name, socket).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(HEAD_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        let request = Request::get(&self.url.path)
            .header(header::HOST, self.url.authority())
            .header(header::ACCEPT, "application/json")
            .body(Empty::<Bytes>::new())?;
        let asked = async {
            let answer = sender.send_request(request).await?;
            // SECURITY: a redirect is no answer: whoever could send one would choose whose keys count.
            if answer.status() != StatusCode::OK {
                return Err(FetchError::Status(answer.status()));
            }
            let body = Limited::new(answer.into_body(), KEY_SET_BYTES_MAX).collect();
            let body = body.await.map_err(|_broken_or_too_long| FetchError::Body)?;
            Ok(body.to_bytes())
        };
        tokio::select! {
            fetched = asked => fetched,
            // It carries the exchange, and may end before the last of the answer was read.
            never = async { let _ended = connection.await; std::future::pending().await } => never,
        }
    }
}

/// Fetches the key set again and again; returns at once where it lies in a file.
///
/// # Cancel safety
/// May be dropped at any time.
pub(crate) async fn follow(logins: Arc<Logins>, environment: Arc<Environment>) {
    let Some((url, ca, refresh)) = logins.address() else {
        return;
    };
    let desk = Desk {
        url,
        ca,
        time_max: TIME_MAX,
    };
    loop {
        let fetched = desk.fetch().await;
        let is_had = logins.fetched(fetched, unix_ms(environment.now()));
        sleep(APART).await;
        if is_had {
            // Somebody who waits since is heard now.
            let _early = timeout(refresh.saturating_sub(APART), logins.wanted()).await;
        }
    }
}

#[cfg(test)]
mod tests;
