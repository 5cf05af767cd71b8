//! `backup`: backs up all documents and accounts, also while servers use them.

use std::process::ExitCode;

use auth::{AccountStore, AuthError, AuthFolder};
use backup::{
    BackupError, BackupOptions, BackupReport, BackupTarget, Contents, OpenedStore, StorageError, StoreKind,
    TargetError, back_up_with_progress,
};
use serde::Serialize;

use super::config::BackupArgs;
use super::output::{OutputError, counted, note, print, print_json};
use super::progress::Progress;
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
            let bar = Progress::new("documents", 0);
            let progress = |done, total| bar.set(done, total);
            let made = back_up_with_progress(&source, accounts.as_ref(), &target, options, &progress).await;
            made.map_err(Error::from)
        }
        Err(error) => Err(error),
    };
    source.close().await;
    let report = result?;
    if args.json {
        print_json(&MadeBackup::from(&report))?;
        return Ok(report.failed.is_empty());
    }
    Ok(print_report(&report)?)
}

/// The report, as `--json` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MadeBackup {
    name: String,
    documents: usize,
    /// `None` if their folder was not named.
    accounts: Option<usize>,
    bytes: u64,
    /// Bytes that no earlier backup holds.
    new_bytes: u64,
    /// Documents that are in it as in an earlier backup, or not at all.
    failed: Vec<FailedDocument>,
    removed_backups: Vec<String>,
    removed_files: usize,
    /// Why earlier backups were not removed.
    removal_error: Option<String>,
}

#[derive(Serialize)]
struct FailedDocument {
    id: String,
    reason: String,
}

impl From<&BackupReport> for MadeBackup {
    fn from(report: &BackupReport) -> Self {
        let BackupReport { name, documents, accounts, len, stored, failed, removed } = report;
        let cleanup = removed.as_ref().and_then(|removed| removed.as_ref().ok());
        let failed = failed.iter().map(|(id, reason)| FailedDocument { id: id.to_string(), reason: reason.clone() });
        Self {
            name: name.to_string(),
            documents: *documents,
            accounts: *accounts,
            bytes: *len,
            new_bytes: *stored,
            failed: failed.collect(),
            removed_backups: cleanup
                .map(|removed| removed.backups.iter().map(ToString::to_string).collect())
                .unwrap_or_default(),
            removed_files: cleanup.map_or(0, |removed| removed.files),
            removal_error: removed.as_ref().and_then(|removed| removed.as_ref().err()).map(ToString::to_string),
        }
    }
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
