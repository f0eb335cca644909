//! Who shows a JSON Web Token: the operator that `sub` names, where the issuer that is configured says so. The key set
//! lies in a file, which is read again when it changes.
//!
//! A token says who somebody is, not what they may do, and whether that operator is there at all is asked elsewhere. A file
//! that holds no key set leaves the set before it in use, as issuers' tools may write it in pieces; one that is gone, or
//! that others may write, leaves none.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use caxton_capabilities::{Name, ParseNameError};
use caxton_jwt::{Issuer, KEY_SET_BYTES_MAX, KeySet, KeySetError, Refused, verify};
use sha2::{Digest as _, Sha256};

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
    looked_ns: Option<u64>,
    /// What was last said of the file, so that it is said once.
    trouble: Option<String>,
}

/// The tokens of one issuer.
#[derive(Debug)]
pub(crate) struct Logins {
    issuer: Issuer,
    keys_file: PathBuf,
    held: Mutex<Held>,
}

impl Logins {
    /// Reads the key set; tokens are refused until there is one.
    pub(crate) fn open(issuer: Issuer, keys_file: PathBuf) -> Self {
        let logins = Self {
            issuer,
            keys_file,
            held: Mutex::default(),
        };
        logins.look();
        logins
    }

    /// Whether the file is to be looked at again. True for one who asks in a second.
    pub(crate) fn is_due(&self, now_ns: u64) -> bool {
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
        let before = (self.held.lock().unwrap_or_else(PoisonError::into_inner)).stamp;
        let found = stamp(&self.keys_file).and_then(|now| match Some(now) == before {
            true => Ok((now, None)),
            false => Ok((now, Some(read(&self.keys_file)?))),
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
        if let Some(error) = trouble.as_ref().filter(|_| trouble != held.trouble) {
            let file = self.keys_file.display();
            tracing::error!(%file, error, "the keys of the issuer of JSON Web Tokens cannot be had");
        }
        held.trouble = trouble;
    }

    fn told(&self, keys: KeySet) -> Arc<KeySet> {
        let file = self.keys_file.display();
        for left_out in keys.left_out() {
            let (place, why) = (left_out.place, left_out.why);
            tracing::warn!(%file, place, ?why, "a key of the issuer of JSON Web Tokens is not used");
        }
        let usable = keys.len();
        tracing::info!(%file, keys = usable, "the keys of the issuer of JSON Web Tokens were read");
        Arc::new(keys)
    }

    /// Who shows `token` at `now_ms`, in Unix milliseconds.
    ///
    /// # Errors
    /// The token does not count, or names no operator that there could be.
    pub(crate) fn login(&self, token: &str, now_ms: u64) -> Result<Login, NoLogin> {
        let keys = (self.held.lock().unwrap_or_else(PoisonError::into_inner))
            .keys
            .clone();
        let issuers = [(self.issuer.clone(), keys.ok_or(NoLogin::NoKeys)?)];
        let claims = verify(token, &issuers, now_ms / 1_000)?;
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
