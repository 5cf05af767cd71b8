//! `user`: adds, changes, disables and lists user accounts.

use std::io::{self, BufRead, IsTerminal};
use std::process::ExitCode;

use auth::{Account, AccountName, Accounts, AuthError, AuthFolder, HashedPassword, InvalidPassword, MAX_PASSWORD};
use runtime::clock::now;

use super::fail;
use super::output::{OutputError, note, print};
use super::token::with_a_key;
use crate::cli::config::{AccountArgs, UserAddArgs, UserArgs, UserCommand, UserSetArgs};

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
enum UserError {
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("cannot read the password: {0}; pass it as one line of standard input")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("the passwords do not match; nothing was changed")]
    Differ,
    #[error("no password was given; type it at the prompt, or pass it as one line of standard input")]
    NoPassword,
}

/// Runs the subcommand and confirms changes on standard error.
pub(super) fn run(args: &UserArgs) -> ExitCode {
    match try_run(&args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

fn try_run(command: &UserCommand) -> Result<(), UserError> {
    match command {
        UserCommand::Add(args) => add(args)?,
        UserCommand::Passwd(args) => passwd(args)?,
        UserCommand::Set(args) => set(args)?,
        UserCommand::Disable(args) => {
            let name = change(args, |account| account.disable(now()))?;
            note(format_args!("{name} is disabled, and logged out everywhere"));
        }
        UserCommand::Enable(args) => {
            let name = change(args, Account::enable)?;
            note(format_args!("{name} is enabled, and can log in again"));
        }
        UserCommand::List(folder) => list(&AuthFolder::open(&folder.auth)?.accounts()?)?,
    }
    Ok(())
}

fn add(args: &UserAddArgs) -> Result<(), UserError> {
    let name = AccountName::new(&args.account.name).map_err(AuthError::from)?;
    let folder = AuthFolder::create(&args.account.folder.auth)?;
    // Checked before the prompt for the password.
    if folder.accounts()?.get(&name).is_some() {
        return Err(AuthError::AccountExists(name).into());
    }
    let account = Account::new(new_password()?, args.role, args.documents.clone());
    folder.change_accounts(|accounts| accounts.add(name.clone(), account))?;
    with_a_key(&folder)?;
    note(format_args!("{name} can log in: {}, documents {}", args.role, args.documents));
    Ok(())
}

fn passwd(args: &AccountArgs) -> Result<(), UserError> {
    let name = AccountName::new(&args.name).map_err(AuthError::from)?;
    let folder = AuthFolder::open(&args.folder.auth)?;
    folder.accounts()?.account(&name)?;
    let password = new_password()?;
    folder.change_accounts(|accounts| {
        accounts.account(&name)?.set_password(password, now());
        Ok(())
    })?;
    note(format_args!("{name} has a new password, and is logged out everywhere"));
    Ok(())
}

fn set(args: &UserSetArgs) -> Result<(), UserError> {
    let mut now_may = String::new();
    let name = change(&args.account, |account| {
        account.role = args.role.unwrap_or(account.role);
        account.documents = args.documents.clone().unwrap_or_else(|| account.documents.clone());
        now_may = format!("{}, documents {}", account.role, account.documents);
    })?;
    note(format_args!("{name} is {now_may}"));
    Ok(())
}

fn change(args: &AccountArgs, change: impl FnOnce(&mut Account)) -> Result<AccountName, AuthError> {
    let name = AccountName::new(&args.name)?;
    AuthFolder::open(&args.folder.auth)?.change_accounts(|accounts| {
        change(accounts.account(&name)?);
        Ok(())
    })?;
    Ok(name)
}

fn list(accounts: &Accounts) -> Result<(), OutputError> {
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
