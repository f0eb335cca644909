//! A token of one's own for each test.
//!
//! Both libraries read their configuration from the environment, once for a process. So each test
//! runs itself again in a process of its own, with an empty token's folder in the environment.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use caxton_pkcs11::{Token, TokenConfig, TokenPlace};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::UserType;
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

pub(crate) const LABEL: &str = "caxton test";
pub(crate) const PIN: &[u8] = b"4711-0815";
const OFFICER: &str = "officer-pin";
const INSIDE: &str = "CAXTON_TEST_TOKEN_FOLDER";

/// A software token's library.
#[derive(Clone, Copy)]
pub(crate) enum Library {
    SoftHsm,
    Kryoptic,
}

impl Library {
    /// Where the library is, when it is installed.
    pub(crate) fn module(self) -> Option<PathBuf> {
        let paths: Vec<OsString> = match self {
            Self::SoftHsm => vec![
                "/usr/lib/softhsm/libsofthsm2.so".into(),
                "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so".into(),
                "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so".into(),
            ],
            Self::Kryoptic => env::var_os("CAXTON_KRYOPTIC").into_iter().collect(),
        };
        paths
            .into_iter()
            .map(PathBuf::from)
            .find(|path| path.is_file())
    }

    fn missing(self) -> &'static str {
        match self {
            Self::SoftHsm => "no SoftHSM (apt-get install softhsm2)",
            Self::Kryoptic => "no Kryoptic (CAXTON_KRYOPTIC names no libkryoptic_pkcs11.so)",
        }
    }

    /// The configuration for one empty token in a folder, and the variable that points at it.
    fn configuration(self, folder: &Path) -> (&'static str, String) {
        let folder = folder.display();
        match self {
            Self::SoftHsm => (
                "SOFTHSM2_CONF",
                format!(
                    "directories.tokendir = {folder}\nobjectstore.backend = file\nlog.level = ERROR\n"
                ),
            ),
            Self::Kryoptic => (
                "KRYOPTIC_CONF",
                format!(
                    "[[slots]]\nslot = 1\ndbtype = \"sqlite\"\ndbargs = \"{folder}/token.sql\"\n"
                ),
            ),
        }
    }
}

/// Runs `body` in a process of its own with a new token of this library. `name` is the test's.
pub(crate) fn with_token(library: Library, name: &str, body: impl FnOnce(&TokenConfig)) {
    let Some(module) = library.module() else {
        eprintln!("skipped: {}: {name}", library.missing());
        return;
    };
    if env::var_os(INSIDE).is_some() {
        set_up(&module);
        body(&config(&module));
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (variable, text) = library.configuration(folder.path());
    let file = folder.path().join("token.conf");
    fs::write(&file, text).expect("a writable folder");
    let output = Command::new(env::current_exe().expect("the test itself"))
        .args(["--exact", name, "--nocapture"])
        .env(variable, &file)
        .env(INSIDE, folder.path())
        .output()
        .expect("the test runs again");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn config(module: &Path) -> TokenConfig {
    TokenConfig {
        module: module.to_owned(),
        place: TokenPlace::Label(LABEL.to_owned()),
        pin: Zeroizing::new(PIN.to_vec()),
    }
}

/// The module itself, for what our crate does not do: making tokens and looking at their insides.
pub(crate) fn raw(module: &Path) -> Pkcs11 {
    let module = Pkcs11::new(module).expect("a module");
    // It may have been done before in this process.
    let _ = module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    module
}

fn set_up(module: &Path) {
    let module = raw(module);
    let slots = module.get_slots_with_token().expect("slots");
    make_token(&module, *slots.first().expect("a slot"), LABEL);
}

/// Makes an empty token of this label in a slot.
pub(crate) fn make_token(module: &Pkcs11, slot: Slot, label: &str) {
    let officer = AuthPin::new(OFFICER.into());
    module.init_token(slot, &officer, label).expect("a token");
    // Initialised tokens may have moved to another slot.
    let slots = module.get_slots_with_initialized_token().expect("slots");
    let mut ours = slots.into_iter().filter(|slot| {
        let token = module.get_token_info(*slot).expect("a token");
        token.label() == label && !token.user_pin_initialized()
    });
    let session = module
        .open_rw_session(ours.next().expect("the token just made"))
        .expect("a session");
    session
        .login(UserType::So, Some(&officer))
        .expect("a login");
    let pin = std::str::from_utf8(PIN).expect("ASCII");
    session.init_pin(&AuthPin::new(pin.into())).expect("a PIN");
    session.logout().expect("a logout");
}

pub(crate) fn open(config: &TokenConfig) -> Token {
    Token::open(config).expect("an open token")
}
