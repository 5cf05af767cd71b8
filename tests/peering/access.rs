//! Which documents a peering reads and writes, and to whom its changes are attributed.

use std::collections::BTreeSet;
use std::sync::Arc;

use auth::{DocumentName, Documents};
use happierwork::server::PeerOptions;
use primitives::DocumentId;
use serde_json::Value;
use tempfile::TempDir;

use super::support::{PlainPeer, TestServer};
use super::{add, connected, create, dial, dialler, metric, positions, server, until_positions};
use crate::support::users::Users;

/// The provenance lines of a document.
fn provenance(server: &TestServer, id: &DocumentId) -> Vec<Value> {
    let path = server.folder.path().join(format!("documents/{id}.authors.jsonl"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn changes_are_attributed_to_the_peer_and_bind_no_actors() {
    let other = server(|_| {}).await;
    let users = Users::new();
    let ours = TestServer::start_in(Arc::new(TempDir::new().unwrap()), |options| {
        users.known()(options);
        options.peers = vec![dial(&other)];
    })
    .await;
    connected(&ours, &other).await;
    until_positions(&other, &ours.document, &[]).await;

    // A user edits at the other server, and then here, under the same actor.
    let mut ceo = PlainPeer::connect(&other, &ours.document).await;
    ceo.add("elsewhere", "Engineer", "IT", 1);
    ceo.until_acknowledged().await;
    until_positions(&ours, &ours.document, &["elsewhere"]).await;
    let token = users.token("ceo", "editor", "*");
    let socket = ours.connect(&format!("/sync/{}?token={token}", ours.document)).await;
    let mut ceo = PlainPeer { socket, state: Default::default(), ..ceo };
    ceo.add("here", "Engineer", "IT", 1);
    ceo.until_acknowledged().await;

    let lines = provenance(&ours, &ours.document);
    let [.., relayed, direct] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(relayed["user"], format!("peer:{}", other.address));
    assert_eq!((&relayed["surface"], relayed.get("actors")), (&Value::from("peer"), None));
    assert_eq!((&direct["user"], &direct["surface"]), (&Value::from("ceo"), &Value::from("plain")));
    assert_eq!(direct["actors"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn deleted_document_does_not_come_back() {
    let other = server(|_| {}).await;
    let ours = dialler(&[&other]).await;
    let (deleted, kept) = (create(&ours).await, create(&ours).await);
    for plan in [&deleted, &kept] {
        until_positions(&other, plan, &[]).await;
    }
    assert_eq!(ours.http("DELETE", &format!("/api/documents/{deleted}"), &[]).await.0, 204);
    // The other server keeps its copy and continues.
    add(&other, &deleted, "late").await;
    add(&other, &kept, "marker").await;
    until_positions(&ours, &kept, &["marker"]).await;
    assert_eq!(positions(&ours, &deleted).await, None);
    let folder = Arc::clone(&ours.folder);
    assert!(ours.stop().await);
    let ours = TestServer::start_in(folder, |options| options.peers = vec![dial(&other)]).await;
    connected(&ours, &other).await;
    add(&other, &deleted, "later").await;
    add(&other, &kept, "second marker").await;
    until_positions(&ours, &kept, &["marker", "second marker"]).await;
    assert_eq!(positions(&ours, &deleted).await, None);
}

/// Options that dial a server for these documents.
fn dial_for(server: &TestServer, ids: &[&DocumentId]) -> PeerOptions {
    let names: BTreeSet<_> = ids.iter().map(|id| DocumentName::Id((*id).clone())).collect();
    PeerOptions { documents: Documents::Named(names), ..dial(server) }
}

#[tokio::test]
async fn only_chosen_documents_are_exchanged() {
    let other = server(|_| {}).await;
    let (ours_only, theirs_only) = (super::support::repo_peer::new_id(), create(&other).await);
    let wanted = create(&other).await;
    let ours = server(|options| options.peers = vec![dial_for(&other, &[&wanted])]).await;
    // A chosen document that exists only there is fetched without a request.
    until_positions(&ours, &wanted, &[]).await;
    add(&ours, &wanted, "ours").await;
    until_positions(&other, &wanted, &["ours"]).await;
    let private = create(&ours).await;
    add(&other, &wanted, "theirs").await;
    until_positions(&ours, &wanted, &["ours", "theirs"]).await;
    for (server, id) in [(&other, &private), (&other, &ours.document), (&ours, &theirs_only), (&ours, &ours_only)] {
        assert_eq!(positions(server, id).await, None);
    }
    assert_eq!(ours.metric(&metric("documents", &other)), 1.0);
}

#[tokio::test]
async fn peer_creates_nothing_if_creation_is_disabled() {
    let other = server(|_| {}).await;
    let plan = create(&other).await;
    let names = [DocumentName::Default, DocumentName::Id(plan.clone())];
    let peer = PeerOptions { documents: Documents::Named(names.into()), ..dial(&other) };
    let ours = server(|options| {
        options.peers = vec![peer];
        options.who_may_create = None;
    })
    .await;
    // Both documents were named, and the existing one is kept in step.
    ours.until_metric(&metric("documents", &other), |documents| documents == 2.0).await;
    until_positions(&other, &ours.document, &[]).await;
    add(&other, &ours.document, "theirs").await;
    until_positions(&ours, &ours.document, &["theirs"]).await;
    assert_eq!(positions(&ours, &plan).await, None);
}

#[tokio::test]
async fn peer_with_a_read_only_token_receives_nothing_and_sends() {
    let users = Users::new();
    let other = users.server().await;
    let file = users.path().join("peer-token");
    std::fs::write(&file, users.token("branch", "viewer", "*")).unwrap();
    let plan = other.document.clone();
    let peer = PeerOptions { token_file: Some(file), ..dial_for(&other, &[&plan]) };
    let ours = server(|options| options.peers = vec![peer]).await;
    until_positions(&ours, &plan, &[]).await;
    add(&ours, &plan, "refused").await;
    add(&other, &plan, "theirs").await;
    until_positions(&ours, &plan, &["refused", "theirs"]).await;
    until_positions(&other, &plan, &["theirs"]).await;
}
