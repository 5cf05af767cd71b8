//! Opens the storage of documents: files, or a database that several servers share.

use std::sync::Arc;

use primitives::DocumentId;
use repo_protocol::StorageId;
use runtime::document::Document;
use store::disk::Disk;
use store::sql::{self, Database, DatabaseOptions};
use store::{FileStore, Repair, StateFile, Store};

use super::start::{Options, StartError};
use super::ws::server_identity::ServerIdentity;

/// An opened storage.
pub(super) struct Storage {
    pub(super) store: Arc<dyn Store>,
    /// The database, if the storage is one.
    pub(super) database: Option<Arc<dyn Database>>,
    pub(super) identity: ServerIdentity,
    pub(super) default_document: DocumentId,
    /// The missing parts of the default document.
    pub(super) missing: Missing,
    /// The incomplete write that was truncated from the file of the default document.
    pub(super) repair: Option<Repair>,
}

/// The missing parts of the default document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Nothing,
    /// Its id.
    Id,
    /// Everything.
    Document,
    /// Everything, unless another server has created it.
    DocumentUnlessStored,
}

impl Storage {
    /// Opens the storage that the options name.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) async fn open(options: &Options, disk: Arc<dyn Disk>) -> Result<Self, StartError> {
        match &options.database {
            Some(database) => Self::open_database(database).await,
            None => Self::open_files(options, disk),
        }
    }

    fn open_files(options: &Options, disk: Arc<dyn Disk>) -> Result<Self, StartError> {
        StateFile::create_folder(&*disk, &options.state)?;
        let mode = disk.mode();
        let state = StateFile::open_with_embedded_id(disk, &options.state)?;
        let repair = state.repair().cloned();
        let stored_id = state.document().and_then(Document::carried_id);
        let missing = match (&stored_id, state.document()) {
            (Some(_), _) => Missing::Nothing,
            (None, Some(_)) => Missing::Id,
            (None, None) => Missing::Document,
        };
        let default_document = stored_id.unwrap_or_else(|| DocumentId::from_random(rand::random()));
        // Also creates the folder of the documents, which the store locks.
        let identity = ServerIdentity::load(&options.documents, mode)?;
        let limits = options.limits.open_files;
        let store = FileStore::open_with_limits(state, default_document.clone(), &options.documents, limits)?;
        Ok(Self { store: Arc::new(store), database: None, identity, default_document, missing, repair })
    }

    async fn open_database(options: &DatabaseOptions) -> Result<Self, StartError> {
        let database = sql::open(options).await?;
        let storage: String = database.storage_id().iter().map(|byte| format!("{byte:02x}")).collect();
        let identity = ServerIdentity::new(StorageId::new(&format!("happierwork-{storage}"))?)?;
        let fresh = DocumentId::from_random(rand::random());
        let default_document = database.choose_default_document(&fresh).await?;
        Ok(Self {
            store: Arc::clone(&database) as Arc<dyn Store>,
            database: Some(database),
            identity,
            default_document,
            missing: Missing::DocumentUnlessStored,
            repair: None,
        })
    }
}
