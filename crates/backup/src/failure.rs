//! Why one document is not copied.

use std::path::PathBuf;

use store::StoreError;
use store::sql::DatabaseError;

use crate::{StorageError, TargetError};

/// Why a document was not copied.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Others may be copied.
    #[error(transparent)]
    Document(#[from] DocumentFailure),
    /// No other document can be copied either.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The place of the backups cannot be used, so no other document can be copied either.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Why one document was not copied.
#[derive(Debug, thiserror::Error)]
pub enum DocumentFailure {
    /// It cannot be read or written.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// Its chunks are not a document.
    #[error("damaged: Automerge cannot load it ({0}). Restore it from a backup")]
    Unloadable(String),
    /// A file of a stock server is damaged.
    #[error(
        "damaged: {}: {reason}. Remove the file if the server was killed while it wrote it, and run the command again", .file.display()
    )]
    RepoFile {
        /// The file.
        file: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The backup does not hold what was stored in it.
    #[error("damaged: in the backup, {0}. Choose an earlier backup with --backup")]
    Backup(String),
    /// It was in the last backup, and is no longer in the store.
    #[error(
        "missing: it was in the last backup, and nothing is stored of it now. Restore it, or delete it with \
         `happierwork document delete ID --now`"
    )]
    Disappeared,
    /// Its access record cannot be read.
    #[error("damaged: {0}. Restore the record from a backup")]
    Access(String),
    /// The content of the default document names another document, so a file with it would be opened under that id.
    #[error(
        "refused: its content does not carry this id, so no server could find it in a file. Start a server on the source once"
    )]
    NotItsId,
    /// Changes are missing in the store.
    #[error("damaged: {0} changes are missing that others depend on. Restore it from a backup")]
    MissingDependencies(usize),
    /// The document has been edited in the target, or is another one with the same id.
    #[error(
        "refused: the target holds {0} changes of this document that the source does not. \
         Nothing of it was changed. Give another target, or remove it there with `happierwork document delete ID --now`"
    )]
    OtherContent(usize),
    /// The target has other authors.
    #[error("refused: the target holds author lines of this document that the source does not. Give another target")]
    OtherAuthors,
    /// Rights were changed in one of the stores.
    #[error(
        "refused: its access record in the target differs from the one in the source. \
         To take over the source's, run the command again with --replace-access"
    )]
    OtherAccess,
    /// The content was removed in the source.
    #[error(
        "refused: its content was removed in the source. Remove it in the target with `happierwork document delete ID --now`"
    )]
    RemovedInSource,
    /// The content was removed in the target.
    #[error("refused: it was removed in the target, where it cannot be created again. Give another target")]
    RemovedInTarget,
    /// Another process writes to the target.
    #[error("other processes keep writing to it in the target. Stop the target's servers, and run the command again")]
    Contended,
    /// The target does not contain the written data.
    #[error("the target does not hold what was written to it. Check the target, and run the command again")]
    NotVerified,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let is_local = match &error {
            StoreError::Database(error) => matches!(
                error,
                DatabaseError::Damaged { .. } | DatabaseError::Snapshot { .. } | DatabaseError::TooLarge { .. }
            ),
            StoreError::Full { .. } | StoreError::Folder { .. } => false,
            _ => true,
        };
        if is_local { DocumentFailure::Store(Box::new(error)).into() } else { StorageError::from(error).into() }
    }
}
