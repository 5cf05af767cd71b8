//! Errors to clients contain no paths of the server: disk failures are for the operator.

use std::fs;
use std::sync::Arc;

use primitives::DocumentId;
use repo_protocol::{Message, PeerId, PeerMetadata, decode};
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::process::folder;
use super::support::{TestServer, add};

#[tokio::test]
async fn client_errors_contain_no_server_paths() {
    let folder = Arc::new(folder());
    let server = TestServer::start_in(Arc::clone(&folder), |_| {}).await;
    // Two documents that cannot be opened: one is not Automerge, one is a folder.
    let (garbage, a_folder) = (DocumentId::from_random(rand::random()), DocumentId::from_random(rand::random()));
    fs::write(folder.path().join(format!("documents/{garbage}.automerge")), "garbage").unwrap();
    fs::create_dir(folder.path().join(format!("documents/{a_folder}.automerge"))).unwrap();

    let mut said = Vec::new();
    for id in [&garbage, &a_folder] {
        for path in ["", "/positions", "/export.json", "/export.csv", "/export.automerge"] {
            let (status, _, body) = server.http("GET", &format!("/api/documents/{id}{path}"), &[]).await;
            assert!(status >= 400, "{path}: {status} {body}");
            said.push(body);
        }
        let mut plain = server.connect(&format!("/sync/{id}")).await;
        said.push(plain.closed().await.expect("a reason").reason.to_string());

        let mut repo = server.connect("/sync").await;
        let (me, versions) = (PeerId::new("me").unwrap(), vec!["1".to_owned()]);
        let join = Message::Join { sender: me.clone(), metadata: PeerMetadata::default(), versions };
        repo.send(Frame::binary(join.encode())).await;
        repo.next().await.expect("an answer");
        let data = vec![0x42, 0, 0, 0, 0].into();
        let sync = Message::Sync { sender: me.clone(), target: me, document: (*id).clone(), data };
        repo.send(Frame::binary(sync.encode())).await;
        let Some(Frame::Binary(answer)) = repo.next().await else { panic!("no answer") };
        said.push(format!("{:?}", decode(&answer).unwrap()));
    }
    // The disk of the default document becomes unavailable.
    let mut legacy = server.legacy().await;
    fs::remove_dir_all(folder.path().join("documents")).unwrap();
    fs::write(folder.path().join("documents"), "no folder any more").unwrap();
    let (_, _, body) = server.http("GET", "/readyz", &[]).await;
    said.push(body);
    let (_, _, body) = server.http("GET", "/api/documents", &[]).await;
    said.push(body);
    legacy.send(add("UI")).await;
    said.push(legacy.json().await.to_string());
    let new = DocumentId::from_random(rand::random());
    let (_, _, body) = server.http("GET", &format!("/api/documents/{new}"), &[]).await;
    said.push(body);

    assert!(said.len() > 15);
    for text in said {
        for secret in [folder.path().to_str().unwrap(), "secret-place", "/tmp/", "os error", ".automerge\""] {
            assert!(!text.contains(secret), "{secret:?} is in {text}");
        }
    }
}
