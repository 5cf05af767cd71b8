//! Who this server is to automerge-repo peers.
//!
//! The peer id is new with every start. The storage id stays: clients go by it to know what is saved here.

use std::path::Path;

use repo_protocol::{InvalidPeerName, PeerId, StorageId};
use store::FileMode;
use store::disk::{create_folders, write_file};

/// In the folder of the documents.
const FILE: &str = "storage-id";

/// Peer id and storage id.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Of this run.
    pub peer: PeerId,
    /// Of the data.
    pub storage: StorageId,
}

impl Identity {
    /// A new peer id for the storage id that is kept in `documents`; made there when there is none, with
    /// these permissions.
    ///
    /// A storage id that cannot be kept costs clients nothing but a full comparison after the next start.
    ///
    /// # Errors
    /// Never for the texts made here; the type says that names are checked.
    pub fn load(documents: &Path, mode: FileMode) -> Result<Self, InvalidPeerName> {
        let random = u128::from_be_bytes(rand::random());
        let peer = PeerId::new(&format!("happierwork-{random:032x}"))?;
        let path = documents.join(FILE);
        let kept = std::fs::read_to_string(&path).ok().and_then(|text| StorageId::new(text.trim()).ok());
        if let Some(storage) = kept {
            return Ok(Self { peer, storage });
        }
        let storage = StorageId::new(&format!("happierwork-{:032x}", u128::from_be_bytes(rand::random())))?;
        let written = create_folders(documents, mode).and_then(|()| write_file(&path, storage.as_str(), mode));
        if let Err(error) = written {
            tracing::warn!(%error, folder = %documents.display(), "the storage id could not be kept");
        }
        Ok(Self { peer, storage })
    }
}
