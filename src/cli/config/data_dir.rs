//! `--data-dir`: one folder for all that the server keeps in files.

use std::any::TypeId;
use std::path::{Path, PathBuf};

use clap::builder::{OsStr, Resettable};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

/// Id of the flag.
const DATA_DIR: &str = "data_dir";

/// The flags whose default is in the folder, and the names of their files and folders there.
const INSIDE: [(&str, &str); 3] = [("state", "state.automerge"), ("documents", "documents"), ("auth", "auth")];

/// Makes the folder that the command line or the environment names the default place of all files and folders.
pub(super) fn with_data_dir(command: Command, args: &[std::ffi::OsString]) -> Command {
    // Flags that are required without the folder are not yet known to be given, and errors are reported by the second pass.
    let first_pass = command.clone().ignore_errors(true).try_get_matches_from(args);
    match first_pass.ok().and_then(|matches| global_path(&matches, DATA_DIR)) {
        Some(folder) => with_defaults_in(command, &folder),
        None => command,
    }
}

/// The path in a flag that all commands have.
pub(super) fn global_path(matches: &ArgMatches, flag: &str) -> Option<PathBuf> {
    let own = matches.try_get_one::<PathBuf>(flag).ok().flatten().cloned();
    own.or_else(|| matches.subcommand().and_then(|(_, inner)| global_path(inner, flag)))
}

fn with_defaults_in(command: Command, folder: &Path) -> Command {
    command
        .mut_args(|argument| match INSIDE.iter().find(|(id, _)| argument.get_id() == id && is_path(&argument)) {
            Some((_, name)) => argument
                .default_value(Resettable::Value(OsStr::from(folder.join(name).into_os_string())))
                .required(false),
            None => argument,
        })
        .mut_subcommands(|inner| with_defaults_in(inner, folder))
}

/// Whether the value is a path: `--documents` of some commands is a list of ids.
fn is_path(argument: &Arg) -> bool {
    argument.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

/// Whether the folder of keys and accounts is the one in `--data-dir`.
pub(super) fn has_default_auth(matches: &ArgMatches) -> bool {
    matches.value_source("auth") == Some(ValueSource::DefaultValue)
}
