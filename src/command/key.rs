//! `key`: the keys that tokens are signed with.

use std::process::ExitCode;

use auth::{AuthError, AuthFolder, OwnKeys};
use primitives::iso_ms;
use runtime::clock::now;

use super::fail;
use super::output::{OutputError, note, print};
use crate::config::{KeyArgs, KeyCommand};

/// Why nothing was done, or not said.
#[derive(Debug, thiserror::Error)]
enum KeyError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Prints what was asked for, and notes for people to standard error.
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
        KeyCommand::List(folder) => list(&AuthFolder::open(&folder.auth)?.keys()?)?,
        KeyCommand::Retire { kid, folder } => {
            AuthFolder::open(&folder.auth)?.change_keys(|keys| keys.retire(kid))?;
            note(format_args!("{kid} is gone; what it signed is refused from now on"));
        }
        KeyCommand::Export(folder) => {
            let keys = AuthFolder::open(&folder.auth)?.keys()?;
            let (public, secret) = keys.export();
            print(format_args!("{public:#}"))?;
            for kid in secret {
                note(format_args!("{kid} is left out: it is a secret, and whoever has it can make tokens"));
            }
        }
    }
    Ok(())
}

fn list(keys: &OwnKeys) -> Result<(), OutputError> {
    let newest = keys.newest().map(auth::OwnKey::id);
    print(format_args!("{:<16}  {:<5}  {:<20}  DOES", "KEY", "ALG", "MADE"))?;
    for key in keys.iter() {
        let does = if newest == Some(key.id()) { "signs, verifies" } else { "verifies" };
        let made = iso_ms(key.created.saturating_mul(1_000)).unwrap_or_default();
        print(format_args!("{:<16}  {:<5}  {made:<20}  {does}", key.id(), key.algorithm().name()))?;
    }
    Ok(())
}
