//! Disk failures while the process keeps running.

use std::io::ErrorKind;

use super::*;
use crate::faults::{DiskFault, Op};
use crate::{Position, StoreError, UnavailableReason};

const STATE: &str = "home/state.automerge";

/// A store whose default document has one edit, on a disk without faults.
async fn with_one_edit() -> (FaultyDisk, FileStore, TestEditor, Vec<u8>) {
    let disk = disk();
    let (store, mut editor) = (open_on(&disk).expect("opens"), TestEditor::new());
    let first = editor.edit();
    store.append_chunks(&default_id(), first.clone()).await.expect("appends");
    (disk, store, editor, first)
}

#[tokio::test]
async fn failed_write_or_sync_is_rolled_back() {
    for fault in ["write without effect", "short write", "sync"] {
        let (disk, store, mut editor, first) = with_one_edit().await;
        match fault {
            "write without effect" => disk.fail(Op::Write, 0, ErrorKind::Other),
            "short write" => disk.short_write(20, ErrorKind::Other),
            _ => disk.fail(Op::Sync, 0, ErrorKind::Other),
        }
        let next = editor.edit();
        let failed = store.append_chunks(&default_id(), next.clone()).await;
        assert!(matches!(failed, Err(StoreError::Write { .. })), "{fault}: {failed:?}");
        assert_eq!(stored(&store, &default_id()).await, first, "{fault}");
        assert_eq!(disk.content(STATE).as_ref(), Some(&first), "{fault}");
        assert!(store.health().is_ok());
        store.append_chunks(&default_id(), next.clone()).await.expect("the disk works again");
        drop(store);
        let store = open_on(&disk.crash(|_| 0)).expect("opens");
        assert_eq!(stored(&store, &default_id()).await, [first, next].concat(), "{fault}");
    }
}

#[tokio::test]
async fn full_disk_is_reported_to_clients_without_paths() {
    for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
        let (disk, store, mut editor, _) = with_one_edit().await;
        disk.short_write(7, kind);
        let error = store.append_chunks(&default_id(), editor.edit()).await.expect_err("full");
        assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
        assert_eq!(error.public_message(), "the server's disk is full; the change was not stored");
        assert!(store.health().is_ok());
    }
}

#[tokio::test]
async fn failed_rollback_makes_the_document_need_recovery() {
    for (first_fault, second_fault) in [(Op::Write, Op::Truncate), (Op::Sync, Op::Truncate), (Op::Sync, Op::Sync)] {
        let case = format!("{first_fault:?}, then {second_fault:?}");
        let (disk, store, mut editor, first) = with_one_edit().await;
        disk.fail(first_fault, 0, ErrorKind::Other);
        disk.fail(second_fault, 0, ErrorKind::Other);
        let copy_before = editor.save();
        let lost = editor.edit();
        assert!(matches!(store.append_chunks(&default_id(), lost).await, Err(StoreError::Write { .. })), "{case}");

        let rejected = store.append_chunks(&default_id(), TestEditor::from_bytes(&first).edit()).await;
        assert!(matches!(rejected, Err(StoreError::NeedsRecovery { .. })), "{case}: {rejected:?}");
        assert!(matches!(
            store.compact(&default_id(), Position::START, copy_before.clone()).await,
            Err(StoreError::NeedsRecovery { .. })
        ));
        assert_eq!(store.health().unavailable, [(default_id(), UnavailableReason::NeedsRecovery)], "{case}");
        store.close(&default_id()).await;
        assert_eq!(stored(&store, &default_id()).await, first, "{case}: the durable content can still be read");

        disk.fail_always(Op::Sync, ErrorKind::Other);
        assert!(store.probe().await.is_err(), "{case}: the disk is still broken");
        assert!(store.recover(&default_id(), copy_before.clone()).await.is_err(), "{case}");
        assert!(!store.health().is_ok(), "{case}");
        disk.heal();
        store.probe().await.expect("the disk works again");
        store.recover(&default_id(), copy_before.clone()).await.expect("recovers");
        assert!(store.health().is_ok(), "{case}");
        let next = TestEditor::from_bytes(&copy_before).edit();
        store.append_chunks(&default_id(), next.clone()).await.expect("appends");
        drop(store);
        let store = open_on(&disk.crash(|_| 0)).expect("opens");
        assert_eq!(stored(&store, &default_id()).await, [copy_before, next].concat(), "{case}");
    }
}

#[tokio::test]
async fn recovery_rejects_a_copy_without_acknowledged_changes() {
    let (disk, store, mut editor, first) = with_one_edit().await;
    disk.fail(Op::Sync, 0, ErrorKind::Other);
    disk.fail(Op::Truncate, 0, ErrorKind::Other);
    assert!(store.append_chunks(&default_id(), editor.edit()).await.is_err());
    for copy in [TestEditor::new().save(), b"nonsense".to_vec()] {
        assert!(matches!(store.recover(&default_id(), copy).await, Err(StoreError::InvalidSnapshot { .. })));
    }
    assert!(!store.health().is_ok());
    assert_eq!(stored(&store, &default_id()).await, first);
}

#[tokio::test]
async fn failed_first_append_leaves_no_document() {
    for target in [default_id(), id(2)] {
        for step in 0.. {
            let disk = disk();
            let store = open_on(&disk).expect("opens");
            disk.fail_any(step, ErrorKind::Other);
            let chunk = TestEditor::new().edit();
            let appended = store.append_chunks(&target, chunk.clone()).await;
            disk.heal();
            if appended.is_ok() {
                assert_eq!(stored(&store, &target).await, chunk);
            } else {
                assert_eq!(stored(&store, &target).await, b"", "{target}, step {step}");
                if store.health().is_ok() {
                    store.append_chunks(&target, chunk.clone()).await.expect("appends once the disk works");
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
async fn failed_compaction_keeps_the_old_document() {
    for fault in DiskFault::ALL {
        for step in 0.. {
            let (disk, store, mut editor, first) = with_one_edit().await;
            let second = editor.edit();
            store.append_chunks(&default_id(), second.clone()).await.expect("appends");
            let old = [first, second].concat();
            let snapshot = editor.save();
            disk.inject(fault, step);
            let compacted = store.compact(&default_id(), Position::START, snapshot.clone()).await;
            disk.heal();
            let expected = match &compacted {
                Ok(_) => snapshot.clone(),
                // The rename took effect, but may not be durable.
                Err(StoreError::NeedsRecovery { .. }) => {
                    assert!(store.append_chunks(&default_id(), editor.edit()).await.is_err());
                    editor = TestEditor::from_bytes(&stored(&store, &default_id()).await);
                    store.recover(&default_id(), snapshot.clone()).await.expect("recovers");
                    snapshot.clone()
                }
                Err(_) => old,
            };
            let next = editor.edit();
            store.append_chunks(&default_id(), next.clone()).await.expect("in service");
            drop(store);
            let expected = [expected, next].concat();
            // Unsynced names survive the crash, or do not.
            for all in [0, 1] {
                let crashed = disk.crash(|most| most * all);
                let store = open_on(&crashed).expect("opens");
                let found = stored(&store, &default_id()).await;
                assert_eq!(found, expected, "{fault:?}, step {step}: {compacted:?}");
                assert!(!crashed.paths().contains(&"home/state.automerge.new".into()), "{fault:?}, step {step}");
            }
            if disk.failed_calls().is_empty() {
                assert!(step > 0 && compacted.is_ok(), "{fault:?}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn concurrent_appends_survive_a_compaction() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut editor) = (open(folder.path()).expect("opens"), TestEditor::new());
    for _ in 0..50 {
        store.append_chunks(&default_id(), editor.edit()).await.expect("appends");
    }
    let snapshot = editor.save();
    let later: Vec<_> = (0..50).map(|_| editor.edit()).collect();
    let appends = async {
        for chunk in &later {
            store.append_chunks(&default_id(), chunk.clone()).await.expect("appends");
        }
    };
    let id = default_id();
    let (compacted, ()) = futures_util::join!(store.compact(&id, Position::START, snapshot.clone()), appends);
    assert_eq!(compacted.expect("compacts").snapshot, snapshot.len() as u64);
    drop(store);
    let store = open(folder.path()).expect("opens");
    assert_eq!(stored(&store, &default_id()).await, [vec![snapshot], later].concat().concat());
}

#[tokio::test]
async fn append_completes_after_its_future_is_dropped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, mut editor) = (open(folder.path()).expect("opens"), TestEditor::new());
    let mut all = Vec::new();
    for _ in 0..20 {
        let chunk = editor.edit();
        let append = store.append_chunks(&default_id(), chunk.clone());
        // Polled once, then dropped.
        let _ = futures_util::FutureExt::now_or_never(append);
        all.extend(chunk);
        assert_eq!(stored(&store, &default_id()).await, all, "the load waits for the append before it");
    }
}

#[tokio::test]
async fn unsynced_bytes_are_made_durable_by_the_next_process() {
    for first_fault in [Op::Sync, Op::Write] {
        let (disk, store, mut editor, first) = with_one_edit().await;
        let lost = editor.edit();
        match first_fault {
            Op::Sync => disk.fail(Op::Sync, 0, ErrorKind::Other),
            _ => disk.short_write(lost.len(), ErrorKind::Other),
        }
        disk.fail(Op::Truncate, 0, ErrorKind::Other);
        assert!(store.append_chunks(&default_id(), lost.clone()).await.is_err());
        drop(store);

        let store = open_on(&disk).expect("opens");
        let found = stored(&store, &default_id()).await;
        assert_eq!(found, [first, lost].concat(), "without a power cut, the bytes can still be read");
        let next = editor.edit();
        store.append_chunks(&default_id(), next.clone()).await.expect("appends");
        drop(store);
        let crashed = disk.crash(|_| 0);
        let store = open_on(&crashed).expect("opens");
        assert_eq!(stored(&store, &default_id()).await, [found, next].concat(), "loaded, so it must be durable");
        assert!(!crashed.paths().contains(&"home/state.automerge.unsynced".into()));
    }
}

#[tokio::test]
async fn file_is_rewritten_if_it_could_not_be_synced_when_opened() {
    let (disk, mut editor) = (disk(), TestEditor::new());
    let (store, first) = (open_on(&disk).expect("opens"), editor.edit());
    store.append_chunks(&id(2), first.clone()).await.expect("appends");
    let second = editor.edit();
    disk.short_write(second.len(), ErrorKind::Other);
    disk.fail(Op::Truncate, 0, ErrorKind::Other);
    // As if killed before it could mark the file.
    disk.fail(Op::Create, 0, ErrorKind::Other);
    assert!(store.append_chunks(&id(2), second.clone()).await.is_err());
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
async fn file_replaced_by_another_program_is_not_overwritten() {
    let (disk, store, mut editor, first) = with_one_edit().await;
    let other = TestEditor::new().save();
    disk.put("home/state.automerge", &other);
    let rejected = store.append_chunks(&default_id(), editor.edit()).await;
    assert!(matches!(rejected, Err(StoreError::ExternalChange { .. })), "{rejected:?}");
    assert_eq!(store.health().unavailable, [(default_id(), UnavailableReason::ExternalChange)]);
    let snapshot = TestEditor::from_bytes(&first).save();
    assert!(store.compact(&default_id(), Position::START, snapshot.clone()).await.is_err());
    assert!(store.recover(&default_id(), snapshot).await.is_err());
    assert!(store.probe().await.is_err());
    assert_eq!(disk.content("home/state.automerge"), Some(other));
    // Only the open log leads to the durable content now.
    store.close(&default_id()).await;
    assert_eq!(stored(&store, &default_id()).await, first);
}
