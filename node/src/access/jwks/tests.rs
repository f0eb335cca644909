use std::collections::BTreeSet;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use caxton_jwt::{Algorithm, Issuer};
use caxton_pki::{
    Authority, CertificateRequest, ExportableKey as _, P384Key, SpiffeId, TrustDomain,
    loopback_hosts, pem,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::{access::jwt::NoLogin, config::JwtKeys};

const NOW_MS: u64 = 1_800_000_000_000;
const HOUR_MS: u64 = 3_600_000;

/// An issuer's own HTTPS server, which answers what it is told, once each.
struct Server {
    folder: tempfile::TempDir,
    url: JwksUrl,
    answers: mpsc::Sender<String>,
    _end: tokio_util::sync::DropGuard,
}

impl Server {
    async fn start() -> Self {
        let (folder, now) = (tempfile::tempdir().unwrap(), Environment::new().now());
        let domain: TrustDomain = "idp.example".parse().unwrap();
        let day = Duration::from_secs(86_400);
        let root = Authority::web_root(&domain, P384Key::generate().unwrap(), day, now).unwrap();
        let key = P384Key::generate().unwrap();
        let request = CertificateRequest::of_own(&key);
        let id = SpiffeId::node(domain, "idp").unwrap();
        let leaf = root.issue_node(&request, &id, &loopback_hosts(), day, now);
        let key = PrivatePkcs8KeyDer::from(key.to_pkcs8().unwrap().to_vec());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.unwrap()], PrivateKeyDer::Pkcs8(key))
            .unwrap();
        let ca = pem::encode_certificate(root.certificate());
        std::fs::write(folder.path().join("ca.pem"), ca).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/keys", listener.local_addr().unwrap());
        let (answers, told) = mpsc::channel(8);
        let end = tokio_util::sync::CancellationToken::new();
        let tasks = tokio_util::task::TaskTracker::new();
        let served = serve(listener, TlsAcceptor::from(Arc::new(tls)), told);
        tasks.spawn(end.clone().run_until_cancelled_owned(served));
        Self {
            folder,
            url: url.parse().unwrap(),
            answers,
            _end: end.drop_guard(),
        }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    async fn fetch(&self, answer: &str) -> Result<Bytes, FetchError> {
        self.answers.send(answer.to_owned()).await.unwrap();
        self.desk(&self.ca()).fetch().await
    }

    fn desk<'a>(&'a self, ca: &'a PathBuf) -> Desk<'a> {
        Desk {
            url: &self.url,
            ca,
            // Machines that build at the same time are slow.
            time_max: 12 * TIME_MAX,
        }
    }

    fn logins(&self) -> Logins {
        let audiences = BTreeSet::from(["caxton".to_owned()]);
        let algorithms = BTreeSet::from([Algorithm::EdDsa]);
        let issuer = Issuer::try_new("https://idp.example".into(), audiences, algorithms);
        let keys = JwtKeys::Url {
            url: self.url.clone(),
            ca: self.ca(),
            refresh: Duration::from_secs(600),
        };
        Logins::open(issuer.unwrap(), keys)
    }
}

/// Answers each connection with the next text, or with nothing where that is empty, and closes it.
async fn serve(listener: TcpListener, tls: TlsAcceptor, mut told: mpsc::Receiver<String>) {
    while let Some(answer) = told.recv().await {
        let (socket, _) = listener.accept().await.unwrap();
        // Who does not trust the server ends the handshake.
        let Ok(mut stream) = tls.accept(socket).await else {
            continue;
        };
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|n| n > 0) {
            head.extend(byte);
        }
        if answer.is_empty() {
            // Until the client gives up.
            let _gone = stream.read(&mut byte).await;
            continue;
        }
        assert!(head.starts_with(b"GET /keys HTTP/1.1\r\n"), "{head:?}");
        let _gone = stream.write_all(answer.as_bytes()).await;
        let _gone = stream.shutdown().await;
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn set(key: &Ed25519KeyPair, name: &str) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
    format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"{name}","x":"{x}"}}]}}"#)
}

fn token(key: &Ed25519KeyPair, name: &str, now_ms: u64) -> String {
    let (from, until) = (now_ms / 1_000 - 10, now_ms / 1_000 + 600);
    let claims = format!(
        r#"{{"iss":"https://idp.example","sub":"ann","aud":"caxton","iat":{from},"exp":{until}}}"#
    );
    let header = format!(r#"{{"alg":"EdDSA","kid":"{name}"}}"#);
    let [header, claims] = [&header, &claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let signed = format!("{header}.{claims}");
    let signature = key.sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

#[tokio::test]
async fn a_key_set_is_fetched_from_whom_the_authority_vouches_for_and_from_nobody_else() {
    let server = Server::start().await;
    let body = set(&key(1), "one");
    let fetched = server.fetch(&ok(&body)).await.unwrap();
    assert_eq!(&fetched[..], body.as_bytes());
    let other = Server::start().await;
    server.answers.send(ok(&body)).await.unwrap();
    let refused = server.desk(&other.ca()).fetch().await;
    assert!(
        matches!(refused, Err(FetchError::Network(_))),
        "{refused:?}"
    );
    let none = server.folder.path().join("none.pem");
    std::fs::write(&none, "").unwrap();
    let refused = server.desk(&none).fetch().await;
    assert!(matches!(refused, Err(FetchError::Ca { .. })), "{refused:?}");
}

#[tokio::test]
async fn what_is_too_long_elsewhere_or_cut_off_is_no_key_set() {
    let server = Server::start().await;
    let long = server.fetch(&ok(&" ".repeat(KEY_SET_BYTES_MAX + 1))).await;
    assert!(matches!(long, Err(FetchError::Body)), "{long:?}");
    let most = server.fetch(&ok(&" ".repeat(KEY_SET_BYTES_MAX))).await;
    assert_eq!(most.unwrap().len(), KEY_SET_BYTES_MAX);
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}";
    let cut = server.fetch(cut).await;
    assert!(matches!(cut, Err(FetchError::Body)), "{cut:?}");
    for status in ["301 Moved", "302 Found", "304 Not", "404 None", "204 None"] {
        let moved = format!(
            "HTTP/1.1 {status}\r\nlocation: https://127.0.0.1/\r\ncontent-length: 0\r\n\r\n"
        );
        let moved = server.fetch(&moved).await;
        assert!(matches!(moved, Err(FetchError::Status(_))), "{moved:?}");
    }
    let heads = format!(
        "HTTP/1.1 200 OK\r\nx: {}\r\n\r\n",
        "x".repeat(4 * HEAD_BYTES_MAX)
    );
    let heads = server.fetch(&heads).await;
    assert!(matches!(heads, Err(FetchError::Http(_))), "{heads:?}");
}

#[tokio::test]
async fn an_issuer_that_does_not_answer_is_not_waited_for() {
    let server = Server::start().await;
    server.answers.send(String::new()).await.unwrap();
    let ca = server.ca();
    let desk = Desk {
        time_max: Duration::from_millis(50),
        ..server.desk(&ca)
    };
    let fetched = desk.fetch().await;
    assert!(matches!(fetched, Err(FetchError::Slow)), "{fetched:?}");
}

#[tokio::test]
async fn keys_that_were_fetched_count_until_others_are_and_for_a_day_without() {
    let server = Server::start().await;
    let (old, new) = (key(1), key(2));
    let logins = server.logins();
    let by_old = token(&old, "one", NOW_MS);
    assert_eq!(logins.login(&by_old, NOW_MS), Err(NoLogin::NoKeys));
    assert!(logins.fetched(server.fetch(&ok(&set(&old, "one"))).await, NOW_MS));
    assert!(logins.login(&by_old, NOW_MS).is_ok());
    for broken in [
        ok("{\"keys\":"),
        ok(""),
        "HTTP/1.1 500 No\r\n\r\n".to_owned(),
    ] {
        assert!(!logins.fetched(server.fetch(&broken).await, NOW_MS + 1));
        assert!(logins.login(&by_old, NOW_MS).is_ok(), "{broken}");
    }
    // The issuer is away: a day and no longer.
    assert!(!logins.fetched(Err(FetchError::Slow), NOW_MS + 2));
    for (hours, counts) in [(24, true), (25, false)] {
        let now_ms = NOW_MS + hours * HOUR_MS;
        let login = logins.login(&token(&old, "one", now_ms), now_ms);
        assert_eq!(login != Err(NoLogin::OldKeys), counts, "{login:?}");
        assert_eq!(login.is_ok(), counts, "{login:?}");
    }
    assert!(logins.fetched(server.fetch(&ok(&set(&new, "two"))).await, NOW_MS));
    assert!(logins.login(&by_old, NOW_MS).is_err());
    assert!(logins.login(&token(&new, "two", NOW_MS), NOW_MS).is_ok());
}

#[tokio::test]
async fn a_token_with_an_unknown_key_has_the_set_fetched_and_one_that_is_only_wrong_does_not() {
    let server = Server::start().await;
    let logins = server.logins();
    logins.fetched(Ok(set(&key(1), "one").into()), NOW_MS);
    let is_wanted = async || timeout(Duration::ZERO, logins.wanted()).await.is_ok();
    assert!(logins.login(&token(&key(1), "one", NOW_MS), NOW_MS).is_ok());
    assert!(
        logins
            .login(&token(&key(2), "one", NOW_MS), NOW_MS)
            .is_err()
    );
    assert!(!is_wanted().await);
    for _ in 0..100 {
        assert!(
            logins
                .login(&token(&key(2), "two", NOW_MS), NOW_MS)
                .is_err()
        );
    }
    assert!(is_wanted().await);
    assert!(!is_wanted().await, "a flood asks once");
}
