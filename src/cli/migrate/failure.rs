//! Why a migration, or the move of one document, fails.

use std::path::PathBuf;

use auth::AuthError;
use primitives::DocumentId;
use store::StoreError;
use store::sql::DatabaseError;

use crate::cli::output::OutputError;
use crate::cli::storage::StorageError;

/// Why a migration ends before all documents were tried. Documents that were moved before stay moved.
#[derive(Debug, thiserror::Error)]
pub(super) enum MigrateError {
    /// A store cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There is nothing to move.
    #[error("{0} holds no documents: there is nothing to move")]
    NoSource(String),
    /// The folder of the documents exists, but the file of the default document does not.
    #[error("{} does not exist. Correct the source: files:STATE,DOCUMENTS", .0.display())]
    NoState(PathBuf),
    /// Both locations lead to one store.
    #[error("source and target are the same store, or one is a copy of the other. Give another target")]
    SameStore,
    /// A file's document has no id, so it cannot be found in another store.
    #[error("the document in {} has no id yet. Start a server on it once, which adds one, and stop it", .0.display())]
    NoId(PathBuf),
    /// The target already contains another plan.
    #[error(
        "the target has another default document, {target}, than the source, {from}. Nothing was moved. \
         Give an empty target; a server creates a default document where it finds none, so start it after the migration"
    )]
    OtherDefault { from: DocumentId, target: DocumentId },
    /// The accounts cannot be read or written.
    #[error(transparent)]
    Accounts(Box<AuthError>),
    /// Files on both sides.
    #[error("--accounts is for moving to or from a database. Accounts of files stay in their folder: copy it")]
    NoDatabase,
    /// Databases on both sides.
    #[error("--accounts is for files: the accounts of a database move to the other database by themselves")]
    TwoDatabases,
    /// Standard output failed.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl From<AuthError> for MigrateError {
    fn from(error: AuthError) -> Self {
        Self::Accounts(Box::new(error))
    }
}

/// Why a document was not moved.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Others may be moved.
    #[error(transparent)]
    Document(#[from] DocumentFailure),
    /// No other document can be moved either.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why one document was not moved.
#[derive(Debug, thiserror::Error)]
pub(super) enum DocumentFailure {
    /// It cannot be read or written.
    #[error(transparent)]
    Store(Box<StoreError>),
    /// Its chunks are not a document.
    #[error("damaged: Automerge cannot load it ({0}). Restore it from a backup")]
    Unloadable(String),
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
