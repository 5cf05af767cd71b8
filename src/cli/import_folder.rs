//! `import` of a folder: all documents of a stock automerge-repo server, under their ids, so that their URLs stay the same.
//!
//! The folder is only read. What the target holds already is skipped, and changes that clients have made there meanwhile are kept, so an
//! import that was interrupted is completed by running it again.

use std::process::ExitCode;
use std::sync::Arc;

use backup::{Contents, CopyError, Copying, Existing, Failure, RepoFolder, StorageError, StoreLocation, open_target};
use primitives::DocumentId;

use super::copy_report::CopyReport;
use super::output::{OutputError, counted, note, print};
use super::storage::{RuntimeError, runtime};
use super::{FAILED, fail};
use crate::cli::config::ImportArgs;

/// Maximum number of names that are listed. The others are counted.
const MAX_NAMED: usize = 100;

/// Why nothing, or not everything, is imported.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Copy(#[from] CopyError),
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A flag for the import of positions.
    #[error("{0} does not apply to a folder: all of its documents are imported, as they are")]
    Flag(&'static str),
}

pub(super) fn run(args: &ImportArgs) -> ExitCode {
    let imported = || -> Result<bool, ImportError> { runtime()?.block_on(import(args)) };
    match imported() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => fail(error),
    }
}

/// Returns whether everything was imported.
async fn import(args: &ImportArgs) -> Result<bool, ImportError> {
    check_flags(args)?;
    let source = RepoFolder::open(&args.file)?;
    let foreign = source.foreign().to_vec();
    let source = Contents::RepoFolder(Arc::new(source));
    let storage = &args.document.storage;
    let to = match storage.database.options() {
        Some(options) => StoreLocation::Database(options.url),
        None => StoreLocation::files(&storage.state, &storage.documents),
    };
    let target = Contents::Store(open_target(&to, &source, args.file_mode).await?);
    let copying = Copying { source: &source, target: &target, to: &to, existing: Existing::Keep, is_dry_run: false };
    let result = copy_all(&copying).await;
    target.close().await;
    let is_complete = result?;
    for name in foreign.iter().take(MAX_NAMED) {
        note(format_args!("happierwork: {name}: refused: it is no id of a document of automerge-repo"));
    }
    if !foreign.is_empty() {
        print(format_args!("{} refused, because their names are no ids", counted(foreign.len(), "folder")))?;
    }
    Ok(is_complete && foreign.is_empty())
}

fn check_flags(args: &ImportArgs) -> Result<(), ImportError> {
    for (is_given, flag) in [
        (args.document.document.is_some(), "--document"),
        (args.total_budget.is_some(), "--total-budget"),
        (args.skip_odd, "--skip-odd"),
    ] {
        if is_given {
            return Err(ImportError::Flag(flag));
        }
    }
    Ok(())
}

async fn copy_all(copying: &Copying<'_>) -> Result<bool, ImportError> {
    let ids = copying.source.documents().await?;
    let mut report = CopyReport::new("imported", ids.len(), false, false);
    let mut refused: Vec<DocumentId> = Vec::new();
    for id in &ids {
        match copying.copy_document(id).await {
            Ok(copied) => report.copied(id, &copied)?,
            Err(Failure::Document(failure)) => {
                report.failed(id, &failure);
                refused.push(id.clone());
            }
            Err(failure) => {
                report.summary()?;
                return Err(failure.into());
            }
        }
    }
    report.summary()?;
    for id in refused.iter().take(MAX_NAMED) {
        print(format_args!("refused: {}", id.url()))?;
    }
    if refused.len() > MAX_NAMED {
        print(format_args!("and {} more", refused.len() - MAX_NAMED))?;
    }
    Ok(report.is_complete())
}
