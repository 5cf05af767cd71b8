//! What all edits share: their author, their result, and how a change is written.

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{Automerge, AutomergeError, ChangeHash, ObjId, ObjType, PatchLog, ReadDoc, ScalarValue};

use super::Budget;

/// The author of an edit, and the time of the edit.
#[derive(Debug, Clone)]
pub struct Author {
    /// Name, stored as `updatedBy`.
    pub name: String,
    /// Milliseconds since 1970.
    pub now: i64,
}

/// The result of an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Whether a change was made. False if the edit has no effect.
    pub changed: bool,
}

/// Why an edit is rejected. The document is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The position does not exist.
    #[error("there is no position with the id {0:?}")]
    NotFound(String),
    /// A position with this id exists already.
    #[error("there is a position with the id {0:?} already")]
    Exists(String),
    /// The value in the position's place is not a map, so it has no fields.
    #[error(
        "the position {0:?} is not a map of fields, so it cannot be changed; delete it, or restore it from the history"
    )]
    NotAMap(String),
    /// The precondition of [`Edit::OnlyIf`](super::Edit::OnlyIf) does not hold.
    #[error("precondition failed: it has changed since you read it; read it again and retry")]
    Changed,
    /// The value of a field is invalid.
    #[error("{field}: {reason}")]
    Invalid {
        /// Key of the field, as in JSON.
        field: &'static str,
        /// The reason.
        reason: String,
    },
    /// One item of a batch is rejected, and with it all.
    #[error("{item}: {error}")]
    InBatch {
        /// The item, such as `change[3]`.
        item: String,
        /// The reason.
        error: Box<EditError>,
    },
    /// The Automerge library failed.
    #[error("the document could not be edited: {0}")]
    Automerge(#[from] AutomergeError),
}

pub(super) fn delete_if_present(tx: &mut Transaction<'_>, row: &ObjId, field: &str) -> Result<(), AutomergeError> {
    if tx.get(row, field)?.is_some() { tx.delete(row, field) } else { Ok(()) }
}

pub(super) fn put_text(tx: &mut Transaction<'_>, object: &ObjId, key: &str, text: &str) -> Result<(), AutomergeError> {
    let object = tx.put_object(object, key, ObjType::Text)?;
    tx.splice_text(object, 0, 0, text)
}

pub(super) fn put_number(
    tx: &mut Transaction<'_>,
    object: &ObjId,
    key: &str,
    number: Budget,
) -> Result<(), AutomergeError> {
    tx.put(object, key, scalar(number))
}

/// A number as it is stored.
pub(super) fn scalar(number: Budget) -> ScalarValue {
    match number {
        // Below 2^53, so it fits.
        Budget::Int(number) => ScalarValue::Int(i64::try_from(number).unwrap_or(i64::MAX)),
        Budget::Float(number) => ScalarValue::F64(number),
    }
}

pub(super) fn commit(
    doc: &mut Automerge,
    author: &Author,
    message: String,
    write: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
) -> Result<Done, EditError> {
    finish(doc.transaction(), author, message, write)
}

/// Writes on top of earlier heads, concurrently to the changes since.
pub(super) fn commit_at(
    doc: &mut Automerge,
    heads: &[ChangeHash],
    author: &Author,
    message: String,
    write: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
) -> Result<Done, EditError> {
    let tx = doc.transaction_at(PatchLog::inactive(), heads).map_err(|_| AutomergeError::Fail)?;
    finish(tx, author, message, write)
}

fn finish(
    mut tx: Transaction<'_>,
    author: &Author,
    message: String,
    write: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
) -> Result<Done, EditError> {
    if let Err(error) = write(&mut tx) {
        tx.rollback();
        return Err(error.into());
    }
    // Automerge's commit time is in seconds.
    let (hash, _) = tx.commit_with(CommitOptions::default().with_message(message).with_time(author.now / 1_000));
    Ok(Done { changed: hash.is_some() })
}
