//! The ids by which automerge-repo peers know this server.

use std::path::Path;

use repo_protocol::{InvalidPeerName, PeerId, StorageId};
use store::FileMode;
use store::disk::{create_folders, write_file};

/// Beginning of a server's peer id. 32 hexadecimal digits follow.
const PREFIX: &str = "happierwork-";

/// File of the storage id, in the folder of the documents.
const FILE: &str = "storage-id";

/// Peer id and storage id of this server.
#[derive(Debug, Clone)]
pub struct ServerIdentity {
    /// New with every start.
    pub peer: PeerId,
    /// Identifies the stored documents over all starts. Clients record by it which changes the server has saved.
    pub storage: StorageId,
}

impl ServerIdentity {
    /// Creates a peer id, and loads the storage id from the folder `documents`. Creates the storage id if it is missing; `mode`
    /// sets the permissions of new files.
    ///
    /// If the storage id cannot be saved, the next start has another one, and clients compare their documents in full.
    ///
    /// # Errors
    /// Never: the ids that this function creates are valid names.
    pub fn load(documents: &Path, mode: FileMode) -> Result<Self, InvalidPeerName> {
        let path = documents.join(FILE);
        let saved = std::fs::read_to_string(&path).ok().and_then(|text| StorageId::new(text.trim()).ok());
        if let Some(storage) = saved {
            return Self::new(storage);
        }
        let storage = StorageId::new(&format!("happierwork-{:032x}", u128::from_be_bytes(rand::random())))?;
        let written = create_folders(documents, mode).and_then(|()| write_file(&path, storage.as_str(), mode));
        if let Err(error) = written {
            tracing::warn!(%error, folder = %documents.display(), "the storage id could not be saved");
        }
        Self::new(storage)
    }

    /// Creates a peer id for a server whose documents have this storage id.
    ///
    /// # Errors
    /// Never: the id that this function creates is a valid name.
    pub fn new(storage: StorageId) -> Result<Self, InvalidPeerName> {
        let random = u128::from_be_bytes(rand::random());
        Ok(Self { peer: PeerId::new(&format!("{PREFIX}{random:032x}"))?, storage })
    }

    /// Whether a peer id is that of a server of this kind. Such a peer relays messages of its own peers. Peer ids are not
    /// authenticated, so this must not grant rights.
    #[must_use]
    pub fn is_server(peer: &PeerId) -> bool {
        let digits = peer.as_str().strip_prefix(PREFIX);
        digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
    }
}
