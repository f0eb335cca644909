//! One public key of an issuer, read from a JSON Web Key (RFC 7517, RFC 7518 section 6, RFC 8037 section 2), and what
//! it can verify. A key fits algorithms of its own type alone: that is what stands against one key used in two ways.

use std::fmt;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, VerifyingKey};

use crate::{
    Algorithm,
    json::{Json, Members},
};

/// Shortest RSA modulus (RFC 7518, section 3.3).
pub const RSA_BITS_MIN: usize = 2_048;
/// Longest RSA modulus: what aws-lc verifies with, and the most work that one token can cause.
pub const RSA_BITS_MAX: usize = 8_192;
/// Longest `kid`.
pub const KEY_NAME_BYTES_MAX: usize = 255;

/// Members that only a private or a symmetric key has (RFC 7518, sections 6.2.2, 6.3.2 and 6.4).
const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// Why a key of a set is not used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Why {
    /// A type, or a curve, that is not taken; `oct`, the symmetric one, among them.
    #[error("its type or curve is not taken")]
    Kind,
    /// `use` or `key_ops` say that it verifies no signatures.
    #[error("it is not for verifying signatures")]
    Use,
    /// `alg` names an algorithm that is not taken, or does not fit its type.
    #[error("its algorithm is not taken, or not one of its type")]
    Algorithm,
    /// `kid` is no text of 1 to [`KEY_NAME_BYTES_MAX`] bytes.
    #[error("its `kid` is no text of 1 to `{KEY_NAME_BYTES_MAX}` bytes")]
    Name,
    /// It comes with its private half, which is now everybody's.
    #[error("its private half was published with it")]
    Private,
    /// An RSA key whose modulus or exponent is too small or too large.
    #[error(
        "an RSA key needs `{RSA_BITS_MIN}` to `{RSA_BITS_MAX}` bits, and an odd exponent of 17 to 32 bits"
    )]
    Size,
    /// Its parameters are missing, not in their one form, or no point of its curve.
    #[error("its parameters do not fit its type")]
    Parameters,
}

/// A key that can be used.
pub(crate) struct Key {
    name: Option<String>,
    /// The one algorithm that it is for, where it says so.
    only: Option<Algorithm>,
    material: Material,
}

enum Material {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    P256(ParsedPublicKey),
    P384(ParsedPublicKey),
    Ed25519(Box<VerifyingKey>),
}

impl Key {
    /// Reads one key.
    pub(crate) fn read(key: &Members) -> Result<Self, Why> {
        let kind = key.get("kty").and_then(Json::as_text).ok_or(Why::Kind)?;
        let curve = key.get("crv").and_then(Json::as_text);
        let read: fn(&Members) -> Result<Material, Why> = match (kind, curve) {
            ("RSA", _) => read_rsa,
            ("EC", Some("P-256")) => read_p256,
            ("EC", Some("P-384")) => read_p384,
            ("OKP", Some("Ed25519")) => read_ed25519,
            _ => return Err(Why::Kind),
        };
        if !is_for_signatures(key) {
            return Err(Why::Use);
        }
        if PRIVATE.iter().any(|member| key.has(member)) {
            return Err(Why::Private);
        }
        let name = read_name(key)?;
        let only = match key.get("alg") {
            None => None,
            Some(only) => Some(
                only.as_text()
                    .and_then(|text| text.parse().ok())
                    .ok_or(Why::Algorithm)?,
            ),
        };
        let material = read(key)?;
        if only.is_some_and(|only| !material.fits(only)) {
            return Err(Why::Algorithm);
        }
        Ok(Self {
            name,
            only,
            material,
        })
    }

    /// Its `kid`.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether it may verify by this algorithm: its type can, and it is not for another alone (RFC 8725, section 3.1).
    pub(crate) fn fits(&self, algorithm: Algorithm) -> bool {
        self.material.fits(algorithm) && self.only.is_none_or(|only| only == algorithm)
    }

    /// Whether the signature holds. Never by an algorithm that does not fit.
    pub(crate) fn holds(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        if !self.fits(algorithm) {
            return false;
        }
        match &self.material {
            Material::Rsa(key) => rsa_parameters(algorithm)
                .is_some_and(|parameters| key.verify(parameters, message, signature).is_ok()),
            // Of fixed length (RFC 7518, section 3.4); aws-lc refuses `r` and `s` outside 1 to n - 1.
            Material::P256(key) | Material::P384(key) => key.verify_sig(message, signature).is_ok(),
            // SECURITY: strictly; otherwise R may be of small order, and libraries disagree about what holds.
            Material::Ed25519(key) => Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
        }
    }
}

impl Material {
    const fn fits(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => matches!(self, Self::Rsa(_)),
            Algorithm::Es256 => matches!(self, Self::P256(_)),
            Algorithm::Es384 => matches!(self, Self::P384(_)),
            Algorithm::EdDsa | Algorithm::Ed25519 => matches!(self, Self::Ed25519(_)),
        }
    }
}

const fn rsa_parameters(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa | Algorithm::Ed25519 => return None,
    })
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.material {
            Material::Rsa(_) => "RSA",
            Material::P256(_) => "P-256",
            Material::P384(_) => "P-384",
            Material::Ed25519(_) => "Ed25519",
        };
        let mut shown = f.debug_struct("Key");
        shown
            .field("name", &self.name)
            .field("kind", &kind)
            .field("only", &self.only);
        shown.finish_non_exhaustive()
    }
}

/// RFC 7517, sections 4.2 and 4.3: absent means anything; where both stand, both must allow it.
fn is_for_signatures(key: &Members) -> bool {
    let by_use = key
        .get("use")
        .is_none_or(|word| word.as_text() == Some("sig"));
    let by_operations = key.get("key_ops").is_none_or(|list| {
        list.as_texts()
            .is_some_and(|operations| operations.contains(&"verify"))
    });
    by_use && by_operations
}

fn read_name(key: &Members) -> Result<Option<String>, Why> {
    let Some(name) = key.get("kid") else {
        return Ok(None);
    };
    let name = name
        .as_text()
        .filter(|name| is_key_name(name))
        .ok_or(Why::Name)?;
    Ok(Some(name.to_owned()))
}

/// Whether this may be a `kid`. It is compared with those of the set and goes nowhere else, so any text may.
pub(crate) fn is_key_name(name: &str) -> bool {
    (1..=KEY_NAME_BYTES_MAX).contains(&name.len())
}

/// A parameter, base64url in its one form.
fn parameter(key: &Members, name: &str) -> Result<Vec<u8>, Why> {
    let text = key
        .get(name)
        .and_then(Json::as_text)
        .ok_or(Why::Parameters)?;
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_encoding| Why::Parameters)
}

/// A number without leading zeros (RFC 7518, section 2, Base64urlUInt).
fn number(key: &Members, name: &str) -> Result<(Vec<u8>, usize), Why> {
    let bytes = parameter(key, name)?;
    let zeros = match bytes.first() {
        None | Some(0) => return Err(Why::Parameters),
        Some(first) => usize::try_from(first.leading_zeros()).unwrap_or(8),
    };
    let bits = bytes.len() * 8 - zeros;
    Ok((bytes, bits))
}

fn is_odd(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|last| last & 1 == 1)
}

fn read_rsa(key: &Members) -> Result<Material, Why> {
    let (n, n_bits) = number(key, "n")?;
    let (e, e_bits) = number(key, "e")?;
    if !is_odd(&n) {
        return Err(Why::Parameters);
    }
    // Above 2^16, as FIPS 186-5, section 5.4, asks; below 2^32, so that it costs little. Under an exponent of 1, anybody
    // can sign.
    let sound = (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&n_bits)
        && (17..=32).contains(&e_bits)
        && is_odd(&e);
    if !sound {
        return Err(Why::Size);
    }
    Ok(Material::Rsa(RsaPublicKeyComponents { n, e }))
}

/// An uncompressed point (SEC 1, section 2.3.3), of coordinates of full length (RFC 7518, section 6.2.1.2).
fn point(key: &Members, bytes: usize) -> Result<Vec<u8>, Why> {
    let mut point = vec![4];
    for name in ["x", "y"] {
        let coordinate = parameter(key, name)?;
        if coordinate.len() != bytes {
            return Err(Why::Parameters);
        }
        point.extend(coordinate);
    }
    Ok(point)
}

fn read_p256(key: &Members) -> Result<Material, Why> {
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point(key, 32)?)
        .map(Material::P256)
        .map_err(|_no_point| Why::Parameters)
}

fn read_p384(key: &Members) -> Result<Material, Why> {
    ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point(key, 48)?)
        .map(Material::P384)
        .map_err(|_no_point| Why::Parameters)
}

fn read_ed25519(key: &Members) -> Result<Material, Why> {
    let bytes: [u8; 32] = parameter(key, "x")?
        .try_into()
        .map_err(|_length| Why::Parameters)?;
    let key = VerifyingKey::from_bytes(&bytes).map_err(|_no_point| Why::Parameters)?;
    // SECURITY: under a key of small order anybody can sign.
    if key.is_weak() {
        return Err(Why::Parameters);
    }
    Ok(Material::Ed25519(Box::new(key)))
}
