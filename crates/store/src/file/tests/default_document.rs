//! Changing which document is in the state file.

use super::*;
use crate::StoreError;

/// A disk with a default document and another one. Returns their contents.
async fn two_documents() -> (FaultyDisk, [Vec<u8>; 2]) {
    let disk = disk();
    let store = open_on(&disk).expect("opens");
    let contents = [TestEditor::new().edit(), TestEditor::new().edit()];
    for (document, content) in [default_id(), id(2)].iter().zip(&contents) {
        store.append_chunks(document, content.clone()).await.expect("appends");
    }
    (disk, contents)
}

/// Opens the store with the document that its state file holds.
async fn open_as(disk: &FaultyDisk, default: DocumentId) -> FileStore {
    let state = StateFile::open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, Path::new("home/state.automerge"));
    FileStore::open(state.expect("opens"), default, "home/documents").expect("opens")
}

#[tokio::test]
async fn documents_change_places() {
    let (disk, [first, second]) = two_documents().await;
    let store = open_on(&disk).expect("opens");
    store.make_default(&id(2)).await.expect("changed");
    drop(store);
    assert_eq!(disk.content("home/state.automerge").expect("there"), second);
    let store = open_as(&disk, id(2)).await;
    assert_eq!(stored(&store, &default_id()).await, first);
    assert_eq!(store.list().await.expect("listed").len(), 2);
    store.make_default(&default_id()).await.expect("changed back");
    drop(store);
    assert_eq!(stored(&open_on(&disk).expect("opens"), &id(2)).await, second);
}

#[tokio::test]
async fn interrupted_change_is_completed_by_another_call() {
    for step in 0.. {
        let (disk, [first, second]) = two_documents().await;
        let store = open_on(&disk).expect("opens");
        disk.fail_all_after(step);
        let changed = store.make_default(&id(2)).await.is_ok();
        drop(store);
        let crashed = disk.crash(|_| 0);
        let state = crashed.content("home/state.automerge").expect("there");
        assert!(state == second || (state == first && !changed), "step {step}");
        if state == first {
            let store = open_on(&crashed).expect("opens");
            assert_eq!(stored(&store, &id(2)).await, second, "step {step}");
            store.close(&id(2)).await;
            store.make_default(&id(2)).await.expect("completed");
        }
        let store = open_as(&crashed, id(2)).await;
        assert_eq!(stored(&store, &default_id()).await, first, "step {step}");
        assert_eq!(stored(&store, &id(2)).await, second, "step {step}");
        if changed {
            break;
        }
    }
}

#[tokio::test]
async fn other_files_are_not_overwritten() {
    let (disk, [first, _]) = two_documents().await;
    let other = format!("home/documents/{}.automerge", default_id());
    let foreign = TestEditor::new().edit();
    disk.put(&other, &foreign);
    let store = open_on(&disk).expect("opens");
    assert!(matches!(store.make_default(&id(2)).await, Err(StoreError::Write { .. })));
    assert!(matches!(store.make_default(&id(3)).await, Err(StoreError::Read { .. })));
    assert_eq!(disk.content(&other).expect("there"), foreign);
    assert_eq!(disk.content("home/state.automerge").expect("there"), first);
}
