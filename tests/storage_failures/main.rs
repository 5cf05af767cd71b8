//! When the disk fails, the server refuses the change, shows nothing of it, and resumes service by itself.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

mod every_call;
mod slow_disk;
mod start;
#[path = "../support/mod.rs"]
mod support;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use automerge::ROOT;
use automerge::transaction::Transactable;
use happierwork::server::Options;
use serde_json::json;
use store::faults::{FaultyDisk, Op};
use support::{PATIENCE, PlainPeer, TestServer, add};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::support::repo_peer::{PeerDocument, RepoPeer};

const STATE: &str = "home/state.automerge";

async fn server(disk: &FaultyDisk) -> TestServer {
    server_with(disk, |_| {}).await
}

async fn server_with(disk: &FaultyDisk, adjust: impl FnOnce(&mut Options)) -> TestServer {
    // Only the storage id is written to the real disk.
    let folder = Arc::new(TempDir::new().expect("a folder"));
    TestServer::start_on(Arc::new(disk.clone()), folder, |options| {
        options.state = STATE.into();
        adjust(options);
    })
    .await
}

/// The server caches the result of a probe for one second.
async fn until_ready(server: &TestServer) {
    let ready = async {
        while server.app.hub.ready().await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, ready).await.expect("ready again");
}

fn disk() -> FaultyDisk {
    FaultyDisk::new(&["home"])
}

#[tokio::test]
async fn full_disk_rejects_additions_until_there_is_room() {
    let disk = disk();
    let server = server(&disk).await;
    let (mut sender, mut observer) = (server.legacy().await, server.legacy().await);
    disk.fail_always(Op::Write, ErrorKind::StorageFull);
    sender.send(add("lost")).await;
    let error = sender.json().await["error"].clone();
    assert_eq!(error, "Failed to add data: the server's disk is full; the change was not stored");
    assert_eq!(sender.json().await, json!({"status": "Data processed"}));
    assert!(server.positions().await.is_empty());
    assert!(server.app.hub.ready().await.is_err());

    disk.heal();
    until_ready(&server).await;
    sender.send(add("kept")).await;
    assert_eq!(sender.json().await, json!({"status": "Data processed"}));
    assert_eq!(observer.json().await["entry"]["designation"], "kept", "the observer's first frame");
    assert_eq!(server.positions().await.len(), 1);
}

#[tokio::test]
async fn sync_peer_resends_a_change_that_was_not_stored() {
    let disk = disk();
    let server = server(&disk).await;
    let mut peer = PlainPeer::connect(&server, &server.document).await;
    let mut other = PlainPeer::connect(&server, &server.document).await;
    let before = other.doc.get_heads();
    disk.fail_always(Op::Sync, ErrorKind::Other);
    peer.doc.put(ROOT, "name", "mine").unwrap();
    peer.push().await;
    let close = peer.socket.closed().await.expect("closed with a reason");
    assert_eq!(u16::from(close.code), 1013);
    assert_eq!(close.reason.as_str(), "the server cannot write at the moment; the change was not stored");

    disk.heal();
    let mut back = PlainPeer::connect_as(&server, &server.document, peer.doc).await;
    back.until_acknowledged().await;
    while other.doc.get_heads() == before {
        assert!(other.turn().await, "an unrelated peer stays connected");
    }
    assert_eq!(other.doc.get_heads(), back.doc.get_heads());
}

#[tokio::test]
async fn repo_peer_is_asked_for_its_change_after_recovery() {
    let disk = disk();
    let server = server(&disk).await;
    let mut peer = RepoPeer::join(&server, "laptop").await;
    let mut replica = PeerDocument::empty(&server.document);
    peer.until_agreed(&mut replica).await;
    disk.fail_always(Op::Sync, ErrorKind::Other);
    replica.doc.put(ROOT, "name", "mine").unwrap();
    peer.push(&mut replica).await;
    let why = peer.until_refused(&server.document).await;
    assert!(why.ends_with("the server cannot write at the moment; the change was not stored"), "{why}");

    disk.heal();
    // The socket is the same, and the server only answers.
    while replica.state.their_heads.as_ref() != Some(&replica.doc.get_heads()) {
        peer.turn(&mut replica).await;
    }
    let other = PlainPeer::connect(&server, &server.document).await;
    assert_eq!(other.doc.clone().get_heads(), replica.doc.get_heads());
}

#[tokio::test]
async fn failed_rollback_disables_the_document_until_repaired() {
    let disk = disk();
    let server = server(&disk).await;
    let mut client = server.legacy().await;
    client.send(add("kept")).await;
    assert_eq!(client.json().await, json!({"status": "Data processed"}));
    for op in [Op::Sync, Op::Truncate, Op::Create] {
        disk.fail_always(op, ErrorKind::Other);
    }
    client.send(add("lost")).await;
    let frames = [client.json().await, client.json().await, client.json().await, client.json().await];
    let error = frames.iter().find_map(|frame| frame["error"].as_str()).expect("an error frame");
    assert_eq!(error, "Failed to add data: the server cannot write at the moment; the change was not stored");
    assert!(server.app.hub.ready().await.is_err());
    assert_eq!(server.positions().await.len(), 1);

    disk.heal();
    // The document recovers as soon as a full copy can be written. Then it accepts changes again.
    loop {
        client.send(add("again")).await;
        let frame = loop {
            let frame = client.json().await;
            if frame.get("error").is_some() || frame.get("entry").is_some() {
                break frame;
            }
        };
        if frame.get("entry").is_some() {
            break;
        }
    }
    until_ready(&server).await;
    assert_eq!(server.positions().await.len(), 2);
    assert!(server.stop().await);

    let after_power_cut = disk.crash(|choices| choices);
    let server = self::server(&after_power_cut).await;
    assert_eq!(server.positions().await.len(), 2);
}
