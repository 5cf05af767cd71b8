//! `backup`: backs up all documents and accounts, also while servers use them.

use std::process::ExitCode;

use auth::{AccountStore, AuthError, AuthFolder};
use backup::{
    BackupError, BackupOptions, BackupReport, BackupTarget, Contents, OpenedStore, StorageError, StoreKind,
    TargetError, back_up,
};

use super::config::BackupArgs;
use super::output::{OutputError, counted, note, print};
use super::storage::runtime;
use super::{FAILED, fail};

/// Why there is no new backup.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Accounts(#[from] AuthError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("the backup is made, but {0}")]
    Output(#[from] OutputError),
}

/// Exit codes: 0 everything is in the backup, 1 something is not.
pub(super) fn run(args: &BackupArgs) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(try_backup(args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => fail(error),
    }
}

async fn try_backup(args: &BackupArgs) -> Result<bool, Error> {
    let target = BackupTarget::open(&args.target, args.file_mode)?;
    let source = match args.storage.database.options() {
        Some(options) => Contents::Store(OpenedStore::open_existing_database(&options).await?),
        None => Contents::open_files_in_use(&args.storage.state, &args.storage.documents)?,
    };
    let result = match accounts(args, &source) {
        Ok(accounts) => {
            let options = BackupOptions { retention: args.retention(), is_full: args.full };
            back_up(&source, accounts.as_ref(), &target, options).await.map_err(Error::from)
        }
        Err(error) => Err(error),
    };
    source.close().await;
    Ok(print_report(&result?)?)
}

/// The accounts that belong to the documents.
fn accounts(args: &BackupArgs, source: &Contents) -> Result<Option<AccountStore>, Error> {
    Ok(match (source, &args.auth) {
        (Contents::Store(OpenedStore { kind: StoreKind::Database(database), .. }), _) => {
            Some(AccountStore::Database(database.clone()))
        }
        (_, Some(folder)) => Some(AccountStore::Folder(AuthFolder::open(folder)?)),
        (_, None) => None,
    })
}

/// Returns whether everything is in the backup.
fn print_report(report: &BackupReport) -> Result<bool, OutputError> {
    let BackupReport { name, documents, accounts, len, stored, failed, removed } = report;
    for (id, reason) in failed {
        note(format_args!("happierwork: {id} is not in the backup as it is now: {reason}"));
    }
    let accounts = match accounts {
        Some(count) => counted(*count, "account"),
        None => "no accounts (name their folder with --auth)".to_owned(),
    };
    print(format_args!(
        "{name}: {}, {accounts}; {len} bytes, of which {stored} are new",
        counted(*documents, "document")
    ))?;
    match removed {
        None => {
            let count = counted(failed.len(), "document");
            note(format_args!("happierwork: {count} not backed up; no earlier backup was removed"));
        }
        // The backup is made, so an old one that stays is no failure.
        Some(Err(error)) => note(format_args!("happierwork: earlier backups were not removed: {error}")),
        Some(Ok(removed)) if removed.backups.is_empty() => {}
        Some(Ok(removed)) => print(format_args!(
            "removed {} and {}",
            counted(removed.backups.len(), "earlier backup"),
            counted(removed.files, "unused file")
        ))?,
    }
    Ok(failed.is_empty())
}
