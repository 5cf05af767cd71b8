//! Which calls wait for a slow sync, and which do not.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use super::*;
use crate::Position;
use crate::faults::Op;

/// Longer than any call takes that does not wait for the paused sync.
const TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn slow_sync_delays_only_its_document() {
    let disk = disk();
    let store = open_on(&disk).expect("opens");
    let (mut editor, mut other) = (TestEditor::new(), TestEditor::new());
    let (one, two) = (default_id(), id(2));
    let first = editor.edit();
    store.append_chunks(&one, first.clone()).await.expect("appends");

    let mut paused = disk.pause(Op::Sync);
    let second = editor.edit();
    let mut append = store.append_chunks(&one, second.clone());
    assert!((&mut append).now_or_never().is_none());
    paused.reached().await;
    let mut load = store.load(&one);
    let other_calls = async {
        let chunk = other.edit();
        store.append_chunks(&two, chunk.clone()).await.expect("appends");
        assert_eq!(stored(&store, &two).await, chunk);
        store.close(&two).await;
        store.probe().await.expect("writable");
        assert!(store.health().is_ok());
    };
    timeout(TIMEOUT, other_calls).await.expect("they do not wait");
    assert!((&mut append).now_or_never().is_none(), "acknowledged before it was synced");
    assert!((&mut load).now_or_never().is_none(), "loaded before it was synced");
    let after_power_cut = open_on(&disk.crash(|_| 0)).expect("opens");
    assert_eq!(stored(&after_power_cut, &one).await, first);

    drop(paused);
    append.await.expect("appends");
    let loaded = load.await.expect("loads").expect("stored");
    assert_eq!(loaded.bytes, [first, second].concat());
    let after_power_cut = open_on(&disk.crash(|_| 0)).expect("opens");
    assert_eq!(stored(&after_power_cut, &one).await, loaded.bytes);
}

#[tokio::test]
async fn compaction_does_not_block_or_lose_appends() {
    let disk = disk();
    let (store, mut editor) = (open_on(&disk).expect("opens"), TestEditor::new());
    let first = editor.edit();
    store.append_chunks(&default_id(), first.clone()).await.expect("appends");
    let (id, snapshot) = (default_id(), editor.save());

    let mut paused = disk.pause(Op::Sync);
    let mut compaction = store.compact(&id, Position::START, snapshot.clone());
    assert!((&mut compaction).now_or_never().is_none());
    paused.reached().await;
    let mut later = Vec::new();
    for _ in 0..3 {
        let chunk = editor.edit();
        let appended = timeout(TIMEOUT, store.append_chunks(&id, chunk.clone())).await;
        appended.expect("appends do not wait").expect("appends");
        later.extend(chunk);
        let after_power_cut = open_on(&disk.crash(|_| 0)).expect("opens");
        assert_eq!(stored(&after_power_cut, &id).await, [&first[..], &later].concat());
    }

    drop(paused);
    compaction.await.expect("compacts");
    assert_eq!(stored(&store, &id).await, [&snapshot[..], &later].concat());
    let after_power_cut = open_on(&disk.crash(|_| 0)).expect("opens");
    assert_eq!(stored(&after_power_cut, &id).await, [&snapshot[..], &later].concat());
}
