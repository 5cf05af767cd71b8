//! The peer id and storage id of a replica.
//!
//! The peer id is new each time the replica is opened. The storage id is kept next to the file: servers remember the heads of
//! this replica by it, so that reconnecting transfers only the difference.

use std::io;
use std::path::{Path, PathBuf};

use repo_protocol::{PeerId, StorageId};
use store::FileMode;
use store::disk::{create_folders, write_file};

use super::ReplicaError;

/// The file of the storage id, in the folder next to the replica's file.
const FILE: &str = "storage-id";

/// Peer id and storage id.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) peer: PeerId,
    pub(super) storage: StorageId,
}

/// Returns the folder next to a replica's file. It holds the storage id and the records of servers.
pub(super) fn folder(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sync");
    PathBuf::from(name)
}

impl Identity {
    /// Reads the storage id from `folder`, or creates it there, and generates a peer id. Does blocking I/O.
    pub(super) fn load(folder: &Path) -> Result<Self, ReplicaError> {
        let failed = |source: io::Error| ReplicaError::Folder { folder: folder.to_owned(), source };
        let peer = PeerId::new(&format!("happierwork-replica-{}", random_name()))?;
        let path = folder.join(FILE);
        match std::fs::read_to_string(&path) {
            // An id that a crash has truncated is replaced, which costs one full sync.
            Ok(text) => {
                if let Ok(storage) = StorageId::new(text.trim()) {
                    return Ok(Self { peer, storage });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let storage = StorageId::new(&format!("happierwork-replica-{}", random_name()))?;
        let mode = FileMode::PRIVATE;
        create_folders(folder, mode).and_then(|()| write_file(&path, &format!("{storage}\n"), mode)).map_err(failed)?;
        Ok(Self { peer, storage })
    }
}

fn random_name() -> String {
    format!("{:032x}", u128::from_be_bytes(rand::random()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_id_persists_and_peer_id_changes() {
        let home = tempfile::tempdir().unwrap();
        let folder = folder(&home.path().join("plan.automerge"));
        assert!(folder.ends_with("plan.automerge.sync"));
        let (one, two) = (Identity::load(&folder).unwrap(), Identity::load(&folder).unwrap());
        assert_eq!(one.storage, two.storage);
        assert_ne!(one.peer, two.peer);
        std::fs::write(folder.join(FILE), "").unwrap();
        assert_ne!(Identity::load(&folder).unwrap().storage, one.storage);
    }
}
