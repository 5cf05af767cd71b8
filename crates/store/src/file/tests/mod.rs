//! Tests of the file store, on a real disk and on a simulated one that fails.

mod crashes;
mod default_document;
mod disk_faults;
mod documents;
mod slow_disk;
mod state_file;
mod write_failures;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use primitives::DocumentId;

use crate::conformance::{self, AppendChunks, TestEditor, id};
use crate::disk::Disk;
use crate::faults::FaultyDisk;
use crate::{FileStore, OpenError, StateFile, Store};

/// Id of the default document in these tests.
fn default_id() -> DocumentId {
    id(1)
}

/// Opens a store in a folder on the real disk.
fn open(folder: &Path) -> Result<FileStore, OpenError> {
    FileStore::open(StateFile::open(&folder.join("state.automerge"))?, default_id(), folder.join("documents"))
}

/// Opens a store on a simulated disk.
fn open_on(disk: &FaultyDisk) -> Result<FileStore, OpenError> {
    let state = StateFile::open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, Path::new("home/state.automerge"))?;
    FileStore::open(state, default_id(), "home/documents")
}

fn disk() -> FaultyDisk {
    FaultyDisk::new(&["home"])
}

/// The stored bytes of a document; empty if nothing is stored.
async fn stored(store: &FileStore, id: &DocumentId) -> Vec<u8> {
    store.load(id).await.expect("loads").map(|loaded| loaded.bytes).unwrap_or_default()
}

#[tokio::test]
async fn file_store_passes_the_conformance_suite() {
    conformance::run(|| {
        let folder = tempfile::tempdir().expect("a folder");
        move || -> Arc<dyn Store> { Arc::new(open(folder.path()).expect("opens")) }
    })
    .await;
}

#[tokio::test]
async fn conformance_suite_passes_with_a_power_cut_at_each_restart() {
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
async fn store_is_shared_between_tasks() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(open(folder.path()).expect("opens"));
    let tasks = (10..30).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let (mut editor, id) = (TestEditor::new(), id(number % 4 + 2));
            if number < 14 {
                store.append_chunks(&id, editor.edit()).await.expect("appends");
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
