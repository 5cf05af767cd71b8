//! A failover of the database loses the last batches; servers that have published them bring them back.

use std::time::Duration;

use automerge::sync;
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT};
use store::Store;

use super::presence::subscriber;
use super::{add, converged, counter, edit, heads, id, nodes, positions};

#[tokio::test]
async fn batches_lost_in_a_failover_come_back() {
    let (store, hubs) = nodes::<2>().await;
    for name in ["one", "two", "three", "four"] {
        edit(&hubs[0], add(name)).await.unwrap();
    }
    converged(&store, &hubs).await;
    store.forget_batches(&id(), 2);
    // The next append finds its position missing, at both servers.
    for (hub, name) in hubs.iter().zip(["five", "six"]) {
        edit(hub, add(name)).await.unwrap();
    }
    converged(&store, &hubs).await;
    for hub in &hubs {
        assert_eq!(positions(hub).await, 6);
    }
    let healed = hubs.iter().map(|hub| counter(hub, "happierwork_healed_changes_total")).sum::<u64>();
    assert_eq!(healed, 2, "each change is stored again once");
    for hub in &hubs {
        hub.stop().await;
    }
}

#[tokio::test]
async fn document_lost_in_a_failover_comes_back() {
    let (store, hubs) = nodes::<2>().await;
    edit(&hubs[0], add("one")).await.unwrap();
    converged(&store, &hubs).await;
    let before = heads(&hubs[0]).await;
    store.forget_batches(&id(), 1);
    assert!(store.load(&id()).await.unwrap().is_none());
    edit(&hubs[1], add("two")).await.unwrap();
    converged(&store, &hubs).await;
    assert_eq!(positions(&hubs[0]).await, 2);
    assert_ne!(heads(&hubs[0]).await, before);
    for hub in &hubs {
        hub.stop().await;
    }
}

#[tokio::test]
async fn removed_document_does_not_come_back() {
    let (store, hubs) = nodes::<1>().await;
    edit(&hubs[0], add("one")).await.unwrap();
    store.remove(&id()).await.unwrap();
    assert!(edit(&hubs[0], add("two")).await.is_err());
    assert!(store.load(&id()).await.unwrap().is_none());
    hubs[0].stop().await;
}

#[tokio::test]
async fn batch_is_stored_after_the_one_before_it_was_lost() {
    let (store, hubs) = nodes::<1>().await;
    edit(&hubs[0], add("one")).await.unwrap();
    let mut device = AutoCommit::load(&store.load(&id()).await.unwrap().unwrap().bytes).unwrap();
    device.put(ROOT, "note", "from a device").unwrap();
    let mut change = device.get_last_local_change().unwrap();
    let (hash, changes) = (change.hash(), vec![change.bytes().into_owned()].into());
    let message = sync::Message {
        heads: vec![hash],
        need: Vec::new(),
        have: Vec::new(),
        changes,
        flags: None,
        version: sync::MessageVersion::V1,
    };
    let (peer, _receiver) = subscriber(&hubs[0]).await;
    // The append meets a batch of another server, which a failover forgets before this server reads it.
    store.obstruct_appends(1);
    let reservation = hubs[0].memory_budget().reservation();
    hubs[0].sync(&id(), peer, message.encode().into(), false, reservation).await.unwrap();
    while heads(&hubs[0]).await != [hash] {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let stored = automerge::Automerge::load(&store.load(&id()).await.unwrap().unwrap().bytes).unwrap();
    assert_eq!(stored.get_heads(), [hash], "shown and not stored");
    assert_eq!(counter(&hubs[0], "happierwork_appends_behind_total"), 1, "the append was obstructed");
    hubs[0].stop().await;
}
