//! An opened storage: files that this process has locked, or a database that servers may use meanwhile.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use primitives::DocumentId;
use runtime::document::Document;
use store::disk::RealDisk;
use store::sql::{self, Database, DatabaseError, DatabaseOpenError, DatabaseOptions, DatabaseUrl};
use store::{FileMode, FileStore, OpenError, StateFile, Store, StoreError};

/// Why a storage cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Files cannot be opened.
    #[error(transparent)]
    Files(#[from] OpenError),
    /// A database cannot be opened.
    #[error(transparent)]
    OpenDatabase(#[from] Box<DatabaseOpenError>),
    /// A call on a database failed.
    #[error(transparent)]
    Database(#[from] Box<DatabaseError>),
    /// A call on a store failed.
    #[error(transparent)]
    Store(#[from] Box<StoreError>),
    /// The folder of a stock server cannot be read.
    #[error("{}: {source}", .folder.display())]
    RepoFolder {
        /// The folder.
        folder: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The folder is not that of a stock server.
    #[error(
        "{} holds no documents of an automerge-repo server. Give the folder that its NodeFSStorageAdapter writes to, in which folders have \
         names of two letters", .0.display()
    )]
    NoRepoFolder(PathBuf),
    /// The database has no tables.
    #[error(
        "the database {0} holds no documents yet. Start a server on it, or use `happierwork import` or `happierwork migrate`"
    )]
    NoTables(String),
    /// A file's document has no id, so it cannot be found in another store.
    #[error("the document in {} has no id yet. Start a server on it once, which adds one, and stop it", .0.display())]
    NoId(PathBuf),
}

impl From<StoreError> for StorageError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<DatabaseError> for StorageError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(Box::new(error))
    }
}

impl From<DatabaseOpenError> for StorageError {
    fn from(error: DatabaseOpenError) -> Self {
        Self::OpenDatabase(Box::new(error))
    }
}

/// How to open a database without waiting for it.
#[must_use]
pub fn database_options(url: &DatabaseUrl) -> DatabaseOptions {
    DatabaseOptions { url: url.clone(), listen: None, wait: Duration::ZERO }
}

/// An opened storage.
pub struct OpenedStore {
    /// The documents.
    pub store: Arc<dyn Store>,
    /// The default document, if there is one.
    pub default: Option<DocumentId>,
    /// Name of the storage for messages. Contains no password.
    pub location: String,
    /// Files or a database.
    pub kind: StoreKind,
}

/// The parts of a storage.
pub enum StoreKind {
    /// Locked files.
    Files {
        /// The id of the document in the state file, whether the file exists or not.
        state_id: DocumentId,
        /// The files.
        store: Arc<FileStore>,
    },
    /// A database, which servers may use meanwhile.
    Database(Arc<dyn Database>),
}

impl OpenedStore {
    /// Opens files, and creates missing folders when it writes to them. `default` is the id of the default document if its file
    /// does not exist.
    ///
    /// # Errors
    /// When they cannot be used, or a server uses them.
    pub fn open_files(
        state: &Path,
        documents: &Path,
        mode: FileMode,
        default: Option<DocumentId>,
    ) -> Result<Self, StorageError> {
        let location = state.display().to_string();
        let state = StateFile::open_with_embedded_id(Arc::new(RealDisk::with_mode(mode)), state)?;
        let default = state.document().and_then(Document::carried_id).or(default);
        // The store requires a default document. Without one, a random id stands in and is never stored.
        let id = default.clone().unwrap_or_else(|| DocumentId::from_random(rand::random()));
        let store = Arc::new(FileStore::open(state, id.clone(), documents)?);
        let kind = StoreKind::Files { state_id: id, store: Arc::clone(&store) };
        Ok(Self { store, default, location, kind })
    }

    /// Opens a database that holds documents.
    ///
    /// # Errors
    /// When it cannot be used or holds nothing.
    pub async fn open_existing_database(options: &DatabaseOptions) -> Result<Self, StorageError> {
        let database = sql::open_existing(options).await?;
        let database = database.ok_or_else(|| StorageError::NoTables(options.url.to_string()))?;
        Self::of_database(database, options).await
    }

    /// Opens a database, and creates its tables if it has none.
    ///
    /// # Errors
    /// When it cannot be used.
    pub async fn create_database(options: &DatabaseOptions) -> Result<Self, StorageError> {
        Self::of_database(sql::open(options).await?, options).await
    }

    /// Uses an open database.
    ///
    /// # Errors
    /// When it fails.
    pub async fn of_database(database: Arc<dyn Database>, options: &DatabaseOptions) -> Result<Self, StorageError> {
        let default = database.default_document().await?;
        let location = options.url.to_string();
        let store = Arc::clone(&database) as Arc<dyn Store>;
        Ok(Self { store, default, location, kind: StoreKind::Database(database) })
    }

    /// Makes another stored document the default one. Close the storage afterwards. Servers that use the database keep the old one until
    /// they start again.
    ///
    /// # Errors
    /// When the storage fails.
    pub async fn make_default(&self, id: &DocumentId) -> Result<(), StoreError> {
        match &self.kind {
            StoreKind::Files { store, .. } => store.make_default(id).await,
            StoreKind::Database(database) => Ok(database.set_default_document(id).await?),
        }
    }

    /// Closes the storage.
    pub async fn close(self) {
        if let StoreKind::Database(database) = self.kind {
            database.shut_down().await;
        }
    }
}
