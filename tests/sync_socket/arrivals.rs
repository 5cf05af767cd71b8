//! Documents in transit: a request that arrives while another client sends the document.

use std::sync::Arc;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT};
use bytes::Bytes;
use happierwork::legacy::RENDERINGS;
use happierwork::legacy::renderings::row_frames;
use primitives::DocumentId;
use repo_protocol::Message;
use runtime::document_log::ActorSource;
use runtime::hub::{
    APPLY_BUDGET, Hub, HubSettings, MailboxQuota, OutboxReceiver, Outgoing, Refusals, Requester, SyncPeer, outbox,
};
use runtime::metrics::Metrics;
use store::MemoryStore;
use sync_engine::{MessageLimits, Surface};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_util::sync::CancellationToken;

use super::support::{PlainPeer, TestServer};
use crate::support::repo_peer::{PeerDocument, RepoPeer, new_id};

fn new_document(id: &DocumentId) -> PeerDocument {
    let mut replica = PeerDocument::empty(id);
    replica.doc.put(ROOT, "name", "new").unwrap();
    replica
}

/// Sends a request. Returns when the server has read it.
async fn ask(peer: &mut RepoPeer, wanted: &mut PeerDocument) {
    let data = wanted.generate().unwrap();
    let request = peer.request(&wanted.id, data);
    peer.send(&request).await;
    peer.socket.send(Frame::Ping("read".into())).await;
    match peer.socket.next_raw().await.unwrap() {
        Frame::Pong(content) => assert_eq!(content, "read"),
        other => panic!("answered while the document is on its way: {other:?}"),
    }
}

/// Announces a new document: the server has requested its changes, and has not received them.
async fn announce(peer: &mut RepoPeer, replica: &mut PeerDocument) {
    peer.push(replica).await;
    let asked = peer.next_sync(&replica.id).await;
    replica.receive(&asked);
}

async fn is_unavailable(peer: &mut RepoPeer, id: &DocumentId) {
    match peer.next().await {
        Some(Message::DocUnavailable { document, message: None, .. }) => assert_eq!(document, *id),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn request_waits_for_an_announced_document() {
    let server = TestServer::start().await;
    let id = new_id();
    let (mut author, mut replica) = (RepoPeer::join(&server, "author").await, new_document(&id));
    announce(&mut author, &mut replica).await;
    let mut readers = Vec::new();
    for reader in 0..20 {
        let (mut reader, mut wanted) =
            (RepoPeer::join(&server, &format!("reader {reader}")).await, PeerDocument::empty(&id));
        ask(&mut reader, &mut wanted).await;
        readers.push((reader, wanted));
    }
    author.until_agreed(&mut replica).await;
    for (reader, wanted) in &mut readers {
        while wanted.doc.get_heads() != replica.doc.get_heads() {
            reader.turn(wanted).await;
        }
    }
}

#[tokio::test]
async fn document_from_plain_sync_answers_requests() {
    let server = TestServer::start().await;
    let id = new_id();
    let replica = new_document(&id);
    let mut author = PlainPeer::connect_as(&server, &id, replica.doc).await;
    // The first message names heads and carries no changes. The server's greeting asks for them.
    let Some(Frame::Binary(greeting)) = author.socket.next().await else { panic!("closed") };
    author.receive(&greeting);
    let (mut reader, mut wanted) = (RepoPeer::join(&server, "reader").await, PeerDocument::empty(&id));
    ask(&mut reader, &mut wanted).await;
    author.until_acknowledged().await;
    while wanted.doc.get_heads() != author.doc.get_heads() {
        reader.turn(&mut wanted).await;
    }
}

#[tokio::test]
async fn request_is_answered_when_the_sender_disconnects() {
    let server = TestServer::start().await;
    let id = new_id();
    let (mut author, mut replica) = (RepoPeer::join(&server, "author").await, new_document(&id));
    announce(&mut author, &mut replica).await;
    let (mut reader, mut wanted) = (RepoPeer::join(&server, "reader").await, PeerDocument::empty(&id));
    ask(&mut reader, &mut wanted).await;
    author.socket.close().await;
    is_unavailable(&mut reader, &id).await;
}

#[tokio::test]
async fn request_is_answered_when_the_changes_are_rejected() {
    let server = TestServer::start().await;
    let id = new_id();
    let (mut author, mut replica) = (RepoPeer::join(&server, "author").await, new_document(&id));
    announce(&mut author, &mut replica).await;
    let (mut reader, mut wanted) = (RepoPeer::join(&server, "reader").await, PeerDocument::empty(&id));
    ask(&mut reader, &mut wanted).await;
    let mut changes = replica.generate().unwrap().to_vec();
    let middle = changes.len() - 5;
    changes[middle] ^= 0x10;
    author.send(&author.sync(&id, changes.into())).await;
    is_unavailable(&mut reader, &id).await;
}

/// All ways to add a document, without sockets. Tokio's time is paused: it advances when nothing else happens.
fn hub() -> Hub {
    let settings = HubSettings {
        renderings: RENDERINGS,
        rows: row_frames,
        legacy_presence: None,
        limits: MessageLimits::default(),
        apply_budget: APPLY_BUDGET,
        idle_after: Duration::from_secs(100),
        max_pending: 10,
        max_pending_per_connection: 10,
        new_documents_per_minute: 0,
        new_documents_at_once: 0,
        message_memory: 0,
        default_document: None,
        may_create: None,
        actors: ActorSource::default(),
    };
    Hub::new(Arc::new(MemoryStore::default()), settings, Arc::new(Metrics::new()))
}

fn connect(hub: &Hub) -> (SyncPeer, OutboxReceiver) {
    let (outbox, receiver) = outbox(CancellationToken::new());
    let (caller, key) = (Requester::anonymous(Surface::Sync), hub.new_connection());
    let (mailbox_quota, refusals) = (MailboxQuota::default(), Refusals::default());
    (SyncPeer { requester: caller, key, outbox, storage: None, mailbox_quota, refusals, relays: false }, receiver)
}

async fn send(hub: &Hub, id: &DocumentId, peer: &SyncPeer, bytes: Bytes, request: bool) {
    hub.sync(id, peer.clone(), bytes, request, hub.memory_budget().reservation()).await.expect("taken");
}

#[tokio::test(start_paused = true)]
async fn request_times_out_after_five_seconds() {
    let (hub, id) = (hub(), new_id());
    let ((author, mut to_author), (reader, mut to_reader)) = (connect(&hub), connect(&hub));
    send(&hub, &id, &author, new_document(&id).generate().unwrap(), false).await;
    assert!(matches!(to_author.next().await, Outgoing::Sync { .. }), "it is asked for the changes");
    let asked = Instant::now();
    send(&hub, &id, &reader, PeerDocument::empty(&id).generate().unwrap(), true).await;
    let answer = timeout(Duration::from_secs(60), to_reader.next()).await.expect("an answer");
    assert!(matches!(answer, Outgoing::Unavailable { reason: None, .. }), "{answer:?}");
    let waited = asked.elapsed();
    assert!((4..=6).contains(&waited.as_secs()), "{waited:?}");
    // The next request does not wait for a peer that has not sent what it announced.
    let asked = Instant::now();
    send(&hub, &id, &reader, PeerDocument::empty(&id).generate().unwrap(), true).await;
    assert!(matches!(to_reader.next().await, Outgoing::Unavailable { .. }));
    assert!(asked.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn late_changes_are_stored_and_served() {
    let (hub, id) = (hub(), new_id());
    let ((author, mut to_author), (reader, mut to_reader)) = (connect(&hub), connect(&hub));
    let mut replica = new_document(&id);
    send(&hub, &id, &author, replica.generate().unwrap(), false).await;
    let Outgoing::Sync { data, .. } = to_author.next().await else { panic!("asked for the changes") };
    replica.receive(&data);
    send(&hub, &id, &reader, PeerDocument::empty(&id).generate().unwrap(), true).await;
    assert!(matches!(to_reader.next().await, Outgoing::Unavailable { .. }));
    send(&hub, &id, &author, replica.generate().unwrap(), false).await;
    let Outgoing::Sync { data, .. } = to_reader.next().await else { panic!("served") };
    let mut copy = PeerDocument { doc: AutoCommit::new(), ..PeerDocument::empty(&id) };
    copy.receive(&data);
    assert_eq!(copy.doc.get_heads(), replica.doc.get_heads());
}
