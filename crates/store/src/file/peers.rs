//! The remembered peers of a document: `<documentId>.peers` in the folder of the documents.

use std::io;
use std::path::{Path, PathBuf};

use primitives::DocumentId;

use super::Inner;
use crate::disk::{Disk, with_suffix};
use crate::{PeerRecord, StoreError, peer_records};

/// Loads the records. Logs and ignores a file that cannot be read.
pub(super) fn load(disk: &dyn Disk, path: &Path) -> Vec<PeerRecord> {
    let unreadable = |error: &dyn std::fmt::Display| {
        tracing::warn!(
            file = %path.display(), %error,
            "the remembered peers of a document cannot be read; their next sync takes a little longer"
        );
        Vec::new()
    };
    let read = || {
        let file = disk.open(path)?;
        let length = file.len()?;
        if length > 2 * peer_records::MAX_BYTES as u64 {
            return Err(io::Error::from(io::ErrorKind::FileTooLarge));
        }
        file.read(0..length)
    };
    match read() {
        Ok(bytes) => peer_records::decode(&bytes).unwrap_or_else(|error| unreadable(&error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => unreadable(&error),
    }
}

/// Replaces the file atomically, but without fsync, as losing it costs little.
fn save(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = with_suffix(path, ".new");
    let _ = disk.remove(&new);
    let file = disk.create(&new, None)?;
    let saved = file.write(0, bytes).and_then(|()| disk.rename(&new, path));
    if saved.is_err() {
        let _ = disk.remove(&new);
    }
    saved
}

impl Inner {
    pub(super) fn peers_file(&self, id: &DocumentId) -> PathBuf {
        self.documents.join(format!("{id}.peers"))
    }

    pub(super) fn save_peers(&self, id: &DocumentId, records: &[PeerRecord]) -> Result<(), StoreError> {
        let path = self.peers_file(id);
        if records.is_empty() {
            return match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::write(id, error)),
                _ => Ok(()),
            };
        }
        self.create_folder()?;
        let bytes = peer_records::encode(records)
            .ok_or_else(|| StoreError::write(id, io::Error::from(io::ErrorKind::FileTooLarge)))?;
        save(&*self.disk, &path, &bytes).map_err(|error| StoreError::write(id, error))
    }
}
