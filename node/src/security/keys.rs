//! The private keys of an authority: made, put under the passphrase, opened again.

use std::{fs, path::Path};

use caxton_pki::{
    ClusterAuthority, ExportableKey, ListTerms, MlDsa87Key, P384Key, SealCost, Signer, TrustBundle,
    open_key, pem, seal_key,
};
use zeroize::Zeroizing;

use super::{
    ca::{Authority, KEYS},
    files::{self, at, is_exposed},
    passphrase::Passphrase,
    refusal::CaError,
    state::{KeyEntry, Place, State},
};

/// A sealed key has 400 bytes as text.
const KEY_BYTES_MAX: usize = 16 * 1024;

/// A key of any place: in a file, under a passphrase, in a token.
pub(super) type Key = Box<dyn Signer + Send + Sync>;

/// How new keys are kept.
#[derive(Debug)]
pub enum Protection {
    /// Under a passphrase, at this cost of trying one.
    Sealed(Passphrase, SealCost),
    /// Under none: for development alone.
    Plain,
}

impl Protection {
    /// Under this passphrase at the usual cost, or under none.
    #[must_use]
    pub fn of(passphrase: Option<Passphrase>) -> Self {
        passphrase.map_or(Self::Plain, |phrase| {
            Self::Sealed(phrase, SealCost::default())
        })
    }

    /// What opens keys that are there already.
    pub(super) fn into_passphrase(self) -> Option<Passphrase> {
        match self {
            Self::Sealed(phrase, _) => Some(phrase),
            Self::Plain => None,
        }
    }

    pub(super) fn is_sealed(&self) -> bool {
        matches!(self, Self::Sealed(..))
    }

    fn read<K>(&self, path: &Path) -> Result<Key, CaError>
    where
        K: ExportableKey + Send + Sync + 'static,
    {
        let metadata = fs::metadata(path).map_err(at(path))?;
        if is_exposed(&metadata) {
            return Err(CaError::Exposed(path.to_owned()));
        }
        let text = files::read_text(path, KEY_BYTES_MAX)?;
        self.open::<K>(&text, path)
    }

    fn open<K>(&self, text: &str, path: &Path) -> Result<Key, CaError>
    where
        K: ExportableKey + Send + Sync + 'static,
    {
        let path = path.to_owned();
        Ok(match self {
            Self::Sealed(phrase, _) => {
                let key = open_key::<K>(text, phrase.expose());
                Box::new(key.map_err(|source| CaError::OpenKey { path, source })?)
            }
            Self::Plain => {
                let key = pem::decode_key::<K>(text);
                Box::new(key.map_err(|source| CaError::ReadKey { path, source })?)
            }
        })
    }

    /// A key made in `keys`, read back from what was written: one that does not open again is found before
    /// anybody trusts it.
    fn make<K>(&self, place: Place, key: &K, keys: &Path) -> Result<(KeyEntry, Key), CaError>
    where
        K: ExportableKey + Send + Sync + 'static,
    {
        let text = match self {
            Self::Sealed(phrase, cost) => {
                Zeroizing::new(seal_key(key, phrase.expose(), *cost).map_err(CaError::SealKey)?)
            }
            Self::Plain => pem::encode_key(key).map_err(CaError::MakeKey)?,
        };
        let fingerprint = key.public_key().fingerprint().to_string();
        let entry = KeyEntry { place, fingerprint };
        let path = keys.join(entry.file());
        files::write_new(&path, text.as_bytes(), 0o600)?;
        Ok((entry, self.read::<K>(&path)?))
    }

    pub(super) fn make_mesh(&self, place: Place, keys: &Path) -> Result<(KeyEntry, Key), CaError> {
        let key = MlDsa87Key::generate().map_err(CaError::MakeKey)?;
        self.make(place, &key, keys)
    }

    pub(super) fn make_web(&self, keys: &Path) -> Result<(KeyEntry, Key), CaError> {
        let key = P384Key::generate().map_err(CaError::MakeKey)?;
        self.make(Place::WebRoot, &key, keys)
    }
}

/// The keys that are at hand, and the authority that they make with the bundle.
pub(super) fn load(
    folder: &Path,
    state: &State,
    bundle: &TrustBundle,
    protection: &Protection,
    terms: ListTerms,
) -> Result<Authority, CaError> {
    let (mut mesh, mut web) = (Vec::new(), None);
    for entry in &state.keys {
        let path = folder.join(KEYS).join(entry.file());
        if !path.exists() {
            if entry.place == Place::MeshIntermediate {
                return Err(CaError::KeyGone(path));
            }
            continue;
        }
        let key = match entry.place {
            Place::MeshRoot | Place::MeshIntermediate => protection.read::<MlDsa87Key>(&path)?,
            Place::WebRoot => protection.read::<P384Key>(&path)?,
        };
        if key.public_key().fingerprint().to_string() != entry.fingerprint {
            return Err(CaError::WrongKey(path));
        }
        match entry.place {
            Place::WebRoot => web = Some(key),
            Place::MeshRoot | Place::MeshIntermediate => mesh.push(key),
        }
    }
    ClusterAuthority::load(bundle, mesh, web, terms).map_err(CaError::Load)
}
