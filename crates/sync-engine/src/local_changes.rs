//! Changes that the engine makes itself: edits, merges of many heads, and values that it restores.

use automerge::transaction::CommitOptions;
use automerge::{Change, ChangeHash, ReadDoc};

use crate::engine::Engine;
use crate::provenance::Relatives;
use crate::quota::Quota;
use crate::schema::{EditRefused, Schema};

/// Heads after a batch above which the server merges them.
const MAX_HEADS: usize = 256;

impl<S: Schema> Engine<S> {
    pub(super) fn edit(&mut self, edit: &S::Edit, changes: &mut Vec<Change>) -> Result<S::Done, EditRefused<S::Error>> {
        let before = self.doc.get_heads();
        let done = self.schema.edit(&mut self.doc, edit).map_err(EditRefused::Schema)?;
        self.collect_local_changes(&before, changes);
        Ok(done)
    }

    /// Adds the local changes that were made since the document had these heads.
    pub(super) fn collect_local_changes(&self, before: &[ChangeHash], changes: &mut Vec<Change>) {
        let heads = self.doc.get_heads();
        if heads == before {
            return;
        }
        match self.doc.get_last_local_change() {
            // Nearly always one change on top of the others.
            Some(change) if heads == [change.hash()] && change.deps() == before => changes.push(change),
            // An edit may consist of several changes, and write on top of earlier heads.
            _ => changes.extend(self.doc.get_changes(before)),
        }
    }

    /// Merges the heads by an empty change if there are more than [`MAX_HEADS`], because peers name all heads in every message.
    /// The document gets at most one such change for every [`MAX_HEADS`] changes of peers.
    pub(super) fn merge_heads(&mut self, changes: &mut Vec<Change>, quota: &mut Quota) {
        if changes.is_empty() || self.doc.get_heads().len() <= MAX_HEADS || quota.take_edit(0).is_err() {
            return;
        }
        let time = changes.iter().map(Change::timestamp).max().unwrap_or_default();
        let message = format!("merge {} heads", self.doc.get_heads().len());
        let merged = self.doc.empty_commit(CommitOptions::default().with_message(message).with_time(time));
        changes.extend(self.doc.get_change_by_hash(&merged));
    }

    /// Restores the values that peers must not alter, in the same batch. `heads`: those before the batch.
    pub(super) fn restore(&mut self, heads: &[ChangeHash], changes: &mut Vec<Change>, relatives: &Relatives) {
        let Some(time) = changes.iter().map(Change::timestamp).max() else { return };
        let is_merged = |change: &Change| relatives.know(&change.hash());
        let without_merge = changes.iter().any(is_merged).then(|| {
            let own = changes.iter().filter(|change| !is_merged(change)).map(Change::hash);
            heads.iter().copied().chain(own).collect::<Vec<_>>()
        });
        let before = self.doc.get_heads();
        self.schema.restore(&mut self.doc, time, without_merge.as_deref());
        self.collect_local_changes(&before, changes);
    }
}
