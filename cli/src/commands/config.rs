//! `caxton config …`: what a node's configuration is, where each value comes from, whether a file
//! is sound. The node's own reader does the reading; see [`crate::node`].

use super::App;
use crate::{args::ConfigCommand, error::CliError, exit::Exit, node};

pub(super) fn run(app: &App, command: ConfigCommand) -> Result<Exit, CliError> {
    match command {
        ConfigCommand::Show { flags, origin } => node::show_config(app, &flags, origin),
        ConfigCommand::Validate { file } => node::validate_config(app, &file),
        ConfigCommand::Example => {
            app.terminal.write(node::example_config())?;
            Ok(Exit::Ok)
        }
    }
}
