//! Who shows a JSON Web Token: the operator that `sub` names, where the issuer that is configured says so. The key set
//! lies in a file, which is read again when it changes, or is fetched (`jwks`).
//!
//! A token says who somebody is, not what they may do, and whether that operator is there at all is asked elsewhere. A file
//! that holds no key set leaves the set before it in use, as issuers' tools may write it in pieces; one that is gone, or
//! that others may write, leaves none. A set that was fetched counts for a day where no later one is to be had.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use caxton_capabilities::{Name, ParseNameError};
use caxton_jwt::{Issuer, KEY_SET_BYTES_MAX, KeySet, KeySetError, Refused, verify};
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::jwks::FetchError;
use crate::config::{JwksUrl, JwtKeys};

/// How long a set that was fetched counts: a day without its issuer's word is enough.
const FETCHED_MAX_MS: u64 = 24 * 60 * 60 * 1_000;
/// How often the file is looked at, at most.
const LOOK_NS: u64 = 1_000_000_000;

/// What a token says of its bearer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Login {
    pub(crate) operator: Name,
    /// Groups that the issuer has them in.
    pub(crate) groups: BTreeSet<Arc<str>>,
    /// Unix milliseconds from which on nothing that stands on the token counts.
    pub(crate) until_ms: u64,
    /// SHA-256 of the name of the token, or of the token where it has none.
    pub(crate) digest: [u8; 32],
}

/// A token makes nobody of its bearer. The text is for the log.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NoLogin {
    #[error("this node has no keys of the issuer")]
    NoKeys,
    #[error("the keys of the issuer were last fetched more than a day ago")]
    OldKeys,
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the token's `sub` is no operator's name")]
    Subject(#[source] ParseNameError),
}

/// The file does not have a key set that counts.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("the file cannot be read")]
    File(#[from] io::Error),
    #[error("it is no file")]
    NoFile,
    #[error("others may write it: chmod go-w")]
    Exposed,
    /// The set before it goes on counting.
    #[error("it holds no key set")]
    Set(#[from] KeySetError),
}

/// By what a file is known to have changed: time, length and place on the disk.
type Stamp = (i64, i64, u64, u64);

#[derive(Debug, Default)]
struct Held {
    keys: Option<Arc<KeySet>>,
    stamp: Option<Stamp>,
    /// When a set was last fetched, in Unix milliseconds.
    fetched_ms: Option<u64>,
    looked_ns: Option<u64>,
    /// What was last said of the file, so that it is said once.
    trouble: Option<String>,
}

impl Held {
    /// Whether it was fetched too long ago. What lies in a file is as old as its owner wants it.
    fn is_old(&self, now_ms: u64) -> bool {
        let fetched = self.fetched_ms;
        fetched.is_some_and(|at| now_ms.saturating_sub(at) > FETCHED_MAX_MS)
    }
}

/// The tokens of one issuer.
#[derive(Debug)]
pub(crate) struct Logins {
    issuer: Issuer,
    keys: JwtKeys,
    held: Mutex<Held>,
    /// A token named a key that is not there.
    wanted: Notify,
}

impl Logins {
    /// Reads the key set, where it lies in a file; tokens are refused until there is one.
    pub(crate) fn open(issuer: Issuer, keys: JwtKeys) -> Self {
        let logins = Self {
            issuer,
            keys,
            held: Mutex::default(),
            wanted: Notify::new(),
        };
        logins.look();
        logins
    }

    /// Where the key set is fetched from, whom that is believed of, and how often; none where it lies in a file.
    pub(crate) fn address(&self) -> Option<(&JwksUrl, &PathBuf, Duration)> {
        match &self.keys {
            JwtKeys::File(_) => None,
            JwtKeys::Url { url, ca, refresh } => Some((url, ca, *refresh)),
        }
    }

    /// Waits until a token names a key that is not there.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }

    /// Takes what was fetched; what is no key set leaves the one before it. True where there is a new one.
    pub(crate) fn fetched(&self, fetched: Result<Bytes, FetchError>, now_ms: u64) -> bool {
        let fetched = fetched.map_err(|error| error.to_string());
        let parsed = fetched.and_then(|bytes| {
            let parsed = KeySet::parse(&bytes);
            parsed.map_err(|error| format!("{}: {error}", LookError::Set(error)))
        });
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = match parsed {
            Ok(keys) => {
                (held.keys, held.fetched_ms) = (Some(self.told(keys)), Some(now_ms));
                None
            }
            Err(error) if held.is_old(now_ms) => {
                Some(format!("{error}; no token counts: the last are too old"))
            }
            Err(error) => Some(error),
        };
        self.complain(&mut held, trouble);
        held.trouble.is_none()
    }

    /// Whether the file is to be looked at again. True for one who asks in a second.
    pub(crate) fn is_due(&self, now_ns: u64) -> bool {
        if self.address().is_some() {
            return false;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let looked = held.looked_ns;
        let is_due = looked.is_none_or(|at| now_ns >= at.saturating_add(LOOK_NS));
        if is_due {
            held.looked_ns = Some(now_ns);
        }
        is_due
    }

    /// Looks at the file, and reads it where it has changed. Blocks on the disk.
    pub(crate) fn look(&self) {
        let JwtKeys::File(file) = &self.keys else {
            return;
        };
        let before = (self.held.lock().unwrap_or_else(PoisonError::into_inner)).stamp;
        let found = stamp(file).and_then(|now| match Some(now) == before {
            true => Ok((now, None)),
            false => Ok((now, Some(read(file)?))),
        });
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let trouble = match found {
            Ok((_, None)) => return,
            Ok((now, Some(bytes))) => {
                held.stamp = Some(now);
                let parsed = KeySet::parse(&bytes).map_err(LookError::Set);
                parsed.map(|keys| held.keys = Some(self.told(keys))).err()
            }
            // SECURITY: who takes the file away takes its keys away.
            Err(error) => {
                (held.keys, held.stamp) = (None, None);
                Some(error)
            }
        };
        let trouble = trouble.map(|error| match &error {
            LookError::File(inner) => format!("{error}: {inner}"),
            LookError::Set(inner) => format!("{error}: {inner}"),
            LookError::NoFile | LookError::Exposed => error.to_string(),
        });
        self.complain(&mut held, trouble);
    }

    /// Says what is wrong, once.
    fn complain(&self, held: &mut Held, trouble: Option<String>) {
        if let Some(error) = trouble.as_ref().filter(|_| trouble != held.trouble) {
            let from = &self.keys;
            tracing::error!(%from, error, "the keys of the issuer of JSON Web Tokens cannot be had");
        }
        held.trouble = trouble;
    }

    fn told(&self, keys: KeySet) -> Arc<KeySet> {
        let from = &self.keys;
        for left_out in keys.left_out() {
            let (place, why) = (left_out.place, left_out.why);
            tracing::warn!(%from, place, ?why, "a key of the issuer of JSON Web Tokens is not used");
        }
        let usable = keys.len();
        tracing::info!(%from, keys = usable, "the keys of the issuer of JSON Web Tokens were read");
        Arc::new(keys)
    }

    /// Who shows `token` at `now_ms`, in Unix milliseconds.
    ///
    /// # Errors
    /// The token does not count, or names no operator that there could be.
    pub(crate) fn login(&self, token: &str, now_ms: u64) -> Result<Login, NoLogin> {
        let keys = {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            // SECURITY: an issuer that cannot be asked cannot take a key back.
            if held.is_old(now_ms) {
                return Err(NoLogin::OldKeys);
            }
            held.keys.clone().ok_or(NoLogin::NoKeys)?
        };
        let issuers = [(self.issuer.clone(), keys)];
        let claims = verify(token, &issuers, now_ms / 1_000).inspect_err(|refused| {
            if *refused == Refused::NoKey {
                self.wanted.notify_one();
            }
        })?;
        let named = claims.id.as_deref().unwrap_or(token);
        Ok(Login {
            operator: claims.subject.parse().map_err(NoLogin::Subject)?,
            groups: claims
                .groups
                .iter()
                .map(|group| group.as_str().into())
                .collect(),
            until_ms: claims.expires.saturating_mul(1_000),
            digest: Sha256::digest(named.as_bytes()).into(),
        })
    }
}

fn stamp(path: &Path) -> Result<Stamp, LookError> {
    let file = fs::metadata(path)?;
    if !file.is_file() {
        return Err(LookError::NoFile);
    }
    // SECURITY: whoever can write it can say who anybody is.
    if file.mode() & 0o022 != 0 {
        return Err(LookError::Exposed);
    }
    Ok((file.mtime(), file.mtime_nsec(), file.len(), file.ino()))
}

/// The file, and a byte more than a key set may have where it is longer.
fn read(path: &Path) -> Result<Vec<u8>, LookError> {
    let most = u64::try_from(KEY_SET_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
