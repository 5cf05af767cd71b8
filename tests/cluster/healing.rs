//! A failover of the database loses the last batches; servers that have published them bring them back.

use super::{add, converged, counter, edit, heads, nodes, positions};
use crate::id;
use store::Store;

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
