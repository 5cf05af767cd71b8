//! Reads the command line, with what the environment and the configuration file say in its place.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgMatches, CommandFactory, FromArgMatches};

use super::Cli;
use super::config_file::{Completed, with_config_file};
use super::data_dir::with_data_dir;

impl Cli {
    /// Parses the command line, the environment and the configuration file. Exits with an error message if they are invalid.
    #[must_use]
    pub fn read() -> Self {
        Self::from_arguments(std::env::args_os().collect()).unwrap_or_else(|error| error.exit())
    }

    fn from_arguments(arguments: Vec<OsString>) -> Result<Self, clap::Error> {
        let invalid = |reason: String| Self::command().error(ErrorKind::ArgumentConflict, reason);
        let command = without_empty_variables(Self::command());
        let Completed { arguments, has_files } =
            with_config_file(&command, arguments).map_err(|error| invalid(error.to_string()))?;
        let matches = with_data_dir(command, &arguments).try_get_matches_from(arguments)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        let resolved = match &mut cli.command {
            Some(command) => command.resolve(last_subcommand(&matches), has_files),
            None => cli.serve.resolve(&matches),
        };
        resolved.map_err(invalid)?;
        Ok(cli)
    }
}

/// The matches of the innermost subcommand.
fn last_subcommand(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| last_subcommand(inner))
}

/// Treats an empty environment variable as unset. Many hosting platforms cannot unset one.
fn without_empty_variables(command: clap::Command) -> clap::Command {
    command
        .mut_args(|argument| match argument.get_env().and_then(std::env::var_os) {
            Some(value) if value.is_empty() => argument.env(clap::builder::Resettable::Reset),
            _ => argument,
        })
        .mut_subcommands(without_empty_variables)
}
