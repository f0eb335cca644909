//! Why a step of an authority was not taken, and who is to mend it.

use std::path::PathBuf;

use caxton_pki::{
    ClusterError, IssueError, KeyError, LoadClusterError, OpenKeyError, ParseSpiffeIdError,
    SealKeyError, TrustBundleError, pem,
};

use super::{files::FileError, state::StateError};

/// Who is to mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What was given is not usable.
    Input,
    /// It is there already, or somebody else has it.
    Conflict,
    /// There is no such thing.
    NotFound,
    /// The step cannot be taken as things are.
    Refused,
}

/// Why a step was not taken. Unless it says otherwise, the authority is as it was.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The folder holds an authority already.
    #[error("`{0}` holds a certificate authority already")]
    Exists(PathBuf),
    /// The folder holds something else.
    #[error("`{0}` is not empty; a certificate authority is made in a folder of its own")]
    NotEmpty(PathBuf),
    /// The folder holds no authority.
    #[error("`{0}` holds no certificate authority")]
    NoCa(PathBuf),
    /// Another process works in it.
    #[error("another process works in `{0}`; a node that runs on it is asked without --dir")]
    Busy(PathBuf),
    /// Others could change or read what only its owner may.
    #[error("`{0}` is open to others than its owner: chmod go-rwx `{0}`")]
    Exposed(PathBuf),
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The state cannot be read.
    #[error("the certificate authority in `{path}` cannot be read")]
    State {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: StateError,
    },
    /// The keys lie under a passphrase, and none was given.
    #[error("the keys lie under a passphrase, and none was given")]
    PassphraseNeeded,
    /// The keys do not lie under a passphrase, and one was given.
    #[error("the keys of this authority lie under no passphrase, and one was given")]
    PassphraseUnneeded,
    /// A sealed key does not open.
    #[error("the key in `{path}` does not open")]
    OpenKey {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: OpenKeyError,
    },
    /// A file holds no key.
    #[error("`{path}` holds no usable key")]
    ReadKey {
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::PemError,
    },
    /// A file holds another key than it should.
    #[error("`{0}` holds another key than this authority's")]
    WrongKey(PathBuf),
    /// The key of an authority that signs leaves is gone.
    #[error("the key `{0}` is gone; only keys of roots may be kept elsewhere")]
    KeyGone(PathBuf),
    /// A key could not be sealed.
    #[error("a key could not be put under the passphrase")]
    SealKey(#[source] SealKeyError),
    /// A key could not be made.
    #[error("a key could not be made")]
    MakeKey(#[source] KeyError),
    /// The name is no trust domain.
    #[error("`{name}` is no trust domain")]
    TrustDomain {
        /// What was given.
        name: String,
        /// Why.
        source: ParseSpiffeIdError,
    },
    /// The bundle and the keys do not belong together.
    #[error("certificates and keys in the folder do not belong together")]
    Load(#[source] LoadClusterError),
    /// The authority refuses the step.
    #[error("the authority refuses the step")]
    Cluster(#[from] ClusterError),
    /// A certificate could not be issued.
    #[error("the certificate could not be issued")]
    Issue(#[from] IssueError),
    /// The lists have grown beyond what members take.
    #[error("what members are to trust has grown too large")]
    Bundle(#[source] TrustBundleError),
    /// More certificates are alive than are noted.
    #[error("as many certificates as one authority keeps account of have not expired")]
    Full,
    /// An earlier step was not written.
    #[error("an earlier step could not be written; open the folder again")]
    Broken,
    /// Something that was given is not usable.
    #[error("{0}")]
    Input(String),
    /// What was looked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// The folder is somebody's.
    #[error("{0}")]
    Taken(String),
    /// The step is not taken.
    #[error("{0}")]
    Refused(String),
}

impl CaError {
    /// Who is to mend it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Exists(_) | Self::NotEmpty(_) | Self::Busy(_) | Self::Taken(_) => Fault::Conflict,
            Self::NoCa(_) | Self::NotFound(_) => Fault::NotFound,
            Self::PassphraseNeeded
            | Self::PassphraseUnneeded
            | Self::OpenKey { .. }
            | Self::TrustDomain { .. }
            | Self::SealKey(SealKeyError::Passphrase)
            | Self::Input(_) => Fault::Input,
            _ => Fault::Refused,
        }
    }
}
