//! Permanent deletion of documents.

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT, ReadDoc};
use primitives::DocumentId;
use repo_protocol::Message;
use runtime::clock::now_ms;
use serde_json::json;

use super::support::{PlainPeer, TestServer, http_to};
use crate::support::repo_peer::{PeerDocument, RepoPeer, new_id};
use crate::support::users::{Users, beside};

async fn delete(server: &TestServer, id: &DocumentId) -> u16 {
    http_to(server.address, "DELETE", &format!("/api/documents/{id}"), &[], String::new()).await.0
}

#[tokio::test]
async fn deletion_is_announced_and_cannot_be_undone_by_clients() {
    let server = TestServer::start().await;
    let mut replica = PeerDocument::empty(&new_id());
    replica.doc.put(ROOT, "name", "short-lived").unwrap();
    replica.doc.commit();
    let mut maker = RepoPeer::join(&server, "maker").await;
    maker.until_agreed(&mut replica).await;
    let mut plain = PlainPeer::connect(&server, &replica.id).await;
    let offline: AutoCommit = replica.doc.clone();

    assert_eq!(delete(&server, &replica.id).await, 204);
    let told = maker.next().await;
    assert!(matches!(&told, Some(Message::DocUnavailable { document, .. }) if *document == replica.id), "{told:?}");
    while plain.turn().await {}
    assert_eq!(u16::from(plain.socket.closed_with.take().unwrap().code), 4403);
    assert_eq!(delete(&server, &replica.id).await, 404);

    // A client that was offline still has the document, and sends it.
    let mut returning = RepoPeer::join(&server, "returning").await;
    let mut copy = PeerDocument { doc: offline, ..PeerDocument::empty(&replica.id) };
    copy.doc.put(ROOT, "name", "back again").unwrap();
    copy.doc.commit();
    for _ in 0..2 {
        returning.push(&mut copy).await;
        let told = returning.next().await;
        assert!(matches!(told, Some(Message::DocUnavailable { .. })), "{told:?}");
        copy.state = Default::default();
    }
    let (status, listed) = server.get_json("/api/documents").await;
    assert_eq!(status, 200);
    assert!(!listed.to_string().contains(replica.id.as_str()));
    for path in ["", "/positions", "/export.automerge", "/access"] {
        let (status, ..) = server.http("GET", &format!("/api/documents/{}{path}", replica.id), &[]).await;
        assert_eq!(status, 404, "{path}");
    }
}

#[tokio::test]
async fn content_is_removed_later_and_the_deletion_is_kept() {
    let server = TestServer::start().await;
    let (_, made) = server.post("/api/documents", &json!({ "name": "x" })).await;
    let id: DocumentId = made["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(delete(&server, &id).await, 204);
    let documents = server.folder.path().join("documents");
    let file = format!("{id}.automerge");
    assert!(server.app.hub.remove_deleted(now_ms() - 3_600_000).await.unwrap().is_empty());
    assert_eq!(beside(&documents, ".automerge"), [file], "the content is kept for an hour");
    assert_eq!(server.app.hub.remove_deleted(now_ms() + 1).await.unwrap(), std::slice::from_ref(&id));
    assert!(beside(&documents, ".automerge").is_empty());
    assert!(server.app.hub.remove_deleted(now_ms() + 1).await.unwrap().is_empty(), "once");

    let folder = std::sync::Arc::clone(&server.folder);
    assert!(server.stop().await);
    let server = TestServer::start_in(folder, |_| {}).await;
    let mut peer = RepoPeer::join(&server, "maker").await;
    let mut replica = PeerDocument::empty(&id);
    replica.doc.put(ROOT, "name", "back again").unwrap();
    replica.doc.commit();
    peer.push(&mut replica).await;
    let told = peer.next().await;
    assert!(matches!(told, Some(Message::DocUnavailable { .. })), "also after a restart: {told:?}");
    assert!(beside(&documents, ".automerge").is_empty());
    let record = std::fs::read_to_string(documents.join(format!("{id}.access.json"))).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert!(record["deleted"]["at"].as_i64().unwrap() <= now_ms(), "{record}");
}

#[tokio::test]
async fn default_document_cannot_be_deleted() {
    let server = TestServer::start().await;
    assert_eq!(delete(&server, &server.document).await, 409);
    assert!(PlainPeer::connect(&server, &server.document).await.doc.get(ROOT, "documentId").unwrap().is_some());
}

#[tokio::test]
async fn deletion_records_the_user() {
    let users = Users::new();
    let server = users.server().await;
    let token = users.token("ceo", "editor", "default");
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = r#"{"name":"x"}"#.to_owned();
    let (status, _, made) = http_to(server.address, "POST", "/api/documents", &headers, body).await;
    assert_eq!(status, 201, "{made}");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let path = format!("/api/documents/{}", made["id"].as_str().unwrap());
    // An editor's token is enough for the owner of a document.
    let (status, ..) = http_to(server.address, "DELETE", &path, &headers, String::new()).await;
    assert_eq!(status, 204);
    let file = server.folder.path().join(format!("documents/{}.access.json", made["id"].as_str().unwrap()));
    let record: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    assert_eq!((&record["owner"], &record["deleted"]["by"]), (&json!("ceo"), &json!("ceo")));
}
