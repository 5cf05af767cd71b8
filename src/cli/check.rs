//! `check`: reports whether a document file, or every document of a database, is intact.

use std::path::Path;
use std::process::ExitCode;

use backup::{StorageError, read_record};
use primitives::DocumentId;
use serde::Serialize;
use store::StoredAccess;
use store::check::{CheckReport, check};
use store::sql::{self, Database, DatabaseOptions, DocumentSummary};

use super::output::{counted, print, print_json};
use super::progress::Progress;
use super::storage::runtime;
use super::{NOT_WHOLE, fail};
use crate::cli::config::CheckArgs;

/// Exit codes: 0 intact, 3 not intact, 1 the file or the database cannot be read.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let result = match (args.database.options(), &args.file) {
        (Some(options), _) => {
            let runtime = runtime().map_err(|error| error.to_string());
            runtime.and_then(|runtime| runtime.block_on(check_database(&options, args.json)))
        }
        (None, Some(file)) => check_file(file, args.json),
        // Rejected with the other invalid flags.
        (None, None) => Ok(true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(NOT_WHOLE),
        Err(error) => fail(error),
    }
}

/// The report about a file, as `--json` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckedFile {
    file: String,
    /// Whether a server would open it without truncating anything.
    intact: bool,
    bytes: u64,
    chunks: Option<usize>,
    snapshot_bytes: Option<u64>,
    changes: Option<u64>,
    heads: Option<Vec<String>>,
    /// Bytes of an interrupted write at its end, which a server would truncate.
    torn_bytes: u64,
    /// Why a server would not open it.
    damage: Option<String>,
}

impl From<CheckReport> for CheckedFile {
    fn from(report: CheckReport) -> Self {
        let intact = report.is_intact();
        let (summary, damage) = match report.result {
            Ok(summary) => (Some(summary), None),
            Err(damage) => (None, Some(damage.to_string())),
        };
        let torn = summary.as_ref().and_then(|summary| summary.torn_tail.as_ref()).map_or(0, |tail| tail.len);
        Self {
            file: report.path.display().to_string(),
            intact,
            bytes: report.len,
            chunks: summary.as_ref().map(|summary| summary.chunks),
            snapshot_bytes: summary.as_ref().map(|summary| summary.snapshot_len),
            changes: summary.as_ref().map(|summary| summary.changes),
            heads: summary.map(|summary| summary.heads),
            torn_bytes: torn,
            damage,
        }
    }
}

/// The report about a database, as `--json` prints it.
#[derive(Serialize)]
struct CheckedDatabase {
    database: String,
    intact: bool,
    documents: Vec<CheckedDocument>,
}

/// The report about a document of a database.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CheckedDocument {
    id: DocumentId,
    intact: bool,
    /// Whether anything is stored of it besides its access record.
    stored: bool,
    /// Whether its content was removed after its deletion.
    removed: bool,
    bytes: Option<u64>,
    snapshot_bytes: Option<u64>,
    rows: Option<usize>,
    changes: Option<u64>,
    heads: Option<Vec<String>>,
    damage: Option<String>,
    /// The report as text.
    #[serde(skip)]
    text: String,
}

impl CheckedDocument {
    fn new(id: DocumentId, checked: Result<Option<DocumentSummary>, String>) -> Self {
        let text = match &checked {
            Ok(Some(summary)) => format!("{id}: {}", describe(summary)),
            Ok(None) => format!("{id}: nothing is stored"),
            Err(damage) => format!("{id}: damaged: {damage}"),
        };
        let intact = checked.is_ok();
        let (summary, damage) = match checked {
            Ok(summary) => (summary, None),
            Err(damage) => (None, Some(damage)),
        };
        let content = summary.as_ref().filter(|summary| !summary.is_removed);
        Self {
            id,
            intact,
            stored: summary.is_some() || damage.is_some(),
            removed: summary.as_ref().is_some_and(|summary| summary.is_removed),
            bytes: content.map(|summary| summary.len),
            snapshot_bytes: content.map(|summary| summary.snapshot_len),
            rows: content.map(|summary| summary.batches),
            changes: content.map(|summary| summary.changes),
            heads: content.map(|summary| summary.heads.clone()),
            damage,
            text,
        }
    }
}

/// Returns whether the file is intact.
fn check_file(file: &Path, json: bool) -> Result<bool, String> {
    let report = check(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let intact = report.is_intact();
    let printed = if json { print_json(&CheckedFile::from(report)) } else { print(&report) };
    printed.map_err(|error| error.to_string())?;
    Ok(intact)
}

/// Returns whether all documents are intact.
async fn check_database(options: &DatabaseOptions, json: bool) -> Result<bool, String> {
    let database = sql::open_existing(options).await.map_err(|error| error.to_string())?;
    let database = database.ok_or_else(|| StorageError::NoTables(options.url.to_string()).to_string())?;
    let result = check_documents(&*database, json).await;
    database.shut_down().await;
    let documents = result?;
    let damaged = documents.iter().filter(|document| !document.intact).count();
    let (location, count) = (options.url.to_string(), counted(documents.len(), "document"));
    let printed = match damaged {
        _ if json => print_json(&CheckedDatabase { database: location, intact: damaged == 0, documents }),
        0 => print(format_args!("{location}: {count}, all whole")),
        _ => print(format_args!("{location}: {damaged} of {count} damaged")),
    };
    printed.map_err(|error| error.to_string())?;
    Ok(damaged == 0)
}

/// Checks each document. Prints a line for each at once, unless the report is printed as JSON.
async fn check_documents(database: &dyn Database, json: bool) -> Result<Vec<CheckedDocument>, String> {
    let mut ids = database.list().await.map_err(|error| error.to_string())?;
    let access = database.load_access().await.map_err(|error| error.to_string())?;
    ids.extend(access.iter().map(|stored| stored.document.clone()));
    ids.sort();
    ids.dedup();
    let progress = Progress::new("documents", ids.len());
    let mut documents = Vec::with_capacity(ids.len());
    for id in ids {
        let checked = check_document(database, &id, access.iter().find(|stored| stored.document == id)).await?;
        let document = CheckedDocument::new(id, checked);
        if !json {
            progress.print(&document.text).map_err(|error| error.to_string())?;
        }
        documents.push(document);
        progress.step();
    }
    Ok(documents)
}

/// The summary of a document (`None` if nothing is stored), or its damage.
async fn check_document(
    database: &dyn Database,
    id: &DocumentId,
    access: Option<&StoredAccess>,
) -> Result<Result<Option<DocumentSummary>, String>, String> {
    let checked = database.check(id).await.map_err(|error| error.to_string())?;
    let record = access.map(read_record).transpose();
    Ok(match (checked, record) {
        (Some(Err(damage)), _) => Err(damage.to_string()),
        (_, Err(error)) => Err(error),
        (None, _) => Ok(None),
        (Some(Ok(summary)), _) => Ok(Some(summary)),
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
