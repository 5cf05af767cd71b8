//! Copies documents from one store, or from a backup, to another store.

use primitives::DocumentId;
use runtime::document::Document;
use store::disk::{RealDisk, create_folders, parent_folder};
use store::{FileMode, Location, OpenError, StateFile};

use crate::write::write;
use crate::{
    Contents, Difference, DocumentCopy, DocumentFailure, Existing, Failure, OpenedStore, StorageError, StoreKind,
    StoreLocation, database_options, read_record,
};

/// Why nothing is copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The target already contains another plan.
    #[error(
        "the target has another default document, {target}, than the source, {from}. Nothing was copied. \
         Give an empty target; a server creates a default document where it finds none, so start it afterwards"
    )]
    OtherDefault {
        /// That of the source.
        from: DocumentId,
        /// That of the target.
        target: DocumentId,
    },
}

/// A copy between two open stores.
pub struct Copying<'a> {
    /// The source, which is only read.
    pub source: &'a Contents,
    /// The target.
    pub target: &'a Contents,
    /// Where the target is.
    pub to: &'a StoreLocation,
    /// What to do with data that only the target holds.
    pub existing: Existing,
    /// Whether to write nothing.
    pub is_dry_run: bool,
}

/// A document that was copied, or would be.
pub struct CopiedDocument {
    /// It, in the source.
    pub source: DocumentCopy,
    /// It, in the target before the copy.
    pub before: DocumentCopy,
    /// The parts that the target lacked.
    pub missing: Difference,
}

/// Opens a target for writing, and creates missing parts. Its default document becomes that of the source.
///
/// # Errors
/// When it cannot be used.
pub async fn open_target(
    to: &StoreLocation,
    source: &Contents,
    file_mode: FileMode,
) -> Result<OpenedStore, StorageError> {
    let (state, documents) = match to {
        StoreLocation::Database(url) => return OpenedStore::create_database(&database_options(url)).await,
        StoreLocation::Files { state, documents } => (state, documents),
    };
    let disk = RealDisk::with_mode(file_mode);
    StateFile::create_folder(&disk, state)?;
    let folder = parent_folder(documents);
    create_folders(folder, file_mode)
        .map_err(|source| OpenError::Io { location: Location::Documents(folder.to_owned()), source })?;
    OpenedStore::open_files(state, documents, file_mode, source.default_document().cloned())
}

impl Copying<'_> {
    /// Gives the target the default document of the source.
    ///
    /// # Errors
    /// When it has another one.
    pub async fn choose_default_document(&self) -> Result<(), CopyError> {
        let Some(from) = self.source.default_document() else { return Ok(()) };
        let target = match self.target {
            Contents::Store(OpenedStore { kind: StoreKind::Database(database), .. }) if !self.is_dry_run => {
                // Before its content: a server that starts meanwhile must not create another default document.
                Some(database.choose_default_document(from).await.map_err(StorageError::from)?)
            }
            target => target.default_document().cloned(),
        };
        match target {
            Some(target) if target != *from => Err(CopyError::OtherDefault { from: from.clone(), target }),
            _ => Ok(()),
        }
    }

    /// Copies the parts of a document that the target lacks, and verifies them in the target.
    ///
    /// # Errors
    /// When it cannot be read or written, or the target holds anything that is not to be kept.
    pub async fn copy_document(&self, id: &DocumentId) -> Result<CopiedDocument, Failure> {
        let source = self.source.read(id).await?;
        let is_default = self.source.default_document() == Some(id);
        if is_default && let Some(content) = &source.content {
            let carried = Document::carried_id(&content.document);
            if matches!(self.to, StoreLocation::Files { .. }) && carried.as_ref() != Some(id) {
                return Err(DocumentFailure::NotItsId.into());
            }
        }
        let before = self.target.read(id).await?;
        if source.content.is_some() && is_removed(&before)? {
            return Err(DocumentFailure::RemovedInTarget.into());
        }
        let missing = Difference::between(&source, &before, self.existing)?;
        if let Contents::Store(target) = self.target
            && !self.is_dry_run
        {
            // Content that the target keeps is not removed.
            let is_removed = is_removed(&source)? && before.content.is_none();
            write(target, id, missing.clone(), is_removed).await?;
            if !missing.is_empty() {
                self.verify(id, &source).await?;
            }
        }
        Ok(CopiedDocument { source, before, missing })
    }

    async fn verify(&self, id: &DocumentId, source: &DocumentCopy) -> Result<(), Failure> {
        let after = self.target.read(id).await?;
        let existing = match self.existing {
            Existing::Keep => Existing::Keep,
            _ => Existing::Refuse,
        };
        let is_whole = Difference::between(source, &after, existing).is_ok_and(|missing| missing.is_empty());
        if !is_whole || (existing == Existing::Refuse && after.heads() != source.heads()) {
            return Err(DocumentFailure::NotVerified.into());
        }
        Ok(())
    }
}

/// Whether the content of a deleted document was removed.
fn is_removed(copy: &DocumentCopy) -> Result<bool, DocumentFailure> {
    let Some(access) = copy.access.as_ref().filter(|_| copy.content.is_none()) else { return Ok(false) };
    let record = read_record(access).map_err(DocumentFailure::Access)?;
    Ok(record.deleted.is_some())
}
