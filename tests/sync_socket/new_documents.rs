//! Clients that create documents are served or throttled; clients that wait for missing ones have a quota.

use std::collections::HashSet;
use std::sync::Arc;

use automerge::ROOT;
use automerge::transaction::Transactable;
use happierwork::server::{Limits, Options};
use repo_protocol::Message;
use store::OpenFileLimits;
use tempfile::TempDir;
use tokio::time::timeout;

use super::support::{PATIENCE, PlainPeer, TestServer};
use crate::support::repo_peer::{PeerDocument, RepoPeer, new_id};

async fn server(adjust: impl FnOnce(&mut Options)) -> TestServer {
    TestServer::start_in(Arc::new(TempDir::new().expect("a folder")), adjust).await
}

fn refusals(server: &TestServer, reason: &str) -> f64 {
    server.metric(&format!("happierwork_refusals_total{{reason=\"{reason}\"}}"))
}

fn documents(count: usize) -> Vec<PeerDocument> {
    let made = |n| {
        let mut replica = PeerDocument::empty(&new_id());
        replica.doc.put(ROOT, "n", i64::try_from(n).unwrap()).unwrap();
        replica
    };
    (0..count).map(made).collect()
}

/// Requests a missing document. Returns the refusal, or `None` if the request is pending.
async fn ask_in_vain(peer: &mut RepoPeer) -> Option<String> {
    let mut replica = PeerDocument::empty(&new_id());
    let data = replica.generate().unwrap();
    let request = peer.request(&replica.id, data);
    peer.send(&request).await;
    match peer.next().await {
        Some(Message::DocUnavailable { document, message, .. }) => {
            assert_eq!(document, replica.id);
            message
        }
        other => panic!("{other:?}"),
    }
}

/// Announces all documents at once, like a stock client that created them offline, and syncs until all are stored.
async fn bring_all(peer: &mut RepoPeer, replicas: &mut [PeerDocument]) {
    for replica in &mut *replicas {
        peer.push(replica).await;
    }
    let mut agreed = HashSet::new();
    while agreed.len() < replicas.len() {
        match peer.next().await {
            Some(Message::Sync { document, data, .. }) => {
                let replica = replicas.iter_mut().find(|replica| replica.id == document).unwrap();
                replica.receive(&data);
                peer.push(replica).await;
                if replica.state.their_heads.as_ref() == Some(&replica.doc.get_heads()) {
                    agreed.insert(document);
                }
            }
            other => panic!("{other:?} ({:?}) after {} documents", peer.socket.closed_with, agreed.len()),
        }
    }
}

fn stored(server: &TestServer, replicas: &[PeerDocument]) -> usize {
    let file = |replica: &&PeerDocument| server.folder.path().join(format!("documents/{}.automerge", replica.id));
    replicas.iter().filter(|replica| file(replica).exists()).count()
}

#[tokio::test]
async fn connection_is_limited_to_its_share_of_pending_documents() {
    let server = server(|options| options.limits.pending_per_connection = 2).await;
    let mut stale = RepoPeer::join(&server, "stale").await;
    for _ in 0..2 {
        assert_eq!(ask_in_vain(&mut stale).await, None);
    }
    let message = ask_in_vain(&mut stale).await.expect("a reason");
    assert!(message.contains("this connection already waits for 2 such documents"), "{message}");
    assert_eq!(refusals(&server, "too_many_pending"), 1.0);
    // Its other documents continue, and other clients have their own quota.
    let known = stale.request(&server.document, PeerDocument::empty(&server.document).generate().unwrap());
    stale.send(&known).await;
    assert!(matches!(stale.next().await, Some(Message::Sync { .. })));
    let mut other = RepoPeer::join(&server, "other").await;
    assert_eq!(ask_in_vain(&mut other).await, None);
}

#[tokio::test]
async fn many_stale_links_at_once_do_not_close_the_connection() {
    let server = server(|options| options.limits.pending_per_connection = 2).await;
    let mut stale = RepoPeer::join(&server, "stale").await;
    let mut links: Vec<PeerDocument> = (0..200).map(|_| PeerDocument::empty(&new_id())).collect();
    for link in &mut links {
        let data = link.generate().unwrap();
        let request = stale.request(&link.id, data);
        stale.send(&request).await;
    }
    let mut reasons = 0;
    for _ in 0..links.len() {
        match stale.next().await {
            Some(Message::DocUnavailable { message, .. }) => reasons += usize::from(message.is_some()),
            other => panic!("{other:?} ({:?})", stale.socket.closed_with),
        }
    }
    assert_eq!(reasons, links.len() - 2);
}

#[tokio::test]
async fn pending_share_is_released_on_disconnect() {
    let server = server(|options| options.max_pending = 1).await;
    let mut first = RepoPeer::join(&server, "first").await;
    assert_eq!(ask_in_vain(&mut first).await, None);
    let mut second = RepoPeer::join(&server, "second").await;
    let message = ask_in_vain(&mut second).await.expect("a reason");
    assert!(message.contains("the server's clients already wait for 1 such documents"), "{message}");
    first.socket.close().await;
    // At the latest when the document's task has noticed.
    let again = async { while ask_in_vain(&mut second).await.is_some() {} };
    timeout(PATIENCE, again).await.expect("room again");
}

#[tokio::test]
async fn documents_can_be_created_at_the_pending_limit() {
    let server = server(|options| {
        (options.max_pending, options.limits.pending_per_connection) = (1, 1);
    })
    .await;
    let mut stale = RepoPeer::join(&server, "stale").await;
    assert_eq!(ask_in_vain(&mut stale).await, None);
    let mut replicas = documents(50);
    bring_all(&mut stale, &mut replicas).await;
    let mut other = RepoPeer::join(&server, "other").await;
    let mut others = documents(50);
    bring_all(&mut other, &mut others).await;
    let mut plain = documents(1).remove(0);
    PlainPeer::connect_as(&server, &plain.id, plain.doc.fork()).await.until_acknowledged().await;
    assert_eq!(stored(&server, &replicas) + stored(&server, &others) + stored(&server, &[plain]), 101);
    assert_eq!(refusals(&server, "too_many_pending"), 0.0);
}

#[tokio::test]
async fn client_that_creates_too_fast_is_throttled() {
    let limits = Limits { new_documents_per_minute: 1_200, new_documents_at_once: 5, ..Limits::default() };
    let server = server(|options| options.limits = limits).await;
    let mut peer = RepoPeer::join(&server, "maker").await;
    let mut replicas = documents(15);
    bring_all(&mut peer, &mut replicas).await;
    assert_eq!(stored(&server, &replicas), 15);
    assert!(refusals(&server, "too_many_new_documents") > 0.0, "it has waited");
}

#[tokio::test]
async fn http_client_that_creates_too_fast_gets_429() {
    // The default document counts as the first.
    let limits = Limits { new_documents_per_minute: 1, new_documents_at_once: 1, ..Limits::default() };
    let server = server(|options| options.limits = limits).await;
    let body = serde_json::json!({ "name": "Growth" });
    let (status, answer) = server.post("/api/documents", &body).await;
    assert_eq!((status, answer["type"].as_str()), (429, Some("too-many-new-documents")), "{answer}");
    assert_eq!(refusals(&server, "too_many_new_documents"), 1.0);
}

/// The server's open files of documents. Other tests may run in this process, so the folder identifies them.
#[cfg(target_os = "linux")]
fn open_files(server: &TestServer) -> usize {
    let files =
        std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    files
        .filter(|path| path.starts_with(server.folder.path()) && path.extension().is_some_and(|it| it == "automerge"))
        .count()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_documents_need_few_open_files() {
    // The default document's file is always open.
    let most = OpenFileLimits::default().kept_open + 1;
    let server = server(|_| {}).await;
    let mut peer = RepoPeer::join(&server, "maker").await;
    let mut replicas = documents(200);
    bring_all(&mut peer, &mut replicas).await;
    assert!(open_files(&server) <= most, "{}", open_files(&server));
    for replica in &mut replicas {
        replica.doc.put(ROOT, "again", true).unwrap();
    }
    bring_all(&mut peer, &mut replicas).await;
    assert!(open_files(&server) <= most, "{}", open_files(&server));
    let folder = server.folder.clone();
    drop(peer);
    assert!(server.stop().await);
    for replica in &mut replicas {
        let file = std::fs::read(folder.path().join(format!("documents/{}.automerge", replica.id))).unwrap();
        assert_eq!(automerge::Automerge::load(&file).unwrap().get_heads(), replica.doc.get_heads());
    }
}
