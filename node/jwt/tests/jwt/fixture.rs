//! An issuer that signs what it is told to: honest tokens, and those of attackers.

use std::{collections::BTreeSet, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use caxton_jwt::{Algorithm, Claims, Issuer, KeySet, Refused, verify};
use serde_json::{Value, json};

pub(crate) const NOW: u64 = 1_790_000_000;
pub(crate) const ISSUER: &str = "https://login.example/acme";
pub(crate) const AUDIENCE: &str = "caxton.example";
pub(crate) const KID: &str = "key-1";
/// The seed of every Ed25519 key here.
pub(crate) const SEED: [u8; 32] = [7; 32];

pub(crate) enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, Algorithm),
    Ed(Ed25519KeyPair),
}

impl Signer {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Es256 => Self::Ec(
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
                algorithm,
            ),
            Algorithm::Es384 => Self::Ec(
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
                algorithm,
            ),
            Algorithm::EdDsa | Algorithm::Ed25519 => {
                Self::Ed(Ed25519KeyPair::from_seed_unchecked(&SEED).unwrap())
            }
            _ => Self::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
        }
    }

    /// The public key, without `kid`, `alg` and `use`.
    pub(crate) fn jwk(&self) -> Value {
        match self {
            Self::Rsa(pair) => {
                let n = pair
                    .public_key()
                    .modulus()
                    .big_endian_without_leading_zero();
                let e = pair
                    .public_key()
                    .exponent()
                    .big_endian_without_leading_zero();
                json!({"kty": "RSA", "n": encode(n), "e": encode(e)})
            }
            Self::Ec(pair, algorithm) => {
                let (x, y) =
                    pair.public_key().as_ref()[1..].split_at(if *algorithm == Algorithm::Es256 {
                        32
                    } else {
                        48
                    });
                let curve = if *algorithm == Algorithm::Es256 {
                    "P-256"
                } else {
                    "P-384"
                };
                json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key())})
            }
        }
    }

    pub(crate) fn named(&self, kid: &str) -> Value {
        with(self.jwk(), "kid", kid)
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    Algorithm::Rs256 => &RSA_PKCS1_SHA256,
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    _ => &RSA_PSS_SHA512,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(pair, _) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header, as it is, and these claims.
    pub(crate) fn token(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", encode(signature))
    }

    /// A token that counts.
    pub(crate) fn good(&self, algorithm: Algorithm) -> String {
        self.token(
            algorithm,
            &header(algorithm).to_string(),
            &claims().to_string(),
        )
    }
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

pub(crate) fn with(mut object: Value, member: &str, value: impl Into<Value>) -> Value {
    object[member] = value.into();
    object
}

pub(crate) fn without(mut object: Value, member: &str) -> Value {
    object.as_object_mut().unwrap().remove(member).unwrap();
    object
}

pub(crate) fn header(algorithm: Algorithm) -> Value {
    json!({"alg": algorithm.as_str(), "kid": KID, "typ": "JWT"})
}

pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "ada", "aud": AUDIENCE,
        "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 600,
        "jti": "t-1", "groups": ["operators", "on call"],
    })
}

pub(crate) fn key_set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

pub(crate) fn issuer(name: &str, algorithms: &[Algorithm]) -> Issuer {
    let audiences = BTreeSet::from([AUDIENCE.to_owned(), "caxton.second".to_owned()]);
    Issuer::try_new(
        name.to_owned(),
        audiences,
        algorithms.iter().copied().collect(),
    )
    .unwrap()
}

/// The issuer, with these keys and every algorithm.
pub(crate) fn trusting(keys: &[Value]) -> Vec<(Issuer, Arc<KeySet>)> {
    vec![(issuer(ISSUER, &Algorithm::ALL), Arc::new(key_set(keys)))]
}

/// One issuer with one key, and what it says of a token.
pub(crate) struct Setting {
    pub(crate) signer: Signer,
    pub(crate) algorithm: Algorithm,
    pub(crate) trusted: Vec<(Issuer, Arc<KeySet>)>,
}

impl Setting {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let signer = Signer::new(algorithm);
        let trusted = trusting(&[signer.named(KID)]);
        Self {
            signer,
            algorithm,
            trusted,
        }
    }

    pub(crate) fn judge(&self, token: &str) -> Result<Claims, Refused> {
        verify(token, &self.trusted, NOW)
    }

    /// A token that the issuer signed, with this header.
    pub(crate) fn of_header(&self, header: &Value) -> Result<Claims, Refused> {
        self.of_texts(&header.to_string(), &claims().to_string())
    }

    /// A token that the issuer signed, with these claims.
    pub(crate) fn of_claims(&self, claims: &Value) -> Result<Claims, Refused> {
        self.of_texts(&header(self.algorithm).to_string(), &claims.to_string())
    }

    pub(crate) fn of_texts(&self, header: &str, claims: &str) -> Result<Claims, Refused> {
        self.judge(&self.signer.token(self.algorithm, header, claims))
    }
}
