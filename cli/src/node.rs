//! The node's own code: the only file that knows the crate `caxton-node`. Starting a node, reading
//! its configuration and the hidden compile process are handed over here; the rest of the command
//! speaks REST.

use std::path::Path;

use crate::{
    args::{NodeFlags, Start},
    commands::App,
    error::CliError,
    exit::Exit,
    explain,
};

fn absent() -> CliError {
    CliError::new(
        &explain::NODE_START,
        Exit::Failed,
        "this build has no node in it",
    )
    .fix("use a build of the whole workspace")
}

/// Starts a node and stays until it has ended.
///
/// # Errors
/// It cannot start.
pub async fn start(_app: &App, _start: Start) -> Result<Exit, CliError> {
    Err(absent())
}

/// Shows the configuration that a node started here would have.
///
/// # Errors
/// A file or value is not sound.
pub fn show_config(_app: &App, _flags: &NodeFlags, _origin: bool) -> Result<Exit, CliError> {
    Err(absent())
}

/// Checks a configuration file.
///
/// # Errors
/// The answer cannot be written.
pub fn validate_config(_app: &App, _file: &Path) -> Result<Exit, CliError> {
    Err(absent())
}

/// A configuration file with every setting.
#[must_use]
pub fn example_config() -> &'static str {
    ""
}

/// Compiles one program for the node that started this process.
///
/// # Errors
/// It does not compile.
pub fn compile() -> Result<Exit, CliError> {
    Err(absent())
}
