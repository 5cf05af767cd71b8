//! Successors: a plan continues in a new document without its history.

use std::sync::Arc;

use automerge::transaction::Transactable;
use happierwork::server::Limits;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{PlainPeer, TestServer};

const DOCUMENT: &str = "/api/documents/default";
const SUCCESSOR: &str = "/api/documents/default/successor";

/// Adds some positions, with an unknown field, and a history.
async fn fill(server: &TestServer) {
    let mut peer = PlainPeer::connect(server, &server.document).await;
    for id in ["ui", "qa", "hr"] {
        peer.add(id, id, "Engineering", 5);
    }
    let row = peer.row("ui").unwrap();
    peer.doc.put(&row, "headcount", 3).unwrap();
    peer.until_acknowledged().await;
    for budget in 10..20 {
        server.send("PATCH", &format!("{DOCUMENT}/positions/ui"), &json!({ "budget": budget })).await.expect(200);
    }
    server.send("PATCH", DOCUMENT, &json!({ "departmentBudgets": { "Engineering": 40 } })).await.expect(200);
}

async fn positions(server: &TestServer, document: &str) -> Value {
    server.get(&format!("/api/documents/{document}/positions")).await.expect(200)
}

async fn changes(server: &TestServer, document: &str) -> usize {
    let history = server.get(&format!("/api/documents/{document}/history?limit=500")).await.expect(200);
    history["changes"].as_array().unwrap().len()
}

#[tokio::test]
async fn successor_has_the_content_and_is_named() {
    let server = TestServer::start().await;
    fill(&server).await;
    let made = server.call("POST", SUCCESSOR, &[], "").await;
    let body = made.expect(201);
    let id = body["document"]["id"].as_str().unwrap();
    assert_eq!(made.header("location"), format!("/api/documents/{id}"));
    assert_eq!(body["leftOut"], json!({ "scenarios": 0, "versions": 0, "values": 0 }));
    assert_eq!(positions(&server, id).await["positions"], positions(&server, "default").await["positions"]);
    let new = server.get(&format!("/api/documents/{id}")).await.expect(200);
    assert_eq!(new["departmentBudgets"], json!({ "Engineering": 40 }));
    assert_eq!((&new["predecessor"], &new["archived"]), (&json!(server.document.as_str()), &json!(false)));
    assert!(new.get("extra").is_none(), "{new}");
    assert!(changes(&server, id).await < 6 && changes(&server, "default").await > 10);

    let old = server.get(DOCUMENT).await;
    assert_eq!(old.header("link"), format!("<{id}>; rel=\"successor-version\""));
    let old = old.expect(200);
    assert_eq!((&old["successor"], &old["archived"]), (&json!(id), &json!(true)));
    assert_eq!(server.call("POST", SUCCESSOR, &[], "").await.expect(409)["type"], "has-successor");
}

#[tokio::test]
async fn sync_clients_get_the_successor() {
    let server = TestServer::start().await;
    fill(&server).await;
    let body = server.call("POST", SUCCESSOR, &[], "").await.expect(201);
    let id = body["document"]["id"].as_str().unwrap().parse().unwrap();
    let mut peer = PlainPeer::connect(&server, &id).await;
    peer.until_acknowledged().await;
    assert!(peer.row("ui").is_some());
    peer.add("new", "New", "Engineering", 7);
    peer.until_acknowledged().await;
    assert_eq!(positions(&server, id.as_str()).await["positions"].as_array().unwrap().len(), 4);
    assert_eq!(positions(&server, "default").await["positions"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn full_document_can_have_a_successor() {
    let limits = Limits { document_changes: 8, ..Limits::default() };
    let server = TestServer::start_in(Arc::new(TempDir::new().unwrap()), |options| options.limits = limits).await;
    let row = json!({ "designation": "UI", "department": "Product", "budget": 1, "location": "" });
    while server.send("POST", &format!("{DOCUMENT}/positions"), &row).await.status == 201 {}
    let body = server.call("POST", SUCCESSOR, &[], "").await.expect(201);
    let path = format!("/api/documents/{}/positions", body["document"]["id"].as_str().unwrap());
    server.send("POST", &path, &row).await.expect(201);
}

#[tokio::test]
async fn scenarios_have_no_successor() {
    let server = TestServer::start().await;
    let scenario =
        server.send("POST", &format!("{DOCUMENT}/scenarios"), &json!({ "name": "Freeze" })).await.expect(201);
    let path = format!("/api/documents/{}/successor", scenario["id"].as_str().unwrap());
    server.call("POST", &path, &[], "").await.problem(409);
    let body = server.call("POST", SUCCESSOR, &[], "").await.expect(201);
    assert_eq!(body["leftOut"]["scenarios"], 1);
}
