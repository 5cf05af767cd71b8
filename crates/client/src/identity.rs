//! Who this replica is to servers.
//!
//! The peer id is new with every opening. The storage id stays with the file: servers remember by it what this replica
//! has, so that coming back costs a message about the difference.

use std::io;
use std::path::{Path, PathBuf};

use repo_protocol::{PeerId, StorageId};
use store::FileMode;
use store::disk::{make_folders, write_small};

use super::ReplicaError;

/// In the folder beside the replica's file.
const FILE: &str = "storage-id";

/// Peer id and storage id.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    pub(super) peer: PeerId,
    pub(super) storage: StorageId,
}

/// The folder beside a replica's file: its storage id, and what it remembers of servers.
pub(super) fn folder(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sync");
    PathBuf::from(name)
}

impl Identity {
    /// The storage id that is kept in `folder`, made there when there is none, and a new peer id. Blocks for a moment.
    pub(super) fn load(folder: &Path) -> Result<Self, ReplicaError> {
        let failed = |source: io::Error| ReplicaError::Folder { folder: folder.to_owned(), source };
        let peer = PeerId::new(&format!("happierwork-replica-{}", random_name()))?;
        let path = folder.join(FILE);
        match std::fs::read_to_string(&path) {
            // One that a crash has cut is replaced: that costs a full comparison, once.
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
        make_folders(folder, mode).and_then(|()| write_small(&path, &format!("{storage}\n"), mode)).map_err(failed)?;
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
