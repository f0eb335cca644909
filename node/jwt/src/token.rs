//! A token in its compact form (RFC 7515, section 7.1), taken apart. Nothing in it is believed: the header chooses
//! among what is trusted already, and a header that wants more than that is refused.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{
    Algorithm, Part, Refused,
    json::{Json, JsonError, Members},
    key,
};

/// Longest token that is read: room for some 40 groups of full length, and what common servers take as a header.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;

/// A token whose signature nobody has checked.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) algorithm: Algorithm,
    /// `kid`: which key of the issuer is said to have signed.
    pub(crate) key_name: Option<String>,
    pub(crate) claims: Members,
    /// What the signature is over: header and claims as they came (RFC 7515, section 5.2, step 8).
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    pub(crate) fn read(token: &'a str) -> Result<Self, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Parts)?;
        let (header, claims) = signed.split_once('.').ok_or(Refused::Parts)?;
        if claims.contains('.') {
            return Err(Refused::Parts);
        }
        let header = object(header, Part::Header)?;
        let (algorithm, key_name) = read_header(&header)?;
        let claims = object(claims, Part::Claims)?;
        let signature = decode(signature, Part::Signature)?;
        Ok(Self {
            algorithm,
            key_name,
            claims,
            signed: signed.as_bytes(),
            signature,
        })
    }
}

/// Base64url in its one form: no padding, no white space, no bits left over (RFC 7515, section 2 and appendix C).
fn decode(text: &str, part: Part) -> Result<Vec<u8>, Refused> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_form| Refused::Encoding(part))
}

fn object(text: &str, part: Part) -> Result<Members, Refused> {
    Members::parse(&decode(text, part)?).map_err(|error| match error {
        JsonError::NotObject => Refused::NotObject(part),
        JsonError::Twice => Refused::Twice(part),
    })
}

/// The algorithm and the name of the key, and nothing else that could change what the token means.
fn read_header(header: &Members) -> Result<(Algorithm, Option<String>), Refused> {
    for name in header.names() {
        match name {
            // `x5t` only names a certificate; it is not looked at, and some issuers always send it.
            "alg" | "kid" | "typ" | "x5t" | "x5t#S256" => {}
            // SECURITY: a key out of the token proves only that its author has that key (RFC 8725, section 3.10).
            "jku" | "x5u" | "jwk" | "x5c" => return Err(Refused::OwnKey),
            "crit" => return Err(Refused::Critical),
            "cty" => return Err(Refused::Nested),
            // `zip`, `enc`, `b64` and all that is not known. RFC 7515, section 4, would ignore what is not known.
            _ => return Err(Refused::HeaderMember),
        }
    }
    if let Some(kind) = header.get("typ") {
        let kind = kind.as_text().ok_or(Refused::Kind)?.to_ascii_lowercase();
        let kind = kind.strip_prefix("application/").unwrap_or(&kind);
        if !["jwt", "at+jwt"].contains(&kind) {
            return Err(Refused::Kind);
        }
    }
    let algorithm = header
        .get("alg")
        .and_then(Json::as_text)
        .and_then(|text| text.parse().ok())
        .ok_or(Refused::Algorithm)?;
    let key_name = match header.get("kid") {
        None => None,
        Some(name) => {
            let name = name.as_text().filter(|name| key::is_key_name(name));
            Some(name.ok_or(Refused::KeyName)?.to_owned())
        }
    };
    Ok((algorithm, key_name))
}
