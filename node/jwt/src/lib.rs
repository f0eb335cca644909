//! JSON Web Tokens as a way to prove to the management API who one is: what an issuer that is trusted said of a
//! subject, for how long and for whom (RFC 7515, 7517, 7519, after the rules of RFC 8725).
//!
//! This crate opens no socket and no file, reads no clock and draws no random number: the caller fetches key sets,
//! hands in the time and says which issuers it trusts. It makes no tokens. It does not remember tokens: who has one
//! can use it until it ends. What a subject may do is asked elsewhere.
//!
//! The one idea: everything that chooses how a token is judged comes from configuration, nothing from the token. The
//! token's `iss`, `kid` and `alg` only select among what is trusted already, and must then agree with it.
//!
//! # Map
//!
//! - `algorithm`: [`Algorithm`], the signatures that are taken; there is no `none` and no HMAC to confuse them with
//! - `issuer`: [`Issuer`], who is trusted for which audiences, with which algorithms
//! - `json`: JSON in which no member stands twice
//! - `key`, `key_set`: [`KeySet`], the keys of an issuer, and which were left out and why
//! - `token`: three parts and a header, of which nobody knows yet who wrote them
//! - `claims`: [`Claims`], what a token says once its signature holds
//! - `verify`: [`verify()`] and [`Refused`]

#![forbid(unsafe_code)]

mod algorithm;
mod claims;
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/mod.rs"]
pub mod fuzz;
mod issuer;
mod json;
mod key;
mod key_set;
mod token;
mod verify;

pub use algorithm::{Algorithm, ParseAlgorithmError};
pub use claims::{
    Claims, GROUP_BYTES_MAX, GROUPS_MAX, ID_BYTES_MAX, LEEWAY_SECONDS, LIFETIME_SECONDS_MAX,
    SUBJECT_BYTES_MAX,
};
pub use issuer::{AUDIENCES_MAX, ISSUER_BYTES_MAX, Issuer, IssuerError};
pub use key::{KEY_NAME_BYTES_MAX, RSA_BITS_MAX, RSA_BITS_MIN, Why};
pub use key_set::{KEY_SET_BYTES_MAX, KEYS_MAX, KeySet, KeySetError, LeftOut};
pub use token::TOKEN_BYTES_MAX;
pub use verify::{Part, Refused, verify};
