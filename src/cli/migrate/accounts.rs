//! Moves accounts and revoked tokens.

use auth::{AccountStore, AuthFolder, copy_accounts};
use backup::{Contents, OpenedStore, StoreKind, StoreLocation};
use runtime::clock::now;

use super::failure::MigrateError;
use crate::cli::config::MigrateArgs;
use crate::cli::copy_report::CopyReport;
use crate::cli::output::{counted, note};

/// Checks whether `--accounts` fits the stores.
///
/// # Errors
/// When neither store is a database, or both are.
pub(super) fn check_flag(args: &MigrateArgs) -> Result<(), MigrateError> {
    match (is_database(&args.from), is_database(&args.to), &args.accounts) {
        (true, true, Some(_)) => Err(MigrateError::TwoDatabases),
        (false, false, Some(_)) => Err(MigrateError::NoDatabase),
        _ => Ok(()),
    }
}

/// Moves the accounts between two databases, or between a database and the folder of `--accounts`. Returns whether the target has
/// all of them.
pub(super) async fn move_accounts(
    args: &MigrateArgs,
    source: &Contents,
    target: &Contents,
    report: &mut CopyReport,
) -> Result<bool, MigrateError> {
    let (from, to) = match (is_database(&args.from), is_database(&args.to), &args.accounts) {
        // The folder of accounts is not named, or has nothing to do with either store.
        (false, _, None) | (false, false, _) => return Ok(true),
        (true, true, _) => (database_accounts(source), database_accounts(target)),
        (true, false, Some(folder)) if args.dry_run => {
            (database_accounts(source), Some(AccountStore::Folder(AuthFolder::at(folder))))
        }
        (true, false, Some(folder)) => {
            (database_accounts(source), Some(AccountStore::Folder(AuthFolder::create(folder)?)))
        }
        (false, true, Some(folder)) => {
            (Some(AccountStore::Folder(AuthFolder::open(folder)?)), database_accounts(target))
        }
        (true, false, None) => return warn_of_accounts(database_accounts(source)).await,
    };
    let Some(from) = from else { return Ok(true) };
    let copied = copy_accounts(&from, to.as_ref(), now(), args.dry_run).await?;
    report.accounts(&copied)?;
    Ok(copied.differing.is_empty())
}

fn is_database(location: &StoreLocation) -> bool {
    matches!(location, StoreLocation::Database(_))
}

/// The accounts of a database. `None` for a database without tables, and for files.
fn database_accounts(contents: &Contents) -> Option<AccountStore> {
    match contents {
        Contents::Store(OpenedStore { kind: StoreKind::Database(database), .. }) => {
            Some(AccountStore::Database(database.clone()))
        }
        _ => None,
    }
}

/// Reports accounts that are not moved. Returns whether there are none.
async fn warn_of_accounts(from: Option<AccountStore>) -> Result<bool, MigrateError> {
    let Some(from) = from else { return Ok(true) };
    let count = from.accounts().await?.iter().count();
    if count == 0 {
        return Ok(true);
    }
    let count = counted(count, "account");
    note(format_args!("happierwork: {count} not moved: name a folder for them with --accounts DIR"));
    Ok(false)
}
