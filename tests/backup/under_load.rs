//! A backup while clients write, and what they bring back after a restore.

use std::fs;

use automerge::AutoCommit;
use serde_json::json;

use super::place::{back_up, files, succeeds, text};
use super::support::process::{Running, folder, program, run, serve};
use super::support::promises::Promises;
use super::support::{PlainPeer, http_to, post_to, socket_to};
use super::writers::Writers;

/// Adds rows to the default document. Each is acknowledged.
async fn add_rows(address: std::net::SocketAddr, name: &str) -> Promises {
    add_rows_to(address, "default", name).await
}

async fn add_rows_to(address: std::net::SocketAddr, document: &str, name: &str) -> Promises {
    let mut promises = Promises::default();
    for number in 0..5 {
        let id = format!("{name}-{number}");
        let row = json!({ "id": id, "designation": id, "department": "HR", "budget": 1, "location": "Pune" });
        assert_eq!(post_to(address, &format!("/api/documents/{document}/positions"), &row).await.0, 201);
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_server_is_restored_elsewhere_from_its_own_backups() {
    let (place, elsewhere) = (folder(), folder());
    let (state, backups) = (place.path().join("state.automerge"), place.path().join("backup"));
    let flags = ["--backup", text(&backups), "--backup-every", "1s", "--backup-keep-last", "2"];
    let (server, address) = Running::server(serve(&state, &flags));
    let writers = Writers::start(address, 0).await;
    let (_, other) = post_to(address, "/api/documents", &json!({ "name": "Another" })).await;
    let other = other["id"].as_str().unwrap().to_owned();
    let of_default = add_rows(address, "default").await;
    let of_other = add_rows_to(address, &other, "other").await;
    server.logged();
    // The first may have begun before these rows were acknowledged.
    for _ in 0..2 {
        server.until_logged("made a backup");
    }
    server.signal("KILL");
    drop(server);
    writers.stop().await;

    let database = format!("sqlite:{}", elsewhere.path().join("plan.db").display());
    for target in [files(elsewhere.path()), database.clone()] {
        succeeds(&run(&["restore", text(&backups), "--to", &target]));
    }
    of_default.are_kept_by(&elsewhere.path().join("state.automerge"), 0);
    let on_files = serve(&elsewhere.path().join("state.automerge"), &[]);
    let on_database = program(&["serve", "--listen", "127.0.0.1:0", "--database", &database]);
    for command in [on_files, on_database] {
        let (server, address) = Running::server(command);
        for (document, promised) in [("default", &of_default), (other.as_str(), &of_other)] {
            let path = format!("/api/documents/{document}/positions");
            let (status, _, list) = http_to(address, "GET", &path, &[], String::new()).await;
            assert_eq!(status, 200);
            for row in &promised.rows {
                assert!(list.contains(&format!("\"id\":\"{row}\"")), "{row} is not in {document}");
            }
        }
        server.stop();
    }
}
