//! Reads the documents of a store or a backup.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use automerge::{Automerge, ChangeHash, ReadDoc};
use offload::{run_blocking, with_low_priority};
use primitives::DocumentId;
use runtime::document::Document;
use store::sql::{self, DatabaseError, StoredDocument};
use store::{FileReader, OpenError, Position, StoreError, StoredAccess};

use crate::{
    DocumentFailure, Failure, OpenedStore, RepoFolder, SavedBackup, StorageError, StoreKind, StoreLocation,
    database_options, read_record, sha256,
};

/// The documents of a store.
pub enum Contents {
    /// Files, which are only read.
    Files {
        /// Reads them.
        reader: Arc<FileReader>,
        /// The default document, if its file exists.
        default: Option<DocumentId>,
    },
    /// A database, or files that are written.
    Store(OpenedStore),
    /// A backup.
    Backup(SavedBackup),
    /// The folder of a stock automerge-repo server.
    RepoFolder(Arc<RepoFolder>),
    /// A store that does not exist.
    Nothing,
}

/// Everything that is stored of a document.
#[derive(Default)]
pub struct DocumentCopy {
    /// `None` if there is no content, or it was removed.
    pub content: Option<Content>,
    /// Author lines.
    pub authors: Vec<u8>,
    /// The access record, if there is one.
    pub access: Option<StoredAccess>,
    /// The position of its log. `None` if unknown: in files, or after a removal.
    pub position: Option<Position>,
    /// Bytes of an interrupted write at the end of its file, which are not part of the content.
    pub torn: u64,
}

impl DocumentCopy {
    /// The heads of the content.
    pub fn heads(&self) -> Option<Vec<ChangeHash>> {
        self.content.as_ref().map(|content| content.document.get_heads())
    }
}

/// The content of a document.
pub struct Content {
    /// Whole chunks.
    pub bytes: Vec<u8>,
    /// The document in these bytes.
    pub document: Automerge,
}

/// The positions of all logs and access records.
#[derive(Default)]
pub struct Positions {
    /// Of the logs.
    pub logs: HashMap<DocumentId, Position>,
    /// Versions of the access records.
    pub access: HashMap<DocumentId, u64>,
}

impl Contents {
    /// Opens a store for reading. Creates and changes nothing. Files are locked, so that no server changes them meanwhile.
    ///
    /// # Errors
    /// When it cannot be used.
    pub async fn open(location: &StoreLocation) -> Result<Self, StorageError> {
        match location {
            StoreLocation::Database(url) => {
                let options = database_options(url);
                Ok(match sql::open_existing(&options).await? {
                    Some(database) => Self::Store(OpenedStore::of_database(database, &options).await?),
                    None => Self::Nothing,
                })
            }
            StoreLocation::Files { state, documents } => Self::open_files(state, documents, FileReader::open),
        }
    }

    /// Opens files for reading that a server may use meanwhile.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn open_files_in_use(state: &Path, documents: &Path) -> Result<Self, StorageError> {
        Self::open_files(state, documents, FileReader::open_in_use)
    }

    fn open_files(
        state: &Path,
        documents: &Path,
        open: impl FnOnce(&Path, &Path) -> Result<FileReader, OpenError>,
    ) -> Result<Self, StorageError> {
        if !state.exists() && !documents.exists() {
            return Ok(Self::Nothing);
        }
        let reader = open(state, documents)?;
        let default = match reader.state()? {
            None => None,
            // Without its id, no document can be the default one.
            Some(content) => {
                let id = Document::carried_id(&content.document);
                Some(id.ok_or_else(|| StorageError::NoId(state.to_owned()))?)
            }
        };
        Ok(Self::Files { reader: Arc::new(reader), default })
    }

    /// The default document. `None` if there is none.
    pub fn default_document(&self) -> Option<&DocumentId> {
        match self {
            Self::Files { default, .. } => default.as_ref(),
            Self::Store(opened) => opened.default.as_ref(),
            Self::Backup(backup) => backup.default_document(),
            Self::RepoFolder(_) | Self::Nothing => None,
        }
    }

    /// All documents that have content, author lines or an access record: the default document first.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn documents(&self) -> Result<Vec<DocumentId>, StorageError> {
        let mut ids = match self {
            Self::Files { reader, .. } => reader.list()?,
            Self::Store(opened) => {
                let mut ids: BTreeSet<DocumentId> = opened.store.list().await?.into_iter().collect();
                ids.extend(opened.store.load_access().await?.into_iter().map(|stored| stored.document));
                ids
            }
            Self::Backup(backup) => backup.documents().cloned().collect(),
            Self::RepoFolder(folder) => folder.list(),
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
    pub async fn positions(&self, ids: &[DocumentId]) -> Result<Positions, StorageError> {
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
    pub async fn read(&self, id: &DocumentId) -> Result<DocumentCopy, Failure> {
        match self {
            Self::Files { reader, default } => {
                let (reader, is_default, id) = (Arc::clone(reader), default.as_ref() == Some(id), id.clone());
                let read = move || with_low_priority(|| read_files(&reader, is_default, &id));
                Ok(without_removed_content(run_blocking(read).await?))
            }
            Self::Store(OpenedStore { store, kind: StoreKind::Database(database), .. }) => {
                let (content, authors, position) = match database.stored(id).await? {
                    Some(StoredDocument { bytes, authors, position, .. }) => {
                        (load(bytes).await?, authors, Some(position))
                    }
                    None => (None, store.load_authors(id).await?, None),
                };
                // After the content: a removal is recorded before the content is removed.
                let access = store.load_access_of(id).await?;
                Ok(without_removed_content(DocumentCopy { content, authors, access, position, torn: 0 }))
            }
            Self::Store(OpenedStore { store, .. }) => {
                let content = match store.load(id).await? {
                    Some(loaded) => load(loaded.bytes).await?,
                    None => None,
                };
                let (authors, access) = (store.load_authors(id).await?, store.load_access_of(id).await?);
                Ok(DocumentCopy { content, authors, access, position: None, torn: 0 })
            }
            Self::Backup(backup) => backup.read(id).await,
            Self::RepoFolder(folder) => {
                let (folder, id) = (Arc::clone(folder), id.clone());
                let read = move || with_low_priority(|| read_repo_folder(&folder, &id));
                Ok(DocumentCopy { content: run_blocking(read).await?, ..DocumentCopy::default() })
            }
            Self::Nothing => Ok(DocumentCopy::default()),
        }
    }

    /// Reads a document without its content, if the content in its file has this SHA-256, in hexadecimal. `None` if it does not, or
    /// the document is not in files.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub(crate) async fn read_beside(&self, id: &DocumentId, content: &str) -> Result<Option<DocumentCopy>, Failure> {
        let Self::Files { reader, default } = self else { return Ok(None) };
        let (reader, is_default, id) = (Arc::clone(reader), default.as_ref() == Some(id), id.clone());
        let content = content.to_owned();
        let read = move || -> Result<Option<DocumentCopy>, StoreError> {
            let raw = reader.raw(Some(&id).filter(|_| !is_default))?;
            if raw.is_none_or(|raw| sha256(&raw) != content) {
                return Ok(None);
            }
            let copy = read_beside_content(&reader, &id)?;
            Ok(Some(copy).filter(|copy| !says_removed(copy)))
        };
        Ok(run_blocking(move || with_low_priority(read)).await?)
    }

    /// Closes the store.
    pub async fn close(self) {
        if let Self::Store(opened) = self {
            opened.close().await;
        }
    }
}

fn read_files(reader: &FileReader, is_default: bool, id: &DocumentId) -> Result<DocumentCopy, StoreError> {
    let content = if is_default { reader.state()? } else { reader.document(id)? };
    let torn = content.as_ref().and_then(|content| content.torn_tail.as_ref()).map_or(0, |tail| tail.len);
    let content = content.map(|content| Content { bytes: content.bytes, document: content.document });
    Ok(DocumentCopy { content, torn, ..read_beside_content(reader, id)? })
}

/// Reads what is stored of a document besides its content. After the content: a server stores the authors of a change no later than
/// the change, and records a removal before it.
fn read_beside_content(reader: &FileReader, id: &DocumentId) -> Result<DocumentCopy, OpenError> {
    let record = reader.access(id)?;
    let access = record.map(|record| StoredAccess { document: id.clone(), version: 0, record });
    Ok(DocumentCopy { authors: reader.authors(id)?, access, ..DocumentCopy::default() })
}

/// Whether the record says that the content was removed for good.
fn says_removed(copy: &DocumentCopy) -> bool {
    // An invalid record is copied with its content, as it is.
    let record = copy.access.as_ref().and_then(|access| read_record(access).ok());
    record.and_then(|record| record.deleted).is_some_and(|deletion| deletion.removed)
}

/// Content of a document that was removed for good between two reads is not copied.
fn without_removed_content(mut copy: DocumentCopy) -> DocumentCopy {
    if says_removed(&copy) {
        copy.content = None;
    }
    copy
}

/// Loads content strictly. `None` if it is empty.
///
/// # Errors
/// When it is not a whole document.
pub async fn load(bytes: Vec<u8>) -> Result<Option<Content>, DocumentFailure> {
    if bytes.is_empty() {
        return Ok(None);
    }
    run_blocking(move || with_low_priority(|| load_strictly(bytes))).await.map(Some)
}

/// Reads a document of a stock server, and joins its chunks to one.
fn read_repo_folder(folder: &RepoFolder, id: &DocumentId) -> Result<Option<Content>, DocumentFailure> {
    let bytes = folder.read(id)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let Content { document, .. } = load_strictly(bytes)?;
    Ok(Some(Content { bytes: document.save(), document }))
}

fn load_strictly(bytes: Vec<u8>) -> Result<Content, DocumentFailure> {
    let document =
        automerge_chunks::load::load(&bytes).map_err(|error| DocumentFailure::Unloadable(error.to_string()))?;
    match document.get_missing_deps(&[]).len() {
        0 => Ok(Content { bytes, document }),
        missing => Err(DocumentFailure::MissingDependencies(missing)),
    }
}

impl From<DatabaseError> for Failure {
    fn from(error: DatabaseError) -> Self {
        StoreError::from(error).into()
    }
}
