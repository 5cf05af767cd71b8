//! Replicas against a server in the same process: nothing is lost when either stops at any time.

use std::sync::Arc;
use std::time::Duration;

use client::{EditFailed, Replica, ReplicaError, Status, new_document_id};
use plan::fields::{BUDGET, DESIGNATION, LOCATION};
use plan::{Edit, PlanPatch, PositionPatch, RowEvent, read_view};
use primitives::DocumentId;
use serde_json::{Value as Json, json};

use crate::support::TestServer;
use crate::support::replica::{add, options, rows, set_budget, synced, until};

fn plan(name: &str) -> PlanPatch {
    PlanPatch { name: Some(name.to_owned()), ..PlanPatch::default() }
}

fn budget(replica: &Replica, id: &str) -> (Option<Json>, Option<Vec<Json>>) {
    let view = read_view(replica.view());
    let position = &view.get(id).expect("the row exists").position;
    (position.fields[BUDGET].clone(), position.conflicts.get("budget").cloned())
}

/// The file that a restart after `kill -9` would find: a copy, taken while it is in use.
fn copy_of_file(home: &std::path::Path, author: &str) -> std::path::PathBuf {
    let copy = home.join(format!("{author}-copy.automerge"));
    std::fs::copy(home.join(format!("{author}.automerge")), &copy).unwrap();
    copy
}

#[tokio::test]
async fn replica_fetches_the_document_and_receives_changes() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    server.edit(add("a", 10)).await;
    let replica =
        Replica::open(options(home.path(), &server.document, "ceo").online(server.url("/sync"))).await.unwrap();
    synced(&replica).await;
    assert_eq!(rows(&replica), 1);
    assert_eq!(read_view(replica.view()).plan().name.as_deref(), Some("New plan"));

    let mut changes = replica.changes();
    server.edit(add("b", 20)).await;
    let change = changes.recv().await.unwrap();
    assert!(matches!(&change.rows[..], [RowEvent::Added(row)] if &*row.position.id == "b"), "{change:?}");
    replica.close().await.unwrap();
    assert!(matches!(replica.status(), Status::Offline { last_error: None, .. }));
    assert!(matches!(replica.edit(add("c", 1)).await, Err(EditFailed::Closed(_))));
}

#[tokio::test]
async fn offline_edits_survive_a_restart_and_sync_later() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    let replica =
        Replica::open(options(home.path(), &server.document, "ceo").online(server.url("/sync"))).await.unwrap();
    synced(&replica).await;
    replica.disconnect().await.unwrap();
    assert!(matches!(replica.status(), Status::Offline { last_error: None, retry_at: None, .. }));
    for id in ["a", "b", "c"] {
        assert!(replica.edit(add(id, 5)).await.unwrap().changed);
    }
    // Acknowledged means on disk, even if the replica is not closed.
    let copy = automerge::Automerge::load(&std::fs::read(copy_of_file(home.path(), "ceo")).unwrap()).unwrap();
    assert_eq!(copy.get_heads(), replica.heads());
    replica.close().await.unwrap();
    assert_eq!(server.content(&server.document).await.1, 0);

    let replica = Replica::open(options(home.path(), &server.document, "ceo")).await.unwrap();
    assert_eq!(rows(&replica), 3);
    replica.connect(&server.url("/sync")).await.unwrap();
    synced(&replica).await;
    assert_eq!(server.content(&server.document).await, (replica.heads(), 3));
}

#[tokio::test]
async fn two_replicas_with_many_offline_edits_converge() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    let mut replicas = Vec::new();
    for author in ["ceo", "cfo"] {
        let options = options(home.path(), &server.document, author).online(server.url("/sync"));
        let replica = Replica::open(options).await.unwrap();
        synced(&replica).await;
        replica.disconnect().await.unwrap();
        for number in 0..200 {
            replica.edit(add(&format!("{author} {number}"), number)).await.unwrap();
        }
        replicas.push(replica);
    }
    for replica in &replicas {
        replica.connect(&server.url("/sync")).await.unwrap();
    }
    for replica in &replicas {
        until(replica, |replica| rows(replica) == 400).await;
        synced(replica).await;
    }
    assert_eq!(replicas[0].heads(), replicas[1].heads());
    assert_eq!(server.content(&server.document).await, (replicas[0].heads(), 400));
}

#[tokio::test]
async fn replica_reconnects_after_a_server_restart() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    let document = server.document.clone();
    let replica = Replica::open(options(home.path(), &document, "ceo").online(server.url("/sync"))).await.unwrap();
    synced(&replica).await;
    let address = server.address;
    assert!(server.stop().await);
    let offline = replica.wait_for(|status| matches!(status, Status::Offline { .. })).await.unwrap();
    assert!(matches!(offline, Status::Offline { last_error: Some(_), retry_at: Some(_), .. }), "{offline:?}");
    replica.edit(add("a", 1)).await.unwrap();

    let server = TestServer::start_killable_at(&home, address).await;
    synced(&replica).await;
    assert_eq!(server.content(&document).await, (replica.heads(), 1));
}

#[tokio::test]
async fn server_killed_in_a_burst_loses_nothing() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    let document = server.document.clone();
    let (ceo, cfo) = (options(home.path(), &document, "ceo"), options(home.path(), &document, "cfo"));
    let ceo = Replica::open(ceo.online(server.url("/sync"))).await.unwrap();
    let cfo = Replica::open(cfo.online(server.url("/sync"))).await.unwrap();
    synced(&ceo).await;
    synced(&cfo).await;
    let burst = |replica: Replica, name: &'static str| {
        tokio::spawn(async move {
            for number in 0..300 {
                replica.edit(add(&format!("{name} {number}"), number)).await.unwrap();
            }
        })
    };
    let bursts = [burst(ceo.clone(), "ceo"), burst(cfo.clone(), "cfo")];
    // In the middle of the sync: some changes of the other have arrived.
    until(&ceo, |ceo| read_view(ceo.view()).get("cfo 20").is_some()).await;
    let address = server.address;
    server.kill().await;
    for burst in bursts {
        burst.await.unwrap();
    }
    let server = TestServer::start_killable_at(&home, address).await;
    for replica in [&ceo, &cfo] {
        until(replica, |replica| rows(replica) == 600).await;
        synced(replica).await;
    }
    assert_eq!(server.content(&document).await, (ceo.heads(), 600));
    assert_eq!(ceo.heads(), cfo.heads());
}

#[tokio::test]
async fn conflict_is_equal_on_both_until_settled() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    server.edit(add("ui", 30)).await;
    let ceo = Replica::open(options(home.path(), &server.document, "ceo").online(server.url("/sync"))).await.unwrap();
    let cfo = Replica::open(options(home.path(), &server.document, "cfo").online(server.url("/sync"))).await.unwrap();
    for (replica, value) in [(&ceo, 40), (&cfo, 35)] {
        synced(replica).await;
        replica.disconnect().await.unwrap();
        replica.edit(set_budget("ui", value)).await.unwrap();
    }
    let patch = PositionPatch::set(DESIGNATION, "Designer");
    ceo.edit(Edit::Patch { id: "ui".to_owned(), patch }).await.unwrap();
    let patch = PositionPatch::set(LOCATION, "Pune");
    cfo.edit(Edit::Patch { id: "ui".to_owned(), patch }).await.unwrap();
    for replica in [&ceo, &cfo] {
        replica.connect(&server.url("/sync")).await.unwrap();
    }
    for replica in [&ceo, &cfo] {
        until(replica, |replica| budget(replica, "ui").1.is_some()).await;
        synced(replica).await;
    }
    let (winner, losers) = budget(&ceo, "ui");
    assert_eq!(budget(&cfo, "ui"), (winner.clone(), losers.clone()));
    let mut both = vec![winner.unwrap(), losers.unwrap().remove(0)];
    both.sort_by_key(Json::as_i64);
    assert_eq!(both, [json!(35), json!(40)]);
    {
        let view = read_view(ceo.view());
        let position = &view.get("ui").unwrap().position;
        assert_eq!((position.text(DESIGNATION), position.text(LOCATION)), (Some("Designer"), Some("Pune")));
    }

    cfo.edit(set_budget("ui", 37)).await.unwrap();
    until(&ceo, |ceo| budget(ceo, "ui") == (Some(json!(37)), None)).await;
}

#[tokio::test]
async fn synced_means_stored_on_the_server() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    let replica =
        Replica::open(options(home.path(), &server.document, "ceo").online(server.url("/sync"))).await.unwrap();
    for number in 0..50 {
        replica.edit(add(&number.to_string(), number)).await.unwrap();
        synced(&replica).await;
        let stored = std::fs::read(home.path().join("state.automerge")).unwrap();
        let stored = automerge::Automerge::load(&stored).unwrap();
        for head in replica.heads() {
            assert!(stored.get_change_meta_by_hash(&head).is_some(), "edit {number}");
        }
    }
}

#[tokio::test]
async fn plan_created_offline_reaches_the_server() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    let id = new_document_id();
    let ceo = Replica::create(options(home.path(), &id, "ceo"), plan("Secret"), Vec::new()).await.unwrap();
    ceo.edit(add("a", 1)).await.unwrap();
    ceo.connect(&server.url("/sync")).await.unwrap();
    synced(&ceo).await;
    assert_eq!(server.content(&id).await, (ceo.heads(), 1));

    ceo.close().await.unwrap();
    let again = Replica::create(options(home.path(), &id, "ceo"), plan("Other"), Vec::new()).await;
    assert!(matches!(again, Err(ReplicaError::Exists(_))), "{again:?}");
    let other = Replica::open(options(home.path(), &new_document_id(), "ceo")).await;
    assert!(matches!(other, Err(ReplicaError::OtherDocument { found, .. }) if found == id));
}

/// Requests a missing document.
async fn waiting(home: &std::path::Path, server: &TestServer, id: &DocumentId, author: &str) -> Replica {
    let replica = Replica::open(options(home, id, author).online(server.url("/sync"))).await.unwrap();
    replica.wait_for(|status| *status == Status::Unavailable).await.unwrap();
    replica
}

#[tokio::test]
async fn missing_document_is_awaited() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    let id = new_document_id();
    let ceo = waiting(home.path(), &server, &id, "ceo").await;
    let cfo = waiting(home.path(), &server, &id, "cfo").await;
    // A replica whose document is missing may create it.
    ceo.edit(Edit::Create { id: id.clone(), plan: plan("New"), positions: Vec::new() }).await.unwrap();
    synced(&ceo).await;
    until(&cfo, |cfo| !cfo.heads().is_empty()).await;
    synced(&cfo).await;
    assert_eq!(ceo.heads(), cfo.heads());
}

#[tokio::test]
async fn edits_before_the_first_fetch_are_merged() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    server.edit(add("theirs", 1)).await;
    let replica = Replica::open(options(home.path(), &server.document, "ceo")).await.unwrap();
    replica.edit(add("ours", 2)).await.unwrap();
    replica.connect(&server.url("/sync")).await.unwrap();
    synced(&replica).await;
    assert_eq!(rows(&replica), 2);
    assert_eq!(server.content(&server.document).await, (replica.heads(), 2));
    replica.edit(set_budget("theirs", 3)).await.unwrap();
    replica.edit(set_budget("ours", 4)).await.unwrap();
    synced(&replica).await;
    assert_eq!((budget(&replica, "theirs").0, budget(&replica, "ours").0), (Some(json!(3)), Some(json!(4))));
}

#[tokio::test]
async fn file_is_locked_by_one_replica() {
    let home = tempfile::tempdir().unwrap();
    let id = new_document_id();
    let replica = Replica::open(options(home.path(), &id, "ceo")).await.unwrap();
    assert!(matches!(Replica::open(options(home.path(), &id, "ceo")).await, Err(ReplicaError::Open(_))));
    assert!(matches!(replica.edit(set_budget("nobody", 1)).await, Err(EditFailed::Refused(_))));
    replica.close().await.unwrap();
    let replica = Replica::open(options(home.path(), &id, "ceo")).await.unwrap();
    assert_eq!(rows(&replica), 0);
    assert!(replica.connect("http://localhost/").await.is_err());
}

#[tokio::test]
async fn rapid_reconnects_lose_nothing() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let server = TestServer::start_killable(&home).await;
    let replica =
        Replica::open(options(home.path(), &server.document, "ceo").online(server.url("/sync"))).await.unwrap();
    for number in 0..40 {
        replica.edit(add(&number.to_string(), number)).await.unwrap();
        replica.disconnect().await.unwrap();
        assert!(!replica.status().is_online());
        replica.connect(&server.url("/sync")).await.unwrap();
        if number % 3 == 0 {
            replica.wait_for(Status::is_online).await.unwrap();
        }
    }
    tokio::time::timeout(Duration::from_secs(20), synced(&replica)).await.unwrap();
    assert_eq!(server.content(&server.document).await, (replica.heads(), 40));
}

#[tokio::test]
async fn example_runs_to_its_end() {
    let mut told = Vec::new();
    crate::ceo_and_cfo::play(&mut told).await.unwrap();
    let told = String::from_utf8(told).unwrap();
    assert!(told.ends_with("Both agree, and nothing was lost.\n"), "{told}");
    assert!(told.contains("the budget of \"ui\" is"), "{told}");
    // Both edits of the one row, and both new rows.
    for row in ["Head of Design   Product  Pune         40 lakh", "Sales Lead", "Accountant"] {
        assert!(told.contains(row), "{told}");
    }
}
