//! The output of a migration or a restore: progress on a terminal, one line per document otherwise, and a summary.

use std::io::{self, IsTerminal, Write};

use auth::Copied;
use backup::{CopiedDocument, DocumentCopy, DocumentFailure};
use primitives::DocumentId;

use super::output::{OutputError, counted, note, print};

/// Prints the result of each document, and counts it.
pub(super) struct CopyReport {
    /// What happens to a document, such as "moved".
    verb: &'static str,
    is_dry_run: bool,
    has_terminal: bool,
    total: usize,
    moved: usize,
    completed: usize,
    equal: usize,
    failed: usize,
    changes: usize,
}

impl CopyReport {
    pub(super) fn new(verb: &'static str, total: usize, is_dry_run: bool) -> Self {
        let has_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self { verb, is_dry_run, has_terminal, total, moved: 0, completed: 0, equal: 0, failed: 0, changes: 0 }
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
        let count = match (missing.is_empty(), is_new) {
            (true, _) => &mut self.equal,
            (false, true) => &mut self.moved,
            (false, false) => &mut self.completed,
        };
        *count += 1;
        self.changes += missing.changes;
        self.line(&format!("{id}  {what}: {}", describe(source)))?;
        if source.torn > 0 {
            note(format_args!(
                "happierwork: {id}: ignored {} of an incomplete write at the end of its file",
                counted(usize::try_from(source.torn).unwrap_or(usize::MAX), "byte")
            ));
        }
        Ok(())
    }

    /// A document was not copied.
    pub(super) fn failed(&mut self, id: &DocumentId, failure: &DocumentFailure) {
        self.failed += 1;
        self.clear_progress();
        note(format_args!("happierwork: {id}: {failure}"));
        self.show_progress();
    }

    pub(super) fn summary(&self) -> Result<(), OutputError> {
        self.clear_progress();
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

    fn line(&self, line: &str) -> Result<(), OutputError> {
        if self.has_terminal {
            self.show_progress();
            return Ok(());
        }
        print(line)
    }

    fn show_progress(&self) {
        if self.has_terminal {
            let done = self.moved + self.completed + self.equal + self.failed;
            let _ = write!(io::stderr(), "\r{done} of {}", counted(self.total, "document"));
        }
    }

    fn clear_progress(&self) {
        if self.has_terminal {
            let _ = write!(io::stderr(), "\r\x1b[K");
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

/// Prints the result of a copy of accounts. `verb` says what happens to them, such as "moved".
pub(super) fn print_accounts(verb: &str, copied: &Copied, is_dry_run: bool) -> Result<(), OutputError> {
    let Copied { accounts, existing, differing, revocations } = copied;
    if accounts.len() + existing.len() + revocations == 0 {
        return Ok(());
    }
    for name in differing {
        note(format_args!(
            "happierwork: the account {name} differs in the target, where it stays as it is. Change it with `happierwork user`"
        ));
    }
    let moved = if is_dry_run { format!("would be {verb}") } else { verb.to_owned() };
    let total = counted(accounts.len() + existing.len(), "account");
    let tokens = counted(*revocations, "revoked token");
    print(format_args!("{total}: {} {moved}, {} already there; {tokens}", accounts.len(), existing.len()))
}
