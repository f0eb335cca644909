//! Why a program is not accepted, in words that its author can act on.

use serde::{Deserialize, Serialize};

/// What is wrong with a program. It was not compiled, or compiled and thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Neither a core module nor a component.
    #[error("this is not WebAssembly: it does not begin with `\\0asm`")]
    NotWasm,
    /// Machine code, which nobody may bring along.
    #[error("this is a precompiled program; hand in the `.wasm` it was made from")]
    Precompiled,
    /// More bytes than a node takes.
    #[error("the program has `{bytes}` bytes, and may have `{max}`")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The largest there may be.
        max: u64,
    },
    /// A core module that does not say which world it was made for.
    #[error(
        "this is a core module without a component type; build it with a caxton SDK (or with \
         wit-bindgen) against the world `caxton:agent/agent`, or turn it into a component with \
         `wasm-tools component new`"
    )]
    CoreWithoutType,
    /// What every program must have is not there.
    #[error(
        "the program does not export `{name}`; build it against the world `caxton:agent/agent`"
    )]
    MissingExport {
        /// Interface and function.
        name: String,
    },
    /// It is there, and is something else.
    #[error(
        "the program's export `{name}` has another type than `caxton:agent@0.1.0` says: {detail}"
    )]
    WrongExport {
        /// Interface and function.
        name: String,
        /// Where the types differ.
        detail: String,
    },
    /// The program asks for something that no node has.
    #[error("the program imports `{name}`, which programs do not get; {hint}")]
    UnknownImport {
        /// The import.
        name: String,
        /// What to do about it.
        hint: String,
    },
    /// The program asks for something that exists, in another shape.
    #[error(
        "the program's import `{name}` has another type than `caxton:agent@0.1.0` says: {detail}"
    )]
    WrongImport {
        /// The import.
        name: String,
        /// Where the types differ.
        detail: String,
    },
    /// One instance would need more than any agent can get.
    #[error("the program needs `{value}` {what}, and may need `{max}`")]
    NeedsTooMuch {
        /// Memories, tables, core instances, bytes of memory or table elements.
        what: String,
        /// How many it needs.
        value: u64,
        /// How many it may need.
        max: u64,
    },
    /// Not valid, or of a kind that is switched off.
    #[error("the program is not valid: {detail}")]
    Invalid {
        /// The validator's words, 300 characters at most.
        detail: String,
    },
}

impl Refusal {
    /// A stable word for the API, metrics and audit records.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotWasm => "not-wasm",
            Self::Precompiled => "precompiled",
            Self::TooLarge { .. } => "too-large",
            Self::CoreWithoutType => "core-without-type",
            Self::MissingExport { .. } => "missing-export",
            Self::WrongExport { .. } => "wrong-export",
            Self::UnknownImport { .. } => "unknown-import",
            Self::WrongImport { .. } => "wrong-import",
            Self::NeedsTooMuch { .. } => "needs-too-much",
            Self::Invalid { .. } => "invalid",
        }
    }

    /// [`Self::Invalid`] with the message's innermost lines, bounded.
    pub(crate) fn invalid(error: impl std::fmt::Display) -> Self {
        let detail = detail(error);
        Self::Invalid { detail }
    }

    /// [`Self::UnknownImport`] with the hint that fits the name.
    pub(crate) fn unknown_import(name: &str) -> Self {
        Self::UnknownImport {
            name: detail(name),
            hint: hint(name).to_owned(),
        }
    }
}

/// Longest text taken over from a validator.
const DETAIL_BYTES_MAX: usize = 300;

/// Somebody else's message as one bounded line.
pub(crate) fn detail(error: impl std::fmt::Display) -> String {
    crate::log_budget::one_line(&error.to_string(), DETAIL_BYTES_MAX)
}

fn hint(name: &str) -> &'static str {
    if name.starts_with("wasi") {
        "there is no WASI here: build Rust for `wasm32-unknown-unknown`, C without `printf` and files, \
         JavaScript with `jco componentize --backend qjs --backend-qjs-stub-wasi`, Python with \
         `componentize-py componentize --stub-wasi`"
    } else if name.starts_with(crate::bindings::PACKAGE) {
        "this node offers `caxton:agent@0.1.0`: build against its WIT"
    } else if name == "env" || name.starts_with("__wbindgen") {
        "such imports come from AssemblyScript, wasm-bindgen or an unresolved C symbol: build with a caxton \
         SDK or with wit-bindgen"
    } else {
        "a program may import log, messaging, kv, secrets and tools of `caxton:agent@0.1.0`"
    }
}
