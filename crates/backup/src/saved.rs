//! Reads a backup, and checks every byte of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use auth::AccountsCopy;
use primitives::DocumentId;
use store::StoredAccess;

use crate::contents::load;
use crate::manifest::{BACKUPS, CHECKSUM, FileEntry, MANIFEST, Manifest, ManifestError, path_in, sha256, split_path};
use crate::{BackupName, BackupTarget, DocumentCopy, DocumentFailure, Failure, StoredFile, TargetError};

/// Why a backup cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The target fails.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// There is no backup.
    #[error("{0} holds no backup")]
    None(String),
    /// There are backups, but not this one.
    #[error("{location} holds no backup {name}. See `happierwork restore {location} --list`")]
    NoSuch {
        /// Where the backups are.
        location: String,
        /// The requested one.
        name: BackupName,
    },
    /// The manifest cannot be used.
    #[error("backup {name}: {source}. Choose another with --backup: see `happierwork restore {location} --list`")]
    Manifest {
        /// Where the backups are.
        location: String,
        /// The backup.
        name: BackupName,
        /// Why.
        source: ManifestError,
    },
    /// The accounts in it cannot be used.
    #[error("the accounts in backup {name} are damaged: {reason}. Choose another with --backup")]
    Accounts {
        /// The backup.
        name: BackupName,
        /// Why.
        reason: String,
    },
}

/// A backup.
pub struct SavedBackup {
    target: Arc<BackupTarget>,
    name: BackupName,
    manifest: Manifest,
    entries: BTreeMap<DocumentId, usize>,
}

/// The finished backups among files, and the backups that they build on.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    pub(crate) names: BTreeSet<BackupName>,
    pub(crate) bases: BTreeMap<BackupName, BackupName>,
}

/// Folder of the file whose name is the backup that another one builds on.
pub(crate) const BUILDS_ON: &str = "builds-on";

impl Finished {
    pub(crate) fn among(files: &[StoredFile]) -> Self {
        let mut finished = Self::default();
        for (name, path) in files.iter().filter_map(|file| split_path(&file.path)) {
            if path == MANIFEST {
                finished.names.insert(name);
            } else if let Some(base) =
                path.strip_prefix(BUILDS_ON).and_then(|rest| rest.strip_prefix('/')?.parse().ok())
            {
                finished.bases.insert(name, base);
            }
        }
        finished
    }
}

/// The finished backups at a target, the oldest first.
///
/// # Errors
/// When they cannot be listed.
pub async fn list_backups(target: &BackupTarget) -> Result<Vec<BackupName>, TargetError> {
    Ok(Finished::among(&target.list(BACKUPS).await?).names.into_iter().collect())
}

/// Reads the manifest of a backup.
pub(crate) async fn read_manifest(target: &BackupTarget, name: &BackupName) -> Result<Manifest, SavedError> {
    let manifest = target.get(&path_in(name, MANIFEST)).await?;
    let checksum = target.get(&path_in(name, CHECKSUM)).await?;
    let location = target.location().to_string();
    let (Some(manifest), checksum) = (manifest, checksum.unwrap_or_default()) else {
        return Err(SavedError::NoSuch { location, name: name.clone() });
    };
    Manifest::from_files(&manifest, &checksum).map_err(|source| SavedError::Manifest {
        location,
        name: name.clone(),
        source,
    })
}

impl SavedBackup {
    /// Opens a backup: this one, or the newest.
    ///
    /// # Errors
    /// When there is none, or its manifest is damaged.
    pub async fn open(target: Arc<BackupTarget>, name: Option<&BackupName>) -> Result<Self, SavedError> {
        let name = match name {
            Some(name) => name.clone(),
            None => {
                list_backups(&target).await?.pop().ok_or_else(|| SavedError::None(target.location().to_string()))?
            }
        };
        let manifest = read_manifest(&target, &name).await?;
        let entries = manifest.documents.iter().enumerate().map(|(index, entry)| (entry.id.clone(), index)).collect();
        Ok(Self { target, name, manifest, entries })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &BackupName {
        &self.name
    }

    /// What it holds.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The default document, if there is one.
    #[must_use]
    pub fn default_document(&self) -> Option<&DocumentId> {
        self.manifest.default_document.as_ref()
    }

    /// All documents.
    pub fn documents(&self) -> impl Iterator<Item = &DocumentId> {
        self.manifest.documents.iter().map(|entry| &entry.id)
    }

    /// Reads a document, and checks the hashes of its files, every chunk of its content, and its heads.
    ///
    /// # Errors
    /// When it is damaged, or the target fails.
    pub async fn read(&self, id: &DocumentId) -> Result<DocumentCopy, Failure> {
        let Some(entry) = self.entries.get(id).map(|index| &self.manifest.documents[*index]) else {
            return Ok(DocumentCopy::default());
        };
        let content = match &entry.content {
            None => None,
            Some(file) => load(self.read_file(file).await?).await?,
        };
        let heads: Vec<String> =
            content.iter().flat_map(|content| content.document.get_heads()).map(|head| head.to_string()).collect();
        if heads != entry.heads {
            return Err(DocumentFailure::Backup("its heads are not those in the manifest".to_owned()).into());
        }
        let authors = match &entry.authors {
            None => Vec::new(),
            Some(file) => self.read_file(file).await?,
        };
        let access = match &entry.access {
            None => None,
            Some(file) => Some(StoredAccess { document: id.clone(), version: 0, record: self.read_file(file).await? }),
        };
        Ok(DocumentCopy { content, authors, access, position: None, torn: 0 })
    }

    /// The accounts and revoked tokens. `None` if the backup holds none.
    ///
    /// # Errors
    /// When they are damaged, or the target fails.
    pub async fn accounts(&self) -> Result<Option<AccountsCopy>, SavedError> {
        let Some(entry) = &self.manifest.accounts else { return Ok(None) };
        let users = self.read_accounts(&entry.users).await?;
        let revoked = match &entry.revoked {
            Some(file) => self.read_accounts(file).await?,
            None => Vec::new(),
        };
        AccountsCopy::from_files(&users, &revoked).map(Some).map_err(|reason| self.damaged_accounts(reason))
    }

    async fn read_accounts(&self, file: &FileEntry) -> Result<Vec<u8>, SavedError> {
        self.read_file(file).await.map_err(|error| match error {
            Failure::Target(error) => error.into(),
            error => self.damaged_accounts(error.to_string()),
        })
    }

    fn damaged_accounts(&self, reason: String) -> SavedError {
        SavedError::Accounts { name: self.name.clone(), reason }
    }

    async fn read_file(&self, file: &FileEntry) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        for piece in &file.pieces {
            let Some(part) = self.target.get(&piece.path).await? else {
                return Err(DocumentFailure::Backup(format!("{} is missing", piece.path)).into());
            };
            if part.len() as u64 != piece.len || sha256(&part) != piece.sha256 {
                return Err(DocumentFailure::Backup(format!("{} does not match its hash", piece.path)).into());
            }
            bytes.extend_from_slice(&part);
        }
        if bytes.len() as u64 != file.len || sha256(&bytes) != file.sha256 {
            return Err(DocumentFailure::Backup("its parts do not match the hash of the whole".to_owned()).into());
        }
        Ok(bytes)
    }
}
