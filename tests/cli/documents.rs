//! `document`: listing, deleting and restoring while no server runs.

use std::fs;

use serde_json::json;

use super::support::post_to;
use super::support::process::{Ended, Running, folder, imported, names, run, serve};

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

    refused(document(&["list"]), "is in use by process");
    assert_eq!(server.stop().code, Some(0));
    let lines = listed();
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines.len() == 2 && lines[0].ends_with("default") && lines[1].starts_with(id), "{lines:?}");
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
