//! Only one process writes to a file. A second one is told which process uses it, and changes nothing.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::json;
use store::StateFile;

use super::support::process::{Ended, FIXTURES, Running, folder, imported, program, refused, run, serve};
use super::support::{http_to, post_to};

fn import(state: &Path) -> Ended {
    run(&["import", &format!("{FIXTURES}/positions.json"), "--state", state.to_str().unwrap()])
}

fn serve_with(state: &Path, documents: &Path) -> std::process::Command {
    let mut command = program(&["serve", "--listen", "127.0.0.1:0", "--state", state.to_str().unwrap()]);
    command.arg("--documents").arg(documents);
    command
}

/// The command was refused because this process uses this file.
fn names_holder(ended: &Ended, file: &Path, pid: u32) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for word in [file.to_str().unwrap(), &format!("in use by process {pid};")] {
        assert!(ended.err.contains(word), "{word:?} is not in {}", ended.err);
    }
}

/// Creates a document over the API.
async fn made(address: SocketAddr) -> String {
    let (status, made) = post_to(address, "/api/documents", &json!({ "name": "Growth 2028" })).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

/// The server accepts a row for this document.
async fn goes_on(address: SocketAddr, document: &str) {
    let row = json!({ "designation": "UI", "department": "HR", "budget": 7, "location": "Pune" });
    let (status, answer) = post_to(address, &format!("/api/documents/{document}/positions"), &row).await;
    assert_eq!(status, 201, "{answer}");
}

#[tokio::test]
async fn open_state_file_is_locked_for_servers_and_import() {
    let folder = folder();
    let state = imported(folder.path());
    let link = folder.path().join("link.automerge");
    symlink(&state, &link).unwrap();
    let (server, address) = Running::server(serve(&state, &[]));
    let (before, elsewhere) = (fs::read(&state).unwrap(), folder.path().join("other documents"));
    for file in [&state, &link] {
        names_holder(&refused(serve_with(file, &elsewhere)), file, server.pid());
        names_holder(&import(file), file, server.pid());
    }
    assert_eq!(fs::read(&state).unwrap(), before);
    assert!(!elsewhere.exists());
    goes_on(address, "default").await;
    assert_eq!(server.stop().code, Some(0));
    let (server, _) = Running::server(serve(&state, &[]));
    assert_eq!(server.stop().code, Some(0), "free again");
}

#[tokio::test]
async fn open_documents_folder_is_locked() {
    for is_there in [false, true] {
        let folder = folder();
        let [one, two] = ["one.automerge", "two.automerge"].map(|name| folder.path().join(name));
        let documents = folder.path().join("documents");
        if is_there {
            fs::create_dir(&documents).unwrap();
        }
        let (server, address) = Running::server(serve_with(&one, &documents));
        names_holder(&refused(serve_with(&two, &documents)), &documents, server.pid());
        assert!(!two.exists(), "a server that does not start creates no folder");
        goes_on(address, &made(address).await).await;
        assert_eq!(server.stop().code, Some(0));
        let (server, _) = Running::server(serve_with(&two, &documents));
        assert_eq!(server.stop().code, Some(0), "free again");
    }
}

/// A server with a second document: its id, and its file.
async fn with_a_second_document(folder: &Path) -> (Running, SocketAddr, String, PathBuf) {
    let documents = folder.join("documents");
    let (server, address) = Running::server(serve_with(&folder.join("one.automerge"), &documents));
    let id = made(address).await;
    let file = documents.join(format!("{id}.automerge"));
    (server, address, id, file)
}

#[tokio::test]
async fn open_document_is_locked_as_a_state_file() {
    let folder = folder();
    let (server, address, id, file) = with_a_second_document(folder.path()).await;
    let before = fs::read(&file).unwrap();
    names_holder(&refused(serve_with(&file, &folder.path().join("other documents"))), &file, server.pid());
    names_holder(&import(&file), &file, server.pid());
    assert_eq!(fs::read(&file).unwrap(), before);
    goes_on(address, &id).await;
    assert_eq!(server.stop().code, Some(0));
    assert_eq!(import(&file).code, Some(0), "free again");
}

#[tokio::test]
async fn foreign_state_file_in_the_folder_is_left_alone() {
    let folder = folder();
    let (server, _, id, file) = with_a_second_document(folder.path()).await;
    assert_eq!(server.stop().code, Some(0));
    let (holder, at_holder) = Running::server(serve_with(&file, &folder.path().join("other documents")));
    let documents = file.parent().unwrap();
    let (server, address) = Running::server(serve_with(&folder.path().join("one.automerge"), documents));
    let path = format!("/api/documents/{id}");
    let (status, _, answer) = http_to(address, "GET", &path, &[], String::new()).await;
    assert_eq!(status, 503, "{answer}");
    let row = json!({ "designation": "UI", "department": "HR", "budget": 7, "location": "Pune" });
    assert_eq!(post_to(address, &format!("{path}/positions"), &row).await.0, 503);
    goes_on(address, &made(address).await).await;
    goes_on(at_holder, "default").await;
    assert_eq!(holder.stop().code, Some(0));
    let ended = server.stop();
    assert_eq!(ended.code, Some(0));
    assert!(ended.err.contains(file.to_str().unwrap()) && ended.err.contains("in use by process"), "{}", ended.err);
}

#[test]
fn file_locked_by_another_program_is_read_only() {
    let folder = folder();
    let state = imported(folder.path());
    let ours = StateFile::open(&state).unwrap();
    names_holder(&refused(serve(&state, &[])), &state, std::process::id());
    names_holder(&import(&state), &state, std::process::id());
    for command in [vec!["check"], vec!["export", "--state"]] {
        let ended = run(&[&command[..], &[state.to_str().unwrap()]].concat());
        assert_eq!(ended.code, Some(0), "{}", ended.err);
    }
    drop(ours);
    let (server, _) = Running::server(serve(&state, &[]));
    assert_eq!(server.stop().code, Some(0), "free again");
}
