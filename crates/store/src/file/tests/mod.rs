//! What the file store does, on this computer's disk and on one that fails.

mod crashes;
mod documents;
mod failures;
mod slow;
mod state;
mod trouble;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use primitives::DocumentId;

use crate::conformance::{self, Author, id};
use crate::disk::Disk;
use crate::faults::FaultyDisk;
use crate::{FileStore, OpenError, StateFile, Store};

/// The default document in these tests; further ones have other ids.
fn default_id() -> DocumentId {
    id(1)
}

/// Opens a store in a folder of this computer.
fn open(folder: &Path) -> Result<FileStore, OpenError> {
    FileStore::open(StateFile::open(&folder.join("state.automerge"))?, default_id(), folder.join("documents"))
}

/// Opens a store on a disk that may fail.
fn open_on(disk: &FaultyDisk) -> Result<FileStore, OpenError> {
    let state = StateFile::open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, Path::new("home/state.automerge"))?;
    FileStore::open(state, default_id(), "home/documents")
}

fn disk() -> FaultyDisk {
    FaultyDisk::new(&["home"])
}

/// What a store holds of a document, in bytes; none if it holds nothing.
async fn stored(store: &FileStore, id: &DocumentId) -> Vec<u8> {
    store.load(id).await.expect("loads").map(|loaded| loaded.bytes).unwrap_or_default()
}

#[tokio::test]
async fn the_file_store_keeps_every_promise_of_a_store() {
    conformance::run(|| {
        let folder = tempfile::tempdir().expect("a folder");
        move || -> Arc<dyn Store> { Arc::new(open(folder.path()).expect("opens")) }
    })
    .await;
}

#[tokio::test]
async fn so_it_does_on_a_disk_that_forgets_all_that_was_not_synced() {
    conformance::run(|| {
        let mut disk = disk();
        move || -> Arc<dyn Store> {
            disk = disk.crash(|_| 0);
            Arc::new(open_on(&disk).expect("opens"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_store_at_work_can_be_shared_between_tasks() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(open(folder.path()).expect("opens"));
    let tasks = (10..30).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let (mut author, id) = (Author::new(), id(number % 4 + 2));
            if number < 14 {
                store.append(&id, author.edit()).await.expect("appends");
            }
            store.load(&id).await.expect("loads");
            store.close(&id).await;
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no panic");
    }
    let expected: BTreeSet<_> = (1..=5).map(id).collect();
    assert_eq!(store.list().await.expect("lists"), expected.into_iter().collect::<Vec<_>>());
}
