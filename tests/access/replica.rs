//! The replica for Rust programs, on a server with authentication.

use std::time::Duration;

use client::{Endpoint, Replica, ReplicaOptions, Token};
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Budget, Edit, NewPosition};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::support::users::Users;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_of_a_replica_are_attributed_to_its_user() {
    let users = Users::new();
    let server = users.server().await;
    let home = TempDir::new().unwrap();
    let token = Token::new(&users.token("cfo", "editor", "default")).unwrap();
    let endpoint = Endpoint::new(server.url("/sync")).token(token);
    let options = ReplicaOptions::new(home.path().join("plan.automerge"), server.document.clone(), "somebody");
    let replica = Replica::open(options.online(endpoint)).await.unwrap();
    timeout(Duration::from_secs(20), replica.wait_until_synced()).await.expect("in time").unwrap();
    let position =
        NewPosition::new("ui", "UI").with(DEPARTMENT, "Product").with(BUDGET, Budget::Int(30)).with(LOCATION, "Pune");
    replica.edit(Edit::Add(position)).await.unwrap();
    timeout(Duration::from_secs(20), replica.wait_until_synced()).await.expect("in time").unwrap();
    let noted = server.folder.path().join(format!("documents/{}.authors.jsonl", server.document));
    let noted = std::fs::read_to_string(noted).unwrap();
    assert!(noted.contains(r#"{"user":"cfo","surface":"sync""#), "{noted}");
}
