//! `document list`: ids, names, owners and states of all documents, also while servers use them.

use backup::{Contents, DocumentCopy, Failure, OpenedStore, read_record};
use plan::position::read_plan;
use primitives::{DocumentId, iso_ms};
use runtime::hub::Deletion;
use serde::Serialize;

use super::access;
use super::config::StorageArgs;
use super::output::{note, print, print_json, printable};
use super::progress::Progress;

/// A document in the list, as `--json` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedDocument {
    id: DocumentId,
    /// The name in the document. `None` if it has none, or cannot be read.
    name: Option<String>,
    /// The user who created it. `None` if nobody is recorded.
    owner: Option<String>,
    #[serde(rename = "default")]
    is_default: bool,
    /// `None` if it is not deleted.
    deleted: Option<ListedDeletion>,
    /// Why the document cannot be read.
    problem: Option<String>,
    /// The deletion as text.
    #[serde(skip)]
    deletion_text: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedDeletion {
    at: Option<String>,
    by: Option<String>,
    #[serde(rename = "contentRemoved")]
    is_removed: bool,
}

/// Prints all documents, the default one first.
///
/// # Errors
/// When they cannot be listed or printed. A document that cannot be read is listed with the reason.
pub(super) async fn list(storage: &StorageArgs, json: bool) -> Result<(), String> {
    let contents = match storage.database.options() {
        Some(options) => OpenedStore::open_existing_database(&options).await.map(Contents::Store),
        None => Contents::open_files_in_use(&storage.state, &storage.documents),
    };
    let contents = contents.map_err(|error| error.to_string())?;
    let listed = read_all(&contents).await;
    contents.close().await;
    let listed = listed?;
    for ListedDocument { id, problem, .. } in &listed {
        if let Some(problem) = problem {
            note(format_args!("happierwork: {id}: {problem}"));
        }
    }
    if json {
        return print_json(&listed).map_err(|error| error.to_string());
    }
    listed.iter().try_for_each(|document| print(line(document))).map_err(|error| error.to_string())
}

async fn read_all(contents: &Contents) -> Result<Vec<ListedDocument>, String> {
    if matches!(contents, Contents::Nothing) {
        return Err("there are no documents: check --state and --documents, or --database".to_owned());
    }
    let ids = contents.documents().await.map_err(|error| error.to_string())?;
    let progress = Progress::new("documents", ids.len());
    let mut listed = Vec::with_capacity(ids.len());
    for id in ids {
        let is_default = contents.default_document() == Some(&id);
        listed.push(match contents.read(&id).await {
            Ok(copy) => ListedDocument::of(id, is_default, &copy),
            Err(Failure::Document(failure)) => ListedDocument::unreadable(id, is_default, failure.to_string()),
            Err(failure) => return Err(failure.to_string()),
        });
        progress.step();
    }
    Ok(listed)
}

impl ListedDocument {
    fn of(id: DocumentId, is_default: bool, copy: &DocumentCopy) -> Self {
        let record = match copy.access.as_ref().map(read_record).transpose() {
            Ok(record) => record.unwrap_or_default(),
            Err(reason) => return Self::unreadable(id, is_default, reason),
        };
        Self {
            name: copy.content.as_ref().and_then(|content| read_plan(&content.document).name),
            owner: record.owner.as_ref().map(ToString::to_string),
            deletion_text: access::deleted(&record),
            deleted: record.deleted.map(|Deletion { by, at, removed }| ListedDeletion {
                at: iso_ms(at),
                by: by.map(|by| by.to_string()),
                is_removed: removed,
            }),
            problem: None,
            id,
            is_default,
        }
    }

    fn unreadable(id: DocumentId, is_default: bool, problem: String) -> Self {
        Self { id, name: None, owner: None, is_default, deleted: None, problem: Some(problem), deletion_text: None }
    }
}

fn line(document: &ListedDocument) -> String {
    let ListedDocument { id, name, owner, is_default, problem, deletion_text, .. } = document;
    let owner = printable(owner.as_deref().unwrap_or("-"));
    let name = printable(name.as_deref().unwrap_or("-"));
    let state = match (deletion_text, problem) {
        (Some(deletion), _) => format!("  ({deletion})"),
        (None, Some(_)) => "  (cannot be read)".to_owned(),
        (None, None) if *is_default => "  (default)".to_owned(),
        (None, None) => String::new(),
    };
    format!("{id}  {owner:<20}  {name}{state}")
}
