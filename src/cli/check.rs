//! `check`: reports whether a document file, or every document of a database, is intact.

use std::path::Path;
use std::process::ExitCode;

use backup::{StorageError, read_record};
use primitives::DocumentId;
use store::StoredAccess;
use store::check::check;
use store::sql::{self, Database, DatabaseOptions, DocumentSummary};

use super::output::{counted, print};
use super::storage::runtime;
use super::{NOT_WHOLE, fail};
use crate::cli::config::CheckArgs;

/// Exit codes: 0 intact, 3 not intact, 1 the file or the database cannot be read.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let result = match (args.database.options(), &args.file) {
        (Some(options), _) => {
            runtime().map_err(|error| error.to_string()).and_then(|runtime| runtime.block_on(check_database(&options)))
        }
        (None, Some(file)) => check_file(file),
        // Rejected with the other invalid flags.
        (None, None) => Ok(true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_WHOLE),
        Err(error) => fail(error),
    }
}

/// Returns whether the file is intact.
fn check_file(file: &Path) -> Result<bool, String> {
    let report = check(file).map_err(|error| format!("{}: {error}", file.display()))?;
    print(&report).map_err(|error| error.to_string())?;
    Ok(report.is_intact())
}

/// Returns whether all documents are intact.
async fn check_database(options: &DatabaseOptions) -> Result<bool, String> {
    let database = sql::open_existing(options).await.map_err(|error| error.to_string())?;
    let database = database.ok_or_else(|| StorageError::NoTables(options.url.to_string()).to_string())?;
    let result = check_documents(&*database).await;
    database.shut_down().await;
    let (documents, damaged) = result?;
    let location = &options.url;
    print(match damaged {
        0 => format!("{location}: {}, all whole", counted(documents, "document")),
        _ => format!("{location}: {damaged} of {} damaged", counted(documents, "document")),
    })
    .map_err(|error| error.to_string())?;
    Ok(damaged == 0)
}

/// Reports on each document. Returns the number of all and of damaged ones.
async fn check_documents(database: &dyn Database) -> Result<(usize, usize), String> {
    let mut ids = database.list().await.map_err(|error| error.to_string())?;
    let access = database.load_access().await.map_err(|error| error.to_string())?;
    ids.extend(access.iter().map(|stored| stored.document.clone()));
    ids.sort();
    ids.dedup();
    let (documents, mut damaged) = (ids.len(), 0);
    for id in ids {
        let report = check_document(database, &id, access.iter().find(|stored| stored.document == id)).await?;
        let line = match report {
            Ok(text) => format!("{id}: {text}"),
            Err(text) => {
                damaged += 1;
                format!("{id}: damaged: {text}")
            }
        };
        print(line).map_err(|error| error.to_string())?;
    }
    Ok((documents, damaged))
}

/// Returns the stored content of a document, or its damage.
async fn check_document(
    database: &dyn Database,
    id: &DocumentId,
    access: Option<&StoredAccess>,
) -> Result<Result<String, String>, String> {
    let checked = database.check(id).await.map_err(|error| error.to_string())?;
    let record = access.map(read_record).transpose();
    Ok(match (checked, record) {
        (Some(Err(damage)), _) => Err(damage.to_string()),
        (_, Err(error)) => Err(error),
        (None, _) => Ok("nothing is stored".to_owned()),
        (Some(Ok(summary)), _) => Ok(describe(&summary)),
    })
}

fn describe(summary: &DocumentSummary) -> String {
    if summary.is_removed {
        return format!("removed; its log ends at row {}", summary.position.seq);
    }
    format!(
        "whole. {} bytes up to row {} (a snapshot of {} bytes, {}), {}, heads: {}",
        summary.len,
        summary.position.seq,
        summary.snapshot_len,
        counted(summary.batches, "row"),
        counted(usize::try_from(summary.changes).unwrap_or(usize::MAX), "change"),
        if summary.heads.is_empty() { "none".to_owned() } else { summary.heads.join(" ") }
    )
}
