//! A token: its module loaded, its slot found, logged in; and the objects in it by their labels.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::RawAuthPin;
use zeroize::Zeroizing;

/// PKCS#11 pads a token's label to this many bytes, and takes no longer one.
const LABEL_BYTES_MAX: usize = 32;

/// Which of a module's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// The token in the slot of this number. Numbers may change when a token is plugged in again.
    Slot(u64),
    /// The one token of this label.
    Label(String),
}

/// What it takes to open a token.
#[derive(Clone)]
pub struct TokenConfig {
    /// The token's library, such as `/usr/lib/softhsm/libsofthsm2.so`. Its code runs in this
    /// process, so the path must be one that only an administrator writes to.
    pub module: PathBuf,
    /// Which token.
    pub place: TokenPlace,
    /// The user's PIN, as the caller read it from a file or credential; never from a command line.
    pub pin: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for TokenConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenConfig")
            .field("module", &self.module)
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// Why a token or something in it cannot be used. Nothing was changed in the token, save where
/// the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file is not there, or is no PKCS#11 module.
    #[error("the PKCS#11 module `{module}` cannot be loaded")]
    Module {
        /// The file.
        module: PathBuf,
        /// What the loader says.
        source: Error,
    },
    /// The module has no such token.
    #[error("there is no such token")]
    NoToken,
    /// Several tokens have the label. The slot number tells them apart.
    #[error("several tokens have this label")]
    SeveralTokens,
    /// The PIN is not the token's. One try fewer is left.
    #[error("the token refuses the PIN")]
    WrongPin,
    /// Too many wrong PINs: only the token's security officer can unlock it.
    #[error("the token is locked after too many wrong PINs")]
    Locked,
    /// No key in the token has this label.
    #[error("the token holds no key `{label}`")]
    NoKey {
        /// The label.
        label: String,
    },
    /// The label is taken, where one key must have it.
    #[error("the token holds several keys `{label}`, or one where none should be")]
    LabelTaken {
        /// The label.
        label: String,
    },
    /// The key is of another kind than it should be.
    #[error("the token's key `{label}` is of another kind")]
    WrongKind {
        /// The label.
        label: String,
    },
    /// The token would give the private key away: it was not made for this.
    #[error("the token's key `{label}` may leave the token")]
    MayLeave {
        /// The label.
        label: String,
    },
    /// The label is empty or longer than we use.
    #[error("a label has 1 to {LABEL_BYTES_MAX} bytes")]
    Label,
    /// The token does not know the mechanism: it is older than PKCS#11 3.2, say.
    #[error("the token does not know this kind of key")]
    Unsupported(#[source] Error),
    /// The token refused for another reason, or answered nonsense.
    #[error("the token does not answer as it should")]
    Token(#[source] Error),
}

impl From<Error> for TokenError {
    fn from(error: Error) -> Self {
        match error {
            Error::Pkcs11(
                RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid,
                _,
            ) => Self::WrongPin,
            Error::Pkcs11(RvError::PinLocked, _) => Self::Locked,
            Error::Pkcs11(
                RvError::MechanismInvalid
                | RvError::FunctionNotSupported
                | RvError::AttributeTypeInvalid,
                _,
            )
            | Error::NullFunctionPointer => Self::Unsupported(error),
            other => Self::Token(other),
        }
    }
}

/// A token that is open and logged in. Clones share one session, so they take turns.
#[derive(Clone)]
pub struct Token {
    session: Arc<Mutex<Session>>,
}

impl Token {
    /// Loads the module, finds the token and logs in.
    ///
    /// # Errors
    /// When the module cannot be loaded, or the token is not there or refuses the PIN.
    pub fn open(config: &TokenConfig) -> Result<Self, TokenError> {
        let module = Pkcs11::new(&config.module).map_err(|source| TokenError::Module {
            module: config.module.clone(),
            source,
        })?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another token of the same module was opened before.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(error.into()),
        }
        let slot = find_slot(&module, &config.place)?;
        // Sessions that only read cannot make keys; the PIN guards both kinds alike.
        let session = module.open_rw_session(slot)?;
        let pin = RawAuthPin::new(Box::new(config.pin.to_vec()));
        match session.login_with_raw(UserType::User, &pin) {
            // A login counts for all sessions of the process with that token.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Self {
            session: Arc::new(Mutex::new(session)),
        })
    }

    /// Does something in the session, alone.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&Session) -> T) -> T {
        // A panic of another holder leaves no state of ours in the session.
        act(&self.session.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The one object of this class and label.
    pub(crate) fn find(&self, class: ObjectClass, label: &str) -> Result<ObjectHandle, TokenError> {
        let found = self.find_all(class, label)?;
        let label = label.to_owned();
        match found.as_slice() {
            [] => Err(TokenError::NoKey { label }),
            [one] => Ok(*one),
            _ => Err(TokenError::LabelTaken { label }),
        }
    }

    /// An error unless no object of this class has the label.
    pub(crate) fn expect_free(&self, class: ObjectClass, label: &str) -> Result<(), TokenError> {
        if self.find_all(class, label)?.is_empty() {
            Ok(())
        } else {
            Err(TokenError::LabelTaken {
                label: label.to_owned(),
            })
        }
    }

    fn find_all(&self, class: ObjectClass, label: &str) -> Result<Vec<ObjectHandle>, TokenError> {
        if !(1..=LABEL_BYTES_MAX).contains(&label.len()) {
            return Err(TokenError::Label);
        }
        let template = [
            Attribute::Class(class),
            Attribute::Token(true),
            Attribute::Label(label.as_bytes().to_vec()),
        ];
        Ok(self.with(|session| session.find_objects(&template))?)
    }

    /// These attributes of an object.
    pub(crate) fn attributes(
        &self,
        object: ObjectHandle,
        wanted: &[AttributeType],
    ) -> Result<Vec<Attribute>, TokenError> {
        Ok(self.with(|session| session.get_attributes(object, wanted))?)
    }

    /// SECURITY: what custody promises holds for keys that the token keeps to itself.
    pub(crate) fn expect_kept(&self, object: ObjectHandle, label: &str) -> Result<(), TokenError> {
        let wanted = [AttributeType::Sensitive, AttributeType::Extractable];
        let found = self.attributes(object, &wanted)?;
        let kept = found.contains(&Attribute::Sensitive(true))
            && found.contains(&Attribute::Extractable(false));
        kept.then_some(()).ok_or_else(|| TokenError::MayLeave {
            label: label.to_owned(),
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

fn find_slot(module: &Pkcs11, place: &TokenPlace) -> Result<Slot, TokenError> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_token()? {
        let is_it = match place {
            TokenPlace::Slot(number) => slot.id() == *number,
            // A token that was never set up has nothing to say, nor one that does not answer.
            TokenPlace::Label(label) => module
                .get_token_info(slot)
                .is_ok_and(|token| token.token_initialized() && token.label() == label),
        };
        if is_it {
            found.push(slot);
        }
    }
    match found.as_slice() {
        [] => Err(TokenError::NoToken),
        [one] => Ok(*one),
        _ => Err(TokenError::SeveralTokens),
    }
}
