//! Documents in the folder, and their remembered peers.

use std::fs;

use super::*;
use crate::faults::Op;
use crate::{OpenFileLimits, PeerRecord, Position, StoreError, UnavailableReason};

fn records() -> Vec<PeerRecord> {
    vec![PeerRecord { storage_id: "ceo".into(), shared_heads: vec![[3; 32]], last_seen: 1_750_000_000 }]
}

#[tokio::test]
async fn first_append_creates_the_folder_and_a_file_named_by_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, chunk) = (open(folder.path()).expect("opens"), TestEditor::new().edit());
    assert!(store.load(&id(2)).await.expect("loads").is_none());
    assert!(!folder.path().join("documents").exists(), "loading creates no folder");
    store.append_chunks(&id(2), chunk.clone()).await.expect("appends");
    assert_eq!(fs::read(folder.path().join(format!("documents/{}.automerge", id(2)))).expect("there"), chunk);
}

#[tokio::test]
async fn unknown_ids_leave_no_entries() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("opens");
    for number in 2..50 {
        store.load(&id(number)).await.expect("loads");
        store.close(&id(number)).await;
        assert!(store.compact(&id(number), Position::START, TestEditor::new().save()).await.is_err());
    }
    assert_eq!(open_entries(&store), 1, "the default document's");
    store.append_chunks(&id(2), TestEditor::new().edit()).await.expect("appends");
    assert_eq!(open_entries(&store), 2);
    store.close(&id(2)).await;
    assert_eq!(open_entries(&store), 1);
}

fn open_entries(store: &FileStore) -> usize {
    store.inner.entries.lock().len()
}

#[tokio::test]
async fn folder_is_locked_as_soon_as_it_exists() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = folder.path().join("documents");
    let other = |name: &str| {
        let state = StateFile::open(&folder.path().join(name)).expect("opens");
        FileStore::open(state, default_id(), &documents)
    };
    let (first, second) = (other("one.automerge").expect("opens"), other("two.automerge").expect("opens"));
    first.append_chunks(&id(2), TestEditor::new().edit()).await.expect("appends");
    let wanted =
        format!("is in use by process {}; stop it, or give another folder with --documents", std::process::id());
    let text = second.append_chunks(&id(3), TestEditor::new().edit()).await.expect_err("rejected").to_string();
    assert!(text.contains(&wanted), "{text}");
    assert!(second.load(&id(2)).await.is_err(), "a load fails as well, as the other store may be writing");
    let text = other("three.automerge").err().expect("rejected").to_string();
    assert!(text.contains(&wanted), "{text}");
}

#[test]
fn file_in_place_of_the_folder_is_an_error_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("documents"), b"").expect("written");
    let text = open(folder.path()).err().expect("rejected").to_string();
    assert!(text.contains("--documents"), "{text}");
}

#[tokio::test]
async fn state_file_takes_precedence_over_a_file_with_its_id() {
    let folder = tempfile::tempdir().expect("a folder");
    let (default, other) = (TestEditor::new().edit(), TestEditor::new().edit());
    fs::create_dir(folder.path().join("documents")).expect("made");
    fs::write(folder.path().join("state.automerge"), &default).expect("written");
    fs::write(folder.path().join(format!("documents/{}.automerge", default_id())), &other).expect("written");
    let store = open(folder.path()).expect("opens");
    assert_eq!(stored(&store, &default_id()).await, default);
    assert_eq!(store.list().await.expect("lists"), [default_id()]);
}

#[tokio::test]
async fn only_documents_are_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("opens");
    store.append_chunks(&id(2), TestEditor::new().edit()).await.expect("appends");
    store.save_peers(&id(3), records()).await.expect("saves");
    let documents = folder.path().join("documents");
    fs::write(documents.join("notes.automerge"), b"hello").expect("written");
    fs::write(documents.join(format!("{}.automerge.new", id(4))), b"hello").expect("written");
    let mut expected = [default_id(), id(2)];
    expected.sort();
    assert_eq!(store.list().await.expect("lists"), expected);
}

#[tokio::test]
async fn truncated_document_is_quarantined_and_not_recreated() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("opens");
    let (mut editor, good) = (TestEditor::new(), TestEditor::new().edit());
    let snapshot = editor.save();
    editor.edit();
    let whole = editor.save();
    store.append_chunks(&id(2), good.clone()).await.expect("appends");
    let path = folder.path().join(format!("documents/{}.automerge", id(3)));
    for remnant in [&b""[..], &whole[..whole.len() - 1], &[&snapshot[..], &whole[..20]].concat()] {
        fs::write(&path, remnant).expect("written");
        for _ in 0..2 {
            assert!(matches!(store.load(&id(3)).await, Err(StoreError::Open(OpenError::Damaged { .. }))));
        }
        assert!(store.append_chunks(&id(3), good.clone()).await.is_err(), "it is not recreated");
        assert!(store.list().await.expect("lists").contains(&id(3)));
        assert_eq!(fs::read(&path).expect("there"), remnant);
        assert_eq!(store.health().unavailable, [(id(3), UnavailableReason::Quarantined)]);
        assert_eq!(stored(&store, &id(2)).await, good);
    }
    fs::write(&path, &whole).expect("restored");
    assert_eq!(stored(&store, &id(3)).await, whole);
    assert!(store.health().is_ok());
}

#[tokio::test]
async fn damaged_document_is_quarantined_and_others_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("opens");
    let good = TestEditor::new().edit();
    store.append_chunks(&id(2), good.clone()).await.expect("appends");
    let path = folder.path().join(format!("documents/{}.automerge", id(3)));
    fs::write(&path, b"not a document").expect("written");

    for _ in 0..2 {
        assert!(matches!(store.load(&id(3)).await, Err(StoreError::Open(OpenError::NotAutomerge { .. }))));
    }
    assert!(store.append_chunks(&id(3), good.clone()).await.is_err());
    assert!(store.recover(&id(3), good.clone()).await.is_err(), "only the operator replaces a damaged file");
    assert_eq!(fs::read(&path).expect("there"), b"not a document");
    let health = store.health();
    assert_eq!(health.unavailable, [(id(3), UnavailableReason::Quarantined)]);
    assert!(!health.to_string().contains('/'), "no paths: {health}");
    assert_eq!(stored(&store, &id(2)).await, good);

    fs::write(&path, &good).expect("restored from a backup");
    assert_eq!(stored(&store, &id(3)).await, good);
    assert!(store.health().is_ok());
}

#[tokio::test]
async fn peer_records_survive_a_restart_and_corrupt_ones_are_ignored() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("opens");
    for id in [default_id(), id(2)] {
        store.save_peers(&id, records()).await.expect("saves");
    }
    drop(store);
    let store = open(folder.path()).expect("opens");
    assert_eq!(store.load_peers(&default_id()).await.expect("loads"), records());
    let path = folder.path().join(format!("documents/{}.peers", id(2)));
    let bytes = fs::read(&path).expect("there");
    for garbled in [b"".to_vec(), vec![0; bytes.len()], bytes[..bytes.len() - 1].to_vec(), [&bytes[..], &[0]].concat()]
    {
        fs::write(&path, &garbled).expect("written");
        assert_eq!(store.load_peers(&id(2)).await.expect("loads"), [], "{garbled:?}");
    }
    store.save_peers(&id(2), records()).await.expect("saves over it");
    assert_eq!(store.load_peers(&id(2)).await.expect("loads"), records());
}

#[tokio::test]
async fn leftover_of_an_unfinished_rewrite_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, new) = (folder.path().join("state.automerge"), folder.path().join("state.automerge.new"));
    let chunk = TestEditor::new().edit();
    fs::write(&state, &chunk).expect("written");
    fs::write(&new, b"half").expect("written");
    let store = open(folder.path()).expect("opens");
    assert!(!new.exists());
    assert_eq!(stored(&store, &default_id()).await, chunk);
}

#[tokio::test]
async fn removal_deletes_all_copies_of_only_that_document() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = folder.path().join("documents");
    let store = open(folder.path()).expect("opens");
    let (gone, other) = (id(2), id(3));
    for id in [&gone, &other] {
        store.append_chunks(id, TestEditor::new().edit()).await.expect("appends");
        for left in ["automerge.new", "automerge.torn-96", "automerge.torn-96-2", "automerge.unsynced", "peers.new"] {
            std::fs::write(documents.join(format!("{id}.{left}")), "a copy").expect("written");
        }
        for kept in ["access.json", "editors.jsonl"] {
            std::fs::write(documents.join(format!("{id}.{kept}")), "{}").expect("written");
        }
    }
    store.remove(&gone).await.expect("removes");
    let names = std::fs::read_dir(&documents).expect("a folder").map(|file| file.expect("a file").file_name());
    let names: Vec<String> = names.map(|name| name.into_string().expect("text")).collect();
    let mut of_gone: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(&format!("{gone}."))).collect();
    of_gone.sort_unstable();
    assert_eq!(of_gone, ["access.json", "editors.jsonl"]);
    assert_eq!(names.iter().filter(|name| name.starts_with(&format!("{other}."))).count(), 8, "{names:?}");
}

/// Opens a store with these limits on open files.
fn open_with_limits(disk: &FaultyDisk, open_files: OpenFileLimits) -> FileStore {
    let state =
        StateFile::open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, std::path::Path::new("home/state.automerge"));
    FileStore::open_with_limits(state.expect("opens"), default_id(), "home/documents", open_files).expect("opens")
}

#[tokio::test]
async fn reading_documents_keeps_no_file_open() {
    let disk = disk();
    let store = open_with_limits(&disk, OpenFileLimits { kept_open: 100, concurrent_calls: 2 });
    for number in 2..30 {
        store.append_chunks(&id(number), TestEditor::new().edit()).await.expect("appends");
    }
    drop(store);
    let store = open_with_limits(&disk, OpenFileLimits { kept_open: 100, concurrent_calls: 2 });
    let before = disk.open_handles();
    let loads = (2..30).map(|number| {
        let (store, id) = (&store, id(number));
        async move { store.load(&id).await.expect("loads").expect("there") }
    });
    futures_util::future::join_all(loads).await;
    store.list().await.expect("lists");
    assert_eq!(disk.open_handles(), before);
}

#[tokio::test]
async fn most_recently_written_files_stay_open() {
    let disk = disk();
    let store = open_with_limits(&disk, OpenFileLimits { kept_open: 4, concurrent_calls: 2 });
    let mut editors: Vec<_> = (2..30).map(|number| (id(number), TestEditor::new(), Vec::new())).collect();
    for _ in 0..3 {
        for (id, editor, all) in &mut editors {
            let chunk = editor.edit();
            store.append_chunks(id, chunk.clone()).await.expect("appends");
            all.extend(chunk);
            assert!(disk.open_handles() <= 4, "{}", disk.open_handles());
        }
    }
    let opened = || disk.calls().into_iter().filter(|op| *op == Op::Open).count();
    let before = opened();
    for (id, editor, all) in editors.iter_mut().rev().take(4) {
        let chunk = editor.edit();
        store.append_chunks(id, chunk.clone()).await.expect("appends");
        all.extend(chunk);
    }
    assert_eq!(opened(), before, "they were open");
    // A compaction opens a file and closes one.
    let (first, editor, all) = &mut editors[0];
    let snapshot = editor.save();
    store.compact(first, Position::START, snapshot.clone()).await.expect("compacts");
    *all = snapshot;
    assert!(disk.open_handles() <= 4, "{}", disk.open_handles());
    drop(store);
    let store = open_on(&disk.crash(|_| 0)).expect("opens");
    for (id, _, all) in &editors {
        assert_eq!(stored(&store, id).await, *all, "no append is lost or reordered");
    }
}
