//! Contexts: a node's address, the authority to trust and the API key or client certificate, one file each, 0600 in a
//! folder 0700. And which of them a command uses: flags, then the environment, then the current one.
//!
//! The only file that reads the environment.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{deployer::KEY_FILE, error::CliError, exit::Exit, explain};

/// The tenant where none is named.
pub const DEFAULT_TENANT: &str = "default";
/// The context that a development node writes.
pub const DEVELOPMENT: &str = "dev";
/// Mode bits of a context file that nobody but the owner may have.
const OTHERS: u32 = 0o077;

/// A text that must not be shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

/// A client certificate, shown to the node in the handshake.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCertificate {
    /// The chain, leaf first, PEM.
    pub chain_pem: String,
    /// The leaf's private key, PEM.
    pub key_pem: Secret,
}

impl ClientCertificate {
    /// Reads both files; others may not read the key's.
    ///
    /// # Errors
    /// One of them cannot be read, or others can read the key.
    pub fn read(chain: &Path, key: &Path) -> Result<Self, CliError> {
        Ok(Self {
            chain_pem: read_text(chain)?,
            key_pem: Secret::new(read_secret_text(key)?),
        })
    }
}

/// What a context file holds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// `https://host:port`.
    pub server: String,
    /// The certificates to trust, PEM.
    pub ca_pem: String,
    /// The API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
    /// The client certificate in place of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ClientCertificate>,
    /// The tenant of names without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// What the environment says; read once, then handed on.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Reads what concerns us from the process.
    #[must_use]
    pub fn of_process() -> Self {
        let ours = |name: &str| {
            name.starts_with("CAXTON_") || matches!(name, "HOME" | "XDG_CONFIG_HOME" | "SHELL")
        };
        let text = |os: std::ffi::OsString| os.into_string().ok();
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
            .filter(|(name, value)| ours(name) && !value.is_empty())
            .collect();
        Self { variables }
    }

    /// Makes one from given variables, as a test does.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self { variables }
    }

    /// One variable.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }
}

/// The context files of this user.
#[derive(Clone, Debug)]
pub struct Contexts {
    root: PathBuf,
}

impl Contexts {
    /// Those of the user whose environment it is: `${XDG_CONFIG_HOME:-~/.config}/caxton`.
    ///
    /// # Errors
    /// There is no home.
    pub fn of(environment: &Environment) -> Result<Self, CliError> {
        let config = environment.get("XDG_CONFIG_HOME").map(PathBuf::from);
        let home = || {
            environment
                .get("HOME")
                .map(|home| Path::new(home).join(".config"))
        };
        let base = config.filter(|path| path.is_absolute()).or_else(home);
        base.map(|base| Self {
            root: base.join("caxton"),
        })
        .ok_or_else(|| {
            CliError::new(
                &explain::NO_CONTEXT,
                Exit::Usage,
                "there is no place for contexts",
            )
            .why("neither XDG_CONFIG_HOME nor HOME is set")
            .fix("set HOME")
        })
    }

    /// The file of a context.
    ///
    /// # Errors
    /// The name is no file name.
    pub fn file(&self, name: &str) -> Result<PathBuf, CliError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.starts_with('.') || name.len() > 64 || !name.chars().all(plain) {
            let what = format!("`{name}` cannot be the name of a context");
            return Err(CliError::new(&explain::INPUT, Exit::Usage, what)
                .fix("use letters, digits, hyphen, underscore and dot, 64 at most"));
        }
        Ok(self.root.join("contexts").join(format!("{name}.yaml")))
    }

    /// Names of all contexts, sorted; none where there is no folder.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.join("contexts"))
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|file| file.strip_suffix(".yaml").map(str::to_owned))
            .filter(|name| self.file(name).is_ok())
            .collect();
        names.sort();
        names
    }

    /// Reads one.
    ///
    /// # Errors
    /// There is no such context, or its file is damaged.
    pub fn load(&self, name: &str) -> Result<Context, CliError> {
        let path = self.file(name)?;
        let text =
            fs::read_to_string(&path).map_err(|error| self.unreadable(name, &path, &error))?;
        serde_saphyr::from_str(&text).map_err(|error| {
            let what = format!("context `{name}` is damaged");
            // SECURITY: the parser's message quotes lines of the file, and a key stands in one.
            let place = error
                .location()
                .map_or(String::new(), |at| format!(":{}", at.line()));
            CliError::new(&explain::BAD_CONTEXT, Exit::Usage, what).why(format!(
                "{}{place}: a field is missing, unknown or not a text",
                path.display()
            ))
        })
    }

    fn unreadable(&self, name: &str, path: &Path, error: &io::Error) -> CliError {
        if error.kind() != io::ErrorKind::NotFound {
            let what = format!("context `{name}` cannot be read");
            return CliError::new(&explain::BAD_CONTEXT, Exit::Usage, what)
                .why(path.display().to_string())
                .because(error);
        }
        let names = self.names();
        let mut missing = CliError::new(
            &explain::NO_CONTEXT,
            Exit::NotFound,
            format!("there is no context `{name}`"),
        );
        missing.why = match names.is_empty() {
            true => vec!["there is no context at all on this machine".into()],
            false => vec![format!("there are: {}", names.join(", "))],
        };
        match crate::suggest::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => missing.fix_first(format!("did you mean `{near}`?")),
            None => missing,
        }
    }

    /// Writes one: whole or not at all, readable by its owner alone.
    ///
    /// # Errors
    /// The file cannot be written; what was there before still is.
    pub fn save(&self, name: &str, context: &Context) -> Result<PathBuf, CliError> {
        let path = self.file(name)?;
        let text = serde_saphyr::to_string(context).map_err(|error| {
            CliError::new(
                &explain::INTERNAL,
                Exit::Failed,
                "the context cannot be written",
            )
            .because(&error)
        })?;
        self.write(&path, &text)?;
        Ok(path)
    }

    /// Removes one; when it was the current one, none is current.
    ///
    /// # Errors
    /// There is no such context, or it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), CliError> {
        let path = self.file(name)?;
        fs::remove_file(&path).map_err(|error| self.unreadable(name, &path, &error))?;
        if self.current().as_deref() == Some(name) {
            fs::remove_file(self.root.join("current"))?;
        }
        Ok(())
    }

    /// The name of the current one.
    #[must_use]
    pub fn current(&self) -> Option<String> {
        let name = fs::read_to_string(self.root.join("current"))
            .ok()?
            .trim()
            .to_owned();
        self.file(&name)
            .is_ok_and(|path| path.exists())
            .then_some(name)
    }

    /// Makes one the current one.
    ///
    /// # Errors
    /// There is no such context, or the choice cannot be written.
    pub fn select(&self, name: &str) -> Result<(), CliError> {
        self.load(name)?;
        self.write(&self.root.join("current"), &format!("{name}\n"))
    }

    /// Whether others than the owner may read the file of a context.
    ///
    /// # Errors
    /// There is no such file.
    pub fn exposed(&self, name: &str) -> Result<Option<u32>, CliError> {
        let path = self.file(name)?;
        let seen = fs::metadata(&path).map_err(|error| self.unreadable(name, &path, &error))?;
        let mode = seen.permissions().mode() & 0o777;
        Ok((mode & OTHERS != 0).then_some(mode))
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), CliError> {
        let folder = path.parent().unwrap_or(&self.root);
        let written = || -> io::Result<()> {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
            // A temporary file is made 0600.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            Ok(())
        };
        written().map_err(|error| {
            let what = format!("{} cannot be written", path.display());
            CliError::new(&explain::OUTPUT, Exit::Failed, what).because(&error)
        })
    }
}

/// What the flags say about which node to talk to.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// `--context`.
    pub context: Option<String>,
    /// `--server`.
    pub server: Option<String>,
    /// `--ca-file`.
    pub ca_file: Option<PathBuf>,
    /// `--api-key-file`.
    pub api_key_file: Option<PathBuf>,
    /// `--tenant`.
    pub tenant: Option<String>,
}

/// Which node a command talks to, and as whom.
#[derive(Clone, Debug)]
pub struct Target {
    /// The context it comes from, where it comes from one.
    pub context: Option<String>,
    /// `https://host:port`.
    pub server: String,
    /// The certificates to trust, PEM.
    pub ca_pem: String,
    /// The API key.
    pub api_key: Option<Secret>,
    /// The client certificate.
    pub certificate: Option<ClientCertificate>,
    /// The tenant of names without one.
    pub tenant: String,
    /// The file of the key that deployments are signed with; none: they are not.
    pub deployer_key: Option<PathBuf>,
}

impl Target {
    /// Flags, then the environment, then the context that either names, then the current context.
    ///
    /// SECURITY: `--server` with a context keeps the context's authority, so its key goes to no node
    /// that this authority did not vouch for.
    ///
    /// # Errors
    /// No node is named anywhere, or what is named cannot be read.
    pub fn resolve(
        wanted: &Wanted,
        environment: &Environment,
        contexts: &Contexts,
    ) -> Result<Self, CliError> {
        let pick = |flag: &Option<String>, variable: &str| {
            flag.clone()
                .or_else(|| environment.get(variable).map(str::to_owned))
        };
        let named = pick(&wanted.context, "CAXTON_CONTEXT");
        let name = named.clone().or_else(|| contexts.current());
        let server = pick(&wanted.server, "CAXTON_SERVER");
        let ca_file = wanted
            .ca_file
            .clone()
            .or(environment.get("CAXTON_CA_FILE").map(Into::into));
        let context = match &name {
            Some(name) => Some(contexts.load(name)?),
            None if server.is_some() && ca_file.is_some() => None,
            None => return Err(none_selected(contexts, server.is_some())),
        };
        let context = context.as_ref();
        let ca_pem = match &ca_file {
            Some(path) => read_text(path)?,
            None => context
                .map(|context| context.ca_pem.clone())
                .unwrap_or_default(),
        };
        let of_environment = environment.get("CAXTON_API_KEY").map(Secret::new);
        let given = match &wanted.api_key_file {
            Some(path) => Some(Secret::new(read_text(path)?.trim())),
            None => of_environment,
        };
        // Who gives a key for one command asks with it alone: a node refuses what names two operators.
        let of_context = context.filter(|_| given.is_none());
        let certificate = of_context.and_then(|context| context.certificate.clone());
        let api_key = given.or_else(|| of_context.and_then(|context| context.api_key.clone()));
        let tenant = pick(&wanted.tenant, "CAXTON_TENANT")
            .or_else(|| context.and_then(|context| context.tenant.clone()));
        let server = server.or_else(|| context.map(|context| context.server.clone()));
        Ok(Self {
            context: name,
            server: server.unwrap_or_default().trim_end_matches('/').to_owned(),
            ca_pem,
            api_key,
            certificate,
            tenant: tenant.unwrap_or_else(|| DEFAULT_TENANT.to_owned()),
            deployer_key: Some(contexts.root.join(KEY_FILE)),
        })
    }
}

fn none_selected(contexts: &Contexts, has_server: bool) -> CliError {
    let error = CliError::new(&explain::NO_CONTEXT, Exit::Usage, "no node is selected");
    if has_server {
        return error
            .why("a server is named, but no certificate authority to trust")
            .fix("name it with --ca-file FILE, or use a context");
    }
    match contexts.names().as_slice() {
        [] => error.why("there is no context on this machine"),
        names => error
            .why(format!("none is current; there are: {}", names.join(", ")))
            .fix("caxton context select NAME"),
    }
}

/// Reads a file of ours that nobody else may read.
///
/// # Errors
/// It cannot be read, or others can.
pub fn read_secret_text(path: &Path) -> Result<String, CliError> {
    let seen = fs::metadata(path);
    let mode = seen.map_or(0, |seen| seen.permissions().mode() & 0o777);
    if mode & OTHERS != 0 {
        let what = format!("{} can be read by others", path.display());
        return Err(CliError::new(&explain::INPUT, Exit::Usage, what)
            .fix(format!("chmod 600 {}", path.display())));
    }
    read_text(path)
}

/// Reads a text file that the user named.
///
/// # Errors
/// It cannot be read, or is no text.
pub fn read_text(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|error| {
        let what = format!("{} cannot be read", path.display());
        CliError::new(&explain::INPUT, Exit::Usage, what).because(&error)
    })
}

#[cfg(test)]
#[path = "context_tests.rs"]
mod tests;
