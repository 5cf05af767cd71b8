//! Reads the documents of a store, for a migration.

use std::collections::{BTreeSet, HashMap};

use automerge::{Automerge, ChangeHash, ReadDoc};
use primitives::DocumentId;
use runtime::document::Document;
use store::sql::{self, DatabaseError, StoredDocument};
use store::{FileReader, Position, StoreError, StoredAccess};

use super::failure::{DocumentFailure, Failure, MigrateError};
use crate::cli::config::StoreLocation;
use crate::cli::storage::{OpenedStore, StorageError, StoreKind, database_options};

/// The documents of a store.
pub(super) enum Contents {
    /// Files, which are only read.
    Files { reader: FileReader, default: Option<DocumentId> },
    /// A database, or files that are written.
    Store(OpenedStore),
    /// A store that does not exist.
    Nothing,
}

/// Everything that is stored of a document.
#[derive(Default)]
pub(super) struct DocumentCopy {
    /// `None` if there is no content, or it was removed.
    pub(super) content: Option<Content>,
    pub(super) authors: Vec<u8>,
    pub(super) access: Option<StoredAccess>,
    /// The position of its log. `None` if unknown: in files, or after a removal.
    pub(super) position: Option<Position>,
    /// Bytes of an interrupted write at the end of its file, which are not part of the content.
    pub(super) torn: u64,
}

impl DocumentCopy {
    /// The heads of the content.
    pub(super) fn heads(&self) -> Option<Vec<ChangeHash>> {
        self.content.as_ref().map(|content| content.document.get_heads())
    }
}

/// The content of a document.
pub(super) struct Content {
    /// Whole chunks.
    pub(super) bytes: Vec<u8>,
    /// The document in these bytes.
    pub(super) document: Automerge,
}

/// The positions of all logs and access records.
#[derive(Default)]
pub(super) struct Positions {
    pub(super) logs: HashMap<DocumentId, Position>,
    pub(super) access: HashMap<DocumentId, u64>,
}

impl Contents {
    /// Opens a store for reading. Creates and changes nothing.
    ///
    /// # Errors
    /// When it cannot be used.
    pub(super) async fn open(location: &StoreLocation) -> Result<Self, MigrateError> {
        let (state, documents) = match location {
            StoreLocation::Database(url) => {
                let options = database_options(url);
                return Ok(match sql::open_existing(&options).await.map_err(StorageError::from)? {
                    Some(database) => Self::Store(OpenedStore::of_database(database, &options).await?),
                    None => Self::Nothing,
                });
            }
            StoreLocation::Files { state, documents } => (state, documents),
        };
        if !state.exists() && !documents.exists() {
            return Ok(Self::Nothing);
        }
        let reader = FileReader::open(state, documents).map_err(StorageError::from)?;
        let default = match reader.state() {
            Ok(None) => None,
            Ok(Some(content)) => {
                let id = Document::carried_id(&content.document);
                Some(id.ok_or_else(|| MigrateError::NoId(state.clone()))?)
            }
            // Without its id, no document can be the default one.
            Err(error) => return Err(StorageError::from(error).into()),
        };
        Ok(Self::Files { reader, default })
    }

    /// The default document. `None` if there is none.
    pub(super) fn default_document(&self) -> Option<&DocumentId> {
        match self {
            Self::Files { default, .. } => default.as_ref(),
            Self::Store(opened) => opened.default.as_ref(),
            Self::Nothing => None,
        }
    }

    /// All documents that have content, author lines or an access record: the default document first.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub(super) async fn documents(&self) -> Result<Vec<DocumentId>, StorageError> {
        let mut ids = match self {
            Self::Files { reader, .. } => reader.list()?,
            Self::Store(opened) => {
                let mut ids: BTreeSet<DocumentId> = opened.store.list().await?.into_iter().collect();
                ids.extend(opened.store.load_access().await?.into_iter().map(|stored| stored.document));
                ids
            }
            Self::Nothing => BTreeSet::new(),
        };
        let default = self.default_document().cloned();
        if let Some(default) = &default {
            ids.remove(default);
        }
        Ok(default.into_iter().chain(ids).collect())
    }

    /// The positions of the logs of these documents, and all access records. Empty for files, which no other process
    /// changes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) async fn positions(&self, ids: &[DocumentId]) -> Result<Positions, StorageError> {
        match self {
            Self::Store(OpenedStore { store, kind: StoreKind::Database(_), .. }) => {
                let logs = store.positions(ids.to_vec()).await?.into_iter().collect();
                let access = store.load_access().await?.into_iter();
                Ok(Positions { logs, access: access.map(|stored| (stored.document, stored.version)).collect() })
            }
            _ => Ok(Positions::default()),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// When the store fails, or the document is damaged.
    pub(super) async fn read(&self, id: &DocumentId) -> Result<DocumentCopy, Failure> {
        match self {
            Self::Files { reader, default } => Ok(read_files(reader, default.as_ref() == Some(id), id)?),
            Self::Store(OpenedStore { store, kind: StoreKind::Database(database), .. }) => {
                let (content, authors, position) = match database.stored(id).await? {
                    Some(StoredDocument { bytes, authors, position, .. }) => (load(bytes)?, authors, Some(position)),
                    None => (None, store.load_authors(id).await?, None),
                };
                // After the content: a removal is recorded before the content is removed.
                let access = store.load_access_of(id).await?;
                Ok(DocumentCopy { content, authors, access, position, torn: 0 })
            }
            Self::Store(OpenedStore { store, .. }) => {
                let content = store.load(id).await?.map(|loaded| loaded.bytes);
                let content = content.map(load).transpose()?.flatten();
                let (authors, access) = (store.load_authors(id).await?, store.load_access_of(id).await?);
                Ok(DocumentCopy { content, authors, access, position: None, torn: 0 })
            }
            Self::Nothing => Ok(DocumentCopy::default()),
        }
    }

    /// Closes the store.
    pub(super) async fn close(self) {
        if let Self::Store(opened) = self {
            opened.close().await;
        }
    }
}

fn read_files(reader: &FileReader, is_default: bool, id: &DocumentId) -> Result<DocumentCopy, StoreError> {
    let content = if is_default { reader.state()? } else { reader.document(id)? };
    let torn = content.as_ref().and_then(|content| content.torn_tail.as_ref()).map_or(0, |tail| tail.len);
    let content = content.map(|content| Content { bytes: content.bytes, document: content.document });
    let record = reader.access(id)?;
    let access = record.map(|record| StoredAccess { document: id.clone(), version: 0, record });
    Ok(DocumentCopy { content, authors: reader.authors(id)?, access, position: None, torn })
}

/// Loads content strictly. `None` if it is empty.
fn load(bytes: Vec<u8>) -> Result<Option<Content>, Failure> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let document =
        automerge_chunks::load::load(&bytes).map_err(|error| DocumentFailure::Unloadable(error.to_string()))?;
    match document.get_missing_deps(&[]).len() {
        0 => Ok(Some(Content { bytes, document })),
        missing => Err(DocumentFailure::MissingDependencies(missing).into()),
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        StoreError::from(error).into()
    }
}
