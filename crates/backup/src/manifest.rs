//! The manifest of a backup: what it holds, and in which files. Pure.
//!
//! ```json
//! { "format": "happierwork backup", "version": 1, "program": "0.1.0",
//!   "defaultDocument": "4NMNnkMhL8jXrdJ9jamS58PAVdXu",
//!   "documents": [{
//!     "id": "4NMNnkMhL8jXrdJ9jamS58PAVdXu", "heads": ["…"], "changes": 61,
//!     "content": { "len": 24691, "sha256": "…", "pieces": [
//!       { "path": "backups/2026-11-29T164000.120Z-9a8b7c6d/state.automerge", "len": 20000, "sha256": "…" },
//!       { "path": "backups/2026-11-30T164000.123Z-1f2e3d4c/state.automerge", "len": 4691, "sha256": "…" }] },
//!     "authors": { … }, "access": { … } }],
//!   "accounts": { "users": { … }, "revoked": { … } } }
//! ```
//!
//! The pieces of a file, one after the other, are the file as a server writes it.

use primitives::{DocumentId, strict_json};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::BackupName;

/// Identifies the format.
const FORMAT: &str = "happierwork backup";
/// The version that this program writes, and the only one that it reads.
const VERSION: u32 = 1;
/// Folder of all backups at a target.
pub(crate) const BACKUPS: &str = "backups";
/// Name of a manifest in the folder of its backup.
pub(crate) const MANIFEST: &str = "manifest.json";
/// Name of the file with the hash of the manifest, as `sha256sum` writes it.
pub(crate) const CHECKSUM: &str = "manifest.json.sha256";

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    format: String,
    version: u32,
    /// Version of the program that made it.
    pub program: String,
    /// The default document.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub default_document: Option<DocumentId>,
    /// All documents.
    pub documents: Vec<DocumentEntry>,
    /// The accounts, if they were backed up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accounts: Option<AccountsEntry>,
}

/// A document in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DocumentEntry {
    /// Its id.
    pub id: DocumentId,
    /// Hashes of the heads of its content, in hexadecimal.
    pub heads: Vec<String>,
    /// Number of changes in its content.
    pub changes: usize,
    /// Its content: whole Automerge chunks. `None` if it has none, or it was removed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<FileEntry>,
    /// The authors of its changes, as lines.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub authors: Option<FileEntry>,
    /// Its access record.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub access: Option<FileEntry>,
    /// Where its log stood in a database.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub position: Option<String>,
    /// Set if the document could not be backed up: then this is its entry in an earlier backup, or empty.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outdated: Option<Outdated>,
}

/// Why an entry is from an earlier backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outdated {
    /// The last backup of the document, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<BackupName>,
    /// Why there is no later one.
    pub reason: String,
}

/// The accounts in a backup. Signing keys are in no backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountsEntry {
    /// The accounts: users.json.
    pub users: FileEntry,
    /// Tokens that were logged out before they expired: revoked.jsonl.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub revoked: Option<FileEntry>,
}

/// A file in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its length in bytes.
    pub len: u64,
    /// Its hash, in hexadecimal.
    pub sha256: String,
    /// Its parts, in order.
    pub pieces: Vec<Piece>,
}

/// A part of a file, stored by this backup or an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Path of the part below the target.
    pub path: String,
    /// Its length in bytes.
    pub len: u64,
    /// Its hash, in hexadecimal.
    pub sha256: String,
}

/// Why a manifest cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It is not what was written.
    #[error("the manifest is damaged: it does not match its hash in {CHECKSUM}")]
    Checksum,
    /// It is no JSON, or lacks a field.
    #[error("the manifest is damaged: {0}")]
    Json(String),
    /// It belongs to something else.
    #[error("this is not the manifest of a backup")]
    Format,
    /// A later version of the program wrote it.
    #[error("the backup has the format {0}, and this program reads {VERSION}: use a later version of it")]
    Version(u32),
    /// A path leads elsewhere.
    #[error("the manifest is damaged: it names the file {0:?}, which is in no backup")]
    Path(String),
}

/// The SHA-256 of bytes, in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The path of a file of a backup.
#[must_use]
pub(crate) fn path_in(backup: &BackupName, name: &str) -> String {
    format!("{BACKUPS}/{backup}/{name}")
}

/// The backup that a path belongs to, and the path in it.
pub(crate) fn split_path(path: &str) -> Option<(BackupName, &str)> {
    let (backup, name) = path.strip_prefix(BACKUPS)?.strip_prefix('/')?.split_once('/')?;
    Some((backup.parse().ok()?, name))
}

impl Manifest {
    /// An empty manifest of this program.
    #[must_use]
    pub fn new(default_document: Option<DocumentId>) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            default_document,
            documents: Vec::new(),
            accounts: None,
        }
    }

    /// Writes it. Returns the manifest and its checksum file.
    ///
    /// # Errors
    /// When it cannot be encoded. Does not occur.
    pub fn to_files(&self) -> Result<(Vec<u8>, Vec<u8>), ManifestError> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|error| ManifestError::Json(error.to_string()))?;
        bytes.push(b'\n');
        let checksum = format!("{}  {MANIFEST}\n", sha256(&bytes));
        Ok((bytes, checksum.into_bytes()))
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// When it is damaged, or a later version wrote it.
    pub fn from_files(manifest: &[u8], checksum: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Head {
            format: String,
            version: u32,
        }
        if checksum != format!("{}  {MANIFEST}\n", sha256(manifest)).as_bytes() {
            return Err(ManifestError::Checksum);
        }
        let json = |error: serde_json::Error| ManifestError::Json(error.to_string());
        let head: Head = serde_json::from_slice(manifest).map_err(json)?;
        if head.format != FORMAT {
            return Err(ManifestError::Format);
        }
        if head.version != VERSION {
            return Err(ManifestError::Version(head.version));
        }
        let read: Self = strict_json::from_slice(manifest).map_err(json)?;
        let is_elsewhere = |piece: &&Piece| {
            let is_plain = |name: &str| name.split('/').all(|part| !matches!(part, "" | "." | ".."));
            !split_path(&piece.path).is_some_and(|(_, name)| is_plain(name))
        };
        let elsewhere = read.pieces().find(is_elsewhere).map(|piece| piece.path.clone());
        match elsewhere {
            Some(path) => Err(ManifestError::Path(path)),
            None => Ok(read),
        }
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        let accounts = self.accounts.iter().flat_map(|accounts| [Some(&accounts.users), accounts.revoked.as_ref()]);
        self.documents.iter().flat_map(DocumentEntry::files).chain(accounts.flatten())
    }

    /// The parts of all files.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.files().flat_map(|file| &file.pieces)
    }

    /// The documents that could not be backed up.
    pub fn outdated(&self) -> impl Iterator<Item = (&DocumentId, &Outdated)> {
        self.documents.iter().filter_map(|entry| Some((&entry.id, entry.outdated.as_ref()?)))
    }
}

impl DocumentEntry {
    /// The entry of a document without anything stored.
    #[must_use]
    pub fn empty(id: DocumentId) -> Self {
        Self {
            id,
            heads: Vec::new(),
            changes: 0,
            content: None,
            authors: None,
            access: None,
            position: None,
            outdated: None,
        }
    }

    /// Its files.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        [&self.content, &self.authors, &self.access].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(path: &str) -> Manifest {
        let id = DocumentId::from_random([1; 16]);
        let piece = Piece { path: path.to_owned(), len: 3, sha256: sha256(b"abc") };
        let content = FileEntry { len: 3, sha256: sha256(b"abc"), pieces: vec![piece] };
        let entry = DocumentEntry {
            heads: vec!["ab".to_owned()],
            changes: 1,
            content: Some(content),
            ..DocumentEntry::empty(id.clone())
        };
        Manifest { documents: vec![entry], ..Manifest::new(Some(id)) }
    }

    const PATH: &str = "backups/2026-11-30T164000.123Z-1f2e3d4c/documents/a.automerge";

    #[test]
    fn manifest_survives_a_round_trip() {
        let written = manifest(PATH);
        let (bytes, checksum) = written.to_files().expect("JSON");
        assert_eq!(Manifest::from_files(&bytes, &checksum), Ok(written));
    }

    #[test]
    fn every_damaged_byte_of_a_manifest_is_found() {
        let (bytes, checksum) = manifest(PATH).to_files().expect("JSON");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Manifest::from_files(&damaged, &checksum), Err(ManifestError::Checksum), "{at}");
        }
        assert_eq!(Manifest::from_files(&bytes[1..], &checksum), Err(ManifestError::Checksum));
    }

    #[test]
    fn later_formats_and_paths_elsewhere_are_refused() {
        let read = |manifest: &Manifest| {
            let (bytes, checksum) = manifest.to_files().expect("JSON");
            Manifest::from_files(&bytes, &checksum)
        };
        assert_eq!(read(&Manifest { version: 2, ..manifest(PATH) }), Err(ManifestError::Version(2)));
        assert_eq!(read(&Manifest { format: String::new(), ..manifest(PATH) }), Err(ManifestError::Format));
        for path in ["/etc/passwd", "backups/../x", "backups/2026-11-30T164000.123Z-1f2e3d4c/../x", "x", ""] {
            assert_eq!(read(&manifest(path)), Err(ManifestError::Path(path.to_owned())), "{path}");
        }
    }
}
