//! A disk that takes its time over a sync: who waits for it, and who does not.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use super::*;
use crate::faults::Op;

/// Longer than anything here takes that does not wait for the disk.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn while_a_sync_takes_its_time_its_document_waits_and_others_do_not() {
    let disk = disk();
    let store = open_on(&disk).expect("opens");
    let (mut author, mut other) = (Author::new(), Author::new());
    let (one, two) = (default_id(), id(2));
    let first = author.edit();
    store.append(&one, first.clone()).await.expect("appends");

    let mut held = disk.hold(Op::Sync);
    let second = author.edit();
    let mut append = store.append(&one, second.clone());
    assert!((&mut append).now_or_never().is_none());
    held.reached().await;
    let mut load = store.load(&one);
    let elsewhere = async {
        let chunk = other.edit();
        store.append(&two, chunk.clone()).await.expect("appends");
        assert_eq!(stored(&store, &two).await, chunk);
        store.close(&two).await;
        store.probe().await.expect("writable");
        assert!(store.health().is_ok());
    };
    timeout(PATIENCE, elsewhere).await.expect("others do not wait");
    assert!((&mut append).now_or_never().is_none(), "acknowledged before it was synced");
    assert!((&mut load).now_or_never().is_none(), "shown before it was synced");
    let after_power_cut = open_on(&disk.crash(|_| 0)).expect("opens");
    assert_eq!(stored(&after_power_cut, &one).await, first);

    drop(held);
    append.await.expect("appends");
    let loaded = load.await.expect("loads").expect("stored");
    assert_eq!(loaded.bytes, [first, second].concat());
    let after_power_cut = open_on(&disk.crash(|_| 0)).expect("opens");
    assert_eq!(stored(&after_power_cut, &one).await, loaded.bytes);
}

#[tokio::test]
async fn while_the_copy_of_a_compaction_is_synced_appends_go_on_and_none_is_lost() {
    let disk = disk();
    let (store, mut author) = (open_on(&disk).expect("opens"), Author::new());
    let first = author.edit();
    store.append(&default_id(), first.clone()).await.expect("appends");
    let (id, snapshot) = (default_id(), author.save());

    let mut held = disk.hold(Op::Sync);
    let mut compaction = store.compact(&id, snapshot.clone());
    assert!((&mut compaction).now_or_never().is_none());
    held.reached().await;
    let mut later = Vec::new();
    for _ in 0..3 {
        let chunk = author.edit();
        let appended = timeout(PATIENCE, store.append(&id, chunk.clone())).await;
        appended.expect("appends do not wait").expect("appends");
        later.extend(chunk);
        let after_power_cut = open_on(&disk.crash(|_| 0)).expect("opens");
        assert_eq!(stored(&after_power_cut, &id).await, [&first[..], &later].concat());
    }

    drop(held);
    compaction.await.expect("compacts");
    assert_eq!(stored(&store, &id).await, [&snapshot[..], &later].concat());
    let after_power_cut = open_on(&disk.crash(|_| 0)).expect("opens");
    assert_eq!(stored(&after_power_cut, &id).await, [&snapshot[..], &later].concat());
}
