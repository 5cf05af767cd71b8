//! A record of every stored batch of the document, kept beside the database. The log must be a chain without gaps, and changes of
//! a user may only follow a record that allows them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use automerge::{Automerge, ChangeHash, ROOT, ReadDoc};
use serde_json::Value;
use store::{Batch, BatchKind, Position};

/// The document's log, and the losses of failovers.
#[derive(Default)]
pub struct LogRecord {
    rows: Vec<(Position, Batch)>,
    doc: Automerge,
    /// All changes that were ever stored.
    everything: Automerge,
    /// Changes that the database forgot, whether they came back or not.
    forgotten: HashSet<ChangeHash>,
    /// Positions that the database forgot.
    forgotten_positions: BTreeSet<String>,
    /// Users whose tokens let them write.
    trusted: BTreeSet<String>,
    /// Whether the database has forgotten an access record. Servers that know it may act by it, so rights are not checked any
    /// more.
    has_forgotten_rights: bool,
    violation: Option<String>,
}

impl LogRecord {
    /// Adds users whose tokens allow writing, without the access record.
    pub fn trust(&mut self, users: impl IntoIterator<Item = String>) {
        self.trusted.extend(users);
    }

    /// The number of batches.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Records a new row of the table.
    pub fn add(&mut self, at: Position, batch: Batch) {
        let last = self.rows.last().map_or(Position::START, |(at, _)| *at);
        if last.next(&batch) != at {
            self.note(format!("row {at} does not follow row {last}"));
        }
        if batch.kind == BatchKind::Changes {
            self.check_rights(at, &batch.authors);
            if let Err(error) = self.doc.load_incremental(&batch.chunks) {
                self.note(format!("row {at} is not readable: {error}"));
            }
            let _ = self.everything.load_incremental(&batch.chunks);
        }
        self.rows.push((at, batch));
    }

    /// Records that the database forgot all but the first rows.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.rows.len() {
            return;
        }
        self.has_forgotten_rights |= self.rows[len..].iter().any(|(_, batch)| batch.kind == BatchKind::Access);
        self.rows.truncate(len);
        let mut doc = Automerge::new();
        for (_, batch) in self.rows.iter().filter(|(_, batch)| batch.kind == BatchKind::Changes) {
            let _ = doc.load_incremental(&batch.chunks);
        }
        let lost = self.doc.get_changes_meta(&doc.get_heads()).into_iter().map(|change| change.hash);
        self.forgotten.extend(lost.filter(|hash| doc.get_change_meta_by_hash(hash).is_none()));
        let left = positions(&doc);
        self.forgotten_positions.extend(positions(&self.doc).into_iter().filter(|id| !left.contains(id)));
        self.doc = doc;
    }

    /// Checks the right of each contributor of changes that were never stored before.
    fn check_rights(&mut self, at: Position, authors: &[u8]) {
        for line in authors.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Ok(line) = serde_json::from_slice::<Value>(line) else {
                self.note(format!("row {at} has a line of authors that is not readable"));
                continue;
            };
            let user = line["user"].as_str().unwrap_or_default();
            let is_new = |hash: &Value| {
                hash.as_str().and_then(|hash| hash.parse().ok()).is_some_and(|hash| !self.was_ever_stored(&hash))
            };
            if line["changes"].as_array().is_some_and(|changes| changes.iter().any(is_new)) && !self.may_write(user) {
                self.note(format!("row {at} has a change of {user}, whose right was revoked before"));
            }
        }
    }

    /// Whether the last known access record, or a token, allows a user to write.
    fn may_write(&self, user: &str) -> bool {
        self.trusted.contains(user)
            || self.has_forgotten_rights
            || matches!(self.role(user).as_deref(), Some("editor" | "owner"))
    }

    /// The role of a user in the last access record.
    pub fn role(&self, user: &str) -> Option<String> {
        self.roles_since(self.rows.len(), user).pop().flatten()
    }

    /// The roles that a user has had since the log had this length.
    pub fn roles_since(&self, len: usize, user: &str) -> Vec<Option<String>> {
        let records = self.rows.iter().enumerate().filter(|(_, (_, batch))| batch.kind == BatchKind::Access);
        let roles = records.map(|(index, (_, batch))| {
            let record: BTreeMap<String, Value> = serde_json::from_slice(&batch.chunks).unwrap_or_default();
            let owner = record.get("owner").filter(|owner| *owner == user).map(|_| "owner");
            (index, owner.or_else(|| record.get("users")?[user].as_str()).map(str::to_owned))
        });
        let roles: Vec<_> = std::iter::once((0, None)).chain(roles).collect();
        let first = roles.iter().rposition(|(index, _)| *index < len).unwrap_or(0);
        roles[first..].iter().map(|(_, role)| role.clone()).collect()
    }

    /// The stored document.
    pub fn document(&self) -> &Automerge {
        &self.doc
    }

    pub fn has(&self, change: &ChangeHash) -> bool {
        self.doc.get_change_meta_by_hash(change).is_some()
    }

    pub fn was_ever_stored(&self, change: &ChangeHash) -> bool {
        self.everything.get_change_meta_by_hash(change).is_some()
    }

    pub fn was_forgotten(&self, change: &ChangeHash) -> bool {
        self.forgotten.contains(change)
    }

    pub fn was_position_forgotten(&self, id: &str) -> bool {
        self.forgotten_positions.contains(id)
    }

    pub fn positions(&self) -> BTreeSet<String> {
        positions(&self.doc)
    }

    pub fn note(&mut self, violation: String) {
        self.violation.get_or_insert(violation);
    }

    /// The first violation.
    pub fn violation(&self) -> Option<&String> {
        self.violation.as_ref()
    }
}

/// The ids of a document's positions.
pub fn positions(doc: &impl ReadDoc) -> BTreeSet<String> {
    match doc.get(ROOT, "positions") {
        Ok(Some((_, positions))) => doc.keys(positions).collect(),
        _ => BTreeSet::new(),
    }
}
