//! Authorities' keys outside this process's files: in a PKCS#11 token, or in an envelope that only
//! a token opens.
//!
//! A [`Token`] is a module that was loaded, a slot in it, and a login. From it comes one of two
//! signers for [`caxton_pki::Authority`], and they do not promise the same:
//!
//! | signer | where the private key is | what a stolen disk yields | what a broken-into process yields |
//! |---|---|---|---|
//! | [`Pkcs11Key`] | in the token, always | nothing | signatures, as long as the login lasts |
//! | [`EnvelopedKey`] | sealed on disk; in memory once opened | nothing without the token | the key |
//!
//! The first needs a token that knows ML-DSA (PKCS#11 3.2); the second any token with AES-GCM.
//! [`caxton_pki::Custody`] says which of the two it is, and whoever shows a key shows that.
//!
//! A module is native code in our process: what it breaks is broken, and a crash of it is ours. What
//! it *answers* is not trusted further than it must be: a signature is checked before it leaves.
//! Making tokens, PINs and backups is the token's own tooling's business. A PIN is tried once and
//! never again by itself, because tokens lock after a few wrong ones.

#![forbid(unsafe_code)]

mod envelope;
mod key;
mod token;

pub use envelope::{EnvelopeError, EnvelopedKey};
pub use key::Pkcs11Key;
pub use token::{Token, TokenConfig, TokenError, TokenPlace};
