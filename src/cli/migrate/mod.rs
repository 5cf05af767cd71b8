//! `migrate`: moves all documents of a store to another one, with their history, authors and access records.
//!
//! The source is only read. A document is compared with the one in the target, and only the missing parts are written. So a
//! migration that was interrupted, or whose source has changed, is completed by running it again. A document in the target that
//! contains anything else is left unchanged.
//!
//! | file | holds |
//! |---|---|
//! | `contents` | reads the documents of files and databases |
//! | `difference` | the parts of a document that the target lacks |
//! | `write` | writes it |
//! | `accounts` | moves accounts |
//! | `report` | the output |
//! | `failure` | errors |

mod accounts;
mod contents;
mod difference;
mod failure;
mod report;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use accounts::{check_flag, move_accounts};
use contents::{Contents, DocumentCopy, Positions};
use difference::Difference;
use failure::{DocumentFailure, Failure, MigrateError};
use primitives::DocumentId;
use report::Report;
use runtime::document::Document;
use store::disk::{RealDisk, create_folders, parent_folder};
use store::{OpenError, StateFile};

use super::access::read_record;
use super::config::{MigrateArgs, StoreLocation};
use super::output::{OutputError, counted, note};
use super::storage::{OpenedStore, StorageError, StoreKind, database_options, runtime};
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
        false => open_target(args, &source).await.map(Contents::Store),
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

/// Opens the target for writing, and creates missing parts. Its default document becomes that of the source.
async fn open_target(args: &MigrateArgs, source: &Contents) -> Result<OpenedStore, MigrateError> {
    let (state, documents) = match &args.to {
        StoreLocation::Database(url) => return Ok(OpenedStore::create_database(&database_options(url)).await?),
        StoreLocation::Files { state, documents } => (state, documents),
    };
    let disk = RealDisk::with_mode(args.file_mode);
    StateFile::create_folder(&disk, state).map_err(StorageError::from)?;
    let folder = parent_folder(documents);
    create_folders(folder, args.file_mode).map_err(|source| {
        StorageError::from(OpenError::Io { location: store::Location::Documents(folder.to_owned()), source })
    })?;
    Ok(OpenedStore::open_files(state, documents, args.file_mode, source.default_document().cloned())?)
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
        self.choose_default_document().await?;
        let ids = self.source.documents().await?;
        let mut read = self.source.positions(&ids).await?;
        let mut report = Report::new(ids.len(), self.args.dry_run);
        for id in &ids {
            match self.move_document(id, &mut read, &mut report).await {
                Ok(()) => {}
                Err(MoveError::Failure(Failure::Document(failure))) => report.failed(id, &failure),
                Err(MoveError::Failure(Failure::Storage(error))) => {
                    report.summary()?;
                    return Err(error.into());
                }
                Err(MoveError::Output(error)) => return Err(error.into()),
            }
        }
        report.summary()?;
        let has_accounts = move_accounts(self.args, self.source, self.target).await?;
        let is_unchanged = self.is_source_unchanged(&read).await?;
        Ok(report.is_complete() && has_accounts && is_unchanged)
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

    /// Gives the target the default document of the source.
    async fn choose_default_document(&self) -> Result<(), MigrateError> {
        let Some(from) = self.source.default_document() else { return Ok(()) };
        let target = match self.target {
            Contents::Store(OpenedStore { kind: StoreKind::Database(database), .. }) if !self.args.dry_run => {
                // Before its content: a server that starts meanwhile must not create another default document.
                Some(database.choose_default_document(from).await.map_err(StorageError::from)?)
            }
            target => target.default_document().cloned(),
        };
        match target {
            Some(target) if target != *from => Err(MigrateError::OtherDefault { from: from.clone(), target }),
            _ => Ok(()),
        }
    }

    /// Moves a document, and verifies it in the target. Adds its position at the time of reading to `read`.
    async fn move_document(&self, id: &DocumentId, read: &mut Positions, report: &mut Report) -> Result<(), MoveError> {
        let source = self.source.read(id).await?;
        if let Some(position) = source.position {
            read.logs.insert(id.clone(), position);
        }
        read.access.insert(id.clone(), source.access.as_ref().map_or(0, |stored| stored.version));
        let is_default = self.source.default_document() == Some(id);
        if is_default && let Some(content) = &source.content {
            let carried = Document::carried_id(&content.document);
            if matches!(self.args.to, StoreLocation::Files { .. }) && carried.as_ref() != Some(id) {
                return Err(Failure::from(DocumentFailure::NotItsId).into());
            }
        }
        let before = self.target.read(id).await?;
        let difference = self.compare(&source, &before).await?;
        if let Contents::Store(target) = self.target
            && !self.args.dry_run
        {
            let is_removed = is_removed(&source)?;
            write::write(target, id, difference.clone(), is_removed).await?;
            if !difference.is_empty() {
                let after = self.target.read(id).await?;
                let is_whole = Difference::between(&source, &after, false).is_ok_and(|missing| missing.is_empty());
                if !is_whole || after.heads() != source.heads() {
                    return Err(Failure::from(DocumentFailure::NotVerified).into());
                }
            }
        }
        report.moved(id, &source, &before, &difference).map_err(MoveError::Output)
    }

    async fn compare(&self, source: &DocumentCopy, target: &DocumentCopy) -> Result<Difference, Failure> {
        if source.content.is_some() && is_removed(target)? {
            return Err(DocumentFailure::RemovedInTarget.into());
        }
        Ok(Difference::between(source, target, self.args.replace_access)?)
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

/// Whether the content of a deleted document was removed.
fn is_removed(copy: &DocumentCopy) -> Result<bool, DocumentFailure> {
    let Some(access) = copy.access.as_ref().filter(|_| copy.content.is_none()) else { return Ok(false) };
    let record = read_record(access).map_err(DocumentFailure::Access)?;
    Ok(record.deleted.is_some())
}
