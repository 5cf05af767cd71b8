//! Commands on a database, beside servers that use it.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::support::process::{Ended, FIXTURES, Running, folder, program, run};
use super::support::{PATIENCE, http_to, post_to};

fn url(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("plan.db").display())
}

/// Runs a command on the database in this folder.
fn on_database(folder: &Path, arguments: &[&str]) -> Ended {
    run(&[arguments, &["--database", &url(folder)]].concat())
}

fn succeeds(ended: Ended) -> String {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.out
}

fn fails(ended: &Ended, reason: &str) {
    assert!(ended.code == Some(1) && ended.err.contains(reason), "{reason:?} is not in {ended:?}");
}

fn import(folder: &Path, more: &[&str]) -> Ended {
    on_database(folder, &[&["import", &format!("{FIXTURES}/positions.json")], more].concat())
}

fn server(folder: &Path) -> (Running, SocketAddr) {
    Running::server(program(&["serve", "--listen", "127.0.0.1:0", "--database", &url(folder)]))
}

fn positions(folder: &Path, more: &[&str]) -> Vec<Value> {
    serde_json::from_str(&succeeds(on_database(folder, &[&["export"], more].concat()))).unwrap()
}

/// Waits until `is_met` holds for the status and body of a request to this path.
pub async fn answers(address: SocketAddr, path: &str, is_met: impl Fn(u16, &str) -> bool) {
    let mut last = String::new();
    let wait = async {
        loop {
            let (status, _, answer) = http_to(address, "GET", path, &[], String::new()).await;
            if is_met(status, &answer) {
                return;
            }
            last = format!("{status} {answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "{path} stays {last}");
}

/// Waits until a server shows this many positions.
pub async fn shows(address: SocketAddr, id: &str, count: usize) {
    let path = format!("/api/documents/{id}/export.json");
    answers(address, &path, |status, answer| status == 200 && answer.matches("\"designation\"").count() == count).await;
}

#[test]
fn import_creates_the_default_document_of_a_database() {
    let folder = folder();
    let out = succeeds(import(folder.path(), &["--name", "Plan 2027"]));
    assert!(out.contains("60 positions imported") && out.contains("now holds 60"), "{out}");
    let url = out.lines().last().unwrap().to_owned();
    assert_eq!(positions(folder.path(), &[]).len(), 60);
    let (server, _) = server(folder.path());
    assert!(server.printed.iter().any(|line| line.contains("(60 positions)")), "{:?}", server.printed);
    assert!(server.printed.iter().any(|line| line.ends_with(&url)), "{:?}", server.printed);
    assert_eq!(server.stop().code, Some(0));
    // The rows exist already.
    fails(&import(folder.path(), &[]), "Nothing was imported");
}

#[tokio::test]
async fn running_server_shows_an_import_into_its_database() {
    let folder = folder();
    let (server, address) = server(folder.path());
    shows(address, "default", 0).await;
    succeeds(import(folder.path(), &[]));
    shows(address, "default", 60).await;
    let row = json!({ "designation": "x", "department": "x", "budget": 1, "location": "x" });
    assert_eq!(post_to(address, "/api/documents/default/positions", &row).await.0, 201);
    assert_eq!(positions(folder.path(), &[]).len(), 61);
    assert_eq!(server.stop().code, Some(0));
}

#[tokio::test]
async fn documents_are_deleted_and_restored_beside_a_server() {
    let folder = folder();
    let (server, address) = server(folder.path());
    let (status, made) = post_to(address, "/api/documents", &json!({ "name": "x" })).await;
    assert_eq!(status, 201);
    let id = made["id"].as_str().unwrap();
    succeeds(import(folder.path(), &["--document", id]));
    shows(address, id, 60).await;
    assert_eq!(positions(folder.path(), &["--document", id]).len(), 60);
    assert_eq!(positions(folder.path(), &[]).len(), 0);

    let document = |arguments: &[&str]| on_database(folder.path(), &[&["document"], arguments].concat());
    let listed = succeeds(document(&["list"]));
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines.len() == 2 && lines[0].ends_with("  (default)") && lines[1].starts_with(id), "{lines:?}");
    let default = lines[0].split(' ').next().unwrap();
    fails(&document(&["delete", default]), "default document");
    fails(&document(&["delete", "4NMNnkMhL8jXrdJ9jamS58PAVdXu"]), "there is no document");
    fails(&document(&["restore", id]), "is not deleted");

    succeeds(document(&["delete", id]));
    assert!(succeeds(document(&["list"])).contains("deleted 20"));
    let path = format!("/api/documents/{id}");
    answers(address, &path, |status, _| status == 404).await;
    fails(&import(folder.path(), &["--document", id]), "Nothing was imported");
    succeeds(document(&["restore", id]));
    shows(address, id, 60).await;

    succeeds(document(&["delete", id, "--now"]));
    fails(&document(&["restore", id]), "gone from the database");
    assert!(succeeds(document(&["list"])).contains("its content is gone"));
    fails(&on_database(folder.path(), &["export", "--document", id]), "there is no document");
    let checked = succeeds(on_database(folder.path(), &["check"]));
    assert!(checked.contains(&format!("{id}: removed")) && checked.contains("2 documents, all whole"), "{checked}");
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn check_names_the_damaged_row() {
    let folder = folder();
    succeeds(import(folder.path(), &[]));
    let out = succeeds(on_database(folder.path(), &["check"]));
    assert!(out.contains("whole") && out.contains("1 change,") && out.contains("1 document, all whole"), "{out}");
    let database = rusqlite::Connection::open(folder.path().join("plan.db")).unwrap();
    database.execute("UPDATE batch SET chunks = zeroblob(100) WHERE seq = 1", []).unwrap();
    let ended = on_database(folder.path(), &["check"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(
        ended.out.contains("row 1 of its batches does not match") && ended.out.contains("1 of 1 document damaged"),
        "{ended:?}"
    );
    fails(&on_database(folder.path(), &["export"]), "check");
}

#[test]
fn commands_create_no_database_except_import() {
    let folder = folder();
    for command in [&["export"][..], &["check"], &["document", "list"]] {
        fails(&on_database(folder.path(), command), "holds no documents");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let unreachable = "postgres://me:hunter2@127.0.0.1:1/plan";
    let ended = run(&["export", "--database", unreachable]);
    fails(&ended, "cannot be reached");
    assert!(!ended.err.contains("hunter2"), "{ended:?}");
}

#[test]
fn flags_win_over_the_database_variable() {
    let folder = folder();
    succeeds(import(folder.path(), &[]));
    let in_file = folder.path().join("other.automerge");
    let state = in_file.to_str().unwrap();
    let with_variable = |name: &str, arguments: &[&str]| -> Ended {
        program(arguments).env(name, url(folder.path())).output().unwrap().into()
    };
    let source = folder.path().join("data.json");
    fs::copy(format!("{FIXTURES}/positions-odd.json"), &source).unwrap();
    let source = source.to_str().unwrap();
    for variable in ["HAPPIERWORK_DATABASE", "DATABASE_URL"] {
        let in_database = succeeds(with_variable(variable, &["export"]));
        assert_eq!(serde_json::from_str::<Vec<Value>>(&in_database).unwrap().len(), 60, "{variable}");
        let _ = fs::remove_file(&in_file);
        succeeds(with_variable(variable, &["import", source, "--skip-odd", "--state", state]));
        let exported = succeeds(with_variable(variable, &["export", "--state", state]));
        assert_eq!(serde_json::from_str::<Vec<Value>>(&exported).unwrap().len(), 3, "{variable}");
        assert!(succeeds(with_variable(variable, &["check", state])).contains("other.automerge: whole"));
    }
    let ended = run(&["export", "--database", &url(folder.path()), "--state", state]);
    assert!(ended.code == Some(2) && ended.err.contains("--state"), "{ended:?}");
}

#[tokio::test]
async fn default_document_of_a_database_can_be_changed() {
    let folder = folder();
    let (server, address) = server(folder.path());
    let (_, made) = post_to(address, "/api/documents", &json!({ "name": "Growth" })).await;
    let id = made["id"].as_str().unwrap();
    let changed = succeeds(on_database(folder.path(), &["document", "default", id]));
    assert_eq!(changed.trim(), format!("{id} is the default document"));
    assert_eq!(server.stop().code, Some(0));
    let (server, address) = self::server(folder.path());
    answers(address, "/api/documents/default", |status, answer| status == 200 && answer.contains("Growth")).await;
    assert_eq!(server.stop().code, Some(0));
}

#[tokio::test]
async fn server_is_ready_again_when_a_document_is_in_order_again() {
    let folder = folder();
    let (server, address) = server(folder.path());
    let (_, made) = post_to(address, "/api/documents", &json!({ "name": "Growth" })).await;
    let id = made["id"].as_str().unwrap();
    let database = rusqlite::Connection::open(folder.path().join("plan.db")).unwrap();
    let read = "SELECT chunks FROM batch WHERE document = ?1 AND kind = 0";
    let whole: Vec<u8> = database.query_row(read, [id], |row| row.get(0)).unwrap();
    let set = |chunks: &[u8]| {
        let changed = "UPDATE batch SET chunks = ?1 WHERE document = ?2 AND kind = 0";
        assert_eq!(database.execute(changed, (chunks, id)).unwrap(), 1);
    };
    set(&[0; 100]);
    answers(address, &format!("/api/documents/{id}/export.automerge"), |status, _| status == 503).await;
    answers(address, "/readyz", |status, answer| status == 503 && answer.contains(id)).await;
    set(&whole);
    // Nobody asks for the document.
    answers(address, "/readyz", |status, _| status == 200).await;
    assert_eq!(server.stop().code, Some(0));
}
