//! The interface between the engine and the content of documents.

use std::fmt;

use automerge::{Automerge, Change, ChangeHash};

use crate::quota::DocumentFull;

/// Defines the content of a document: how local edits become changes, and which values peers must not alter. The engine itself
/// does not interpret the content.
pub trait Schema {
    /// A local edit, with its author.
    type Edit: Clone + fmt::Debug;
    /// The result of an edit, for its caller.
    type Done: fmt::Debug;
    /// Why an edit is rejected.
    type Error: fmt::Debug;

    /// Called when the document was read from its log.
    fn loaded(&mut self, doc: &Automerge);

    /// Makes an edit as one change, or as none if it changes nothing. Before it makes the change it may apply changes whose actors
    /// belong to [everyone](ActorOwner::Everyone).
    ///
    /// # Errors
    /// When the edit is rejected. The document is unchanged then.
    fn edit(&mut self, doc: &mut Automerge, edit: &Self::Edit) -> Result<Self::Done, Self::Error>;

    /// Called when a batch has changed the document. Restores the values that peers must not alter, by at most one change.
    /// `time` is that of the latest change of the batch, in seconds since 1970. `without_merge`: if the batch has merged changes of
    /// another document of the family, the heads that the document would have without them.
    fn restore(&mut self, doc: &mut Automerge, time: i64, without_merge: Option<&[ChangeHash]>);

    /// Estimated number of operations of this edit.
    fn operations(edit: &Self::Edit) -> u64;

    /// Whether this single edit takes long to apply.
    fn is_large(edit: &Self::Edit) -> bool;

    /// Whether this edit is made in a full document, too.
    fn is_made_when_full(_edit: &Self::Edit) -> bool {
        false
    }

    /// Who may contribute this change, by its actor.
    fn actor_owner(_change: &Change) -> ActorOwner {
        ActorOwner::FirstContributor
    }
}

/// Who may contribute changes of an actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorOwner {
    /// The first user who contributes a change of it.
    FirstContributor,
    /// Everyone, because all who make this change make it with the same bytes.
    Everyone,
    /// Nobody: the actor is reserved for another change, which everyone may contribute.
    Nobody,
}

/// Why an edit is rejected.
#[derive(Debug, thiserror::Error)]
pub enum EditRefused<E> {
    /// The document has reached one of its limits.
    #[error(transparent)]
    Full(DocumentFull),
    /// The schema rejects it.
    #[error("{0}")]
    Schema(E),
}

/// A schema without local edits, for documents that only peers change.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEdits;

impl Schema for NoEdits {
    type Edit = std::convert::Infallible;
    type Done = std::convert::Infallible;
    type Error = std::convert::Infallible;

    fn loaded(&mut self, _: &Automerge) {}

    fn edit(&mut self, _: &mut Automerge, edit: &Self::Edit) -> Result<Self::Done, Self::Error> {
        match *edit {}
    }

    fn restore(&mut self, _: &mut Automerge, _: i64, _: Option<&[ChangeHash]>) {}

    fn operations(edit: &Self::Edit) -> u64 {
        match *edit {}
    }

    fn is_large(edit: &Self::Edit) -> bool {
        match *edit {}
    }
}
