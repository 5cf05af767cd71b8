//! `migrate`: moves all documents of a store to another one, with their history, authors and access records.
//!
//! The source is only read. A document is compared with the one in the target, and only the missing parts are written. So a
//! migration that was interrupted, or whose source has changed, is completed by running it again. A document in the target that
//! contains anything else is left unchanged.
//!
//! | file | holds |
//! |---|---|
//! | `accounts` | moves accounts |
//! | `failure` | errors |
//!
//! The crate `backup` copies the documents.

mod accounts;
mod failure;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use accounts::{check_flag, move_accounts};
use backup::{Contents, Copying, Existing, Failure, OpenedStore, Positions, StoreKind, StoreLocation, open_target};
use failure::MigrateError;
use primitives::DocumentId;

use super::config::MigrateArgs;
use super::copy_report::CopyReport;
use super::output::{OutputError, counted, note};
use super::storage::runtime;
use super::{FAILED, fail};

/// Maximum number of changed documents that are named.
const MAX_NAMED: usize = 10;

pub(super) fn run(args: &MigrateArgs) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(migrate(args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => fail(error),
    }
}

/// Returns whether everything was moved.
async fn migrate(args: &MigrateArgs) -> Result<bool, MigrateError> {
    check_paths(&args.from, &args.to)?;
    check_flag(args)?;
    let source = Contents::open(&args.from).await?;
    check_source(&args.from, &source)?;
    let target = match args.dry_run {
        true => Contents::open(&args.to).await,
        false => open_target(&args.to, &source, args.file_mode).await.map(Contents::Store),
    };
    let result = match &target {
        Ok(target) => Migration { args, source: &source, target }.run().await,
        Err(_) => Ok(false),
    };
    source.close().await;
    target?.close().await;
    result
}

/// Refuses a missing source, so that a misspelt path does not look like an empty store.
fn check_source(from: &StoreLocation, source: &Contents) -> Result<(), MigrateError> {
    match (from, source) {
        (_, Contents::Nothing) => Err(MigrateError::NoSource(from.to_string())),
        (StoreLocation::Files { state, .. }, Contents::Files { default: None, .. }) => {
            Err(MigrateError::NoState(state.clone()))
        }
        (StoreLocation::Files { documents, .. }, _) if !documents.exists() => {
            let folder = documents.display();
            note(format_args!("happierwork: the folder {folder} does not exist: there is only the default document"));
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Refuses files that are both source and target.
fn check_paths(from: &StoreLocation, to: &StoreLocation) -> Result<(), MigrateError> {
    let (StoreLocation::Files { state, documents }, StoreLocation::Files { state: to_state, documents: to_documents }) =
        (from, to)
    else {
        return Ok(());
    };
    let resolved = |path: &Path| -> PathBuf {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        absolute.canonicalize().unwrap_or(absolute)
    };
    if resolved(state) == resolved(to_state) || resolved(documents) == resolved(to_documents) {
        return Err(MigrateError::SameStore);
    }
    Ok(())
}

/// A migration between two open stores.
struct Migration<'a> {
    args: &'a MigrateArgs,
    source: &'a Contents,
    target: &'a Contents,
}

impl Migration<'_> {
    async fn run(&self) -> Result<bool, MigrateError> {
        self.check_same_database()?;
        let copying = Copying {
            source: self.source,
            target: self.target,
            to: &self.args.to,
            existing: if self.args.replace_access { Existing::ReplaceAccess } else { Existing::Refuse },
            is_dry_run: self.args.dry_run,
        };
        copying.choose_default_document().await?;
        let ids = self.source.documents().await?;
        let mut read = self.source.positions(&ids).await?;
        let mut report = CopyReport::new("moved", ids.len(), self.args.dry_run, self.args.json);
        for id in &ids {
            match self.move_document(&copying, id, &mut read, &mut report).await {
                Ok(()) => {}
                Err(MoveError::Failure(Failure::Document(failure))) => report.failed(id, &failure),
                Err(MoveError::Failure(failure)) => {
                    report.summary()?;
                    return Err(failure.into());
                }
                Err(MoveError::Output(error)) => return Err(error.into()),
            }
        }
        report.summary()?;
        let has_accounts = move_accounts(self.args, self.source, self.target, &mut report).await?;
        let is_unchanged = self.is_source_unchanged(&read).await?;
        let is_complete = report.is_complete() && has_accounts && is_unchanged;
        report.end(is_complete)?;
        Ok(is_complete)
    }

    fn check_same_database(&self) -> Result<(), MigrateError> {
        let database = |contents: &Contents| match contents {
            Contents::Store(OpenedStore { kind: StoreKind::Database(database), .. }) => Some(database.storage_id()),
            _ => None,
        };
        match database(self.source) {
            Some(id) if database(self.target) == Some(id) => Err(MigrateError::SameStore),
            _ => Ok(()),
        }
    }

    /// Moves a document, and verifies it in the target. Adds its position at the time of reading to `read`.
    async fn move_document(
        &self,
        copying: &Copying<'_>,
        id: &DocumentId,
        read: &mut Positions,
        report: &mut CopyReport,
    ) -> Result<(), MoveError> {
        let copied = copying.copy_document(id).await?;
        if let Some(position) = copied.source.position {
            read.logs.insert(id.clone(), position);
        }
        read.access.insert(id.clone(), copied.source.access.as_ref().map_or(0, |stored| stored.version));
        report.copied(id, &copied).map_err(MoveError::Output)
    }

    /// Reports documents that servers have changed since they were read.
    async fn is_source_unchanged(&self, read: &Positions) -> Result<bool, MigrateError> {
        let ids = self.source.documents().await?;
        let now = self.source.positions(&ids).await?;
        let has_changed = |id: &&DocumentId| {
            read.logs.get(*id) != now.logs.get(*id) || version(&read.access, id) != version(&now.access, id)
        };
        let changed: Vec<&DocumentId> = ids.iter().filter(has_changed).collect();
        if changed.is_empty() {
            return Ok(true);
        }
        let count = counted(changed.len(), "document");
        note(format_args!("happierwork: {count} of the source changed after reading:"));
        let row = |positions: &Positions, id: &DocumentId| positions.logs.get(id).map_or(0, |position| position.seq);
        for id in changed.iter().take(MAX_NAMED) {
            note(format_args!("  {id}  row {} then, row {} now", row(read, id), row(&now, id)));
        }
        if changed.len() > MAX_NAMED {
            note(format_args!("  and {} more", changed.len() - MAX_NAMED));
        }
        note("Stop the source's servers, and run the command again: it moves what is missing.");
        Ok(false)
    }
}

/// Why a document was not moved, or nothing can be printed.
enum MoveError {
    Failure(Failure),
    Output(OutputError),
}

impl<T: Into<Failure>> From<T> for MoveError {
    fn from(error: T) -> Self {
        Self::Failure(error.into())
    }
}

fn version(versions: &HashMap<DocumentId, u64>, id: &DocumentId) -> u64 {
    versions.get(id).copied().unwrap_or(0)
}
