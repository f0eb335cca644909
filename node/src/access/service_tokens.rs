//! Credentials of a quarter of an hour, for services that prove once who they are and go on.
//!
//! They lie in memory alone: a restart ends all of them. Each is exchanged for the next while it counts, so that one
//! that was read from a log or a dump is soon worth nothing.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use caxton_pki::VerifiedChain;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::keys::Known;
use crate::environment::Environment;

/// How long one holds, in milliseconds.
pub(crate) const LIFETIME_MS: u64 = 15 * 60 * 1_000;
/// What one starts with.
pub(crate) const PREFIX: &str = "cxs1_";
/// Tokens at the same time: some 2 MiB.
const TOKENS_MAX: usize = 10_000;

/// What a credential stands on, and ends with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Basis {
    /// SHA-256 of a key, which may be taken back.
    pub(crate) key: Option<[u8; 32]>,
    /// A client certificate's chain, of which anything may be taken back.
    pub(crate) certificate: Option<Arc<VerifiedChain>>,
    /// Unix milliseconds at which it ends by itself, where it does.
    pub(crate) until_ms: Option<u64>,
}

impl Basis {
    /// Both of two, which end with the first of them to end.
    pub(crate) fn and(self, other: Self) -> Self {
        let ends = [self.until_ms, other.until_ms];
        Self {
            key: self.key.or(other.key),
            certificate: self.certificate.or(other.certificate),
            until_ms: ends.into_iter().flatten().min(),
        }
    }
}

/// What stands behind a token.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// Who it is, with the scopes of what they first proved it by.
    pub(crate) known: Arc<Known>,
    /// How that was, for the log: `key_…`.
    pub(crate) credential: String,
    /// What was shown first: the token ends with it, and so do tokens that are made of this one.
    pub(crate) basis: Basis,
    expires_ms: u64,
}

/// The tokens that count now.
#[derive(Debug, Default)]
pub(crate) struct ServiceTokens(Mutex<HashMap<[u8; 32], Service>>);

impl ServiceTokens {
    /// Makes a token; none where there are as many as may be.
    pub(crate) fn make(
        &self,
        (known, credential, basis): (Arc<Known>, String, Basis),
        now_ms: u64,
        environment: &Environment,
    ) -> Option<(Zeroizing<String>, u64)> {
        let token = environment.credential(PREFIX);
        let expires_ms = now_ms.saturating_add(LIFETIME_MS);
        let expires_ms = expires_ms.min(basis.until_ms.unwrap_or(u64::MAX));
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= TOKENS_MAX {
            tokens.retain(|_, service| service.expires_ms > now_ms);
        }
        if tokens.len() >= TOKENS_MAX {
            return None;
        }
        let service = Service {
            known,
            credential,
            basis,
            expires_ms,
        };
        tokens.insert(Sha256::digest(token.as_bytes()).into(), service);
        Some((token, expires_ms))
    }

    /// What stands behind the token whose SHA-256 is `digest`.
    pub(crate) fn get(&self, digest: &[u8; 32], now_ms: u64) -> Option<Service> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if tokens.get(digest)?.expires_ms <= now_ms {
            tokens.remove(digest);
            return None;
        }
        tokens.get(digest).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_counts_for_a_quarter_of_an_hour_and_no_longer() {
        let (tokens, environment) = (ServiceTokens::default(), Environment::new());
        let known = Arc::new(Known::founding("ann".parse().unwrap()));
        let made = tokens.make(
            (known, "key_1".into(), Basis::default()),
            1_000,
            &environment,
        );
        let (token, expires_ms) = made.unwrap();
        assert_eq!(expires_ms, 1_000 + LIFETIME_MS);
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let found = tokens.get(&digest, expires_ms - 1).unwrap();
        assert_eq!(found.known.operator.as_str(), "ann");
        assert!(tokens.get(&digest, expires_ms).is_none());
        assert!(
            tokens.get(&digest, 0).is_none(),
            "it is gone, not only dead"
        );
        assert!(tokens.get(&[0; 32], 0).is_none());
    }

    #[test]
    fn a_token_ends_no_later_than_what_it_was_made_of() {
        let (tokens, environment) = (ServiceTokens::default(), Environment::new());
        let known = Arc::new(Known::founding("ann".parse().unwrap()));
        let basis = Basis {
            until_ms: Some(5_000),
            ..Basis::default()
        };
        let made = tokens.make((known, "jwt_1".into(), basis), 1_000, &environment);
        let (token, expires_ms) = made.unwrap();
        assert_eq!(expires_ms, 5_000);
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let found = tokens.get(&digest, 4_999).unwrap();
        assert_eq!(found.basis.until_ms, Some(5_000));
        assert!(tokens.get(&digest, 5_000).is_none());
    }
}
