//! Finds and reads the files, then has everything resolved and checked.

use std::{
    fmt, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    check::{Config, base_folder, check},
    limits,
    problem::{Place, Problem},
    raw::File,
    resolve::{GivenFlag, Resolver, Setting},
    sections,
    units::show_bytes,
};

/// What everybody on the machine shares.
const SYSTEM_FILE: &str = "/etc/caxton/node.yaml";

/// Largest config file: a hundred times the example file, and read in a few milliseconds.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What was said on the command line. Texts are checked here, as those of files are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config`: this file and no other.
    pub config: Option<PathBuf>,
    /// `--name`: `node.name`.
    pub name: Option<String>,
    /// `--data`: `node.data`.
    pub data: Option<PathBuf>,
    /// `--ephemeral`: `node.ephemeral`.
    pub ephemeral: bool,
    /// `--listen`: `api.listen`.
    pub listen: Option<String>,
    /// `--mesh-listen`: `mesh.listen`.
    pub mesh_listen: Option<String>,
    /// `--advertise`: `mesh.advertise`.
    pub advertise: Option<String>,
    /// `--join`: `mesh.join`.
    pub join: Option<String>,
    /// `--token-file`: `mesh.token_file`.
    pub token_file: Option<PathBuf>,
    /// `--log-level`: `log.level`.
    pub log_level: Option<String>,
    /// `--log-format`: `log.format`.
    pub log_format: Option<String>,
    /// `--agents-max`: `agents.max`.
    pub agents_max: Option<u64>,
}

/// A configuration with the origin of each value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded {
    /// What the node is told.
    pub config: Config,
    /// Every setting in the order of the example file, with who gave it.
    pub origins: Vec<Setting>,
}

/// The configuration was refused. Nothing was started or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The operator's file cannot be read.
    #[error("error: reading config file `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The operator gave values that cannot stand; all that were found.
    #[error("{}", Report(.0))]
    Refused(Vec<Problem>),
}

impl ConfigError {
    /// What is wrong, one by one; none when a file cannot be read.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            Self::Refused(problems) => problems,
            Self::Read { .. } => &[],
        }
    }
}

/// Problems as a person reads them, an empty line between two.
struct Report<'a>(&'a [Problem]);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "\n\n" };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

/// The configuration in force: flags over `environment` over the user's file over the system's file
/// over defaults.
///
/// `--config` or `CAXTON_CONFIG` names the only file; without, `$XDG_CONFIG_HOME/caxton/node.yaml`
/// and `/etc/caxton/node.yaml` are read as far as they exist.
///
/// # Errors
/// A file cannot be read, or something in any source cannot stand.
pub fn load(
    flags: &Flags,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigError> {
    load_with(flags, environment, Path::new(SYSTEM_FILE))
}

/// [`load`] with the process's environment.
///
/// # Errors
/// As [`load`].
pub fn load_from_system(flags: &Flags) -> Result<Loaded, ConfigError> {
    load(flags, &system_environment)
}

/// The configuration that a node would have from this file alone.
///
/// # Errors
/// The file cannot be read, or something in it cannot stand.
pub fn validate(path: &Path) -> Result<Loaded, ConfigError> {
    let flags = Flags {
        config: Some(path.to_owned()),
        ..Flags::default()
    };
    load(&flags, &|name| {
        system_environment(name).filter(|_| !name.starts_with("CAXTON_"))
    })
}

/// A variable that is not UTF-8 counts as not set: no setting can be made of it.
#[expect(
    clippy::disallowed_methods,
    reason = "this folder alone reads the environment"
)]
fn system_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// [`load`] with another file of the system.
pub(super) fn load_with(
    flags: &Flags,
    environment: &dyn Fn(&str) -> Option<String>,
    system_file: &Path,
) -> Result<Loaded, ConfigError> {
    let known = known_keys();
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for (path, text) in read_files(flags, environment, system_file)? {
        files.push(File::read(&path, text, &known, &mut problems));
    }
    let mut resolver = Resolver::new(flags.given(), environment, files, problems);
    let config = check(&mut resolver);
    match config {
        Some(config) if resolver.problems.is_empty() => Ok(Loaded {
            config,
            origins: resolver.settings,
        }),
        _ => Err(ConfigError::Refused(resolver.problems)),
    }
}

/// The files that count, the strongest first.
fn read_files(
    flags: &Flags,
    environment: &dyn Fn(&str) -> Option<String>,
    system_file: &Path,
) -> Result<Vec<(PathBuf, String)>, ConfigError> {
    let variable = || environment("CAXTON_CONFIG").filter(|path| !path.is_empty());
    if let Some(path) = flags
        .config
        .clone()
        .or_else(|| variable().map(PathBuf::from))
    {
        let text = read_file(&path)?;
        return Ok(vec![(path, text)]);
    }
    let user = base_folder(environment, "XDG_CONFIG_HOME", ".config");
    let implicit = user.map(|folder| folder.join("caxton/node.yaml"));
    let mut files = Vec::new();
    for path in implicit.into_iter().chain([system_file.to_owned()]) {
        match read_file(&path) {
            Ok(text) => files.push((path, text)),
            Err(ConfigError::Read { source, .. }) if is_absent(&source) => {}
            // A file that is there and cannot be read is not passed over: it may hold the safe values.
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
    let refused = |what: String| {
        let place = Place::Named(format!("file {}", path.display()));
        ConfigError::Refused(vec![Problem::new(what, Some(place))])
    };
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(refused(format!(
            "a config file has at most `{}`",
            show_bytes(FILE_BYTES_MAX)
        )));
    }
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(sound);
        let number = before.filter(|byte| **byte == b'\n').count() + 1;
        refused(format!("a config file is UTF-8 text, line {number} is not"))
    })
}

/// The keys of all settings.
pub(super) fn known_keys() -> Vec<String> {
    sections::keys()
        .map(str::to_owned)
        .chain(limits::keys())
        .collect()
}

impl Flags {
    fn given(&self) -> Vec<GivenFlag> {
        let data = self.data.as_ref().map(|path| path.display().to_string());
        let token_file = self.token_file.as_ref();
        let token_file = token_file.map(|path| path.display().to_string());
        let ephemeral = self.ephemeral.then(|| "true".to_owned());
        let agents_max = self.agents_max.map(|max| max.to_string());
        [
            ("name", "node.name", self.name.clone()),
            ("data", "node.data", data),
            ("ephemeral", "node.ephemeral", ephemeral),
            ("listen", "api.listen", self.listen.clone()),
            ("mesh-listen", "mesh.listen", self.mesh_listen.clone()),
            ("advertise", "mesh.advertise", self.advertise.clone()),
            ("join", "mesh.join", self.join.clone()),
            ("token-file", "mesh.token_file", token_file),
            ("log-level", "log.level", self.log_level.clone()),
            ("log-format", "log.format", self.log_format.clone()),
            ("agents-max", "agents.max", agents_max),
        ]
        .into_iter()
        .filter_map(|(flag, key, text)| {
            Some(GivenFlag {
                flag,
                key,
                text: text?,
            })
        })
        .collect()
    }
}
