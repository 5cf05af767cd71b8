//! Every protocol of the server, over TLS.

use automerge::sync::State;
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT, ScalarValue};
use serde_json::json;

use super::authority::{Authority, server};
use super::support::{PlainPeer, add};
use crate::support::repo_peer::{PeerDocument, RepoPeer};

#[tokio::test]
async fn every_surface_works_over_tls() {
    let server = server(&Authority::new("tests")).await;
    for (path, text) in
        [("/", "<html"), ("/healthz", "ok"), ("/readyz", "ok"), ("/metrics", "happierwork_"), ("/data/", "[]")]
    {
        let (status, _, body) = server.http("GET", path, &[]).await;
        assert!(status == 200 && body.contains(text), "{path}: {status} {body}");
    }

    // One document over every protocol.
    let mut legacy = server.legacy().await;
    let mut plain = PlainPeer::connect(&server, &server.document).await;
    let mut repo = RepoPeer::join(&server, "peer").await;
    let mut replica = PeerDocument::empty(&server.document);
    repo.until_agreed(&mut replica).await;

    plain.add("by sync", "Head of Encryption", "Engineering", 12);
    plain.until_acknowledged().await;
    let frame = legacy.json().await;
    assert_eq!((&frame["entry"]["id"], &frame["entry"]["budget"]), (&json!("by sync"), &json!("12")), "{frame}");

    legacy.send(add("UI, over TLS")).await;
    let row = json!({ "designation": "By the API", "department": "Sales", "budget": 7, "location": "Goa" });
    let (status, made) = server.post("/api/documents/default/positions", &row).await;
    assert_eq!(status, 201, "{made}");
    let row = json!({ "designation": "By REST", "department": "Sales", "budget": "8", "location": "Goa" });
    let (status, made) = server.post("/data/add/", &row).await;
    assert_eq!(status, 201, "{made}");
    while plain.ids().len() < 4 {
        assert!(plain.turn().await, "{:?}", plain.socket.closed_with);
    }
    repo.until_agreed(&mut replica).await;
    assert_eq!(server.positions().await.len(), 4);
    let (_, _, csv) = server.http("GET", "/api/documents/default/export.csv", &[]).await;
    assert_eq!(csv.lines().count(), 5, "{csv}");

    // Shutdown is announced, too.
    let sockets = [plain.socket, repo.socket, legacy];
    let stopping = tokio::spawn(server.stop());
    for mut socket in sockets {
        assert_eq!(socket.closed().await.map(|close| close.code.into()), Some(1001));
    }
    assert!(stopping.await.unwrap());
}

#[tokio::test]
async fn late_reader_receives_a_large_document() {
    let server = server(&Authority::new("tests")).await;
    let mut author = PlainPeer::connect(&server, &server.document).await;
    // More than the system buffers for a client that does not read.
    let mut noise = vec![0; 8 << 20];
    rand::fill(&mut noise[..]);
    author.doc.put(ROOT, "noise", ScalarValue::Bytes(noise)).unwrap();
    author.until_acknowledged().await;

    let sent = "happierwork_sent_bytes_total";
    let mut late =
        PlainPeer { doc: AutoCommit::new(), state: State::new(), socket: server.connect("/sync/default").await };
    let before = server.metric(sent);
    late.push().await;
    server.until_metric(sent, |bytes| bytes > before + 100_000.0).await;
    while late.doc.get_heads() != author.doc.get_heads() {
        assert!(late.turn().await, "{:?}", late.socket.closed_with);
    }
}
