//! A slow disk blocks only the clients that depend on it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Author, Budget, Edit, NewPosition};
use runtime::hub::Requester;
use serde_json::{Value, json};
use store::faults::{FaultyDisk, Op, PausedCall};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::support::{PATIENCE, PlainPeer, TestServer, add};
use super::{disk, server, server_with};

async fn reached(paused: &mut PausedCall) {
    timeout(PATIENCE, paused.reached()).await.expect("it is synced");
}

fn row(id: &str) -> Edit {
    Edit::Add(NewPosition::new(id, id).with(DEPARTMENT, "HR").with(BUDGET, Budget::Int(7)).with(LOCATION, "Pune"))
}

fn syncs(disk: &FaultyDisk) -> usize {
    disk.calls().iter().filter(|call| **call == Op::Sync).count()
}

async fn names(server: &TestServer, document: &str) -> Vec<String> {
    let (status, _, rows) = server.http("GET", &format!("/api/documents/{document}/positions"), &[]).await;
    assert_eq!(status, 200, "{rows}");
    let rows: Value = serde_json::from_str(&rows).unwrap();
    rows["positions"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unsynced_change_is_invisible() {
    let disk = disk();
    let server = server(&disk).await;
    let (status, second) = server.post("/api/documents", &json!({ "name": "Growth 2028" })).await;
    assert_eq!(status, 201, "{second}");
    let second: String = second["id"].as_str().unwrap().to_owned();
    let mut viewer = server.legacy().await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    let mut elsewhere = PlainPeer::connect(&server, &second.parse().unwrap()).await;

    let mut paused = disk.pause(Op::Sync);
    peer.add("slow", "slow", "Finance", 7);
    peer.push().await;
    reached(&mut paused).await;
    // The other document accepts a change from one client, and shows it to another.
    let path = format!("/api/documents/{second}/positions");
    let position = json!({ "id": "quick", "designation": "UI", "department": "HR", "budget": 7, "location": "Pune" });
    let (status, answer) = timeout(PATIENCE, server.post(&path, &position)).await.expect("it does not block");
    assert_eq!(status, 201, "{answer}");
    elsewhere.until_row("quick").await;
    assert_eq!(names(&server, &second).await, ["quick"]);
    // Earlier content can be read without waiting.
    assert!(names(&server, "default").await.is_empty());
    assert!(viewer.json().now_or_never().is_none(), "shown before it was synced");
    while peer.turn().now_or_never().is_some() {}
    assert_ne!(peer.state.their_heads, Some(peer.doc.get_heads()), "acknowledged before it was synced");

    drop(paused);
    assert_eq!(viewer.json().await["entry"]["designation"], "slow");
    peer.until_acknowledged().await;
    assert_eq!(names(&server, "default").await, ["slow"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_document_files_are_created_one_at_a_time() {
    let disk = disk();
    let server = Arc::new(server(&disk).await);
    let before = disk.calls().len();
    let mut paused = disk.pause(Op::Create);
    let mut posts = JoinSet::new();
    for _ in 0..4 {
        let server = Arc::clone(&server);
        posts.spawn(async move { server.post("/api/documents", &json!({ "name": "Growth 2028" })).await.0 });
    }
    reached(&mut paused).await;
    // Edits of existing documents do not wait.
    let position = json!({ "id": "quick", "designation": "UI", "department": "HR", "budget": 7, "location": "Pune" });
    let edit = server.post("/api/documents/default/positions", &position);
    assert_eq!(timeout(PATIENCE, edit).await.expect("it does not block").0, 201);
    assert!(posts.try_join_next().is_none());
    drop(paused);
    assert_eq!(posts.join_all().await, [201; 4]);
    let made: Vec<Op> =
        disk.calls().split_off(before).into_iter().filter(|op| matches!(op, Op::Create | Op::Rename)).collect();
    assert_eq!(made, [Op::Create, Op::Rename].repeat(4), "each file is complete before the next begins");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_rejects_documents_queued_for_creation() {
    let disk = disk();
    let server = Arc::new(server(&disk).await);
    let before = disk.calls().len();
    let mut paused = disk.pause(Op::Create);
    let mut posts = JoinSet::new();
    for _ in 0..20 {
        let server = Arc::clone(&server);
        posts.spawn(async move { server.post("/api/documents", &json!({ "name": "Growth 2028" })).await.0 });
    }
    reached(&mut paused).await;
    server.app.hub.drain();
    for _ in 0..19 {
        let answered = timeout(PATIENCE, posts.join_next()).await.expect("it does not wait in the queue");
        assert_eq!(answered.expect("a post").expect("a status"), 503);
    }
    drop(paused);
    assert_eq!(posts.join_all().await, [201], "the one that was being created");
    let created = disk.calls().split_off(before).into_iter().filter(|op| matches!(op, Op::Create)).count();
    assert_eq!(created, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_during_a_sync_are_batched() {
    let disk = disk();
    let server = server(&disk).await;
    let author = || Author { name: "ceo".to_owned(), now: 1_750_000_000_000 };
    let before = syncs(&disk);
    let mut paused = disk.pause(Op::Sync);
    let caller = Requester::server();
    let edit = |id: &str| server.app.hub.edit(&caller, &server.document, row(id), author()).boxed();
    let mut first = edit("first");
    assert!((&mut first).now_or_never().is_none());
    reached(&mut paused).await;
    let ids: Vec<String> = (0..100).map(|number| format!("row {number}")).collect();
    let mut later: Vec<_> = ids.iter().map(|id| edit(id)).collect();
    for edit in &mut later {
        // From now on the edit is queued.
        assert!(edit.now_or_never().is_none());
    }

    drop(paused);
    first.await.expect("stored");
    for edited in futures_util::future::join_all(later).await {
        edited.expect("stored");
    }
    assert_eq!(syncs(&disk) - before, 2, "the first change, and all others in one batch");
    assert_eq!(server.positions().await.len(), 101);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hanging_disk_does_not_block_shutdown() {
    for is_connected in [false, true] {
        let disk = disk();
        let server = server_with(&disk, |options| options.grace = Duration::from_millis(200)).await;
        let mut client = server.legacy().await;
        let mut paused = disk.pause(Op::Sync);
        if is_connected {
            client.send(add("slow")).await;
        } else {
            let (hub, document) = (server.app.hub.clone(), server.document.clone());
            let author = Author { name: "ceo".to_owned(), now: 1_750_000_000_000 };
            tokio::spawn(async move { hub.edit(&Requester::server(), &document, row("slow"), author).await });
        }
        reached(&mut paused).await;
        let in_time = timeout(PATIENCE, server.stop()).await.expect("it stops");
        assert!(!in_time, "the pending change is not written");
        drop(paused);
    }
}

#[tokio::test]
async fn readiness_checks_probe_the_disk_one_at_a_time() {
    let disk = disk();
    let server = server(&disk).await;
    let tried = || disk.calls().iter().filter(|call| **call == Op::Create).count();
    let before = tried();
    let mut paused = disk.pause(Op::Sync);
    let mut first = Box::pin(server.app.hub.ready());
    assert!((&mut first).now_or_never().is_none());
    reached(&mut paused).await;
    drop(first);
    let mut others: Vec<_> = (0..100).map(|_| Box::pin(server.app.hub.ready())).collect();
    assert!(others.iter_mut().all(|other| other.now_or_never().is_none()));
    drop(paused);
    for other in others {
        assert_eq!(timeout(PATIENCE, other).await.expect("in time"), Ok(()));
    }
    let probed = tried() - before;
    assert_eq!(timeout(PATIENCE, server.http("GET", "/readyz", &[])).await.expect("in time").0, 200);
    assert!((1..=2).contains(&probed), "{probed} files were created by probes");
}
