//! A receiver that breaks off, one that ends too early, and one that is another's.

use std::{net::SocketAddr, path::Path, time::SystemTime};

use caxton_audit::{AuditKey, Event, EventType, KeyKind, Log, Timestamp};
use caxton_pki::{
    CertificateRequest, DevelopmentAuthority, ExportableKey as _, P384Key, SpiffeId, TrustDomain,
    loopback_hosts,
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

use super::{syslog::Receiver, *};

mod file;

const DAY: Duration = Duration::from_secs(86_400);

/// What the receiver does with a connection.
#[derive(Clone, Copy, Debug)]
enum Mood {
    /// Reads to the end and says so.
    Takes,
    /// Breaks the connection off after this many bytes, without a word.
    BreaksOff(usize),
    /// Says that it ends after this many bytes, as one that is stopped does.
    EndsAfter(usize),
}

fn server(authority: &DevelopmentAuthority) -> TlsAcceptor {
    let key = P384Key::generate().unwrap();
    let id = SpiffeId::node(domain(), "collector").unwrap();
    let request = CertificateRequest::of_own(&key);
    let now = SystemTime::from(jiff::Timestamp::now());
    let chain = authority
        .issue_web_node(&request, &id, &loopback_hosts(), DAY, now)
        .unwrap();
    let key = PrivatePkcs8KeyDer::from(key.to_pkcs8().unwrap().to_vec());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(key))
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

/// A receiver in these moods, one a connection; from then on it takes everything. What it read to the end is sent on.
async fn receiver(
    authority: &DevelopmentAuthority,
    moods: Vec<Mood>,
) -> (SocketAddr, mpsc::Receiver<Vec<u8>>) {
    let acceptor = server(authority);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (taken, is_taken) = mpsc::channel(64);
    let mut moods = moods.into_iter();
    let serving = async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(socket).await else {
                continue;
            };
            let mood = moods.next().unwrap_or(Mood::Takes);
            let mut bytes = Vec::new();
            if let Mood::BreaksOff(most) | Mood::EndsAfter(most) = mood {
                bytes.resize(most, 0);
                let _short = stream.read_exact(&mut bytes).await;
            } else if stream.read_to_end(&mut bytes).await.is_ok() {
                // Told before it is answered, so that who has the answer finds it here.
                taken.send(bytes).await.unwrap();
            }
            if !matches!(mood, Mood::BreaksOff(_)) {
                let _gone = stream.shutdown().await;
            }
        }
    };
    tokio_util::task::TaskTracker::new().spawn(serving);
    (address, is_taken)
}

fn domain() -> TrustDomain {
    "collector.example".parse().unwrap()
}

fn authority(ca: &Path) -> DevelopmentAuthority {
    let now = SystemTime::from(jiff::Timestamp::now());
    let made = DevelopmentAuthority::generate(&domain(), 9 * DAY, now).unwrap();
    fs::write(ca, made.to_pem().unwrap().web_root_certificate).unwrap();
    made
}

fn origin() -> Origin {
    "acme.example/node/node-1/audit".parse().unwrap()
}

fn log(folder: &Path) -> Log {
    let key = AuditKey::from_seed(origin().as_str(), KeyKind::Log, &[7; 32]).unwrap();
    Log::open(folder, &origin(), key).unwrap().0
}

fn fill(log: &mut Log, count: usize) {
    let kind = EventType::AgentDeployed;
    let event = Event::new(Timestamp::from_millis(0), kind, "ada", "deploy", "acme/a");
    for _ in 0..count.div_ceil(500) {
        log.append(&vec![event.clone(); 500]).unwrap();
    }
}

fn exporter(data: &Path, log: &Log, address: SocketAddr) -> Exporter {
    let checkpoint = watch::Sender::new(Arc::new(log.checkpoint().clone()));
    let receiver = Receiver::new(&address.to_string(), &data.join("ca.pem")).unwrap();
    Exporter {
        folder: log.folder().to_owned(),
        position: data.join(POSITION),
        origin: origin(),
        form: Form::Line,
        target: Arc::new(Target::Syslog(receiver)),
        checkpoint: checkpoint.subscribe(),
    }
}

/// The sequences of the frames of a session.
fn sequences(mut bytes: &[u8]) -> Vec<u64> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').unwrap();
        let length = std::str::from_utf8(&bytes[..space]).unwrap();
        let end = space + 1 + length.parse::<usize>().unwrap();
        let frame = std::str::from_utf8(&bytes[space + 1..end]).unwrap();
        let (_, rest) = frame.split_once("sequence=\"").unwrap();
        found.push(rest.split_once('"').unwrap().0.parse().unwrap());
        bytes = &bytes[end..];
    }
    found
}

/// One session after the other, each from the position on disk, as after a restart; how many failed until all was taken.
async fn hand_on_all(data: &Path, log: &Log, address: SocketAddr) -> usize {
    let mut failed = 0;
    while exporter(data, log, address).kept() < log.size() {
        let exporter = exporter(data, log, address);
        if exporter.session(exporter.kept(), log.size()).await.is_err() {
            failed += 1;
        }
        assert!(failed < 10, "no progress");
    }
    failed
}

async fn check(moods: Vec<Mood>) {
    let data = tempfile::tempdir().unwrap();
    let mut log = log(&data.path().join("audit"));
    fill(&mut log, 2_500);
    let breaks = moods.iter().filter(|mood| !matches!(mood, Mood::Takes));
    let breaks = breaks.count();
    let authority = authority(&data.path().join("ca.pem"));
    let (address, mut taken) = receiver(&authority, moods).await;
    assert_eq!(hand_on_all(data.path(), &log, address).await, breaks);
    let mut found = Vec::new();
    while let Ok(bytes) = taken.try_recv() {
        found.extend(sequences(&bytes));
    }
    let all: Vec<u64> = (0..log.size()).collect();
    assert_eq!(
        found, all,
        "each once: nothing of a broken session was taken"
    );
}

#[tokio::test]
async fn a_receiver_that_breaks_off_in_the_middle_gets_every_line_once_it_is_back() {
    let breaks = [Mood::BreaksOff(10_000), Mood::BreaksOff(0)];
    check([&[Mood::Takes][..], &breaks].concat()).await;
}

#[tokio::test]
async fn a_receiver_that_ends_before_the_end_has_taken_nothing() {
    let ends = [Mood::EndsAfter(10_000), Mood::Takes, Mood::EndsAfter(0)];
    check(ends.to_vec()).await;
}

#[tokio::test]
async fn a_receiver_of_another_ca_is_told_nothing() {
    let data = tempfile::tempdir().unwrap();
    let mut log = log(&data.path().join("audit"));
    fill(&mut log, 500);
    let _trusted = authority(&data.path().join("ca.pem"));
    let other = authority(&data.path().join("other.pem"));
    let (address, mut taken) = receiver(&other, Vec::new()).await;
    let exporter = exporter(data.path(), &log, address);
    let refused = exporter.session(0, log.size()).await;
    assert!(
        matches!(refused, Err(SessionError::Network(_))),
        "{refused:?}"
    );
    assert!(taken.try_recv().is_err() && exporter.kept() == 0);
}

#[tokio::test]
async fn a_position_that_cannot_be_right_is_the_beginning() {
    let data = tempfile::tempdir().unwrap();
    let mut log = log(&data.path().join("audit"));
    fill(&mut log, 500);
    let _trusted = authority(&data.path().join("ca.pem"));
    let address = "127.0.0.1:9".parse().unwrap();
    let cases = [
        ("500\n", 500),
        ("499", 499),
        ("501\n", 0),
        ("-1", 0),
        ("", 0),
    ];
    for (text, expected) in cases {
        fs::write(data.path().join(POSITION), text).unwrap();
        let kept = exporter(data.path(), &log, address).kept();
        assert_eq!(kept, expected, "{text:?}");
    }
}
