//! What of a member lies in its data folder: which start this is, and the certificates it was given.
//!
//! Keys are made here and never leave. A set of keys and certificates is a folder of its own, written whole
//! before the file `pki/member` names it: where that is missing nothing was joined, and a crash leaves either
//! the old set or the new one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use caxton_mesh::{Credentials, PeerName, join::Admitted};
use caxton_pki::{CertificateDer, MlDsa87Key, P384Key, pem};

use super::state::{self, Held};
use crate::identity::{IdentityError, read_text, refuse_exposed, write_file};

const GENERATION: &str = "generation";
const PKI: &str = "pki";
/// Names the folder in use.
const MARKER: &str = "member";
/// Keys of a join that is not through.
const JOINING: &str = "joining";
const MESH_KEY: &str = "mesh.key.pem";
const MESH_CHAIN: &str = "mesh.crt.pem";
const WEB_KEY: &str = "web.key.pem";
const WEB_CHAIN: &str = "web.crt.pem";
/// What the CA says to the whole cluster; the newest that is known.
const STATE: &str = "cluster.state";
const SEEDS: &str = "seeds";
const AGREED: &str = "members";

/// The number of this start: one more than the last, on the disk before anybody is told.
///
/// A folder that was copied starts with the number of its copy; that is how the two are told apart from one
/// node that was started again.
pub(crate) fn next_generation(data: &Path) -> Result<u64, IdentityError> {
    let path = data.join(GENERATION);
    let last = match fs::read_to_string(&path) {
        Ok(text) => text
            .trim()
            .parse::<u64>()
            .map_err(|_not_a_number| IdentityError::Content {
                path: path.clone(),
                reason: "it holds no number; without it others take this node for a copy"
                    .to_owned(),
            })?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(source) => return Err(IdentityError::File { path, source }),
    };
    let next = last + 1;
    write_file(&path, format!("{next}\n").as_bytes(), 0o600)?;
    Ok(next)
}

/// The addresses of members that were known when the node last ran.
pub(crate) fn seeds(data: &Path) -> Vec<std::net::SocketAddr> {
    let text = fs::read_to_string(data.join(SEEDS)).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// The members that were agreed on when the node last ran.
pub(crate) fn agreed(data: &Path) -> Vec<PeerName> {
    let text = fs::read_to_string(data.join(AGREED)).unwrap_or_default();
    text.lines().map(Into::into).collect()
}

/// Keeps both for the next start.
pub(crate) fn keep_members(
    data: &Path,
    seeds: &[std::net::SocketAddr],
    agreed: &[PeerName],
) -> Result<(), IdentityError> {
    let lines = |items: &mut dyn Iterator<Item = String>| {
        items.fold(String::new(), |text, item| text + &item + "\n")
    };
    let seeds = lines(&mut seeds.iter().map(ToString::to_string));
    write_file(&data.join(SEEDS), seeds.as_bytes(), 0o600)?;
    let agreed = lines(&mut agreed.iter().map(ToString::to_string));
    write_file(&data.join(AGREED), agreed.as_bytes(), 0o600)
}

/// The keys of a member, made before it asks for certificates.
pub(crate) struct Keys {
    pub(crate) mesh: MlDsa87Key,
    pub(crate) web: P384Key,
}

impl Keys {
    /// Those in the folder, or new ones: whoever asks again after a lost answer asks with the same.
    pub(crate) fn read_or_make(data: &Path) -> Result<Self, IdentityError> {
        let folder = data.join(PKI).join(JOINING);
        make_folder(&folder)?;
        if let Some(keys) = Self::read(&folder)? {
            return Ok(keys);
        }
        let keys = Self::make()?;
        keys.write(&folder)?;
        Ok(keys)
    }

    /// New ones, nowhere written.
    pub(crate) fn make() -> Result<Self, IdentityError> {
        let failed = |error: caxton_pki::KeyError| IdentityError::Issue(error.to_string());
        Ok(Self {
            mesh: MlDsa87Key::generate().map_err(failed)?,
            web: P384Key::generate().map_err(failed)?,
        })
    }

    fn read(folder: &Path) -> Result<Option<Self>, IdentityError> {
        let (mesh, web) = (folder.join(MESH_KEY), folder.join(WEB_KEY));
        if !mesh.exists() || !web.exists() {
            return Ok(None);
        }
        for path in [&mesh, &web] {
            refuse_exposed(path)?;
        }
        Ok(Some(Self {
            mesh: pem::decode_key(&read_text(&mesh)?).map_err(|error| content(&mesh, &error))?,
            web: pem::decode_key(&read_text(&web)?).map_err(|error| content(&web, &error))?,
        }))
    }

    fn write(&self, folder: &Path) -> Result<(), IdentityError> {
        let failed = |error: caxton_pki::KeyError| IdentityError::Issue(error.to_string());
        let mesh = pem::encode_key(&self.mesh).map_err(failed)?;
        let web = pem::encode_key(&self.web).map_err(failed)?;
        write_file(&folder.join(MESH_KEY), mesh.as_bytes(), 0o600)?;
        write_file(&folder.join(WEB_KEY), web.as_bytes(), 0o600)
    }
}

/// What a member was given, with its keys.
pub(crate) struct Membership {
    pub(crate) keys: Keys,
    pub(crate) mesh_chain: Vec<CertificateDer<'static>>,
    pub(crate) web_chain: Vec<CertificateDer<'static>>,
    pub(crate) held: Held,
}

impl Membership {
    /// What lies in the folder; none where nothing was joined.
    pub(crate) fn read(data: &Path, now: SystemTime) -> Result<Option<Self>, IdentityError> {
        let Some(folder) = Self::folder(data)? else {
            return Ok(None);
        };
        let held = read_state(data, now)?.ok_or_else(|| IdentityError::Content {
            path: data.join(PKI).join(STATE),
            reason: "it is gone; remove `pki/member` and join again".to_owned(),
        })?;
        let keys = Keys::read(&folder)?.ok_or_else(|| IdentityError::Content {
            path: folder.clone(),
            reason: "the member's keys are gone; remove `pki/member` and join again".to_owned(),
        })?;
        let chain = |name: &str| {
            let path = folder.join(name);
            pem::decode_certificates(&read_text(&path)?).map_err(|error| content(&path, &error))
        };
        Ok(Some(Self {
            keys,
            mesh_chain: chain(MESH_CHAIN)?,
            web_chain: chain(WEB_CHAIN)?,
            held,
        }))
    }

    /// Puts what was admitted beside the keys that it is for.
    pub(crate) fn from_admitted(admitted: Admitted, keys: Keys, held: Held) -> Self {
        let certificates = |list: Vec<Vec<u8>>| list.into_iter().map(Into::into).collect();
        Self {
            keys,
            mesh_chain: certificates(admitted.mesh_chain),
            web_chain: certificates(admitted.web_chain),
            held,
        }
    }

    /// Writes all of it into a new folder and names that one; the folders before it are removed.
    pub(crate) fn write(&self, data: &Path) -> Result<(), IdentityError> {
        let pki = data.join(PKI);
        let old = Self::folder(data)?;
        let number = old
            .as_deref()
            .and_then(|old| old.to_str()?.rsplit_once('-')?.1.parse::<u64>().ok())
            .map_or(1, |number| number + 1);
        let name = format!("{MARKER}-{number}");
        let folder = pki.join(&name);
        make_folder(&folder)?;
        self.keys.write(&folder)?;
        for (name, certificates) in [(MESH_CHAIN, &self.mesh_chain), (WEB_CHAIN, &self.web_chain)] {
            let text = pem::encode_certificates(certificates);
            write_file(&folder.join(name), text.as_bytes(), 0o644)?;
        }
        write_state(data, &self.held)?;
        write_file(&pki.join(MARKER), format!("{name}\n").as_bytes(), 0o644)?;
        for gone in old.into_iter().chain([pki.join(JOINING)]) {
            let _left_behind = fs::remove_dir_all(gone);
        }
        Ok(())
    }

    /// The folder in use; none where nothing was joined.
    fn folder(data: &Path) -> Result<Option<PathBuf>, IdentityError> {
        let pki = data.join(PKI);
        let marker = pki.join(MARKER);
        if !marker.exists() {
            return Ok(None);
        }
        let name = read_text(&marker)?.trim().to_owned();
        let plain = name
            .strip_prefix(MARKER)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|number| number.parse::<u64>().is_ok());
        match plain {
            true => Ok(Some(pki.join(name))),
            false => Err(IdentityError::Content {
                path: marker,
                reason: "it does not name a folder of certificates".to_owned(),
            }),
        }
    }

    /// Who it is in the mesh.
    pub(crate) fn credentials(&self) -> Result<Credentials, IdentityError> {
        let chain = self.held.bundle.chain_to_send(&self.mesh_chain);
        Credentials::new(chain, &self.keys.mesh)
            .map_err(|error| IdentityError::Issue(error.to_string()))
    }
}

/// Forgets a membership: keys, certificates and what was known of the cluster.
pub(crate) fn forget(data: &Path) -> Result<(), IdentityError> {
    let pki = data.join(PKI);
    let file = |path: PathBuf| move |source| IdentityError::File { path, source };
    let folder = Membership::folder(data)?;
    // The marker goes first: without it, nothing else counts.
    let marker = pki.join(MARKER);
    fs::remove_file(&marker).map_err(file(marker.clone()))?;
    if let Some(folder) = folder {
        fs::remove_dir_all(&folder).map_err(file(folder.clone()))?;
    }
    for rest in [pki.join(STATE), data.join(SEEDS), data.join(AGREED)] {
        let _not_there = fs::remove_file(rest);
    }
    Ok(())
}

/// What the CA last said, as far as it is known here; none on a node that never heard it.
pub(crate) fn read_state(data: &Path, now: SystemTime) -> Result<Option<Held>, IdentityError> {
    let path = data.join(PKI).join(STATE);
    match fs::read(&path) {
        Ok(bytes) => state::own(&bytes, now)
            .map(Some)
            .map_err(|error| content(&path, &error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(IdentityError::File { path, source }),
    }
}

/// Keeps it, as a whole or not at all.
pub(crate) fn write_state(data: &Path, held: &Held) -> Result<(), IdentityError> {
    let pki = data.join(PKI);
    let text = held.bundle.to_pem();
    write_file(&pki.join("trust-bundle.pem"), text.as_bytes(), 0o644)?;
    write_file(&pki.join(STATE), &held.bytes, 0o644)
}

fn make_folder(folder: &Path) -> Result<(), IdentityError> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| IdentityError::File {
            path: folder.to_owned(),
            source,
        })
}

fn content(path: &Path, error: &dyn std::fmt::Display) -> IdentityError {
    IdentityError::Content {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
