//! `user`: adds, changes, disables, deletes and lists user accounts.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use auth::{
    Account, AccountName, AccountStore, Accounts, AuthError, AuthFolder, Copied, Documents, HashedPassword,
    InvalidPassword, MAX_PASSWORD, Role, copy_accounts,
};
use runtime::clock::now;
use serde::Serialize;
use store::sql::{self, DatabaseOpenError, DatabaseOptions, DatabaseUrl};

use super::fail;
use super::output::{OutputError, note, print, print_json};
use super::storage::{RuntimeError, runtime};
use super::token::with_a_key;
use crate::cli::config::{AccountArgs, AccountsArgs, UserAddArgs, UserArgs, UserCommand, UserSetArgs};

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
enum UserError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("cannot read the password: {0}; pass it as one line of standard input")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Open(#[from] DatabaseOpenError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("the accounts are not named: pass --auth DIR or --database URL")]
    NoPlace,
    #[error("the passwords do not match; nothing was changed")]
    Differ,
    #[error("no password was given; type it at the prompt, or pass it as one line of standard input")]
    NoPassword,
}

/// Runs the subcommand and confirms changes on standard error.
pub(super) fn run(args: &UserArgs) -> ExitCode {
    let done = runtime().map_err(UserError::from).and_then(|runtime| runtime.block_on(try_run(&args.command)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

async fn try_run(command: &UserCommand) -> Result<(), UserError> {
    match command {
        UserCommand::Add(args) => add(args).await?,
        UserCommand::Passwd(args) => passwd(args).await?,
        UserCommand::Set(args) => set(args).await?,
        UserCommand::Disable(args) => {
            let name = change(args, |account| account.disable(now())).await?;
            note(format_args!("{name} is disabled, and logged out everywhere"));
        }
        UserCommand::Enable(args) => {
            let name = change(args, Account::enable).await?;
            note(format_args!("{name} is enabled, and can log in again"));
        }
        UserCommand::Delete(args) => {
            let name = AccountName::new(&args.name).map_err(AuthError::from)?;
            accounts_at(&args.place).await?.delete(&name, now()).await?;
            note(format_args!("{name} is deleted, and logged out everywhere"));
        }
        UserCommand::List(args) => list(&accounts_at(&args.place).await?.accounts().await?, args.json)?,
        UserCommand::Copy { auth, database } => copy(auth, database).await?,
    }
    Ok(())
}

/// The accounts that the flags name.
async fn accounts_at(place: &AccountsArgs) -> Result<AccountStore, UserError> {
    match (place.database.options(), &place.auth) {
        (Some(options), _) => Ok(AccountStore::Database(sql::open(&options).await?)),
        (None, Some(auth)) => Ok(AccountStore::Folder(AuthFolder::open(auth)?)),
        (None, None) => Err(UserError::NoPlace),
    }
}

async fn add(args: &UserAddArgs) -> Result<(), UserError> {
    let name = AccountName::new(&args.account.name).map_err(AuthError::from)?;
    let place = &args.account.place;
    let folder = place.auth.as_ref().map(AuthFolder::create).transpose()?;
    let accounts = accounts_at(place).await?;
    // Checked before the prompt for the password.
    if accounts.accounts().await?.get(&name).is_some() {
        return Err(AuthError::AccountExists(name).into());
    }
    let account = Account::new(new_password()?, args.role, args.documents.clone());
    accounts.add(&name, account).await?;
    if let Some(folder) = folder {
        with_a_key(&folder)?;
    }
    note(format_args!("{name} can log in: {}, documents {}", args.role, args.documents));
    Ok(())
}

async fn passwd(args: &AccountArgs) -> Result<(), UserError> {
    let name = AccountName::new(&args.name).map_err(AuthError::from)?;
    let accounts = accounts_at(&args.place).await?;
    accounts.accounts().await?.account(&name)?;
    let password = new_password()?;
    accounts.change(&name, |account| account.set_password(password.clone(), now())).await?;
    note(format_args!("{name} has a new password, and is logged out everywhere"));
    Ok(())
}

async fn set(args: &UserSetArgs) -> Result<(), UserError> {
    let mut now_may = String::new();
    let name = change(&args.account, |account| {
        account.role = args.role.unwrap_or(account.role);
        account.documents = args.documents.clone().unwrap_or_else(|| account.documents.clone());
        now_may = format!("{}, documents {}", account.role, account.documents);
    });
    let name = name.await?;
    note(format_args!("{name} is {now_may}"));
    Ok(())
}

async fn change(args: &AccountArgs, change: impl FnMut(&mut Account) + Send) -> Result<AccountName, UserError> {
    let name = AccountName::new(&args.name).map_err(AuthError::from)?;
    accounts_at(&args.place).await?.change(&name, change).await?;
    Ok(name)
}

async fn copy(auth: &Path, database: &DatabaseUrl) -> Result<(), UserError> {
    let folder = AuthFolder::open(auth)?;
    let target = sql::open(&DatabaseOptions { url: database.clone(), listen: None, wait: Duration::ZERO }).await?;
    let (from, to) = (AccountStore::Folder(folder), AccountStore::Database(target));
    let Copied { accounts, existing, differing, revocations } = copy_accounts(&from, Some(&to), now(), false).await?;
    for name in &accounts {
        note(format_args!("{name} is copied"));
    }
    for name in &existing {
        let difference = if differing.contains(name) { ", although it differs" } else { "" };
        note(format_args!("{name} was there already, and stays as it is{difference}"));
    }
    note(format_args!(
        "{} of {} accounts and {revocations} revoked tokens copied to {database}",
        accounts.len(),
        accounts.len() + existing.len()
    ));
    Ok(())
}

/// An account in the list, as `--json` prints it.
#[derive(Serialize)]
struct ListedAccount<'a> {
    name: &'a str,
    role: Role,
    enabled: bool,
    documents: &'a Documents,
}

fn list(accounts: &Accounts, json: bool) -> Result<(), OutputError> {
    if json {
        let listed = accounts.iter().map(|(name, account)| ListedAccount {
            name: name.as_str(),
            role: account.role,
            enabled: !account.disabled,
            documents: &account.documents,
        });
        return print_json(&listed.collect::<Vec<_>>());
    }
    let width = accounts.iter().map(|(name, _)| name.as_str().chars().count()).max().unwrap_or(0).max(4);
    print(format_args!("{:<width$}  {:<6}  {:<8}  DOCUMENTS", "NAME", "ROLE", "STATE"))?;
    for (name, account) in accounts.iter() {
        let state = if account.disabled { "disabled" } else { "enabled" };
        print(format_args!("{name:<width$}  {:<6}  {state:<8}  {}", account.role, account.documents))?;
    }
    Ok(())
}

/// Prompts twice for a password without echo, or reads the first line of standard input if that is not a terminal.
fn new_password() -> Result<HashedPassword, UserError> {
    let password = if io::stdin().is_terminal() {
        let password = rpassword::prompt_password("Password: ")?;
        if rpassword::prompt_password("Repeat password: ")? != password {
            return Err(UserError::Differ);
        }
        password
    } else {
        read_line(io::stdin().lock())?.ok_or(UserError::NoPassword)?
    };
    HashedPassword::new(&password).map_err(UserError::from)
}

/// Reads a line without its terminator; `None` at the end of the input.
fn read_line(input: impl BufRead) -> Result<Option<String>, UserError> {
    let mut line = String::new();
    // Bounds the memory: a longer line is not a valid password.
    input.take(MAX_PASSWORD as u64 + 3).read_line(&mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    let line = line.strip_suffix('\n').unwrap_or(&line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.len() > MAX_PASSWORD { Err(AuthError::from(InvalidPassword).into()) } else { Ok(Some(line.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_the_first_line_without_terminator() {
        for (input, password) in [
            ("correct horse\n", Some("correct horse")),
            ("correct horse\r\nsecond", Some("correct horse")),
            (" no end ", Some(" no end ")),
            ("\n", Some("")),
            ("", None),
        ] {
            assert_eq!(read_line(input.as_bytes()).expect("a line").as_deref(), password, "{input:?}");
        }
        let longest = "x".repeat(MAX_PASSWORD);
        assert_eq!(read_line(format!("{longest}\r\n").as_bytes()).expect("a line"), Some(longest.clone()));
        assert!(read_line(format!("{longest}x\n").as_bytes()).is_err());
        assert!(read_line(&b"\xff\xfe\n"[..]).is_err(), "not UTF-8");
    }
}
