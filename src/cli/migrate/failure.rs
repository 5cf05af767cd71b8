//! Why a migration fails.

use std::path::PathBuf;

use auth::AuthError;
use backup::{CopyError, Failure, StorageError};

use crate::cli::output::OutputError;

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
    /// The stores do not fit together.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// A store failed during the move.
    #[error(transparent)]
    Move(#[from] Failure),
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
