//! Becoming a member: a token, a key made here, a certificate from the cluster.
//!
//! Whoever joins knows two things from the token: the SHA-256 of the cluster's root certificate and a
//! secret. It first has the other end show a chain under that very root, and only then asks. The secret never
//! travels: it makes the key of a proof (HMAC, RFC 2104) over what is asked for. So neither an impostor nor the member
//! that is asked learns anything by which somebody else could join.

use std::{fmt, net::SocketAddr, str::FromStr, sync::Arc, time::Duration};

use aws_lc_rs::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use futures_util::future::BoxFuture;
use quinn::{Connection, Endpoint, VarInt};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::{
    transport::{
        dial::connect,
        frame::{REPLY_BYTES_MAX, REQUEST_BYTES_MAX},
        io::{read, write},
        refusal::{Refusal, shown},
        tls::{self, Expected, Verdict},
    },
    trust::Trust,
    watch::Watch,
};

/// What a join token begins with.
const PREFIX: &str = "cxj1";
/// Bytes of a token's secret: as hard to guess as a key.
const SECRET_BYTES: usize = 32;
/// What stands before all that is proven.
const PROOF_DOMAIN: &[u8] = b"caxton join 1\0";
/// Digits of a token's id.
const ID_DIGITS: usize = 16;
/// A token has 109 characters; a longer text is not looked at.
const TOKEN_CHARS_MAX: usize = 256;
/// From the first packet to the answer: two round trips, a few signatures and one flush.
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);
/// The same for asking what the CA says.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(3);
/// Redirections that are followed: from a member to one with the ca role.
const ELSEWHERE_MAX: usize = 8;

/// A join token, `cxj1.<root>.<id>.<secret>`: the SHA-256 of the cluster's root certificate, the token's id
/// and its secret, the first and last in base64url. `Debug` shows no secret, and there is no `Display`.
#[derive(Clone)]
pub struct JoinToken {
    root: [u8; 32],
    id: String,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
}

/// In a time that tells nothing of the secret.
impl PartialEq for JoinToken {
    fn eq(&self, other: &Self) -> bool {
        let same = self.secret.ct_eq(&*other.secret);
        (&self.root, &self.id) == (&other.root, &other.id) && bool::from(same)
    }
}

impl Eq for JoinToken {}

/// A text is no join token. Nothing of it is repeated, since it may be half a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no join token: one begins with `cxj1.` and has four parts; `caxton token create --join` prints one"
)]
pub struct ParseJoinTokenError;

impl JoinToken {
    /// A new token for the cluster whose root certificate has this SHA-256.
    ///
    /// # Panics
    /// When the system's generator fails, which it does not once it is seeded.
    #[must_use]
    pub fn generate(root: [u8; 32]) -> Self {
        let random = SystemRandom::new();
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        let mut id = [0; ID_DIGITS / 2];
        random
            .fill(secret.as_mut())
            .and_then(|()| random.fill(&mut id))
            .expect("the system's generator does not fail once it is seeded");
        Self {
            root,
            id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            secret,
        }
    }

    /// SHA-256 of the root certificate of the cluster that it is for.
    #[must_use]
    pub fn root(&self) -> &[u8; 32] {
        &self.root
    }

    /// Its name, which is no secret.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// SHA-256 of its secret, by which the CA checks proofs. Who has it can join as who has the secret.
    #[must_use]
    pub fn key(&self) -> [u8; 32] {
        Sha256::digest(*self.secret).into()
    }

    /// The token as one line.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let (root, secret) = (
            BASE64.encode(self.root),
            Zeroizing::new(BASE64.encode(*self.secret)),
        );
        Zeroizing::new(format!("{PREFIX}.{root}.{}.{}", self.id, *secret))
    }
}

impl FromStr for JoinToken {
    type Err = ParseJoinTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() > TOKEN_CHARS_MAX {
            return Err(ParseJoinTokenError);
        }
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(ParseJoinTokenError);
        let (prefix, root, id, secret) = (next()?, next()?, next()?, next()?);
        let plain = |id: &str| {
            id.len() == ID_DIGITS
                && id
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if prefix != PREFIX || parts.next().is_some() || !plain(id) {
            return Err(ParseJoinTokenError);
        }
        Ok(Self {
            root: *bytes(root)?,
            id: id.to_owned(),
            secret: bytes(secret)?,
        })
    }
}

fn bytes(text: &str) -> Result<Zeroizing<[u8; 32]>, ParseJoinTokenError> {
    let decoded = BASE64
        .decode(text)
        .map(Zeroizing::new)
        .map_err(|_not_base64| ParseJoinTokenError)?;
    let array = decoded
        .as_slice()
        .try_into()
        .map_err(|_length| ParseJoinTokenError)?;
    Ok(Zeroizing::new(array))
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// What a new node asks.
#[derive(Clone, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The token's id.
    pub token: String,
    /// That who asks has the token's secret: HMAC-SHA-256 over the rest.
    pub proof: [u8; 32],
    /// The name that it would have.
    pub name: String,
    /// PKCS#10 for its ML-DSA-87 key.
    pub mesh_request: Vec<u8>,
    /// PKCS#10 for its P-384 key.
    pub web_request: Vec<u8>,
}

impl JoinRequest {
    /// A request that a token proves.
    #[must_use]
    pub fn new(token: &JoinToken, name: &str, mesh_request: Vec<u8>, web_request: Vec<u8>) -> Self {
        let mut request = Self {
            token: token.id().to_owned(),
            proof: [0; 32],
            name: name.to_owned(),
            mesh_request,
            web_request,
        };
        let tag = hmac::sign(&proof_key(&token.key()), &request.proven());
        for (to, from) in request.proof.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        request
    }

    /// Whether who asks has the secret with this SHA-256. Takes as long whether it has or not.
    #[must_use]
    pub fn is_proven_by(&self, key: &[u8; 32]) -> bool {
        hmac::verify(&proof_key(key), &self.proven(), &self.proof).is_ok()
    }

    /// What is proven: each part with its length, so that no two requests have the same bytes.
    fn proven(&self) -> Vec<u8> {
        let parts = [
            self.token.as_bytes(),
            self.name.as_bytes(),
            &self.mesh_request,
            &self.web_request,
        ];
        let mut bytes = PROOF_DOMAIN.to_vec();
        for part in parts {
            bytes.extend(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

fn proof_key(key: &[u8; 32]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, key)
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest")
            .field("token", &self.token)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What a member asks whose certificate nobody believes any more: the request for the mesh is for the key of its
/// last certificate, and is signed by it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Renewal {
    /// Its name.
    pub name: String,
    /// PKCS#10 for its ML-DSA-87 key.
    pub mesh_request: Vec<u8>,
    /// PKCS#10 for its P-384 key.
    pub web_request: Vec<u8>,
}

/// What a new member is given. Certificates are DER, leaf first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admitted {
    /// Its chain for the mesh.
    pub mesh_chain: Vec<Vec<u8>>,
    /// Its chain for HTTPS.
    pub web_chain: Vec<Vec<u8>>,
    /// What the CA says to the whole cluster, under its signature.
    pub state: Vec<u8>,
    /// Where members are.
    pub seeds: Vec<SocketAddr>,
}

/// The answer to a request to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinAnswer {
    /// Welcome.
    Admitted(Box<Admitted>),
    /// This node issues no certificates; these do.
    Elsewhere(Vec<SocketAddr>),
    /// No, and why. The token is as it was.
    Refused(String),
}

/// What is said through the door.
#[derive(Serialize, Deserialize)]
pub(crate) enum Knock {
    /// I would be a member.
    Join(JoinRequest),
    /// What does the CA say to the cluster? Asked by a member whose lists have grown too old to believe anybody.
    State,
    /// I was away while the authority of my certificate was taken back.
    Renew(Renewal),
}

/// What a node must have to let others join.
pub trait Door: Send + Sync + 'static {
    /// What the CA says to the whole cluster: public, and under its signature.
    fn state(&self) -> Option<Vec<u8>>;

    /// Decides about a request. What it answers is durable before it answers.
    fn join(&self, address: SocketAddr, request: JoinRequest) -> BoxFuture<'_, JoinAnswer>;

    /// Decides about a member that has nothing but its key. What it answers is durable before it answers.
    fn renew(&self, address: SocketAddr, request: Renewal) -> BoxFuture<'_, JoinAnswer>;
}

/// Hears one request to join and answers it.
pub(crate) async fn receive(connection: &Connection, door: &dyn Door, watch: &Watch) {
    let address = connection.remote_address();
    let exchange = async {
        let (mut send, mut receive) = connection.accept_bi().await.ok()?;
        let answer = match read::<Knock>(&mut receive, REQUEST_BYTES_MAX).await {
            Ok(Knock::Join(request)) => door.join(address, request).await,
            Ok(Knock::Renew(request)) => door.renew(address, request).await,
            Ok(Knock::State) => {
                write(&mut send, &door.state()).await.ok()?;
                send.finish().ok()?;
                return send.stopped().await.ok();
            }
            Err(_malformed) => JoinAnswer::Refused("the request is malformed".to_owned()),
        };
        if let JoinAnswer::Refused(reason) = &answer {
            watch.join_refused(address, reason);
        }
        write(&mut send, &answer).await.ok()?;
        send.finish().ok()?;
        send.stopped().await.ok()
    };
    let _gone = timeout(JOIN_TIMEOUT, exchange).await;
    connection.close(VarInt::from_u32(0), b"");
}

/// The node has not joined. Nothing was written anywhere, and the token is as it was unless the last
/// answer was lost on its way.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// Nobody answered at any address.
    #[error("no member answers: {0}")]
    Unreachable(String),
    /// Who answers is not of the cluster that the token is for. Nothing was sent.
    #[error(
        "{address} does not belong to the cluster of this join token ({refusal}); nothing was sent"
    )]
    OtherCluster {
        /// Who answered.
        address: SocketAddr,
        /// What its chain lacks.
        refusal: Refusal,
    },
    /// The cluster said no.
    #[error("{address} refuses: {reason}")]
    Refused {
        /// Who said so.
        address: SocketAddr,
        /// Its own words.
        reason: Arc<str>,
    },
    /// The socket cannot be used.
    #[error("no UDP socket can be opened")]
    Socket(#[source] std::io::Error),
}

/// Asks the members at `seeds`, one after the other, to become one of them.
///
/// # Errors
/// As [`JoinError`] says; the first answer counts, silence does not.
///
/// # Cancel safety
/// A join that is dropped may have been granted: its name is taken then, and its token counted.
pub async fn join(
    seeds: &[SocketAddr],
    token: &JoinToken,
    request: &JoinRequest,
) -> Result<(Admitted, SocketAddr), JoinError> {
    let knock = Knock::Join(request.clone());
    knock_around(seeds, *token.root(), &knock).await
}

/// Asks the members at `seeds`, one after the other, for certificates to the key that a member still has. They show
/// a chain under the root with this SHA-256.
///
/// # Errors
/// As [`join`].
///
/// # Cancel safety
/// What was granted and not heard is asked for again.
pub async fn renew(
    seeds: &[SocketAddr],
    root: [u8; 32],
    request: &Renewal,
) -> Result<(Admitted, SocketAddr), JoinError> {
    knock_around(seeds, root, &Knock::Renew(request.clone())).await
}

async fn knock_around(
    seeds: &[SocketAddr],
    root: [u8; 32],
    knock: &Knock,
) -> Result<(Admitted, SocketAddr), JoinError> {
    let mut waiting: Vec<SocketAddr> = seeds.iter().rev().copied().collect();
    let mut tried = Vec::new();
    let mut silent = Vec::new();
    while let Some(address) = waiting.pop() {
        if tried.contains(&address) || tried.len() >= seeds.len() + ELSEWHERE_MAX {
            continue;
        }
        tried.push(address);
        match timeout(JOIN_TIMEOUT, ask(address, root, knock)).await {
            Ok(Ok(JoinAnswer::Admitted(admitted))) => return Ok((*admitted, address)),
            Ok(Ok(JoinAnswer::Elsewhere(others))) => waiting.extend(others),
            Ok(Ok(JoinAnswer::Refused(reason))) => {
                let reason = shown(&reason);
                return Err(JoinError::Refused { address, reason });
            }
            Ok(Err(AskError::Silent(reason))) => silent.push(format!("{address}: {reason}")),
            Ok(Err(AskError::Final(error))) => return Err(error),
            Err(_elapsed) => silent.push(format!("{address}: no answer in {JOIN_TIMEOUT:?}")),
        }
    }
    if silent.is_empty() {
        silent.push("no member with the ca role is known".to_owned());
    }
    Err(JoinError::Unreachable(silent.join("; ")))
}

enum AskError {
    Silent(Arc<str>),
    Final(JoinError),
}

/// Asks the members at `seeds`, one after the other, what the CA says to the cluster. They show a chain under
/// one of `roots`; whether they were revoked is not looked at, and what they say is believed only for the
/// signature that it carries.
pub async fn refresh(seeds: &[SocketAddr], roots: &[[u8; 32]]) -> Option<Vec<u8>> {
    for seed in seeds {
        for root in roots {
            let asked = timeout(REFRESH_TIMEOUT, ask(*seed, *root, &Knock::State)).await;
            if let Ok(Ok(Some(state))) = asked {
                return Some(state);
            }
        }
    }
    None
}

async fn ask<T: serde::de::DeserializeOwned>(
    address: SocketAddr,
    root: [u8; 32],
    knock: &Knock,
) -> Result<T, AskError> {
    let any = match address {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
    };
    let endpoint =
        Endpoint::client(any).map_err(|error| AskError::Final(JoinError::Socket(error)))?;
    let verdict = Verdict::default();
    let nobody = Arc::new(Trust::new(Vec::new()));
    let expected = Expected::UnderRoot(root);
    let crypto = tls::client(None, &nobody, expected, Arc::clone(&verdict));
    let connection =
        connect(&endpoint, address, crypto)
            .await
            .map_err(|error| match verdict.get() {
                Some(refusal) => AskError::Final(JoinError::OtherCluster {
                    address,
                    refusal: refusal.clone(),
                }),
                None => AskError::Silent(error.to_string().into()),
            })?;
    let exchange = async {
        let (mut send, mut receive) = connection.open_bi().await.ok()?;
        write(&mut send, knock).await.ok()?;
        send.finish().ok()?;
        read::<T>(&mut receive, REPLY_BYTES_MAX).await.ok()
    };
    let answer = exchange.await;
    let reason = connection.close_reason();
    // The endpoint sees the goodbye off by itself, which takes 0.1 s that nobody has to wait for.
    connection.close(VarInt::from_u32(0), b"");
    answer.ok_or_else(|| {
        AskError::Silent(reason.map_or_else(
            || "the answer is malformed".into(),
            |reason| shown(&reason.to_string()),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_line_and_shows_no_secret() {
        let token = JoinToken::generate([9; 32]);
        let line = token.expose();
        assert_eq!(line.parse::<JoinToken>().unwrap(), token);
        assert_eq!(
            format!("  {}\n", *line).parse::<JoinToken>().unwrap(),
            token
        );
        let secret = line.rsplit('.').next().unwrap();
        assert!(!format!("{token:?}").contains(secret));
        assert_ne!(JoinToken::generate([9; 32]).key(), token.key());
    }

    #[test]
    fn a_text_that_is_no_token_is_refused() {
        let line = JoinToken::generate([9; 32]).expose();
        let parts: Vec<&str> = line.split('.').collect();
        let bad = [
            String::new(),
            "cxj1".to_owned(),
            format!("cxj2.{}.{}.{}", parts[1], parts[2], parts[3]),
            format!("{}.x", *line),
            format!("cxj1.{}.{}.{}", parts[1], parts[2], &parts[3][1..]),
            format!("cxj1.{}.{}.{}", parts[1], "G".repeat(16), parts[3]),
            format!("cxj1.{}.{}.{}", parts[1], &parts[2][1..], parts[3]),
            "a".repeat(100_000),
        ];
        for text in bad {
            assert_eq!(text.parse::<JoinToken>(), Err(ParseJoinTokenError));
        }
    }

    #[test]
    fn a_request_is_proven_by_its_token_alone_and_by_no_other_request() {
        let (token, other) = (JoinToken::generate([9; 32]), JoinToken::generate([9; 32]));
        let request = JoinRequest::new(&token, "a", vec![1, 2], vec![3]);
        assert!(request.is_proven_by(&token.key()));
        assert!(!request.is_proven_by(&other.key()));
        let changes: [fn(&mut JoinRequest); 6] = [
            |request| request.token.push('0'),
            |request| request.name.push('b'),
            |request| request.mesh_request = vec![1],
            |request| request.web_request = vec![2, 3],
            // The same bytes, cut elsewhere.
            |request| {
                request.mesh_request = vec![1];
                request.web_request = vec![2, 3];
            },
            |request| request.proof[31] ^= 1,
        ];
        for change in changes {
            let mut changed = request.clone();
            change(&mut changed);
            assert!(!changed.is_proven_by(&token.key()), "{changed:?}");
        }
    }
}
