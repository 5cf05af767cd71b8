//! The output of a migration or a restore: progress on a terminal, one line per document otherwise, and a summary. Or all of it as one
//! JSON object.

use std::io::{self, IsTerminal};

use auth::Copied;
use backup::{CopiedDocument, DocumentCopy, DocumentFailure};
use primitives::DocumentId;
use serde::Serialize;

use super::output::{OutputError, counted, note, print, print_json};
use super::progress::Progress;

/// Prints the result of each document, and counts it.
pub(super) struct CopyReport {
    /// What happens to a document, such as "moved".
    verb: &'static str,
    is_dry_run: bool,
    has_terminal: bool,
    progress: Progress,
    total: usize,
    moved: usize,
    completed: usize,
    equal: usize,
    failed: usize,
    changes: usize,
    /// What is printed at the end in place of lines.
    json: Option<JsonReport>,
}

/// The report, as `--json` prints it.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonReport {
    dry_run: bool,
    /// Whether everything is in the target now, or would be.
    complete: bool,
    documents: Vec<JsonDocument>,
    /// `None` if no accounts were to be copied.
    accounts: Option<JsonAccounts>,
}

#[derive(Serialize)]
struct JsonDocument {
    id: DocumentId,
    result: CopyResult,
    /// Number of changes that the target lacked.
    changes: usize,
    /// The heads in the source.
    heads: Vec<String>,
    /// Why it was not copied.
    reason: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum CopyResult {
    Copied,
    Completed,
    Unchanged,
    Failed,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JsonAccounts {
    copied: Vec<String>,
    /// Accounts that the target had already. They stay as they are.
    existing: Vec<String>,
    /// Those of them that differ from the source.
    differing: Vec<String>,
    revoked_tokens: usize,
}

impl CopyReport {
    pub(super) fn new(verb: &'static str, total: usize, is_dry_run: bool, json: bool) -> Self {
        let has_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self {
            verb,
            is_dry_run,
            has_terminal,
            progress: Progress::new("documents", total),
            total,
            moved: 0,
            completed: 0,
            equal: 0,
            failed: 0,
            changes: 0,
            json: json.then(|| JsonReport { dry_run: is_dry_run, ..JsonReport::default() }),
        }
    }

    /// Whether every document is in the target now.
    pub(super) fn is_complete(&self) -> bool {
        self.failed == 0
    }

    /// A document was copied, or would be.
    pub(super) fn copied(&mut self, id: &DocumentId, copied: &CopiedDocument) -> Result<(), OutputError> {
        let CopiedDocument { source, before, missing } = copied;
        let is_new = before.content.is_none() && before.access.is_none() && before.authors.is_empty();
        let verb = self.verb;
        let what = match (missing.is_empty(), is_new, self.is_dry_run) {
            (true, ..) => "already there".to_owned(),
            (false, true, true) => format!("would be {verb}"),
            (false, true, false) => verb.to_owned(),
            (false, false, true) => "would be completed".to_owned(),
            (false, false, false) => "completed".to_owned(),
        };
        let (count, result) = match (missing.is_empty(), is_new) {
            (true, _) => (&mut self.equal, CopyResult::Unchanged),
            (false, true) => (&mut self.moved, CopyResult::Copied),
            (false, false) => (&mut self.completed, CopyResult::Completed),
        };
        *count += 1;
        self.changes += missing.changes;
        match &mut self.json {
            Some(json) => json.documents.push(JsonDocument {
                id: id.clone(),
                result,
                changes: missing.changes,
                heads: source.heads().unwrap_or_default().iter().map(ToString::to_string).collect(),
                reason: None,
            }),
            None if self.has_terminal => {}
            None => self.progress.print(format_args!("{id}  {what}: {}", describe(source)))?,
        }
        self.progress.step();
        if source.torn > 0 {
            self.progress.note(format_args!(
                "happierwork: {id}: ignored {} of an incomplete write at the end of its file",
                counted(usize::try_from(source.torn).unwrap_or(usize::MAX), "byte")
            ));
        }
        Ok(())
    }

    /// A document was not copied.
    pub(super) fn failed(&mut self, id: &DocumentId, failure: &DocumentFailure) {
        self.failed += 1;
        self.progress.step();
        self.progress.note(format_args!("happierwork: {id}: {failure}"));
        if let Some(json) = &mut self.json {
            let (heads, reason) = (Vec::new(), Some(failure.to_string()));
            json.documents.push(JsonDocument { id: id.clone(), result: CopyResult::Failed, changes: 0, heads, reason });
        }
    }

    /// All documents were tried.
    pub(super) fn summary(&self) -> Result<(), OutputError> {
        self.progress.end();
        if self.json.is_some() {
            return Ok(());
        }
        let verb = self.verb;
        let [moved, completed] = match self.is_dry_run {
            true => [format!("would be {verb}"), "would be completed".to_owned()],
            false => [format!("{verb} and verified"), "completed".to_owned()],
        };
        print(format_args!(
            "{}: {} {moved}, {} {completed}, {} already there, {} not {verb}; {}",
            counted(self.total, "document"),
            self.moved,
            self.completed,
            self.equal,
            self.failed,
            counted(self.changes, "change")
        ))
    }

    /// The accounts were copied, or would be.
    pub(super) fn accounts(&mut self, copied: &Copied) -> Result<(), OutputError> {
        let Copied { accounts, existing, differing, revocations } = copied;
        for name in differing {
            note(format_args!(
                "happierwork: the account {name} differs in the target, where it stays as it is. Change it with `happierwork user`"
            ));
        }
        if let Some(json) = &mut self.json {
            let names = |names: &[auth::AccountName]| names.iter().map(ToString::to_string).collect();
            json.accounts = Some(JsonAccounts {
                copied: names(accounts),
                existing: names(existing),
                differing: names(differing),
                revoked_tokens: *revocations,
            });
            return Ok(());
        }
        if accounts.len() + existing.len() + revocations == 0 {
            return Ok(());
        }
        let verb = self.verb;
        let moved = if self.is_dry_run { format!("would be {verb}") } else { verb.to_owned() };
        let total = counted(accounts.len() + existing.len(), "account");
        let tokens = counted(*revocations, "revoked token");
        print(format_args!("{total}: {} {moved}, {} already there; {tokens}", accounts.len(), existing.len()))
    }

    /// The end. Prints the JSON object, if there is one.
    pub(super) fn end(self, is_complete: bool) -> Result<(), OutputError> {
        match self.json {
            Some(json) => print_json(&JsonReport { complete: is_complete, ..json }),
            None => Ok(()),
        }
    }
}

/// Describes the stored content of a document.
fn describe(copy: &DocumentCopy) -> String {
    let mut parts = Vec::new();
    match &copy.content {
        None => parts.push("no content".to_owned()),
        Some(content) => {
            let heads: Vec<String> = content.document.get_heads().iter().map(ToString::to_string).collect();
            parts.push(format!(
                "{}, heads {}",
                counted(content.document.get_changes_meta(&[]).len(), "change"),
                heads.join(" ")
            ));
        }
    }
    let authors = copy.authors.iter().filter(|byte| **byte == b'\n').count();
    if authors > 0 {
        parts.push(counted(authors, "author line"));
    }
    if copy.access.is_some() {
        parts.push("access record".to_owned());
    }
    parts.join(", ")
}
