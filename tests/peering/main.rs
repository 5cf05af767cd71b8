//! Servers that dial other servers, and keep documents in step with them.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod access;
mod cluster;
mod directions;
mod loops;
mod misbehaviour;
mod page;
mod requests;
#[path = "../support/mod.rs"]
mod support;
mod tokens;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use happierwork::server::{Options, PeerOptions};
use plan::{Author, Edit, NewPosition, read_view};
use primitives::DocumentId;
use runtime::hub::Requester;
use serde_json::json;
use support::{PATIENCE, TestServer};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// A server with these options.
async fn server(adjust: impl FnOnce(&mut Options)) -> TestServer {
    TestServer::start_in(Arc::new(TempDir::new().unwrap()), adjust).await
}

/// Options that dial a server.
fn dial(server: &TestServer) -> PeerOptions {
    PeerOptions::new(format!("ws://{}/sync", server.address))
}

/// A server that dials these servers.
async fn dialler(of: &[&TestServer]) -> TestServer {
    server(|options| options.peers = of.iter().map(|server| dial(server)).collect()).await
}

/// The line of a metric about the peering with a server.
fn metric(name: &str, peer: &TestServer) -> String {
    format!("happierwork_peering_{name}{{peer=\"{}\"}}", peer.address)
}

/// Waits until a server is connected to another one that it dials.
async fn connected(server: &TestServer, peer: &TestServer) {
    server.until_metric(&metric("connected", peer), |value| value == 1.0).await;
}

/// Creates a plan through the API of a server.
async fn create(server: &TestServer) -> DocumentId {
    let (status, made) = server.post("/api/documents", &json!({ "name": "Growth" })).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().parse().unwrap()
}

/// Adds a position to a plan at a server.
async fn add(server: &TestServer, id: &DocumentId, position: &str) {
    let author = Author { name: "editor".to_owned(), now: 1_750_000_000_000 };
    let edit = Edit::Add(NewPosition::new(position, "Engineer"));
    server.app.hub.edit(&Requester::server(), id, edit, author).await.expect("stored");
}

/// The positions of a plan; `None` if the server does not have it. Does not ask other servers for it.
async fn positions(server: &TestServer, id: &DocumentId) -> Option<BTreeSet<String>> {
    let hub = &server.app.hub;
    if !hub.list(&Requester::server()).await.unwrap().contains(id) {
        return None;
    }
    let view = hub.view(&Requester::server(), id).await.unwrap()?;
    let view = read_view(&view);
    Some(view.rows().map(|row| row.position.id.to_string()).collect())
}

/// Waits until a plan at a server has exactly these positions.
async fn until_positions(server: &TestServer, id: &DocumentId, wanted: &[&str]) {
    let wanted: BTreeSet<String> = wanted.iter().map(|position| (*position).to_owned()).collect();
    let arrived = async {
        while positions(server, id).await.as_ref() != Some(&wanted) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = timeout(PATIENCE, arrived).await;
    assert!(in_time.is_ok(), "{:?}, not {wanted:?}", positions(server, id).await);
}
