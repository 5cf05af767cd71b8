//! The system limits the open files of a process. Clients must not exhaust them.

use std::fs;
use std::process::Command;

use serde_json::json;
use tokio::net::TcpStream;

use super::support::process::{Running, folder, serve};
use super::support::{http_over, post_to};

const LIMIT: usize = 256;
const DOCUMENTS: usize = 300;

/// The same command with this hard limit of open files.
fn limited(command: &Command, open_files: usize) -> Command {
    let mut limited = Command::new("sh");
    limited.arg("-c").arg(format!("ulimit -n {open_files}; exec \"$0\" \"$@\""));
    limited.arg(command.get_program()).args(command.get_args());
    for (name, _) in std::env::vars_os() {
        if name == "PORT" || name.to_string_lossy().starts_with("HAPPIERWORK_") {
            limited.env_remove(name);
        }
    }
    limited
}

fn open_files(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[tokio::test]
async fn documents_stay_writable_at_the_connection_limit() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    let (server, address) = Running::server(serve(&state, &[]));
    let mut documents = Vec::new();
    for _ in 0..DOCUMENTS {
        let (status, made) = post_to(address, "/api/documents", &json!({ "name": "Growth 2028" })).await;
        assert_eq!(status, 201, "{made}");
        documents.push(made["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(server.stop().code, Some(0));

    let (server, address) = Running::server(limited(&serve(&state, &["--handshake-timeout", "600"]), LIMIT));
    let mut honest = Vec::new();
    for _ in 0..20 {
        honest.push(TcpStream::connect(address).await.unwrap());
    }
    let mut lists = Vec::new();
    for _ in 0..8 {
        let stream = TcpStream::connect(address).await.unwrap();
        lists.push(tokio::spawn(http_over(stream, address, "GET", "/api/documents", &[], String::new())));
    }
    let mut idle = Vec::new();
    for _ in 0..LIMIT {
        idle.push(TcpStream::connect(address).await.unwrap());
    }
    let mut most = open_files(server.pid());
    for list in lists {
        let (status, _, listed) = list.await.unwrap();
        most = most.max(open_files(server.pid()));
        assert_eq!(status, 200, "{listed}");
        assert!(!listed.contains("\"error\""), "every document could be opened: {listed}");
    }
    let row = json!({ "designation": "UI", "department": "HR", "budget": 7, "location": "Pune" }).to_string();
    let written = std::iter::once("default").chain(documents.iter().step_by(16).map(String::as_str));
    for (document, stream) in written.zip(honest) {
        let path = format!("/api/documents/{document}/positions");
        let headers = [("content-type", "application/json")];
        let (status, _, answer) = http_over(stream, address, "POST", &path, &headers, row.clone()).await;
        assert_eq!(status, 201, "{document}: {answer}");
        most = most.max(open_files(server.pid()));
    }
    assert!(most < LIMIT, "{most} of {LIMIT} were in use");
    drop(idle);
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(!ended.err.contains("Too many open files"), "{}", ended.err);
}
