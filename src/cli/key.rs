//! `key`: creates, lists, retires and exports the keys that sign tokens.

use std::process::ExitCode;

use auth::{AuthError, AuthFolder, OwnKeys};
use primitives::iso_ms;
use runtime::clock::now;
use serde::Serialize;

use super::fail;
use super::output::{OutputError, note, print, print_json};
use crate::cli::config::{KeyArgs, KeyCommand};

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Prints results to standard output, and notes for people to standard error.
pub(super) fn run(args: &KeyArgs) -> ExitCode {
    match try_run(&args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

fn try_run(command: &KeyCommand) -> Result<(), KeyError> {
    match command {
        KeyCommand::New { alg, folder } => {
            let folder = AuthFolder::create(&folder.auth)?;
            print(folder.change_keys(|keys| keys.make(*alg, now()).map(|key| key.id().to_owned()))?)?;
        }
        KeyCommand::List { json, folder } => list(&AuthFolder::open(&folder.auth)?.keys()?, *json)?,
        KeyCommand::Retire { kid, folder } => {
            AuthFolder::open(&folder.auth)?.change_keys(|keys| keys.retire(kid))?;
            note(format_args!("{kid} retired; tokens signed with it are rejected from now on"));
        }
        KeyCommand::Export(folder) => {
            let keys = AuthFolder::open(&folder.auth)?.keys()?;
            let (public, secret) = keys.export();
            print(format_args!("{public:#}"))?;
            for kid in secret {
                note(format_args!("{kid} is left out: it is a shared secret that can also sign tokens"));
            }
        }
    }
    Ok(())
}

/// A key in the list, as `--json` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedKey<'a> {
    id: &'a str,
    algorithm: &'a str,
    created_at: Option<String>,
    /// Whether new tokens are signed with it. All keys verify.
    signs: bool,
}

fn list(keys: &OwnKeys, json: bool) -> Result<(), OutputError> {
    let newest = keys.newest().map(auth::OwnKey::id);
    if json {
        let listed = keys.iter().map(|key| ListedKey {
            id: key.id(),
            algorithm: key.algorithm().name(),
            created_at: iso_ms(key.created.saturating_mul(1_000)),
            signs: newest == Some(key.id()),
        });
        return print_json(&listed.collect::<Vec<_>>());
    }
    print(format_args!("{:<16}  {:<5}  {:<20}  USE", "KEY", "ALG", "CREATED"))?;
    for key in keys.iter() {
        let usage = if newest == Some(key.id()) { "signs, verifies" } else { "verifies" };
        let created = iso_ms(key.created.saturating_mul(1_000)).unwrap_or_default();
        print(format_args!("{:<16}  {:<5}  {created:<20}  {usage}", key.id(), key.algorithm().name()))?;
    }
    Ok(())
}
