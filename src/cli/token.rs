//! `token`: creates a bearer token for a program, or for a user without an account.

use std::process::ExitCode;

use auth::{AccountName, AccountStore, AuthError, AuthFolder, Documents, OwnKeys};
use runtime::clock::now;
use store::sql::{self, DatabaseOpenError};

use super::fail;
use super::output::{note, print};
use super::storage::{RuntimeError, runtime};
use crate::cli::config::TokenArgs;

/// Why no token was created.
#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error(transparent)]
    Open(#[from] DatabaseOpenError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// Prints only the token to standard output; notes go to standard error.
pub(super) fn run(args: &TokenArgs) -> ExitCode {
    let made = runtime().map_err(TokenError::from).and_then(|runtime| runtime.block_on(make(args)));
    match made {
        Ok(token) => {
            if let Err(error) = print(token) {
                return fail(error);
            }
            if matches!(&args.documents, Documents::Named(names) if names.is_empty()) {
                note("this token grants access to no document");
            }
            ExitCode::SUCCESS
        }
        Err(error) => fail(error),
    }
}

async fn make(args: &TokenArgs) -> Result<String, TokenError> {
    let folder = AuthFolder::create(&args.auth)?;
    let accounts = match args.database.options() {
        Some(options) => AccountStore::Database(sql::open(&options).await?),
        None => AccountStore::Folder(folder.clone()),
    };
    // A token for an account uses the account's name, and a disabled account gets none.
    let name = AccountName::new(&args.user).map_err(AuthError::from)?;
    let accounts = accounts.accounts().await?;
    let account = accounts.get(&name);
    if account.is_some_and(|account| account.disabled) {
        return Err(AuthError::DisabledAccount(name).into());
    }
    let (user, issued) = match account {
        Some(account) => (name.as_str(), account.issued(now())),
        None => (args.user.trim(), accounts.issued(&name, now())),
    };
    let keys = with_a_key(&folder)?;
    let (token, _) = keys.issue(user, (args.role, args.documents.clone()), issued, args.expires)?;
    Ok(token)
}

/// Returns the keys, and creates the first one if there is none.
pub(super) fn with_a_key(folder: &AuthFolder) -> Result<OwnKeys, AuthError> {
    let (keys, created) = folder.with_a_key(now())?;
    if let Some(kid) = created {
        note(format_args!("created the first key, {kid}"));
    }
    Ok(keys)
}
