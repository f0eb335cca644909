//! The folder of an authority: made, opened, changed.
//!
//! INVARIANT: what was told stands in `ca.json`, on the disk. A change is made in memory, written, and only
//! then told; when the writing fails the folder is closed for this process.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use caxton_pki::{
    AuthorityLifetimes, ClusterAuthority, ListTerms, TrustBundle, TrustDomain, sign_statement,
};

use super::{
    files::{self, at, is_exposed},
    keys::{Key, Protection, load},
    passphrase::Passphrase,
    refusal::CaError,
    rows::{self, CaReport, certificates},
    state::{KeyEntry, Place, STATE_BYTES_MAX, State},
};

const STATE: &str = "ca.json";
pub(super) const KEYS: &str = "keys";
pub(super) const TRUST: &str = "trust.pem";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Of roots: ten years.
pub(super) const LIFETIMES: AuthorityLifetimes = AuthorityLifetimes {
    root: Duration::from_secs(3_653 * DAY.as_secs()),
    intermediate: Duration::from_secs(731 * DAY.as_secs()),
};
/// The longest life of a leaf: for so long it stands on its list once it was taken back.
pub(super) const LEAF_LIFETIME_MAX: Duration = Duration::from_secs(100 * DAY.as_secs());
/// A list that counts longer hides for longer that a certificate was taken back.
const LIST_LIFETIME_MAX: Duration = Duration::from_secs(30 * DAY.as_secs());
const LIST_LIFETIME_MIN: Duration = Duration::from_secs(60 * 60);

/// All authorities of the folder.
pub(super) type Authority = ClusterAuthority<Key, Key>;

/// What is decided once, when an authority is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a revocation list of an authority that signs leaves counts, an hour to 30 days. A node
    /// that hears of no new list for so long trusts nobody.
    pub list_lifetime: Duration,
}

impl Default for Terms {
    /// A day.
    fn default() -> Self {
        Self { list_lifetime: DAY }
    }
}

fn list_terms(list_lifetime: Duration) -> ListTerms {
    ListTerms {
        issuing: list_lifetime,
        remember: LEAF_LIFETIME_MAX,
        ..ListTerms::default()
    }
}

/// An authority whose folder this process has for itself, with the keys that are at hand.
pub struct CaFolder {
    folder: PathBuf,
    _lock: fs::File,
    pub(super) protection: Protection,
    pub(super) state: State,
    pub(super) authority: Authority,
    broken: bool,
}

impl fmt::Debug for CaFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaFolder")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

/// What can be known of an authority without its keys.
#[derive(Debug)]
pub struct CaView {
    pub(super) folder: PathBuf,
    pub(super) state: State,
    pub(super) bundle: TrustBundle,
}

impl CaView {
    /// Reads the authority in a folder.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub fn read(folder: &Path) -> Result<Self, CaError> {
        let path = folder.join(STATE);
        let bytes = match files::read(&path, STATE_BYTES_MAX) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => {
                return Err(CaError::NoCa(folder.to_owned()));
            }
            read => read?,
        };
        let (state, bundle) = State::decode(&bytes).map_err(|source| CaError::State {
            path: folder.to_owned(),
            source,
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            state,
            bundle,
        })
    }

    /// The same; none where there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn find(folder: &Path) -> Result<Option<Self>, CaError> {
        match Self::read(folder) {
            Err(CaError::NoCa(_)) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Its certificates, where their keys live, and its lists.
    #[must_use]
    pub fn report(&self) -> CaReport {
        rows::report(&self.folder, &self.state, &self.bundle)
    }

    /// Whether its keys lie under a passphrase.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.state.sealed
    }
}

impl CaFolder {
    /// Makes an authority in a folder that is empty or not there: roots and an intermediate with their keys,
    /// first lists, and what members are to trust.
    ///
    /// It is made beside its place and moved there whole, so a crash leaves no half of one.
    ///
    /// # Errors
    /// The folder holds something, or something cannot be made or written.
    pub fn create(
        folder: &Path,
        trust_domain: &str,
        protection: Protection,
        terms: Terms,
        now: SystemTime,
    ) -> Result<Self, CaError> {
        let domain: TrustDomain = trust_domain.parse().map_err(|source| {
            let name = trust_domain.to_owned();
            CaError::TrustDomain { name, source }
        })?;
        if !(LIST_LIFETIME_MIN..=LIST_LIFETIME_MAX).contains(&terms.list_lifetime) {
            let what = "revocation lists count for an hour to 30 days";
            return Err(CaError::Input(what.to_owned()));
        }
        refuse_full(folder)?;
        let folder = fs::canonicalize(folder).unwrap_or_else(|_new| folder.to_owned());
        let name = folder
            .file_name()
            .ok_or_else(|| CaError::NotEmpty(folder.clone()))?;
        let above = files::parent(&folder);
        files::make_folder(&above)?;
        let draft = above.join(format!(".{}.draft", name.to_string_lossy()));
        let lock = fresh_draft(&draft)?;
        let made = make(&draft, &domain, protection, terms, now, lock);
        let moved = made.and_then(|mut made| {
            fs::rename(&draft, &folder).map_err(at(&folder))?;
            files::sync_folder(&above)?;
            made.folder.clone_from(&folder);
            Ok(made)
        });
        if moved.is_err() {
            let _left_behind = fs::remove_dir_all(&draft);
        }
        moved
    }

    /// Opens the authority in a folder, with the keys that lie there.
    ///
    /// # Errors
    /// There is none, another process works in it, it is open to others, or a key does not open.
    pub fn open(folder: &Path, passphrase: Option<Passphrase>) -> Result<Self, CaError> {
        if !folder.join(STATE).exists() {
            return Err(CaError::NoCa(folder.to_owned()));
        }
        let lock = files::lock_folder(folder)?.ok_or_else(|| CaError::Busy(folder.to_owned()))?;
        if is_exposed(&lock.metadata().map_err(at(folder))?) {
            return Err(CaError::Exposed(folder.to_owned()));
        }
        let CaView { state, bundle, .. } = CaView::read(folder)?;
        let protection = match (state.sealed, passphrase) {
            (true, None) => return Err(CaError::PassphraseNeeded),
            (false, Some(_)) => return Err(CaError::PassphraseUnneeded),
            (_, passphrase) => Protection::of(passphrase),
        };
        let terms = list_terms(Duration::from_secs(state.list_lifetime_s));
        let authority = load(folder, &state, &bundle, &protection, terms)?;
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
            protection,
            state,
            authority,
            broken: false,
        })
    }

    /// Its certificates, where their keys live, and its lists.
    ///
    /// # Errors
    /// The lists have grown beyond what a bundle carries.
    pub fn report(&self) -> Result<CaReport, CaError> {
        let bundle = self.bundle()?;
        Ok(rows::report(&self.folder, &self.state, &bundle))
    }

    /// Its trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> &TrustDomain {
        self.authority.trust_domain()
    }

    /// What members are to trust.
    ///
    /// # Errors
    /// The lists have grown beyond what a bundle carries.
    pub fn bundle(&self) -> Result<TrustBundle, CaError> {
        self.authority.bundle().map_err(CaError::Bundle)
    }

    /// A signature by the authority that signs leaves, over what is said to the whole cluster.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign_statement(&self, context: &str, body: &[u8]) -> Result<Vec<u8>, CaError> {
        let signer = self.authority.mesh_intermediate();
        Ok(sign_statement(signer, context, body)?)
    }

    /// Whether a step may or may not have been written.
    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    pub(super) fn keys(&self) -> PathBuf {
        self.folder.join(KEYS)
    }

    /// Takes a step and writes it; `remembered` is what stands in the history of steps, and why. On an error nothing was told; what was not written is not used either.
    pub(super) fn change<T>(
        &mut self,
        remembered: Option<(String, &str)>,
        now: SystemTime,
        step: impl FnOnce(&mut Authority, &mut State) -> Result<T, CaError>,
    ) -> Result<T, CaError> {
        if self.broken {
            return Err(CaError::Broken);
        }
        let mut state = self.state.clone();
        // Whatever changes an authority changes its lists.
        let before = self.authority.revocations().clone();
        let told = step(&mut self.authority, &mut state);
        let told = match told {
            Ok(told) => told,
            Err(error) => {
                self.broken = *self.authority.revocations() != before;
                return Err(error);
            }
        };
        self.broken = true;
        let bundle = self.bundle()?;
        let gone = drop_keys(&mut state, &bundle);
        state.set_bundle(&bundle);
        state.forget_expired(now);
        if let Some((what, reason)) = remembered {
            state.add_step(what, reason, now);
        }
        write(&self.folder, &state, &bundle)?;
        for entry in gone {
            let _left_behind = fs::remove_file(self.keys().join(entry.file()));
        }
        self.state = state;
        self.broken = false;
        Ok(told)
    }
}

/// A folder that holds an authority, or anything.
fn refuse_full(folder: &Path) -> Result<(), CaError> {
    if folder.join(STATE).exists() {
        return Err(CaError::Exists(folder.to_owned()));
    }
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(CaError::NotEmpty(folder.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(at(folder)(error).into()),
    }
}

/// An empty folder of our own, locked, in place of what a command that was cut off has left.
///
/// SECURITY: what is there is not used: somebody else may have made it.
fn fresh_draft(draft: &Path) -> Result<fs::File, CaError> {
    let busy = || CaError::Busy(draft.to_owned());
    if draft.exists() {
        let left = files::lock_folder(draft)?.ok_or_else(busy)?;
        fs::remove_dir_all(draft).map_err(at(draft))?;
        drop(left);
    }
    files::make_new_folder(draft)?;
    files::lock_folder(draft)?.ok_or_else(busy)
}

fn make(
    draft: &Path,
    domain: &TrustDomain,
    protection: Protection,
    terms: Terms,
    now: SystemTime,
    lock: fs::File,
) -> Result<CaFolder, CaError> {
    let keys = draft.join(KEYS);
    files::make_new_folder(&keys)?;
    let (root_entry, root) = protection.make_mesh(Place::MeshRoot, &keys)?;
    let (below_entry, below) = protection.make_mesh(Place::MeshIntermediate, &keys)?;
    let (web_entry, web) = protection.make_web(&keys)?;
    let lists = list_terms(terms.list_lifetime);
    let authority = ClusterAuthority::generate(domain, [root, below], web, LIFETIMES, lists, now)?;
    let bundle = authority.bundle().map_err(CaError::Bundle)?;
    let mut state = State::new(&bundle, protection.is_sealed(), terms.list_lifetime);
    state.keys = vec![root_entry, below_entry, web_entry];
    state.add_step("made".to_owned(), "", now);
    write(draft, &state, &bundle)?;
    Ok(CaFolder {
        folder: draft.to_owned(),
        _lock: lock,
        protection,
        state,
        authority,
        broken: false,
    })
}

/// The state first: `trust.pem` is made from it.
fn write(folder: &Path, state: &State, bundle: &TrustBundle) -> Result<(), CaError> {
    files::write(&folder.join(STATE), &state.encode(), 0o600)?;
    files::write(&folder.join(TRUST), bundle.to_pem().as_bytes(), 0o644)?;
    Ok(())
}

/// Takes the keys of retired authorities out of the state, and answers them.
fn drop_keys(state: &mut State, bundle: &TrustBundle) -> Vec<KeyEntry> {
    let known: Vec<String> = certificates(bundle)
        .filter_map(|der| caxton_pki::CertificateSummary::parse(der).ok())
        .map(|summary| summary.key_fingerprint.to_string())
        .collect();
    let is_gone = |entry: &mut KeyEntry| !known.contains(&entry.fingerprint);
    state.keys.extract_if(.., is_gone).collect()
}
