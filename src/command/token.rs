//! `token`: a token for a program, or for whoever has no account.

use std::process::ExitCode;

use auth::{AccountName, AuthError, AuthFolder, Documents, NewKey, OwnKeys};
use runtime::clock::now;

use super::fail;
use super::output::{note, print};
use crate::config::TokenArgs;

/// Prints the token, and nothing else, to standard output.
pub(super) fn run(args: &TokenArgs) -> ExitCode {
    match make(args) {
        Ok(token) => {
            if let Err(error) = print(token) {
                return fail(error);
            }
            if matches!(&args.documents, Documents::Named(names) if names.is_empty()) {
                note("this token is good for no document");
            }
            ExitCode::SUCCESS
        }
        Err(error) => fail(error),
    }
}

fn make(args: &TokenArgs) -> Result<String, AuthError> {
    let folder = AuthFolder::create(&args.folder.auth)?;
    // Somebody who has an account is called as it is, and refused as it is.
    let name = AccountName::new(&args.user)?;
    let accounts = folder.accounts()?;
    let account = accounts.get(&name);
    if account.is_some_and(|account| account.disabled) {
        return Err(AuthError::DisabledAccount(name));
    }
    let (user, issued) = match account {
        Some(account) => (name.as_str(), account.issued(now())),
        None => (args.user.trim(), now()),
    };
    let keys = with_a_key(&folder)?;
    let (token, _) = keys.issue(user, (args.role, args.documents.clone()), issued, args.expires)?;
    Ok(token)
}

/// The keys; with the first one, if there was none.
pub(super) fn with_a_key(folder: &AuthFolder) -> Result<OwnKeys, AuthError> {
    let keys = folder.keys()?;
    if keys.newest().is_some() {
        return Ok(keys);
    }
    folder.change_keys(|keys| {
        // Unless somebody else made one meanwhile.
        if keys.newest().is_none() {
            let kid = keys.make(NewKey::Ed25519, now())?.id();
            note(format_args!("made the first key, {kid}"));
        }
        Ok(keys.clone())
    })
}
