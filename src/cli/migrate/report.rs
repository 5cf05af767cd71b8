//! The output of a migration: progress on a terminal, one line per document otherwise, and a summary.

use std::io::{self, IsTerminal, Write};

use primitives::DocumentId;

use super::contents::DocumentCopy;
use super::difference::Difference;
use super::failure::DocumentFailure;
use crate::cli::output::{OutputError, counted, note, print};

/// Prints the result of each document, and counts it.
pub(super) struct Report {
    is_dry_run: bool,
    has_terminal: bool,
    total: usize,
    moved: usize,
    completed: usize,
    equal: usize,
    failed: usize,
    changes: usize,
}

impl Report {
    pub(super) fn new(total: usize, is_dry_run: bool) -> Self {
        let has_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self { is_dry_run, has_terminal, total, moved: 0, completed: 0, equal: 0, failed: 0, changes: 0 }
    }

    /// Whether every document is in the target now.
    pub(super) fn is_complete(&self) -> bool {
        self.failed == 0
    }

    /// A document was moved, or would be: `difference` of `source` was missing in `target`.
    pub(super) fn moved(
        &mut self,
        id: &DocumentId,
        source: &DocumentCopy,
        target: &DocumentCopy,
        difference: &Difference,
    ) -> Result<(), OutputError> {
        let is_new = target.content.is_none() && target.access.is_none() && target.authors.is_empty();
        let what = match (difference.is_empty(), is_new, self.is_dry_run) {
            (true, ..) => "already there",
            (false, true, true) => "would be moved",
            (false, true, false) => "moved",
            (false, false, true) => "would be completed",
            (false, false, false) => "completed",
        };
        let count = match (difference.is_empty(), is_new) {
            (true, _) => &mut self.equal,
            (false, true) => &mut self.moved,
            (false, false) => &mut self.completed,
        };
        *count += 1;
        self.changes += difference.changes;
        self.line(&format!("{id}  {what}: {}", describe(source)))?;
        if source.torn > 0 {
            note(format_args!(
                "happierwork: {id}: ignored {} of an incomplete write at the end of its file",
                counted(usize::try_from(source.torn).unwrap_or(usize::MAX), "byte")
            ));
        }
        Ok(())
    }

    /// A document was not moved.
    pub(super) fn failed(&mut self, id: &DocumentId, failure: &DocumentFailure) {
        self.failed += 1;
        self.clear_progress();
        note(format_args!("happierwork: {id}: {failure}"));
        self.show_progress();
    }

    pub(super) fn summary(&self) -> Result<(), OutputError> {
        self.clear_progress();
        let [moved, completed] = match self.is_dry_run {
            true => ["would be moved", "would be completed"],
            false => ["moved and verified", "completed"],
        };
        print(format_args!(
            "{}: {} {moved}, {} {completed}, {} already there, {} not moved; {}",
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
