//! Messages that are not stored reach the clients of other servers, too.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use runtime::hub::{Ephemeral, Hub, MailboxQuota, OutboxReceiver, Outgoing, Refusals, Requester, SyncPeer, outbox};
use sync_engine::Surface;
use tokio_util::sync::CancellationToken;

use super::{add, converged, edit, id, nodes};

/// A client that is subscribed to the document.
pub async fn subscriber(hub: &Hub) -> (SyncPeer, OutboxReceiver) {
    let (sender, receiver) = outbox(CancellationToken::new());
    let peer = SyncPeer {
        requester: Requester::anonymous(Surface::Sync),
        key: hub.new_connection(),
        outbox: sender,
        storage: None,
        mailbox_quota: MailboxQuota::default(),
        refusals: Refusals::default(),
        relays: false,
    };
    hub.start_sync(&id(), peer.clone()).await.unwrap();
    (peer, receiver)
}

fn message(sender: &str, count: u64) -> Ephemeral {
    let (sender, session): (Arc<str>, Arc<str>) = (sender.into(), "session".into());
    Ephemeral { document: id(), sender, session, count, data: Bytes::from_static(b"cursor") }
}

/// The next ephemeral message. Skips all others.
async fn next(receiver: &mut OutboxReceiver) -> Ephemeral {
    loop {
        if let Outgoing::Ephemeral(message) = receiver.next().await {
            return Ephemeral::clone(&message);
        }
    }
}

#[tokio::test]
async fn ephemeral_message_reaches_clients_of_other_servers_once() {
    let (store, hubs) = nodes::<3>().await;
    edit(&hubs[0], add("first")).await.unwrap();
    converged(&store, &hubs).await;
    let (from, mut sender) = subscriber(&hubs[0]).await;
    let mut others = Vec::new();
    for hub in &hubs {
        others.push(subscriber(hub).await);
    }
    for count in [1, 1, 2] {
        hubs[0].ephemeral(from.key, message("tab", count));
    }
    for (_, other) in &mut others {
        assert_eq!(next(other).await, message("tab", 1));
        assert_eq!(next(other).await, message("tab", 2), "the second copy is not forwarded");
    }
    let nothing = tokio::time::timeout(Duration::from_millis(50), next(&mut sender)).await;
    assert!(nothing.is_err(), "the sender gets its own message: {nothing:?}");
    for hub in &hubs {
        hub.stop().await;
    }
}

#[tokio::test]
async fn message_to_other_surfaces_reaches_other_servers_only() {
    let (_, hubs) = nodes::<2>().await;
    let [mut own, mut other] = [0, 1].map(|node: usize| hubs[node].surface_messages());
    hubs[0].tell_surfaces(b"names");
    hubs[0].tell_surfaces(&[0; 10_000]);
    hubs[1].tell_surfaces(b"answer");
    assert_eq!(&other.recv().await.unwrap()[..], b"names");
    assert_eq!(&own.recv().await.unwrap()[..], b"answer", "a sender does not receive its own message");
    assert_eq!(super::counter(&hubs[0], "happierwork_cluster_messages_dropped_total"), 1);
    for hub in &hubs {
        hub.stop().await;
    }
}
