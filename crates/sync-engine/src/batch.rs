//! Batches: their items, and the results of applying and publishing them.

use std::collections::HashSet;
use std::sync::Arc;

use automerge::{ActorId, Change, ChangeHash, sync};
use bytes::Bytes;

use crate::bad_message::BadMessage;
use crate::causal_order;
use crate::incoming::{Incoming, OPERATION_BYTES, Part};
use crate::peers::{Delivery, PeerKey};
use crate::provenance::{self, Attribution, Contributor};
use crate::schema::{EditRefused, Schema};

/// An item of a batch. Cloning is cheap: message bytes are shared.
pub enum Item<S: Schema> {
    /// A received sync message.
    Sync {
        /// The sender.
        peer: PeerKey,
        /// The encoded message.
        bytes: Bytes,
    },
    /// A local edit.
    Edit {
        /// The edit.
        edit: S::Edit,
        /// The authenticated user, if there is one.
        by: Option<Contributor>,
    },
    /// Changes of another document of the family, and an edit in the same batch. The edit is not made if the changes are rejected.
    Merge {
        /// The changes in causal order. Those that the document has are ignored.
        changes: Arc<[Change]>,
        /// The edit.
        edit: Option<S::Edit>,
        /// The authenticated user who merges, if there is one.
        by: Option<Contributor>,
    },
}

impl<S: Schema> Clone for Item<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Sync { peer, bytes } => Self::Sync { peer: *peer, bytes: bytes.clone() },
            Self::Edit { edit, by } => Self::Edit { edit: edit.clone(), by: by.clone() },
            Self::Merge { changes, edit, by } => {
                Self::Merge { changes: Arc::clone(changes), edit: edit.clone(), by: by.clone() }
            }
        }
    }
}

impl<S: Schema> Item<S> {
    /// Whether this single item takes long to apply.
    #[must_use]
    pub fn is_large(&self) -> bool {
        match self {
            Self::Sync { .. } => false,
            Self::Edit { edit, .. } => S::is_large(edit),
            Self::Merge { .. } => true,
        }
    }
}

/// A decoded item. Decoding is most of the work for large items.
pub struct Prepared<S: Schema>(pub(crate) Ready<S>);

impl<S: Schema> Prepared<S> {
    /// Estimated memory while the item is applied, in bytes. 0 for acknowledgements.
    #[must_use]
    pub fn memory_estimate(&self) -> u64 {
        match &self.0 {
            Ready::Sync { incoming: Ok(Some(incoming)), .. } => incoming.memory_estimate,
            Ready::Part { part, .. } => part.memory_estimate,
            Ready::Edit { edit, .. } | Ready::Merge { edit: Some(edit), .. } => {
                S::operations(edit).saturating_mul(OPERATION_BYTES)
            }
            _ => 0,
        }
    }

    /// Number of operations of the item's changes, estimated for edits. 0 for acknowledgements.
    #[must_use]
    pub fn operations(&self) -> u64 {
        match &self.0 {
            Ready::Sync { incoming: Ok(Some(incoming)), .. } => incoming.operations,
            Ready::Part { part, .. } => part.operations,
            Ready::Merge { changes, edit, .. } => {
                changes.iter().map(|change| change.len() as u64).sum::<u64>() + edit.as_ref().map_or(0, S::operations)
            }
            Ready::Edit { edit, .. } => S::operations(edit),
            Ready::Sync { .. } => 0,
        }
    }

    /// The changes that the item brings. Empty for edits and acknowledgements.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        match &self.0 {
            Ready::Sync { incoming: Ok(Some(incoming)), .. } => &incoming.changes,
            Ready::Part { part, .. } => &part.changes,
            Ready::Merge { changes, .. } => changes,
            _ => &[],
        }
    }
}

pub(crate) enum Ready<S: Schema> {
    /// `incoming` is `Ok(None)` for an acknowledgement whose effect is cached.
    Sync {
        peer: PeerKey,
        bytes: Bytes,
        incoming: Result<Option<Incoming>, BadMessage>,
    },
    /// A portion of a message's changes. The message itself follows as `Sync` with the last portion.
    Part {
        peer: PeerKey,
        part: Part,
    },
    Edit {
        edit: S::Edit,
        by: Option<Contributor>,
    },
    Merge {
        changes: Vec<Change>,
        edit: Option<S::Edit>,
        by: Option<Contributor>,
    },
}

/// The result of an item.
#[derive(Debug)]
pub enum Outcome<S: Schema> {
    /// The sync message, or the merge without an edit, was accepted.
    Synced,
    /// The sync message or the merge was rejected. The owner must disconnect the peer from the document.
    Refused(BadMessage),
    /// The edit was made or rejected.
    Edited(Result<S::Done, EditRefused<S::Error>>),
}

/// A batch that was applied in memory and is not durable yet.
#[derive(Debug)]
#[must_use = "the changes must be made durable, and then published"]
pub struct Applied<S: Schema> {
    /// Complete Automerge chunks to append to the log: the new changes in causal order. Empty if the document did not change.
    pub chunks: Vec<u8>,
    /// Number of changes in `chunks`.
    pub change_count: usize,
    /// The result of each item, in the order of the batch. Report it only after the append.
    pub outcomes: Vec<Outcome<S>>,
    /// Whether each item contributed changes. These items fail if the append fails.
    pub contributed_changes: Vec<bool>,
    pub(crate) changes: Vec<Change>,
    /// Changes that another process has stored, and that are published together with `changes`.
    pub(crate) absorbed: Vec<Change>,
    pub(crate) received: Vec<Received>,
    pub(crate) attributions: Vec<Attribution>,
    pub(crate) poisoned: Option<BadMessage>,
}

/// An empty batch.
impl<S: Schema> Default for Applied<S> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            change_count: 0,
            outcomes: Vec::new(),
            contributed_changes: Vec::new(),
            changes: Vec::new(),
            absorbed: Vec::new(),
            received: Vec::new(),
            attributions: Vec::new(),
            poisoned: None,
        }
    }
}

impl<S: Schema> Applied<S> {
    /// The error that left the document in memory unusable: a change that would make it unreadable was applied, or the library
    /// panicked halfway. Nothing is durable yet. The owner must call [`Engine::reload`](crate::Engine::reload), and may apply
    /// the items one by one to find the bad one, whose sender gets this error.
    #[must_use]
    pub fn poisoned(&self) -> Option<&BadMessage> {
        self.poisoned.as_ref()
    }

    /// The result of an empty batch.
    pub(crate) fn empty() -> Self {
        Self::default()
    }

    /// Whether publishing the batch changes the document.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty() || !self.absorbed.is_empty()
    }

    /// Notes that the log has all changes of this batch, and that they are published: only the outcomes are left.
    pub fn note_stored(&mut self) {
        (self.chunks, self.change_count) = (Vec::new(), 0);
        self.changes.clear();
        self.absorbed.clear();
        self.attributions.clear();
    }

    /// Restores the chunks of the changes, after they were moved into an append that stored nothing.
    pub fn restore_chunks(&mut self) {
        self.chunks = self.changes.iter_mut().flat_map(|change| change.bytes().into_owned()).collect();
    }

    /// Removes changes that are in the log already from those to be stored.
    pub(crate) fn remove_stored(&mut self, stored: &HashSet<ChangeHash>) {
        let (removed, kept): (Vec<Change>, Vec<Change>) =
            std::mem::take(&mut self.changes).into_iter().partition(|change| stored.contains(&change.hash()));
        self.changes = kept;
        if removed.is_empty() {
            return;
        }
        self.restore_chunks();
        self.change_count = self.changes.len();
        self.absorbed.extend(removed);
        let actors: HashSet<&ActorId> = self.changes.iter().map(Change::actor_id).collect();
        self.attributions.retain_mut(|attribution| attribution.remove_stored(stored, &actors));
    }

    /// Takes all changes to publish, in causal order.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        let changes = std::mem::take(&mut self.changes);
        if self.absorbed.is_empty() {
            return changes;
        }
        causal_order::sort(std::mem::take(&mut self.absorbed).into_iter().chain(changes).collect())
    }

    pub(crate) fn poisoned_by(error: BadMessage) -> Self {
        Self { poisoned: Some(error), ..Self::empty() }
    }

    /// The provenance of the changes as lines of the authors file, to be stored before the changes. Empty if no contributor is
    /// known. `time_ms` is the current time.
    #[must_use]
    pub fn authors(&self, time_ms: i64) -> Vec<u8> {
        provenance::lines(&self.attributions, time_ms)
    }

    /// The changes of the batch that are to be stored.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The peers whose messages were accepted.
    pub fn senders(&self) -> impl Iterator<Item = PeerKey> + '_ {
        self.received.iter().map(|received| received.peer)
    }
}

#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) peer: PeerKey,
    pub(crate) bytes: Bytes,
    /// The message, and whether it carried changes. `None` for an acknowledgement whose effect was cached when it was prepared.
    pub(crate) decoded: Option<(sync::Message, bool)>,
}

/// The result of publishing a batch.
#[derive(Debug, Default)]
pub struct Published {
    /// Sync messages. The owner must deliver all of them.
    pub deliveries: Vec<Delivery>,
    /// The changes of the batch, in causal order.
    pub changes: Vec<Change>,
}
