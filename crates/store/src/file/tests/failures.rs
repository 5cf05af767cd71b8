//! A disk that fails while the process lives on.

use std::io::ErrorKind;

use super::*;
use crate::faults::{Op, Trouble};
use crate::{Refusal, StoreError};

const STATE: &str = "home/state.automerge";

/// A store whose default document has one edit, on a disk that works so far.
async fn with_one_edit() -> (FaultyDisk, FileStore, Author, Vec<u8>) {
    let disk = disk();
    let (store, mut author) = (open_on(&disk).expect("opens"), Author::new());
    let first = author.edit();
    store.append(&default_id(), first.clone()).await.expect("appends");
    (disk, store, author, first)
}

#[tokio::test]
async fn after_a_failed_write_or_sync_the_document_goes_on_where_it_was() {
    for fault in ["none written", "some written", "synced not"] {
        let (disk, store, mut author, first) = with_one_edit().await;
        match fault {
            "none written" => disk.fail(Op::Write, 0, ErrorKind::Other),
            "some written" => disk.short_write(20, ErrorKind::Other),
            _ => disk.fail(Op::Sync, 0, ErrorKind::Other),
        }
        let next = author.edit();
        let failed = store.append(&default_id(), next.clone()).await;
        assert!(matches!(failed, Err(StoreError::Write { .. })), "{fault}: {failed:?}");
        assert_eq!(stored(&store, &default_id()).await, first, "{fault}");
        assert_eq!(disk.content(STATE).as_ref(), Some(&first), "{fault}");
        assert!(store.health().is_ok());
        store.append(&default_id(), next.clone()).await.expect("the disk works again");
        drop(store);
        let store = open_on(&disk.crash(|_| 0)).expect("opens");
        assert_eq!(stored(&store, &default_id()).await, [first, next].concat(), "{fault}");
    }
}

#[tokio::test]
async fn a_full_disk_is_told_apart_and_told_to_clients_without_paths() {
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        let (disk, store, mut author, _) = with_one_edit().await;
        disk.short_write(7, kind);
        let error = store.append(&default_id(), author.edit()).await.expect_err("full");
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert_eq!(error.public_message(), "the server's disk is full; the change was not stored");
        assert!(store.health().is_ok());
    }
}

#[tokio::test]
async fn a_failure_that_cannot_be_taken_back_refuses_the_document_until_a_full_copy_is_written() {
    for (first_fault, second_fault) in [(Op::Write, Op::Truncate), (Op::Sync, Op::Truncate), (Op::Sync, Op::Sync)] {
        let case = format!("{first_fault:?}, then {second_fault:?}");
        let (disk, store, mut author, first) = with_one_edit().await;
        disk.fail(first_fault, 0, ErrorKind::Other);
        disk.fail(second_fault, 0, ErrorKind::Other);
        let copy_before = author.save();
        let lost = author.edit();
        assert!(matches!(store.append(&default_id(), lost).await, Err(StoreError::Write { .. })), "{case}");

        let refused = store.append(&default_id(), Author::from_bytes(&first).edit()).await;
        assert!(matches!(refused, Err(StoreError::Refused { .. })), "{case}: {refused:?}");
        assert!(matches!(store.compact(&default_id(), copy_before.clone()).await, Err(StoreError::Refused { .. })));
        assert_eq!(store.health().refused, [(default_id(), Refusal::Unwritable)], "{case}");
        store.close(&default_id()).await;
        assert_eq!(stored(&store, &default_id()).await, first, "{case}: what is durable can still be read");

        disk.break_op(Op::Sync, ErrorKind::Other);
        assert!(store.probe().await.is_err(), "{case}: the disk is still broken");
        assert!(store.recover(&default_id(), copy_before.clone()).await.is_err(), "{case}");
        assert!(!store.health().is_ok(), "{case}");
        disk.heal();
        store.probe().await.expect("the disk works again");
        store.recover(&default_id(), copy_before.clone()).await.expect("recovers");
        assert!(store.health().is_ok(), "{case}");
        let next = Author::from_bytes(&copy_before).edit();
        store.append(&default_id(), next.clone()).await.expect("appends");
        drop(store);
        let store = open_on(&disk.crash(|_| 0)).expect("opens");
        assert_eq!(stored(&store, &default_id()).await, [copy_before, next].concat(), "{case}");
    }
}

#[tokio::test]
async fn a_copy_that_lacks_acknowledged_changes_ends_no_refusal() {
    let (disk, store, mut author, first) = with_one_edit().await;
    disk.fail(Op::Sync, 0, ErrorKind::Other);
    disk.fail(Op::Truncate, 0, ErrorKind::Other);
    assert!(store.append(&default_id(), author.edit()).await.is_err());
    for copy in [Author::new().save(), b"nonsense".to_vec()] {
        assert!(matches!(store.recover(&default_id(), copy).await, Err(StoreError::Snapshot { .. })));
    }
    assert!(!store.health().is_ok());
    assert_eq!(stored(&store, &default_id()).await, first);
}

#[tokio::test]
async fn a_first_append_that_fails_at_any_step_leaves_no_document() {
    for target in [default_id(), id(2)] {
        for step in 0.. {
            let disk = disk();
            let store = open_on(&disk).expect("opens");
            disk.fail_any(step, ErrorKind::Other);
            let chunk = Author::new().edit();
            let appended = store.append(&target, chunk.clone()).await;
            disk.heal();
            if appended.is_ok() {
                assert_eq!(stored(&store, &target).await, chunk);
            } else {
                assert_eq!(stored(&store, &target).await, b"", "{target}, step {step}");
                if store.health().is_ok() {
                    store.append(&target, chunk.clone()).await.expect("appends once the disk works");
                } else {
                    store.recover(&target, chunk.clone()).await.expect("recovers once the disk works");
                }
            }
            drop(store);
            let (disk, reached) = (disk.crash(|_| 0), appended.is_err());
            assert_eq!(stored(&open_on(&disk).expect("opens"), &target).await, chunk, "{target}, step {step}");
            if !reached {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_compaction_that_fails_at_any_step_leaves_the_old_document_in_service() {
    for trouble in Trouble::ALL {
        for step in 0.. {
            let (disk, store, mut author, first) = with_one_edit().await;
            let second = author.edit();
            store.append(&default_id(), second.clone()).await.expect("appends");
            let old = [first, second].concat();
            let snapshot = author.save();
            disk.trouble(trouble, step);
            let compacted = store.compact(&default_id(), snapshot.clone()).await;
            disk.heal();
            let expected = match &compacted {
                Ok(_) => snapshot.clone(),
                // Renamed, but not known to be durable.
                Err(StoreError::Refused { .. }) => {
                    assert!(store.append(&default_id(), author.edit()).await.is_err());
                    author = Author::from_bytes(&stored(&store, &default_id()).await);
                    store.recover(&default_id(), snapshot.clone()).await.expect("recovers");
                    snapshot.clone()
                }
                Err(_) => old,
            };
            let next = author.edit();
            store.append(&default_id(), next.clone()).await.expect("in service");
            drop(store);
            let expected = [expected, next].concat();
            // Names that were not synced are there, or not.
            for all in [0, 1] {
                let crashed = disk.crash(|most| most * all);
                let store = open_on(&crashed).expect("opens");
                let found = stored(&store, &default_id()).await;
                assert_eq!(found, expected, "{trouble:?}, step {step}: {compacted:?}");
                assert!(!crashed.paths().contains(&"home/state.automerge.new".into()), "{trouble:?}, step {step}");
            }
            if disk.failed().is_empty() {
                assert!(step > 0 && compacted.is_ok(), "{trouble:?}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn appends_go_on_while_a_document_is_compacted_and_none_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut author) = (open(folder.path()).expect("opens"), Author::new());
    for _ in 0..50 {
        store.append(&default_id(), author.edit()).await.expect("appends");
    }
    let snapshot = author.save();
    let later: Vec<_> = (0..50).map(|_| author.edit()).collect();
    let appends = async {
        for chunk in &later {
            store.append(&default_id(), chunk.clone()).await.expect("appends");
        }
    };
    let id = default_id();
    let (compacted, ()) = futures_util::join!(store.compact(&id, snapshot.clone()), appends);
    assert_eq!(compacted.expect("compacts").snapshot, snapshot.len() as u64);
    drop(store);
    let store = open(folder.path()).expect("opens");
    assert_eq!(stored(&store, &default_id()).await, [vec![snapshot], later].concat().concat());
}

#[tokio::test]
async fn an_append_that_was_begun_ends_even_if_nobody_waits_for_it_any_more() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut author) = (open(folder.path()).expect("opens"), Author::new());
    let mut all = Vec::new();
    for _ in 0..20 {
        let chunk = author.edit();
        let append = store.append(&default_id(), chunk.clone());
        // Polled once, then given up.
        let _ = futures_util::FutureExt::now_or_never(append);
        all.extend(chunk);
        assert_eq!(stored(&store, &default_id()).await, all, "the load waited for what was begun before it");
    }
}

#[tokio::test]
async fn bytes_that_a_failed_sync_left_in_memory_are_not_taken_for_durable_by_the_next_process() {
    for first_fault in [Op::Sync, Op::Write] {
        let (disk, store, mut author, first) = with_one_edit().await;
        let lost = author.edit();
        match first_fault {
            Op::Sync => disk.fail(Op::Sync, 0, ErrorKind::Other),
            _ => disk.short_write(lost.len(), ErrorKind::Other),
        }
        disk.fail(Op::Truncate, 0, ErrorKind::Other);
        assert!(store.append(&default_id(), lost.clone()).await.is_err());
        drop(store);

        let store = open_on(&disk).expect("opens");
        let found = stored(&store, &default_id()).await;
        assert_eq!(found, [first, lost].concat(), "no power cut: the operating system still has it");
        let next = author.edit();
        store.append(&default_id(), next.clone()).await.expect("appends");
        drop(store);
        let crashed = disk.crash(|_| 0);
        let store = open_on(&crashed).expect("opens");
        assert_eq!(stored(&store, &default_id()).await, [found, next].concat(), "shown, so it must have been durable");
        assert!(!crashed.paths().contains(&"home/state.automerge.unsynced".into()));
    }
}

#[tokio::test]
async fn a_document_that_could_not_be_made_durable_when_opened_is_written_anew_before_it_is_shown() {
    let (disk, mut author) = (disk(), Author::new());
    let (store, first) = (open_on(&disk).expect("opens"), author.edit());
    store.append(&id(2), first.clone()).await.expect("appends");
    let second = author.edit();
    disk.short_write(second.len(), ErrorKind::Other);
    disk.fail(Op::Truncate, 0, ErrorKind::Other);
    // Killed before it could even mark the file.
    disk.fail(Op::Create, 0, ErrorKind::Other);
    assert!(store.append(&id(2), second.clone()).await.is_err());
    drop(store);

    let store = open_on(&disk).expect("opens");
    disk.fail(Op::Sync, 0, ErrorKind::Other);
    assert!(store.load(&id(2)).await.is_err(), "it could not be made durable");
    let found = stored(&store, &id(2)).await;
    assert_eq!(found, [first, second].concat());
    drop(store);
    assert_eq!(stored(&open_on(&disk.crash(|_| 0)).expect("opens"), &id(2)).await, found);
}

#[tokio::test]
async fn nothing_is_written_in_the_place_of_a_file_that_was_replaced() {
    let (disk, store, mut author, first) = with_one_edit().await;
    let other = Author::new().save();
    disk.put("home/state.automerge", &other);
    let refused = store.append(&default_id(), author.edit()).await;
    assert!(matches!(refused, Err(StoreError::Displaced { .. })), "{refused:?}");
    assert_eq!(store.health().refused, [(default_id(), Refusal::Displaced)]);
    let snapshot = Author::from_bytes(&first).save();
    assert!(store.compact(&default_id(), snapshot.clone()).await.is_err());
    assert!(store.recover(&default_id(), snapshot).await.is_err());
    assert!(store.probe().await.is_err());
    assert_eq!(disk.content("home/state.automerge"), Some(other));
    // What is durable of it is known only here now.
    store.close(&default_id()).await;
    assert_eq!(stored(&store, &default_id()).await, first);
}
