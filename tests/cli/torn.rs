//! A crash during a write can leave any part of it. This test tries every part.

use std::path::Path;
use std::sync::Arc;

use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ROOT};
use automerge_chunks::chunk;
use primitives::DocumentId;
use store::conformance::AppendChunks;
use store::faults::FaultyDisk;
use store::{FileStore, OpenError, StateFile};

const STATE: &str = "home/state.automerge";

/// A snapshot and five changes, as the chunks of a file.
fn chunks() -> Vec<Vec<u8>> {
    let mut doc = AutoCommit::new().with_actor(ActorId::from([7u8; 16]));
    for key in 0..20 {
        doc.put(ROOT, format!("key {key}"), key).unwrap();
    }
    let mut chunks = vec![doc.save()];
    for round in 0..5 {
        doc.put(ROOT, "round", format!("round {round}")).unwrap();
        chunks.push(doc.save_incremental());
    }
    chunks
}

fn disk_with(bytes: &[u8]) -> FaultyDisk {
    let disk = FaultyDisk::new(&["home", "home/documents"]);
    disk.put(STATE, bytes);
    disk
}

fn open(disk: &FaultyDisk) -> Result<StateFile, OpenError> {
    StateFile::open_on(Arc::new(disk.clone()), Path::new(STATE))
}

fn changes_in(bytes: &[u8]) -> usize {
    AutoCommit::load(bytes).expect("the library opens it").get_changes(&[]).len()
}

#[tokio::test]
async fn file_cut_anywhere_keeps_whole_chunks_and_is_writable() {
    let chunks = chunks();
    let file = chunks.concat();
    let last_three: usize = chunks[3..].iter().map(Vec::len).sum();
    let id = DocumentId::from_random([9; 16]);
    for cut in file.len() - last_three..file.len() {
        let whole = chunk::scan(&file[..cut], u64::MAX).chunks.len();
        let whole_len: usize = chunks[..whole].iter().map(Vec::len).sum();
        assert!((3..6).contains(&whole), "{whole} of 6 chunks are whole at {cut}");

        let disk = disk_with(&file[..cut]);
        let state = open(&disk).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        assert_eq!(disk.content(STATE).as_deref(), Some(&file[..whole_len]), "cut at {cut}");
        match state.repair() {
            Some(repair) => {
                assert_eq!(disk.content(&repair.saved_to).as_deref(), Some(&file[whole_len..cut]), "kept at {cut}");
            }
            None => assert_eq!(whole_len, cut, "the cut was not reported"),
        }
        // The lost changes can be added again, and survive a reopening and a power cut.
        let store = FileStore::open(state, id.clone(), "home/documents").unwrap();
        store.append_chunks(&id, chunks[whole].clone()).await.unwrap();
        drop(store);
        let disk = disk.crash(|_| 0);
        let state = open(&disk).unwrap_or_else(|error| panic!("again after {cut}: {error}"));
        assert!(state.repair().is_none(), "cut at {cut}");
        let now = disk.content(STATE).unwrap();
        assert_eq!(now, &file[..whole_len + chunks[whole].len()], "cut at {cut}");
        assert_eq!(changes_in(&now), changes_in(&file) - 5 + whole, "cut at {cut}");
    }
}

#[test]
fn flipped_byte_before_the_last_chunk_is_damage() {
    let chunks = chunks();
    let file = chunks.concat();
    let last = file.len() - chunks[5].len();
    for at in 0..last {
        for flip in [0x01, 0x80] {
            let mut bytes = file.clone();
            bytes[at] ^= flip;
            let disk = disk_with(&bytes);
            match open(&disk) {
                Err(OpenError::Damaged { .. } | OpenError::NotAutomerge { .. }) => {}
                Err(other) => panic!("byte {at}: {other}"),
                Ok(_) => panic!("byte {at} was flipped, and the file was opened"),
            }
            assert_eq!(disk.content(STATE).as_deref(), Some(&bytes[..]), "byte {at}");
            let others: Vec<_> =
                disk.paths().into_iter().filter(|path| path.to_str().unwrap().contains("torn")).collect();
            assert!(others.is_empty(), "byte {at}: {others:?}");
        }
    }
}
