//! The storage that a command works on: files that it has locked, or a database that servers may use meanwhile.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use primitives::DocumentId;
use runtime::document::Document;
use store::disk::RealDisk;
use store::sql::{self, Database, DatabaseError, DatabaseOpenError, DatabaseOptions, DatabaseUrl};
use store::{FileMode, FileStore, OpenError, StateFile, Store, StoreError};

use super::config::StorageArgs;

/// How often a change is retried after another process was faster.
pub(super) const MAX_ATTEMPTS: usize = 100;

/// Why the storage of a command cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StorageError {
    #[error(transparent)]
    Files(#[from] OpenError),
    #[error(transparent)]
    OpenDatabase(#[from] Box<DatabaseOpenError>),
    #[error(transparent)]
    Database(#[from] Box<DatabaseError>),
    #[error(transparent)]
    Store(#[from] Box<StoreError>),
    /// The database has no tables.
    #[error(
        "the database {0} holds no documents yet. Start a server on it, or use `happierwork import` or `happierwork migrate`"
    )]
    NoTables(String),
    #[error("the command could not be started: {0}")]
    Runtime(#[from] std::io::Error),
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

/// The runtime of a command. The drivers of databases need its timers and sockets.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, StorageError> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// How a command opens a database that is not named by the flags of the server: without waiting for it.
pub(super) fn database_options(url: &DatabaseUrl) -> DatabaseOptions {
    DatabaseOptions { url: url.clone(), listen: None, wait: Duration::ZERO }
}

/// An opened storage.
pub(super) struct OpenedStore {
    pub(super) store: Arc<dyn Store>,
    /// The default document, if there is one.
    pub(super) default: Option<DocumentId>,
    /// Name of the storage for messages. Contains no password.
    pub(super) location: String,
    pub(super) kind: StoreKind,
}

/// The parts of a storage.
pub(super) enum StoreKind {
    Files {
        /// The id of the document in the state file, whether the file exists or not.
        #[cfg_attr(not(feature = "legacy"), allow(dead_code, reason = "only `import` reads it"))]
        state_id: DocumentId,
    },
    Database(Arc<dyn Database>),
}

impl OpenedStore {
    /// Opens all documents. Files are locked like by a server, so this fails while one is running.
    ///
    /// # Errors
    /// When the storage cannot be used, or is a database that holds nothing.
    pub(super) async fn open(args: &StorageArgs) -> Result<Self, StorageError> {
        match args.database.options() {
            Some(options) => Self::open_existing_database(&options).await,
            None => Self::open_files(&args.state, &args.documents, FileMode::PRIVATE, None),
        }
    }

    /// Opens files, and creates missing folders when it writes to them. `default` is the id of the default document if its file
    /// does not exist.
    ///
    /// # Errors
    /// When they cannot be used, or a server uses them.
    pub(super) fn open_files(
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
        Ok(Self { store, default, location, kind: StoreKind::Files { state_id: id } })
    }

    /// Opens a database that holds documents.
    ///
    /// # Errors
    /// When it cannot be used or holds nothing.
    pub(super) async fn open_existing_database(options: &DatabaseOptions) -> Result<Self, StorageError> {
        let database = sql::open_existing(options).await?;
        let database = database.ok_or_else(|| StorageError::NoTables(options.url.to_string()))?;
        Self::of_database(database, options).await
    }

    /// Opens a database, and creates its tables if it has none.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) async fn create_database(options: &DatabaseOptions) -> Result<Self, StorageError> {
        Self::of_database(sql::open(options).await?, options).await
    }

    /// Uses an open database.
    ///
    /// # Errors
    /// When it fails.
    pub(super) async fn of_database(
        database: Arc<dyn Database>,
        options: &DatabaseOptions,
    ) -> Result<Self, StorageError> {
        let default = database.default_document().await?;
        let location = options.url.to_string();
        let store = Arc::clone(&database) as Arc<dyn Store>;
        Ok(Self { store, default, location, kind: StoreKind::Database(database) })
    }

    /// Closes the storage.
    pub(super) async fn close(self) {
        if let StoreKind::Database(database) = self.kind {
            database.shut_down().await;
        }
    }
}
