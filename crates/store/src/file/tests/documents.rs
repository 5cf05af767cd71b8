//! Further documents, in a folder of their own, and the peers that are remembered there.

use std::fs;

use super::*;
use crate::faults::Op;
use crate::{OpenFiles, PeerRecord, Refusal, StoreError};

fn records() -> Vec<PeerRecord> {
    vec![PeerRecord { storage_id: "ceo".into(), shared_heads: vec![[3; 32]], seen: 1_750_000_000 }]
}

#[tokio::test]
async fn a_document_is_a_file_named_by_its_id_in_a_folder_that_is_made_for_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, chunk) = (open(folder.path()).expect("opens"), Author::new().edit());
    assert!(store.load(&id(2)).await.expect("loads").is_none());
    assert!(!folder.path().join("documents").exists(), "asking makes no folder");
    store.append(&id(2), chunk.clone()).await.expect("appends");
    assert_eq!(fs::read(folder.path().join(format!("documents/{}.automerge", id(2)))).expect("there"), chunk);
}

#[tokio::test]
async fn ids_that_were_only_asked_for_leave_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("opens");
    for number in 2..50 {
        store.load(&id(number)).await.expect("loads");
        store.close(&id(number)).await;
        assert!(store.compact(&id(number), Author::new().save()).await.is_err());
    }
    assert_eq!(locked_slots(&store), 1, "the default document's");
    store.append(&id(2), Author::new().edit()).await.expect("appends");
    assert_eq!(locked_slots(&store), 2);
    store.close(&id(2)).await;
    assert_eq!(locked_slots(&store), 1);
}

fn locked_slots(store: &FileStore) -> usize {
    store.inner.slots.lock().len()
}

#[tokio::test]
async fn the_folder_is_locked_from_when_it_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = folder.path().join("documents");
    let other = |name: &str| {
        let state = StateFile::open(&folder.path().join(name)).expect("opens");
        FileStore::open(state, default_id(), &documents)
    };
    let (first, second) = (other("one.automerge").expect("opens"), other("two.automerge").expect("opens"));
    first.append(&id(2), Author::new().edit()).await.expect("appends");
    let wanted =
        format!("is in use by process {}; stop it, or give another folder with --documents", std::process::id());
    let text = second.append(&id(3), Author::new().edit()).await.expect_err("refused").to_string();
    assert!(text.contains(&wanted), "{text}");
    assert!(second.load(&id(2)).await.is_err(), "nor read, as the other may be writing");
    let text = other("three.automerge").err().expect("refused").to_string();
    assert!(text.contains(&wanted), "{text}");
}

#[test]
fn a_file_in_place_of_the_folder_is_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("documents"), b"").expect("written");
    let text = open(folder.path()).err().expect("refused").to_string();
    assert!(text.contains("--documents"), "{text}");
}

#[tokio::test]
async fn the_state_file_wins_over_a_file_of_the_same_id_in_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let (default, other) = (Author::new().edit(), Author::new().edit());
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
    store.append(&id(2), Author::new().edit()).await.expect("appends");
    store.save_peers(&id(3), records()).await.expect("saves");
    let documents = folder.path().join("documents");
    fs::write(documents.join("notes.automerge"), b"hello").expect("written");
    fs::write(documents.join(format!("{}.automerge.new", id(4))), b"hello").expect("written");
    let mut expected = [default_id(), id(2)];
    expected.sort();
    assert_eq!(store.list().await.expect("lists"), expected);
}

#[tokio::test]
async fn truncated_document_is_out_of_service_and_never_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("opens");
    let (mut author, good) = (Author::new(), Author::new().edit());
    let snapshot = author.save();
    author.edit();
    let whole = author.save();
    store.append(&id(2), good.clone()).await.expect("appends");
    let path = folder.path().join(format!("documents/{}.automerge", id(3)));
    for remnant in [&b""[..], &whole[..whole.len() - 1], &[&snapshot[..], &whole[..20]].concat()] {
        fs::write(&path, remnant).expect("written");
        for _ in 0..2 {
            assert!(matches!(store.load(&id(3)).await, Err(StoreError::Open(OpenError::Damaged { .. }))));
        }
        assert!(store.append(&id(3), good.clone()).await.is_err(), "nobody makes it anew");
        assert!(store.list().await.expect("lists").contains(&id(3)));
        assert_eq!(fs::read(&path).expect("there"), remnant);
        assert_eq!(store.health().refused, [(id(3), Refusal::Quarantined)]);
        assert_eq!(stored(&store, &id(2)).await, good);
    }
    fs::write(&path, &whole).expect("restored");
    assert_eq!(stored(&store, &id(3)).await, whole);
    assert!(store.health().is_ok());
}

#[tokio::test]
async fn a_damaged_document_is_quarantined_and_the_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path()).expect("opens");
    let good = Author::new().edit();
    store.append(&id(2), good.clone()).await.expect("appends");
    let path = folder.path().join(format!("documents/{}.automerge", id(3)));
    fs::write(&path, b"not a document").expect("written");

    for _ in 0..2 {
        assert!(matches!(store.load(&id(3)).await, Err(StoreError::Open(OpenError::NotAutomerge { .. }))));
    }
    assert!(store.append(&id(3), good.clone()).await.is_err());
    assert!(store.recover(&id(3), good.clone()).await.is_err(), "its operator decides, not a copy of a part");
    assert_eq!(fs::read(&path).expect("there"), b"not a document");
    let health = store.health();
    assert_eq!(health.refused, [(id(3), Refusal::Quarantined)]);
    assert!(!health.to_string().contains('/'), "no paths: {health}");
    assert_eq!(stored(&store, &id(2)).await, good);

    fs::write(&path, &good).expect("restored from a backup");
    assert_eq!(stored(&store, &id(3)).await, good);
    assert!(store.health().is_ok());
}

#[tokio::test]
async fn remembered_peers_outlive_the_process_and_garbled_ones_are_forgotten() {
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
async fn what_an_unfinished_rewrite_left_is_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let (state, new) = (folder.path().join("state.automerge"), folder.path().join("state.automerge.new"));
    let chunk = Author::new().edit();
    fs::write(&state, &chunk).expect("written");
    fs::write(&new, b"half").expect("written");
    let store = open(folder.path()).expect("opens");
    assert!(!new.exists());
    assert_eq!(stored(&store, &default_id()).await, chunk);
}

#[tokio::test]
async fn of_a_document_that_is_removed_no_copy_stays_and_of_others_everything_does() {
    let folder = tempfile::tempdir().expect("a folder");
    let documents = folder.path().join("documents");
    let store = open(folder.path()).expect("opens");
    let (gone, other) = (id(2), id(3));
    for id in [&gone, &other] {
        store.append(id, Author::new().edit()).await.expect("appends");
        for left in ["automerge.new", "automerge.torn-96", "automerge.torn-96-2", "automerge.unsynced", "peers.new"] {
            std::fs::write(documents.join(format!("{id}.{left}")), "a copy").expect("written");
        }
        for kept in ["access.json", "authors.jsonl"] {
            std::fs::write(documents.join(format!("{id}.{kept}")), "{}").expect("written");
        }
    }
    store.remove(&gone).await.expect("removes");
    let names = std::fs::read_dir(&documents).expect("a folder").map(|file| file.expect("a file").file_name());
    let names: Vec<String> = names.map(|name| name.into_string().expect("text")).collect();
    let mut of_gone: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix(&format!("{gone}."))).collect();
    of_gone.sort_unstable();
    assert_eq!(of_gone, ["access.json", "authors.jsonl"]);
    assert_eq!(names.iter().filter(|name| name.starts_with(&format!("{other}."))).count(), 8, "{names:?}");
}

/// A store that may keep few files open.
fn open_keeping(disk: &FaultyDisk, open_files: OpenFiles) -> FileStore {
    let state =
        StateFile::open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, std::path::Path::new("home/state.automerge"));
    FileStore::open_within(state.expect("opens"), default_id(), "home/documents", open_files).expect("opens")
}

#[tokio::test]
async fn documents_that_are_read_keep_no_file_open() {
    let disk = disk();
    let store = open_keeping(&disk, OpenFiles { kept: 100, at_once: 2 });
    for number in 2..30 {
        store.append(&id(number), Author::new().edit()).await.expect("appends");
    }
    drop(store);
    let store = open_keeping(&disk, OpenFiles { kept: 100, at_once: 2 });
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
async fn of_many_documents_those_written_to_last_keep_their_files_open() {
    let disk = disk();
    let store = open_keeping(&disk, OpenFiles { kept: 4, at_once: 2 });
    let mut authors: Vec<_> = (2..30).map(|number| (id(number), Author::new(), Vec::new())).collect();
    for _ in 0..3 {
        for (id, author, all) in &mut authors {
            let chunk = author.edit();
            store.append(id, chunk.clone()).await.expect("appends");
            all.extend(chunk);
            assert!(disk.open_handles() <= 4, "{}", disk.open_handles());
        }
    }
    let opened = || disk.calls().into_iter().filter(|op| *op == Op::Open).count();
    let before = opened();
    for (id, author, all) in authors.iter_mut().rev().take(4) {
        let chunk = author.edit();
        store.append(id, chunk.clone()).await.expect("appends");
        all.extend(chunk);
    }
    assert_eq!(opened(), before, "they were open");
    // A compaction opens a file and closes one.
    let (first, author, all) = &mut authors[0];
    let snapshot = author.save();
    store.compact(first, snapshot.clone()).await.expect("compacts");
    *all = snapshot;
    assert!(disk.open_handles() <= 4, "{}", disk.open_handles());
    drop(store);
    let store = open_on(&disk.crash(|_| 0)).expect("opens");
    for (id, _, all) in &authors {
        assert_eq!(stored(&store, id).await, *all, "nothing is lost or in another order");
    }
}
