//! Opens where documents are kept: files, or a database that several servers share.

use std::path::PathBuf;
use std::sync::Arc;

use primitives::DocumentId;
use repo_protocol::StorageId;
use runtime::document::Document;
use store::disk::Disk;
use store::sql::{self, Database, DatabaseOptions};
use store::{FileStore, OpenFileLimits, Repair, StateFile, Store};

use super::Identity;
use super::start::StartError;

/// Where documents are kept.
#[derive(Debug, Clone)]
pub enum StorageOptions {
    /// In files, which one process opens at a time.
    Files {
        /// File of the default document.
        state: PathBuf,
        /// Folder of all other documents.
        documents: PathBuf,
    },
    /// In a database, which any number of servers may use at once.
    Database(DatabaseOptions),
}

impl StorageOptions {
    /// Where the default document is, for messages to the operator. Contains no password.
    #[must_use]
    pub fn location(&self) -> String {
        match self {
            Self::Files { state, .. } => std::path::absolute(state).unwrap_or_else(|_| state.clone()).display().to_string(),
            Self::Database(options) => options.url.to_string(),
        }
    }
}

/// An opened storage.
pub(super) struct Storage {
    pub(super) store: Arc<dyn Store>,
    /// The database, if the storage is one.
    pub(super) database: Option<Arc<dyn Database>>,
    pub(super) identity: Identity,
    pub(super) default_document: DocumentId,
    /// What the default document lacks.
    pub(super) missing: Missing,
    pub(super) repair: Option<Repair>,
}

/// What the default document lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nothing.
    Nothing,
    /// Its id.
    Id,
    /// Everything: there was no document.
    Document,
    /// Everything, unless another process has created the document.
    DocumentUnlessStored,
}

impl Storage {
    /// Opens the storage.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) async fn open(
        options: &StorageOptions,
        disk: Arc<dyn Disk>,
        limits: OpenFileLimits,
    ) -> Result<Self, StartError> {
        match options {
            StorageOptions::Files { state, documents } => {
                StateFile::create_folder(&*disk, state)?;
                let mode = disk.mode();
                let state = StateFile::open_with_embedded_id(disk, state)?;
                let repair = state.repair().cloned();
                let embedded = state.document().and_then(Document::carried_id);
                let missing = match (&embedded, state.document()) {
                    (Some(_), _) => Missing::Nothing,
                    (None, Some(_)) => Missing::Id,
                    (None, None) => Missing::Document,
                };
                let default_document = embedded.unwrap_or_else(|| DocumentId::from_random(rand::random()));
                // Creates the folder of the documents, so that it can be locked.
                let identity = Identity::load(documents, mode)?;
                let store = FileStore::open_with_limits(state, default_document.clone(), documents, limits)?;
                let store = Arc::new(store);
                Ok(Self { store, database: None, identity, default_document, missing, repair })
            }
            StorageOptions::Database(options) => {
                let database = sql::open(options).await?;
                let storage: String = database.storage_id().iter().map(|byte| format!("{byte:02x}")).collect();
                let identity = Identity::new(StorageId::new(&format!("happierwork-{storage}"))?)?;
                let fresh = DocumentId::from_random(rand::random());
                let default_document = database.choose_default_document(&fresh).await.map_err(StartError::Database)?;
                let missing = Missing::DocumentUnlessStored;
                let store = Arc::clone(&database) as Arc<dyn Store>;
                Ok(Self { store, database: Some(database), identity, default_document, missing, repair: None })
            }
        }
    }
}
