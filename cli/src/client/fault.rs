//! Why nothing useful came back: nobody there, not trusted, too late, or not a node.

use std::{error::Error, io, net::IpAddr};

use reqwest::{StatusCode, Url};

use crate::{context::Target, error::CliError, exit::Exit, explain};

/// The host of `https://host:port`.
///
/// # Errors
/// The address is not of that form.
pub fn host(server: &str) -> Result<String, CliError> {
    let wrong = || {
        let what = format!("`{server}` is no address of a node");
        CliError::new(&explain::INPUT, Exit::Usage, what).fix("write https://HOST:PORT")
    };
    let url = Url::parse(server).map_err(|error| wrong().because(&error))?;
    let bare = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    match url.host_str() {
        Some(host) if url.scheme() == "https" && bare => Ok(host.to_owned()),
        _ => Err(wrong()),
    }
}

/// Whether a host is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// What a failed connection or transfer means.
#[must_use]
pub fn of_transport(error: &reqwest::Error, target: &Target) -> CliError {
    let server = &target.server;
    if let Some(tls) = find_tls(error) {
        return not_trusted(server, &tls);
    }
    if error.is_timeout() && !error.is_connect() {
        let what = format!("{server} did not answer in time");
        return CliError::new(&explain::NO_ANSWER, Exit::TimedOut, what);
    }
    let what = format!("no node answers at {server}");
    let unreachable = CliError::new(&explain::NO_NODE, Exit::Unreachable, what);
    let unreachable = match root_cause(error) {
        Some(cause) => unreachable.why(cause),
        None => unreachable,
    };
    match &target.context {
        Some(name) => unreachable.why(format!("the address is that of context `{name}`")),
        None => unreachable,
    }
}

fn not_trusted(server: &str, tls: &rustls::Error) -> CliError {
    use rustls::{CertificateError, Error as Tls};
    let why = match tls {
        Tls::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => "its certificate was not issued by the authority in the context",
        Tls::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => "its certificate has expired",
        Tls::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "its certificate is for another name or address",
        _ => "TLS failed",
    };
    let what = format!("{server} is not trusted");
    CliError::new(&explain::NOT_TRUSTED, Exit::Unreachable, what)
        .why(why)
        .why(tls.to_string())
}

/// The TLS error inside, wherever it is wrapped. An `io::Error` shows what it wraps only through
/// `get_ref`, not as its source.
fn find_tls(error: &(dyn Error + 'static)) -> Option<rustls::Error> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls.clone());
        }
        let inner = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        if let Some(tls) = inner.and_then(|inner| find_tls(inner)) {
            return Some(tls);
        }
        next = error.source();
    }
    None
}

fn root_cause(error: &dyn Error) -> Option<String> {
    let mut last = None;
    let mut next = error.source();
    while let Some(error) = next {
        last = Some(error.to_string());
        next = error.source();
    }
    last
}

/// What an answer that is neither success nor problem means.
#[must_use]
pub fn not_ours(status: StatusCode, body: &[u8]) -> CliError {
    let text = String::from_utf8_lossy(body);
    let exit = Exit::of_problem("", status.as_u16());
    let mut error = CliError::new(
        &explain::BAD_ANSWER,
        exit,
        format!("the answer is {status}, without a reason"),
    );
    error.status = Some(status.as_u16());
    match text.lines().find(|line| !line.trim().is_empty()) {
        Some(line) => error.why(line.chars().take(200).collect::<String>()),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_and_nothing_else() {
        assert_eq!(host("https://127.0.0.1:8443"), Ok("127.0.0.1".into()));
        assert_eq!(host("https://[::1]:8443"), Ok("[::1]".into()));
        for wrong in [
            "http://a:1",
            "a:1",
            "https://a/x",
            "https://u:p@a",
            "",
            "https://",
        ] {
            assert_eq!(host(wrong).unwrap_err().exit, Exit::Usage, "{wrong}");
        }
        assert!(is_loopback("127.0.0.1") && is_loopback("[::1]") && is_loopback("localhost"));
        assert!(!is_loopback("10.0.0.1") && !is_loopback("example.org"));
    }

    #[test]
    fn a_tls_error_is_found_however_deep_it_is_wrapped() {
        let tls = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let wrapped = io::Error::other(io::Error::other(tls.clone()));
        assert_eq!(find_tls(&wrapped), Some(tls.clone()));
        assert_eq!(
            find_tls(&io::Error::from(io::ErrorKind::ConnectionRefused)),
            None
        );
        let error = not_trusted("https://a:1", &tls);
        assert_eq!((error.exit.code(), error.code.as_str()), (6, "CX1007"));
        assert!(error.why[0].contains("not issued by the authority"));
    }

    #[test]
    fn an_answer_without_a_problem_still_has_an_exit_code() {
        let error = not_ours(StatusCode::NOT_FOUND, b"\n<html>nothing</html>\n");
        assert_eq!((error.exit, error.status), (Exit::NotFound, Some(404)));
        assert_eq!(error.why, ["<html>nothing</html>"]);
        assert_eq!(not_ours(StatusCode::BAD_GATEWAY, b"").exit, Exit::Failed);
    }
}
