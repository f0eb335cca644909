//! Bytes of peers: frames, join tokens, gossip, and what TLS is begun with.

use std::{
    sync::{Arc, LazyLock},
    time::{Duration, SystemTime},
};

use bytes::BytesMut;
use caxton_pki::{
    CertificateRequest, DevelopmentAuthority, MlDsa87Key, SpiffeId, TrustDomain, loopback_hosts,
};
use futures_util::FutureExt as _;
use rustls::{NamedGroup, quic};
use serde::{Serialize, de::DeserializeOwned};
use tokio::io::BufReader;

use crate::{
    Credentials, Trust,
    join::{JoinAnswer, JoinToken, Knock},
    lane::{
        MESSAGE_BYTES_MAX, OPEN_BYTES_MAX,
        frame::{Open, Word, put_end, put_message, read_message},
    },
    membership::gossip as carrier,
    transport::{
        frame::{
            GOSSIP_BYTES_MAX, HELLO_BYTES_MAX, Hello, HelloReply, REPLY_BYTES_MAX,
            REQUEST_BYTES_MAX, Reply, Request, decode, encode, framed, length,
        },
        hybrid,
        tls::{self, ALPN_JOIN, ALPN_MESH, Expected, Own, Verdict},
    },
};

/// The contents of a frame as it comes off the wire; none when it is longer than it may be.
fn contents(bytes: &[u8], max: usize) -> Option<&[u8]> {
    let (head, rest) = bytes.split_first_chunk()?;
    let length = length(*head, max).ok()?;
    assert!(length <= max);
    rest.get(..length)
}

/// What was read is written as what would be read.
fn comes_back<T: Serialize + DeserializeOwned>(bytes: &[u8], max: usize) -> bool {
    let Some(Ok(value)) = contents(bytes, max).map(decode::<T>) else {
        return false;
    };
    let again = encode(&value);
    let twice = decode::<T>(&again).map(|value| encode(&value));
    assert_eq!(twice.as_ref(), Ok(&again));
    let longer = [again.as_slice(), b"\0"].concat();
    assert!(decode::<T>(&longer).is_err(), "trailing bytes");
    assert_eq!(contents(&framed(&again), max), Some(again.as_slice()));
    true
}

/// A greeting and its answer.
pub(crate) fn hello(bytes: &[u8]) -> bool {
    let greeting = comes_back::<Hello>(bytes, HELLO_BYTES_MAX);
    comes_back::<HelloReply>(bytes, HELLO_BYTES_MAX) || greeting
}

/// A request and its answer.
pub(crate) fn request(bytes: &[u8]) -> bool {
    let request = comes_back::<Request>(bytes, REQUEST_BYTES_MAX);
    comes_back::<Reply>(bytes, REPLY_BYTES_MAX) || request
}

/// A knock, its answer, and what the CA says.
pub(crate) fn join(bytes: &[u8]) -> bool {
    let knock = comes_back::<Knock>(bytes, REQUEST_BYTES_MAX);
    let state = comes_back::<Option<Vec<u8>>>(bytes, REPLY_BYTES_MAX);
    comes_back::<JoinAnswer>(bytes, REPLY_BYTES_MAX) || knock || state
}

/// What opens a lane, what is answered on it, and its messages to their end.
pub(crate) fn lane(bytes: &[u8]) -> bool {
    let open = comes_back::<Open>(bytes, OPEN_BYTES_MAX);
    let word = comes_back::<Word>(bytes, HELLO_BYTES_MAX);
    messages(bytes) || open || word
}

fn messages(bytes: &[u8]) -> bool {
    let (mut stream, mut again) = (BufReader::new(bytes), BytesMut::new());
    while let Some(Ok(message)) = read_message(&mut stream).now_or_never() {
        let Some((number, contents)) = message else {
            put_end(&mut again);
            assert!(bytes.starts_with(&again), "written as it was read");
            return true;
        };
        assert!(contents.len() <= MESSAGE_BYTES_MAX);
        put_message(&mut again, number, &contents);
    }
    false
}

/// A token comes back from its line; an error quotes nothing.
pub(crate) fn join_token(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    match text.parse::<JoinToken>() {
        Ok(token) => {
            assert_eq!(*token.expose(), text.trim());
            let shown = format!("{token:?}");
            assert!(shown.len() < 100 && shown.contains(token.id()));
            true
        }
        Err(error) => {
            assert!(error.to_string().len() < 200);
            false
        }
    }
}

/// What chitchat is given is bounded, and it takes it or says no.
pub(crate) fn gossip(bytes: &[u8]) -> bool {
    if bytes.len() > GOSSIP_BYTES_MAX {
        return false; // The stream ends before.
    }
    let taken = carrier::read(bytes).is_ok();
    if taken {
        let longer = [bytes, b"\0"].concat();
        assert!(carrier::read(&longer).is_err(), "trailing bytes");
    }
    taken
}

/// Whoever's share is taken, has the length of the group; ours and theirs make one secret.
pub(crate) fn key_share(bytes: &[u8]) -> bool {
    let started = hybrid::GROUP.start().expect("a share of our own");
    let right = bytes.len() == started.pub_key().len();
    let as_answer = started
        .complete(bytes)
        .map(|secret| secret.secret_bytes().len());
    assert!(right || as_answer.is_err());
    let Ok(completed) = hybrid::GROUP.start_and_complete(bytes) else {
        return false;
    };
    assert!(right && completed.group == hybrid::GROUP.name());
    assert_eq!(completed.secret.secret_bytes().len(), 48 + 32);
    assert_eq!(completed.pub_key.len(), bytes.len());
    true
}

/// Both ends, of one authority.
struct Ends {
    own: Arc<Own>,
    trust: Arc<Trust>,
}

static ENDS: LazyLock<Ends> = LazyLock::new(|| {
    let (day, now) = (Duration::from_secs(86_400), SystemTime::UNIX_EPOCH);
    let now = now + 20_000 * day;
    let domain: TrustDomain = "fuzz.example".parse().expect("a trust domain");
    let authority =
        DevelopmentAuthority::generate(&domain, 100 * day, now).expect("a new authority");
    let key = MlDsa87Key::generate().expect("a new key");
    let id = SpiffeId::node(domain, "n1").expect("a name");
    let request = CertificateRequest::of_own(&key);
    let chain = authority
        .issue_mesh_node(&request, &id, &loopback_hosts(), day, now)
        .expect("a chain");
    let root = authority.mesh_root().certificate().clone();
    Ends {
        own: Arc::new(Own::new(Credentials::new(chain, &key).expect("its key"))),
        trust: Arc::new(Trust::new(vec![root])),
    }
});

/// What quinn would write of its own settings.
const PARAMETERS: &[u8] = &[];

fn is_of_the_profile(group: Option<NamedGroup>) -> bool {
    group.is_none_or(|group| group == hybrid::GROUP.name() || group == NamedGroup::X25519MLKEM768)
}

fn drained(mut write: impl FnMut(&mut Vec<u8>) -> Option<quic::KeyChange>) -> usize {
    let mut written = Vec::new();
    // Initial, handshake, application: what a flight can change keys to.
    for _ in 0..4 {
        let _keys = write(&mut written);
    }
    written.len()
}

/// A first flight that is answered leads to our key exchange and one of our protocols.
pub(crate) fn client_hello(bytes: &[u8]) -> bool {
    let config = tls::server(&ENDS.own, &ENDS.trust, Verdict::default());
    let version = quic::Version::V1;
    let parameters = PARAMETERS.to_vec();
    let mut server = quic::ServerConnection::new(Arc::new(config), version, parameters)
        .expect("a server for QUIC");
    let Ok(()) = server.read_hs(bytes) else {
        return false;
    };
    let said = drained(|out| server.write_hs(out));
    assert!(said < 64 * 1024, "{said} bytes");
    if said == 0 {
        return false; // It waits for the rest.
    }
    let group = server.negotiated_key_exchange_group();
    assert!(
        is_of_the_profile(group.map(|group| group.name())),
        "{group:?}"
    );
    let protocol = server.alpn_protocol();
    assert!(
        protocol.is_none_or(|protocol| protocol == ALPN_MESH || protocol == ALPN_JOIN),
        "{protocol:?}"
    );
    true
}

/// An answer that is taken asks for nothing outside the profile. No certificate is believed before it was
/// looked at: the bytes end before that.
pub(crate) fn server_hello(bytes: &[u8]) -> bool {
    let (expected, verdict) = (Expected::AnyMember, Verdict::default());
    let config = tls::client(Some(&ENDS.own), &ENDS.trust, expected, verdict);
    let version = quic::Version::V1;
    let name = tls::SERVER_NAME.try_into().expect("a name");
    let parameters = PARAMETERS.to_vec();
    let mut client = quic::ClientConnection::new(Arc::new(config), version, name, parameters)
        .expect("a client for QUIC");
    let asked = drained(|out| client.write_hs(out));
    assert!(
        asked > 1_700,
        "the share of the hybrid alone has 1,665 bytes"
    );
    let Ok(()) = client.read_hs(bytes) else {
        return false;
    };
    assert!(client.is_handshaking(), "nobody has shown a certificate");
    let group = client.negotiated_key_exchange_group();
    assert!(
        is_of_the_profile(group.map(|group| group.name())),
        "{group:?}"
    );
    drained(|out| client.write_hs(out)) > 0
}
