//! `restore`: restores a backup into files or a database.

use std::process::ExitCode;
use std::sync::Arc;

use auth::{AccountStore, AccountsCopy, AuthError, AuthFolder};
use backup::{
    BackupTarget, Contents, CopyError, Copying, Existing, Failure, OpenedStore, SavedBackup, SavedError, StorageError,
    StoreKind, StoreLocation, TargetError, list_backups, open_target,
};
use primitives::DocumentId;
use runtime::clock::now;

use super::config::RestoreArgs;
use super::copy_report::CopyReport;
use super::output::{OutputError, counted, note, print, print_json};
use super::progress::Progress;
use super::storage::runtime;
use super::{FAILED, fail};

/// Why nothing more is restored.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    Saved(#[from] SavedError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Accounts(#[from] AuthError),
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Documents in the backup cannot be used.
    #[error(
        "{} of the backup damaged. Nothing was restored. Choose another backup with --backup, or restore the others with \
         --skip-damaged",
        counted(*.0, "document")
    )]
    Damaged(usize),
    /// The target is in use, or was used.
    #[error(
        "{0} holds documents already. Nothing was restored. Give an empty place, or --merge to add what is missing there: \
         changes of both are kept"
    )]
    NotEmpty(String),
}

/// Exit codes: 0 everything is restored (or could be), 1 not everything.
pub(super) fn run(args: &RestoreArgs) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(try_restore(args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => fail(error),
    }
}

async fn try_restore(args: &RestoreArgs) -> Result<bool, Error> {
    let place = Arc::new(BackupTarget::open(&args.from, args.file_mode)?);
    if args.list {
        let names = list_backups(&place).await?;
        if args.json {
            print_json(&names.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        } else {
            names.iter().try_for_each(print)?;
        }
        return Ok(true);
    }
    let backup = SavedBackup::open(place, args.backup.as_ref()).await?;
    note(format_args!("happierwork: backup {}", backup.name()));
    for (id, outdated) in backup.manifest().outdated() {
        let reason = &outdated.reason;
        note(match &outdated.since {
            Some(since) => format!("happierwork: {id} is as of backup {since}, because it failed later: {reason}"),
            None => format!("happierwork: {id} is in no backup: {reason}"),
        });
    }
    let accounts = backup.accounts().await?;
    let source = Contents::Backup(backup);
    let ids = check_all(args, &source).await?;
    check_empty(args).await?;
    let target = match &args.to {
        Some(to) if !args.dry_run => Contents::Store(open_target(to, &source, args.file_mode).await?),
        Some(StoreLocation::Files { state, documents }) => Contents::open_files_in_use(state, documents)?,
        Some(to) => Contents::open(to).await?,
        None => Contents::Nothing,
    };
    let result = restore(args, &source, &target, &ids, accounts.as_ref()).await;
    target.close().await;
    result
}

/// Reads everything in the backup, before anything is written. Returns the intact documents.
async fn check_all(args: &RestoreArgs, source: &Contents) -> Result<Vec<DocumentId>, Error> {
    let (mut intact, mut damaged) = (Vec::new(), 0);
    let ids = source.documents().await?;
    let progress = Progress::new("documents checked", ids.len());
    for id in ids {
        match source.read(&id).await {
            Ok(_) => intact.push(id),
            Err(Failure::Document(failure)) => {
                damaged += 1;
                progress.note(format_args!("happierwork: {id}: {failure}"));
            }
            Err(failure) => return Err(failure.into()),
        }
        progress.step();
    }
    if damaged > 0 && !args.skip_damaged { Err(Error::Damaged(damaged)) } else { Ok(intact) }
}

/// Refuses a target with documents, unless they are to be merged.
async fn check_empty(args: &RestoreArgs) -> Result<(), Error> {
    let Some(to) = args.to.as_ref().filter(|_| !args.merge) else { return Ok(()) };
    let target = match to {
        StoreLocation::Files { state, documents } => Contents::open_files_in_use(state, documents),
        StoreLocation::Database(_) => Contents::open(to).await,
    };
    // A damaged file is a document as well.
    let is_empty = match &target {
        Ok(target) => target.documents().await?.is_empty(),
        Err(StorageError::Files(_) | StorageError::NoId(_)) => false,
        Err(_) => true,
    };
    target?.close().await;
    if is_empty { Ok(()) } else { Err(Error::NotEmpty(to.to_string())) }
}

async fn restore(
    args: &RestoreArgs,
    source: &Contents,
    target: &Contents,
    ids: &[DocumentId],
    accounts: Option<&AccountsCopy>,
) -> Result<bool, Error> {
    let nowhere = StoreLocation::files("".as_ref(), "".as_ref());
    let copying = Copying {
        source,
        target,
        to: args.to.as_ref().unwrap_or(&nowhere),
        existing: if args.merge { Existing::Keep } else { Existing::Refuse },
        is_dry_run: args.dry_run,
    };
    copying.choose_default_document().await?;
    let mut report = CopyReport::new("restored", ids.len(), args.dry_run, args.json);
    for id in ids {
        match copying.copy_document(id).await {
            Ok(copied) => report.copied(id, &copied)?,
            Err(Failure::Document(failure)) => report.failed(id, &failure),
            Err(failure) => {
                report.summary()?;
                return Err(failure.into());
            }
        }
    }
    report.summary()?;
    let has_accounts = match accounts.filter(|accounts| !accounts.is_empty()) {
        Some(accounts) => restore_accounts(args, target, accounts, &mut report).await?,
        None => true,
    };
    let is_whole = source.documents().await?.len() == ids.len();
    let is_complete = report.is_complete() && has_accounts && is_whole;
    report.end(is_complete)?;
    Ok(is_complete)
}

/// Returns whether the target has all accounts.
async fn restore_accounts(
    args: &RestoreArgs,
    target: &Contents,
    accounts: &AccountsCopy,
    report: &mut CopyReport,
) -> Result<bool, Error> {
    let to = match (target, &args.auth) {
        (Contents::Store(OpenedStore { kind: StoreKind::Database(database), .. }), _) => {
            Some(AccountStore::Database(database.clone()))
        }
        _ if matches!(args.to, Some(StoreLocation::Database(_)) | None) => None,
        (_, Some(folder)) if args.dry_run => Some(AccountStore::Folder(AuthFolder::at(folder))),
        (_, Some(folder)) => Some(AccountStore::Folder(AuthFolder::create(folder)?)),
        (_, None) => {
            let count = counted(accounts.account_count(), "account");
            note(format_args!("happierwork: {count} not restored: name a folder for them with --auth DIR"));
            return Ok(false);
        }
    };
    let copied = accounts.write(to.as_ref(), now(), args.dry_run).await?;
    report.accounts(&copied)?;
    if !args.dry_run {
        note("happierwork: backups hold no signing keys. If they are lost, create one with `happierwork key new`");
    }
    Ok(copied.differing.is_empty())
}
