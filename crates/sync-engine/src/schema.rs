//! What the engine has to know of what a document is about.

use std::fmt;

use automerge::Automerge;

use crate::quota::DocumentFull;

/// How local edits become changes, and what changes of peers must not alter. The engine itself gives no meaning to what is in a
/// document.
pub trait Schema {
    /// A local edit, with its author.
    type Edit: Clone + fmt::Debug;
    /// What is told to the caller whose edit was made.
    type Done: fmt::Debug;
    /// Why an edit is not made.
    type Error: fmt::Debug;

    /// Notes what a document holds that was just read from its log.
    fn loaded(&mut self, doc: &Automerge);

    /// Makes an edit as one change, or as none if the document is already as the edit wants it.
    ///
    /// # Errors
    /// When the edit is not acceptable. The document is as before then.
    fn edit(&mut self, doc: &mut Automerge, edit: &Self::Edit) -> Result<Self::Done, Self::Error>;

    /// Called when a batch has changed the document: restores, by one change, what peers must not alter. `time` is that of the
    /// latest change of the batch, in seconds since 1970.
    fn restore(&mut self, doc: &mut Automerge, time: i64);

    /// Whether this edit alone takes long to apply.
    fn is_large(edit: &Self::Edit) -> bool;
}

/// Why an edit was not made.
#[derive(Debug, thiserror::Error)]
pub enum EditRefused<E> {
    /// The document is as large as it may be.
    #[error(transparent)]
    Full(DocumentFull),
    /// The schema refuses it.
    #[error("{0}")]
    Schema(E),
}

/// Documents that are changed by their peers alone.
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

    fn restore(&mut self, _: &mut Automerge, _: i64) {}

    fn is_large(edit: &Self::Edit) -> bool {
        match *edit {}
    }
}
