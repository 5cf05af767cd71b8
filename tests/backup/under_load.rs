//! A backup while clients write, and what they bring back after a restore.

use std::fs;

use automerge::AutoCommit;
use serde_json::json;

use super::place::{back_up, files, succeeds, text};
use super::support::process::{Running, folder, run, serve};
use super::support::promises::Promises;
use super::support::{PlainPeer, post_to, socket_to};
use super::writers::Writers;

/// Adds rows until each is acknowledged.
async fn add_rows(address: std::net::SocketAddr, name: &str) -> Promises {
    let mut promises = Promises::default();
    for number in 0..5 {
        let id = format!("{name}-{number}");
        let row = json!({ "id": id, "designation": id, "department": "HR", "budget": 1, "location": "Pune" });
        assert_eq!(post_to(address, "/api/documents/default/positions", &row).await.0, 201);
        promises.rows.insert(id);
    }
    promises
}

/// Connects a peer with this copy of the default document, and syncs it with the server.
async fn sync(address: std::net::SocketAddr, doc: AutoCommit) -> PlainPeer {
    let mut peer = PlainPeer::over(socket_to(address, "/sync/default").await);
    peer.doc = doc;
    peer.until_acknowledged().await;
    peer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_disk_comes_back_from_backup_and_clients() {
    let place = folder();
    let (state, backups) = (place.path().join("disk/state.automerge"), place.path().join("backup"));
    fs::create_dir(place.path().join("disk")).unwrap();
    let documents = place.path().join("disk/documents");
    let (server, address) = Running::server(serve(&state, &[]));
    let writers = Writers::start(address, 0).await;
    let mut promises = Promises::default();
    for round in 0..3 {
        promises.add(add_rows(address, &format!("round-{round}")).await);
        let (state, documents, backups) = (state.clone(), documents.clone(), backups.clone());
        let made = move || back_up(&state, &documents, text(&backups), &["--keep-last", "2"]);
        succeeds(&tokio::task::spawn_blocking(made).await.unwrap());
    }
    let later = add_rows(address, "later").await;
    server.signal("KILL");
    drop(server);
    writers.stop().await;
    let copy = AutoCommit::load(&fs::read(&state).unwrap()).unwrap();
    fs::remove_dir_all(place.path().join("disk")).unwrap();

    succeeds(&run(&["restore", text(&backups), "--dry-run"]));
    let disk = place.path().join("disk");
    succeeds(&run(&["restore", text(&backups), "--to", &files(&disk)]));
    promises.are_kept_by(&state, 0);
    let restored = AutoCommit::load(&fs::read(&state).unwrap()).unwrap();

    // A client with the lost changes brings them back.
    let (server, address) = Running::server(serve(&state, &[]));
    let mut peer = sync(address, copy).await;
    server.stop();
    let mut after = AutoCommit::load(&fs::read(&state).unwrap()).unwrap();
    later.are_kept_in(after.document(), "after the restore");
    assert_eq!(after.get_heads(), peer.doc.get_heads());
    assert!(after.get_changes(&[]).len() > { restored }.get_changes(&[]).len());
}
