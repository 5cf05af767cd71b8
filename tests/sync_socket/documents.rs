//! Many documents: requested, pending, unloaded, and opened by many peers at once.

use std::sync::Arc;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{ROOT, ReadDoc, ScalarValue};
use repo_protocol::{Message, PeerMetadata, RemoteHeads, StorageId};
use runtime::hub::Requester;
use store::faults::FaultyDisk;
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{PlainPeer, TestServer};
use crate::support::repo_peer::{PeerDocument, RepoPeer, new_id};

fn folder() -> Arc<TempDir> {
    Arc::new(TempDir::new().expect("a folder"))
}

#[tokio::test]
async fn missing_document_is_served_when_it_appears() {
    let server = TestServer::start().await;
    let id = new_id();
    let mut waiting = RepoPeer::join(&server, "waiting").await;
    let mut wanted = PeerDocument::empty(&id);
    let request = waiting.request(&id, wanted.generate().unwrap());
    waiting.send(&request).await;
    match waiting.next().await {
        Some(Message::DocUnavailable { document, .. }) => assert_eq!(document, id),
        other => panic!("not {other:?}"),
    }

    let mut author = RepoPeer::join(&server, "author").await;
    let mut replica = PeerDocument::empty(&id);
    replica.doc.put(ROOT, "name", "new").unwrap();
    author.until_agreed(&mut replica).await;
    while wanted.doc.get(ROOT, "name").unwrap().is_none() {
        waiting.turn(&mut wanted).await;
    }
    assert_eq!(wanted.doc.get_heads(), replica.doc.get_heads());
    assert!(server.app.hub.list(&Requester::server()).await.unwrap().contains(&id), "it is stored");
}

#[tokio::test]
async fn announced_document_is_fetched_and_stored() {
    let server = TestServer::start().await;
    let id = new_id();
    let mut author = RepoPeer::join(&server, "author").await;
    let mut replica = PeerDocument::empty(&id);
    replica.doc.put(ROOT, "name", "mine").unwrap();
    // A hello without changes: the server requests them.
    author.push(&mut replica).await;
    while replica.state.their_heads != Some(replica.doc.get_heads()) {
        author.turn(&mut replica).await;
    }
    let folder = server.folder.clone();
    drop(author);
    assert!(server.stop().await);
    let server = TestServer::start_in(folder, |_| {}).await;
    let other = PlainPeer::connect(&server, &id).await;
    assert_eq!(other.doc.get(ROOT, "name").unwrap().map(|(value, _)| value.to_string()).as_deref(), Some("\"mine\""));
}

#[tokio::test]
async fn first_change_over_plain_sync_creates_a_document() {
    let server = TestServer::start().await;
    let id = new_id();
    let mut author = PlainPeer::connect_as(&server, &id, PeerDocument::empty(&id).doc).await;
    assert!(!server.app.hub.list(&Requester::server()).await.unwrap().contains(&id));
    author.doc.put(ROOT, "name", "mine").unwrap();
    author.until_acknowledged().await;
    assert!(server.app.hub.list(&Requester::server()).await.unwrap().contains(&id));
}

#[tokio::test]
async fn idle_document_is_unloaded_and_reopened() {
    let server = TestServer::start_in(folder(), |options| options.idle_after = Duration::from_millis(50)).await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    peer.doc.put(ROOT, "name", "kept").unwrap();
    peer.until_acknowledged().await;
    assert_eq!(server.metric("happierwork_documents_open"), 1.0);
    let heads = peer.doc.get_heads();
    peer.socket.close().await;
    server.until_metric("happierwork_documents_open", |open| open == 0.0).await;

    let mut back = PlainPeer::connect(&server, &server.document).await;
    assert_eq!(back.doc.get_heads(), heads);
    assert_eq!(server.metric("happierwork_documents_open"), 1.0);
}

/// Calls of the disk while `peers` open the same unloaded document at once.
async fn calls_to_open(server: &TestServer, disk: &FaultyDisk, peers: usize) -> usize {
    server.until_metric("happierwork_documents_open", |open| open == 0.0).await;
    let before = disk.calls().len();
    let connect = || PlainPeer::connect(server, &server.document);
    let peers = futures_util::future::join_all((0..peers).map(|_| connect())).await;
    let calls = disk.calls().len() - before;
    assert_eq!(server.metric("happierwork_documents_open"), 1.0);
    futures_util::future::join_all(peers.into_iter().map(|peer| peer.socket.close())).await;
    calls
}

#[tokio::test]
async fn concurrent_opens_load_a_document_once() {
    let disk = FaultyDisk::new(&["home"]);
    let server = TestServer::start_on(Arc::new(disk.clone()), folder(), |options| {
        options.state = "home/state.automerge".into();
        options.idle_after = Duration::from_millis(50);
    })
    .await;
    let one = calls_to_open(&server, &disk, 1).await;
    assert!(one > 0, "opening reads the disk");
    assert_eq!(calls_to_open(&server, &disk, 100).await, one);
}

#[tokio::test]
async fn slow_peer_delays_no_other_document() {
    let server = TestServer::start().await;
    let (large, small) = (new_id(), new_id());
    let (mut large_replica, mut small_replica) = (PeerDocument::empty(&large), PeerDocument::empty(&small));
    let mut author = RepoPeer::join(&server, "author").await;
    large_replica.doc.put(ROOT, "round", 0).unwrap();
    author.until_agreed(&mut large_replica).await;
    small_replica.doc.put(ROOT, "round", 0).unwrap();
    author.until_agreed(&mut small_replica).await;

    // Syncs both over one socket, and then stops reading.
    let socket = server.connect_with_small_buffers("/sync").await;
    let mut stalled = RepoPeer::join_over(socket, "stalled", PeerMetadata::default()).await;
    let (mut its_large, mut its_small) = (PeerDocument::empty(&large), PeerDocument::empty(&small));
    stalled.until_agreed(&mut its_large).await;
    stalled.until_agreed(&mut its_small).await;
    let mut reader = RepoPeer::join(&server, "reader").await;
    let mut read = PeerDocument::empty(&small);
    reader.until_agreed(&mut read).await;

    for round in 1..=30 {
        // Random bytes do not compress.
        let bytes: Vec<u8> = (0..16_384).flat_map(|_| rand::random::<[u8; 16]>()).collect();
        large_replica.doc.put(ROOT, "bytes", ScalarValue::Bytes(bytes)).unwrap();
        author.until_agreed(&mut large_replica).await;
        small_replica.doc.put(ROOT, "round", round).unwrap();
        author.until_agreed(&mut small_replica).await;
        while read.doc.get_heads() != small_replica.doc.get_heads() {
            reader.turn(&mut read).await;
        }
    }
    let (large_heads, small_heads) = (large_replica.doc.get_heads(), small_replica.doc.get_heads());
    let mut messages = 0;
    while its_large.doc.get_heads() != large_heads || its_small.doc.get_heads() != small_heads {
        let Some(Message::Sync { document, data, .. }) = stalled.next().await else { panic!("closed") };
        let replica = if document == large { &mut its_large } else { &mut its_small };
        messages += 1;
        replica.receive(&data);
        stalled.push(replica).await;
    }
    assert!(messages < 60, "it received every change in its own message ({messages}), so it never lagged");
}

#[tokio::test]
async fn ephemeral_message_reaches_each_other_peer_once() {
    let server = TestServer::start().await;
    let (here, elsewhere) = (server.document.clone(), new_id());
    let mut one = RepoPeer::join(&server, "one").await;
    let mut two = RepoPeer::join(&server, "two").await;
    let mut third = RepoPeer::join(&server, "third").await;
    let mut other = PeerDocument::empty(&elsewhere);
    other.doc.put(ROOT, "name", "other").unwrap();
    third.until_agreed(&mut other).await;
    for peer in [&mut one, &mut two] {
        peer.until_agreed(&mut PeerDocument::empty(&here)).await;
    }
    let message = |count, data: &[u8]| {
        Message::Ephemeral(repo_protocol::Ephemeral {
            sender: one.id.clone(),
            target: one.server.clone(),
            count,
            session: "session".to_owned(),
            document: here.clone(),
            data: data.to_vec().into(),
        })
    };
    let (first, second) = (message(1, b"first"), message(2, b"second"));
    for message in [&first, &first, &second] {
        one.send(message).await;
    }
    for expected in [first, second] {
        match (two.next().await, expected) {
            (Some(Message::Ephemeral(found)), Message::Ephemeral(sent)) => {
                assert_eq!(found.target, two.id);
                assert_eq!(
                    (found.sender, found.count, found.session, found.data),
                    (sent.sender, sent.count, sent.session, sent.data)
                );
            }
            (other, _) => panic!("not {other:?}"),
        }
    }
    // The sender and the peer of another document do not receive it: their next message is an answer.
    for peer in [&mut one, &mut third] {
        let request = peer.request(&new_id(), PeerDocument::empty(&here).generate().unwrap());
        peer.send(&request).await;
        assert!(matches!(peer.next().await, Some(Message::DocUnavailable { .. })));
    }
}

#[tokio::test]
async fn remote_heads_are_forwarded_with_bounded_timestamps() {
    let server = TestServer::start().await;
    let mut watcher = RepoPeer::join(&server, "watcher").await;
    let mut teller = RepoPeer::join(&server, "teller").await;
    for peer in [&mut watcher, &mut teller] {
        peer.until_agreed(&mut PeerDocument::empty(&server.document)).await;
    }
    let own = std::fs::read_to_string(server.folder.path().join("documents/storage-id")).unwrap();
    let [own, laptop] = [own.trim(), "laptop"].map(|name| StorageId::new(name).unwrap());
    let (sender, target) = (watcher.id.clone(), watcher.server.clone());
    let add = vec![own.clone(), laptop.clone()];
    watcher.send(&Message::RemoteSubscriptionChange { sender, target, add, remove: Vec::new() }).await;
    watcher.socket.send(Frame::Ping("heard".into())).await;
    while watcher.socket.next_raw().await.unwrap() != Frame::Pong("heard".into()) {}

    let before = runtime::clock::now_ms() as f64;
    for (head, ahead) in [("forged", 1e300), ("later", 0.0)] {
        // Not within the same millisecond as the previous heads.
        tokio::time::sleep(Duration::from_millis(5)).await;
        let timestamp = runtime::clock::now_ms() as f64 + ahead;
        let news = |storage: &StorageId| (storage.clone(), RemoteHeads { heads: vec![head.to_owned()], timestamp });
        let (sender, target, document) = (teller.id.clone(), teller.server.clone(), server.document.clone());
        let heads = vec![news(&own), news(&laptop)];
        teller.send(&Message::RemoteHeadsChanged { sender, target, document, heads }).await;
        let told = watcher.next().await;
        let Some(Message::RemoteHeadsChanged { heads, .. }) = told else { panic!("{told:?}") };
        let [(storage, heads)] = &heads[..] else { panic!("{heads:?}") };
        assert_eq!((storage, &heads.heads[..]), (&laptop, &[head.to_owned()][..]));
        assert!(heads.timestamp <= runtime::clock::now_ms() as f64, "{heads:?}");
        assert!(heads.timestamp >= before, "{heads:?}");
    }
}
