//! `document`: listing, deleting and restoring while no server runs.

use std::fs;

use serde_json::json;

use super::support::process::{Ended, Running, folder, imported, names, run, serve};
use super::support::{http_to, post_to};

#[tokio::test]
async fn documents_are_deleted_and_restored_offline() {
    let folder = folder();
    let state = imported(folder.path());
    let documents = folder.path().join("documents");
    let (server, address) = Running::server(serve(&state, &[]));
    let (status, made) = post_to(address, "/api/documents", &json!({ "name": "x" })).await;
    assert_eq!(status, 201);
    let id = made["id"].as_str().unwrap();
    let files = ["--state", state.to_str().unwrap(), "--documents", documents.to_str().unwrap()];
    let document = |arguments: &[&str]| run(&[&["document"], arguments, &files].concat());
    let listed = || document(&["list"]).out;
    let refused = |ended: Ended, reason: &str| {
        assert!(ended.code == Some(1) && ended.err.contains(reason), "{ended:?}");
    };

    refused(document(&["delete", id]), "is in use by process");
    let while_running = listed();
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(listed(), while_running);
    let lines: Vec<&str> = while_running.lines().collect();
    assert!(lines.len() == 2 && lines[0].ends_with("  Imported plan  (default)"), "{lines:?}");
    assert!(lines[1].starts_with(id) && lines[1].ends_with("  x"), "{lines:?}");
    let default = lines[0].split(' ').next().unwrap().to_owned();
    refused(document(&["delete", &default]), "default document");
    refused(document(&["delete", "4NMNnkMhL8jXrdJ9jamS58PAVdXu"]), "there is no document");
    refused(document(&["restore", id]), "is not deleted");

    assert_eq!(document(&["delete", id]).code, Some(0));
    assert!(listed().contains("deleted 20"), "{}", listed());
    let (server, address) = Running::server(serve(&state, &[]));
    assert_eq!(post_to(address, &format!("/api/documents/{id}/positions"), &json!({})).await.0, 422);
    let row = json!({ "designation": "x", "department": "x", "budget": 1, "location": "x" });
    assert_eq!(post_to(address, &format!("/api/documents/{id}/positions"), &row).await.0, 404);
    assert_eq!(server.stop().code, Some(0));

    assert_eq!(document(&["restore", id]).code, Some(0));
    let (server, address) = Running::server(serve(&state, &[]));
    assert_eq!(post_to(address, &format!("/api/documents/{id}/positions"), &row).await.0, 201);
    assert_eq!(server.stop().code, Some(0));

    // If the deletion cannot be recorded, the content is kept: otherwise any client could bring the document back.
    let record = documents.join(format!("{id}.access.json"));
    fs::remove_file(&record).unwrap();
    fs::create_dir_all(record.join("in the way")).unwrap();
    assert_eq!(document(&["delete", id, "--now"]).code, Some(1));
    assert!(names(&documents).contains(&format!("{id}.automerge")));
    fs::remove_dir_all(&record).unwrap();

    assert_eq!(document(&["delete", id, "--now"]).code, Some(0));
    assert!(!names(&documents).contains(&format!("{id}.automerge")));
    refused(document(&["restore", id]), "gone from the disk");
    assert!(listed().contains("its content is gone"), "{}", listed());
    fs::metadata(documents.join(format!("{id}.access.json"))).unwrap();
}

#[test]
fn missing_store_is_no_empty_list() {
    let folder = folder();
    let state = folder.path().join("mistyped.automerge");
    let documents = folder.path().join("mistyped");
    let ended =
        run(&["document", "list", "--state", state.to_str().unwrap(), "--documents", documents.to_str().unwrap()]);
    assert!(ended.code == Some(1) && ended.err.contains("check --state and --documents"), "{ended:?}");
    assert!(names(folder.path()).is_empty());
}

#[tokio::test]
async fn successor_becomes_the_default_document() {
    let folder = folder();
    let state = imported(folder.path());
    let documents = folder.path().join("documents");
    let files = ["--state", state.to_str().unwrap(), "--documents", documents.to_str().unwrap()];
    let document = |arguments: &[&str]| run(&[&["document"], arguments, &files].concat());
    let (server, address) = Running::server(serve(&state, &[]));
    let (status, made) = post_to(address, "/api/documents/default/successor", &json!({})).await;
    assert_eq!(status, 201, "{made}");
    let new = made["document"]["id"].as_str().unwrap();
    let old = made["document"]["predecessor"].as_str().unwrap();
    let ended = document(&["default", new]);
    assert!(ended.code == Some(1) && ended.err.contains("is in use by process"), "{ended:?}");
    assert_eq!(server.stop().code, Some(0));

    let ended = document(&["default", "4NMNnkMhL8jXrdJ9jamS58PAVdXu"]);
    assert!(ended.code == Some(1) && ended.err.contains("there is no document"), "{ended:?}");
    let ended = document(&["default", new]);
    assert_eq!((ended.code, ended.out.trim()), (Some(0), format!("{new} is the default document").as_str()));
    let listed = document(&["list"]).out;
    assert!(listed.lines().any(|line| line.starts_with(new) && line.ends_with("(default)")), "{listed}");
    assert!(listed.lines().any(|line| line.starts_with(old) && !line.ends_with("(default)")), "{listed}");
    let (server, address) = Running::server(serve(&state, &[]));
    for (id, count) in [("default", 60), (new, 60), (old, 60)] {
        let (_, _, rows) =
            http_to(address, "GET", &format!("/api/documents/{id}/export.json"), &[], String::new()).await;
        assert_eq!(rows.matches("\"designation\"").count(), count, "{id}");
    }
    let (_, _, default) = http_to(address, "GET", "/api/documents/default", &[], String::new()).await;
    assert!(default.contains(&format!("\"predecessor\":\"{old}\"")), "{default}");
    assert_eq!(server.stop().code, Some(0));
}
