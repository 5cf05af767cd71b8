//! The configuration file of `--config`: flags of the server in TOML.
//!
//! Its keys are the names of the flags. A command takes the keys that it knows as well, by their environment variables: `backup` is the
//! place of the server's backups, and the argument of the command of that name. Each key becomes an argument of the command
//! line, unless the command line or the environment gives the same or a contradicting one. So all further rules for flags, such as
//! which require each other, hold for the file as well.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory};
use toml::de::{DeTable, DeValue};

use super::Cli;
use super::data_dir::global_path;

/// Id of the flag that names the file.
const CONFIG: &str = "config";
/// Largest accepted file, in bytes.
const MAX_LEN: u64 = 1 << 20;
/// Ends the flags on a command line.
const END_OF_FLAGS: &str = "--";

/// Keys that do not count if the command line or the environment gives one of these flags: they belong together, or contradict
/// each other.
const REPLACED_BY: [(&str, &[&str]); 13] = [
    ("listen", &["port"]),
    ("database", &["state", "documents"]),
    ("database-listen", &["database", "state", "documents"]),
    ("state", &["database", "data-dir"]),
    ("documents", &["database", "data-dir"]),
    ("auth", &["data-dir"]),
    ("peer-token-file", &["peer"]),
    ("jwks", &["oidc-issuer"]),
    ("oidc-issuer", &["jwks"]),
    ("oidc-client-id", &["jwks"]),
    ("oidc-client-secret-file", &["jwks", "oidc-client-id"]),
    ("oidc-name", &["jwks"]),
    ("public-url", &["jwks"]),
];
/// Id of the argument of `check` that names a file in place of a database.
const CHECKED_FILE: &str = "document_file";

/// Why the configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConfigFileError {
    /// It cannot be read.
    #[error("{}: {error}; check --config, or unset HAPPIERWORK_CONFIG", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// A line is wrong.
    #[error("{}:{}: {}", path.display(), invalid.line, invalid.reason)]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line and the reason.
        invalid: InvalidLine,
    },
}

/// A line of the file that cannot be used. Does not contain the value, which may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InvalidLine {
    /// Its number, from 1.
    line: usize,
    reason: String,
}

/// A command line with what the configuration file adds to it.
pub(super) struct Completed {
    pub(super) arguments: Vec<OsString>,
    /// Whether the file says that documents are kept in files.
    pub(super) has_files: bool,
}

/// Adds what the configuration file says, if the command line or the environment names one.
///
/// # Errors
/// When it cannot be read, or one of its lines is wrong.
pub(super) fn with_config_file(command: &Command, arguments: Vec<OsString>) -> Result<Completed, ConfigFileError> {
    // Other errors are reported by the second pass, which knows what the file says.
    let first_pass = command.clone().ignore_errors(true).try_get_matches_from(&arguments).ok();
    let Some((matches, path)) =
        first_pass.and_then(|matches| global_path(&matches, CONFIG).map(|path| (matches, path)))
    else {
        return Ok(Completed { arguments, has_files: false });
    };
    let text = read(&path).map_err(|error| ConfigFileError::Read { path: path.clone(), error })?;
    let server = Cli::command();
    let settings = parse(&server, &text).map_err(|invalid| ConfigFileError::Invalid { path, invalid })?;
    Ok(complete(&server, &matches, &settings, arguments))
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_LEN + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_LEN {
        return Err(io::Error::other(format!("the file is larger than {MAX_LEN} bytes")));
    }
    Ok(text)
}

/// A key of the file with its value.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    /// The name of the flag.
    key: String,
    /// The environment variable of the flag.
    variable: OsString,
    /// The values as on a command line. One without content stands for a flag that takes none.
    values: Vec<Option<String>>,
}

/// Reads and checks all keys. `server`: the command of the server, which has all flags.
///
/// # Errors
/// The first wrong line.
fn parse(server: &Command, text: &str) -> Result<Vec<Setting>, InvalidLine> {
    let line = |at: usize| text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| InvalidLine {
        line: line(error.span().map_or(text.len(), |span| span.start)),
        reason: format!("this is no TOML: {}", error.message()),
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    // Otherwise an invalid variable would look like an error of the file.
    let checked = server.clone().mut_args(|argument| argument.env(Resettable::Reset));
    let mut settings = Vec::new();
    for (key, value) in entries {
        let name = key.get_ref();
        let invalid = |reason| InvalidLine { line: line(key.span().start), reason };
        let (argument, variable) = flag(server, name).ok_or_else(|| invalid(unknown_key(server, name)))?;
        let values = values(argument, value.get_ref())
            .and_then(|values| check(&checked, name, &values).map(|()| values))
            .map_err(|reason| invalid(format!("{name}: {reason}")))?;
        settings.push(Setting { key: name.to_string(), variable: variable.to_owned(), values });
    }
    Ok(settings)
}

/// A flag of the server that may be in the file, and its variable.
fn flag<'a>(server: &'a Command, name: &str) -> Option<(&'a Arg, &'a OsStr)> {
    let argument = server.get_arguments().find(|argument| argument.get_long() == Some(name))?;
    let variable = argument.get_env()?;
    // A file that names another file would hide where a value comes from.
    (argument.get_id() != CONFIG).then_some((argument, variable))
}

fn unknown_key(server: &Command, name: &str) -> String {
    let with_hyphens = name.replace('_', "-");
    if flag(server, &with_hyphens).is_some() {
        return format!("unknown key `{name}`; the name is `{with_hyphens}`");
    }
    format!(
        "unknown key `{name}`; the keys are the flags of `happierwork serve --help`, without the hyphens before them"
    )
}

/// The values of a key as on a command line.
///
/// # Errors
/// When the value has another type than the flag.
fn values(argument: &Arg, value: &DeValue<'_>) -> Result<Vec<Option<String>>, String> {
    let takes_value = argument.get_action().takes_values();
    match value {
        DeValue::Boolean(is_set) if !takes_value => Ok(is_set.then_some(None).into_iter().collect()),
        _ if !takes_value => Err("must be true or false".to_owned()),
        DeValue::Array(values) if matches!(argument.get_action(), ArgAction::Append) => {
            values.iter().map(|value| scalar(value.get_ref()).map(Some)).collect()
        }
        DeValue::Array(_) => Err("must be one value, not an array".to_owned()),
        value => Ok(vec![Some(scalar(value)?)]),
    }
}

fn scalar(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        // `file-mode = 0o640` would be taken as the decimal number 416.
        DeValue::Integer(_) => Err("must be a decimal number or a text".to_owned()),
        _ => Err("must be a text or a whole number".to_owned()),
    }
}

/// Checks values as the flag does. `server` must not read the environment.
///
/// # Errors
/// The reason, when the flag does not accept one.
fn check(server: &Command, key: &str, values: &[Option<String>]) -> Result<(), String> {
    let program = server.get_name().to_owned();
    let arguments = values.iter().map(|value| argument(key, value.as_deref()));
    let parsed = server.clone().try_get_matches_from(std::iter::once(program.into()).chain(arguments));
    // Flags that require this one, or that it requires, may follow in the file or be on the command line.
    match parsed {
        Err(error) if matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) => {
            Err(reason(&error))
        }
        _ => Ok(()),
    }
}

fn reason(error: &clap::Error) -> String {
    match (error.source(), error.get(ContextKind::ValidValue)) {
        (Some(source), _) => source.to_string(),
        (None, Some(ContextValue::Strings(valid))) if !valid.is_empty() => {
            format!("must be one of {}", valid.join(", "))
        }
        _ => "must not be empty".to_owned(),
    }
}

fn argument(name: &str, value: Option<&str>) -> OsString {
    match value {
        Some(value) => format!("--{name}={value}").into(),
        None => format!("--{name}").into(),
    }
}

/// Adds the settings that the command knows, and that neither the command line nor the environment decides.
fn complete(server: &Command, matches: &ArgMatches, settings: &[Setting], mut arguments: Vec<OsString>) -> Completed {
    let target = Target::of(server, matches);
    let counts = |setting: &&Setting| {
        let replacing = REPLACED_BY.iter().filter(|(key, _)| *key == setting.key).flat_map(|(_, others)| *others);
        let is_replaced = replacing.filter_map(|key| flag(server, key)).any(|(_, variable)| target.is_given(variable));
        let is_file_checked =
            setting.key == "database" && matches!(target.matches.try_contains_id(CHECKED_FILE), Ok(true));
        !is_replaced && !is_file_checked
    };
    let counting: Vec<&Setting> = settings.iter().filter(counts).collect();
    let mut added = Vec::new();
    for setting in &counting {
        let known = target.argument(&setting.variable).filter(|_| !target.is_given(&setting.variable));
        let Some(known) = known else { continue };
        added.extend(setting.values.iter().map(|value| match (known.get_long(), value) {
            (Some(name), value) => argument(name, value.as_deref()),
            (None, value) => value.clone().unwrap_or_default().into(),
        }));
    }
    let end = arguments.iter().position(|argument| argument == END_OF_FLAGS).unwrap_or(arguments.len());
    arguments.splice(end..end, added);
    let has_files = counting.iter().any(|setting| matches!(setting.key.as_str(), "state" | "documents"));
    Completed { arguments, has_files }
}

/// The innermost subcommand of a command line, or the server.
struct Target<'a> {
    server: &'a Command,
    command: &'a Command,
    matches: &'a ArgMatches,
}

impl<'a> Target<'a> {
    fn of(server: &'a Command, matches: &'a ArgMatches) -> Self {
        let mut target = Self { server, command: server, matches };
        while let Some((name, matches)) = target.matches.subcommand()
            && let Some(command) = target.command.find_subcommand(name)
        {
            target = Self { server, command, matches };
        }
        target
    }

    /// The argument with this variable.
    fn argument(&self, variable: &OsStr) -> Option<&'a Arg> {
        let global = self.server.get_arguments().filter(|argument| argument.is_global_set());
        self.command.get_arguments().chain(global).find(|argument| argument.get_env() == Some(variable))
    }

    /// Whether the command line or the environment has the argument with this variable.
    fn is_given(&self, variable: &OsStr) -> bool {
        let source = self.argument(variable).and_then(|argument| self.matches.value_source(argument.get_id().as_str()));
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    }
}

#[cfg(test)]
mod tests;
