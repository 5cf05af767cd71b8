//! Files that are deleted, moved, replaced or opened a second time while the server has them open.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::support::process::{FIXTURES, Running, folder, imported, names, refused, run, serve};
use super::support::{http_to, post_to};

const POSITIONS: &str = "/api/documents/default/positions";

async fn add(address: SocketAddr, path: &str) -> (u16, Value) {
    let row = json!({ "designation": "UI", "department": "HR", "budget": 7, "location": "Pune" });
    post_to(address, path, &row).await
}

async fn ready(address: SocketAddr) -> (u16, String) {
    let (status, _, answer) = http_to(address, "GET", "/readyz", &[], String::new()).await;
    (status, answer)
}

/// Waits for the result of a new probe. A result is cached for one second.
async fn until_ready(address: SocketAddr, wanted: u16) -> String {
    let probed = async {
        loop {
            let (status, answer) = ready(address).await;
            if status == wanted {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(super::support::PATIENCE, probed).await.expect("a new answer in time")
}

/// A change is refused with an error that says it could not be stored.
async fn is_refused(address: SocketAddr, path: &str) {
    let (status, answer) = add(address, path).await;
    assert_eq!((status, answer["type"].as_str()), (503, Some("storage")), "{answer}");
    let detail = answer["detail"].as_str().unwrap();
    assert!(detail.contains("was moved or replaced") && detail.contains("not stored"), "{detail}");
}

/// A server with a second document: the folder of both documents, and the path of the second one's positions.
struct Plan {
    _outer: tempfile::TempDir,
    home: PathBuf,
    server: Running,
    address: SocketAddr,
    second: String,
    second_file: PathBuf,
}

impl Plan {
    async fn started() -> Self {
        let outer = folder();
        let home = outer.path().join("home");
        fs::create_dir(&home).unwrap();
        let state = imported(&home);
        let (server, address) = Running::server(serve(&state, &[]));
        let (status, made) = post_to(address, "/api/documents", &json!({ "name": "Growth 2028" })).await;
        assert_eq!(status, 201, "{made}");
        let id = made["id"].as_str().unwrap();
        let second = format!("/api/documents/{id}/positions");
        let second_file = home.join(format!("documents/{id}.automerge"));
        for path in [POSITIONS, &second] {
            assert_eq!(add(address, path).await.0, 201);
        }
        assert_eq!(ready(address).await, (200, "ok\n".to_owned()));
        Self { _outer: outer, home, server, address, second, second_file }
    }

    fn state(&self) -> PathBuf {
        self.home.join("state.automerge")
    }
}

#[tokio::test]
async fn service_resumes_when_a_moved_state_file_returns() {
    let plan = Plan::started().await;
    let (state, aside, address) = (plan.state(), plan.home.join("aside"), plan.address);
    for probe_first in [false, true] {
        fs::rename(&state, &aside).unwrap();
        if probe_first {
            let said = until_ready(address, 503).await;
            assert!(!said.contains('/'), "no paths: {said}");
        }
        is_refused(address, POSITIONS).await;
        until_ready(address, 503).await;
        assert!(!state.exists(), "the file is not created again");
        // The content can be exported, and other documents are unaffected.
        let (status, _, _) = http_to(address, "GET", "/api/documents/default/export.json", &[], String::new()).await;
        assert_eq!(status, 200);
        assert_eq!(add(address, &plan.second).await.0, 201);
        fs::rename(&aside, &state).unwrap();
        until_ready(address, 200).await;
        assert_eq!(add(address, POSITIONS).await.0, 201);
    }
    let ended = plan.server.stop();
    assert_eq!(ended.code, Some(0));
    for words in ["was deleted or moved away", "Move it back", "export.automerge", "it takes changes"] {
        assert!(ended.err.contains(words), "{words:?} is not in {}", ended.err);
    }
    let (server, address) = Running::server(serve(&state, &[]));
    let (_, _, rows) = http_to(address, "GET", POSITIONS, &[], String::new()).await;
    assert_eq!(rows.matches("\"UI\"").count(), 3, "the acknowledged rows, and no others");
    drop(server);
}

#[tokio::test]
async fn replaced_state_file_is_detected_and_not_overwritten() {
    let plan = Plan::started().await;
    let (state, address) = (plan.state(), plan.address);
    let backup = plan.home.join("backup");
    for content in [&b"something else"[..], &fs::read(&state).unwrap()] {
        let before = plan.home.join("before");
        fs::rename(&state, &before).unwrap();
        fs::write(&backup, content).unwrap();
        fs::rename(&backup, &state).unwrap();
        is_refused(address, POSITIONS).await;
        until_ready(address, 503).await;
        assert_eq!(fs::read(&state).unwrap(), content);
        fs::rename(&before, &state).unwrap();
        until_ready(address, 200).await;
        assert_eq!(add(address, POSITIONS).await.0, 201);
    }
    let before = fs::read(&state).unwrap();
    // Copying over the file keeps its inode, and changes its content.
    fs::write(&state, &before[..before.len() / 2]).unwrap();
    is_refused(address, POSITIONS).await;
    assert_eq!(fs::read(&state).unwrap(), &before[..before.len() / 2]);
    let ended = plan.server.stop();
    for words in ["something else was put in its place", "was changed by another program", "happierwork check"] {
        assert!(ended.err.contains(words), "{words:?} is not in {}", ended.err);
    }
}

#[tokio::test]
async fn moved_folder_is_detected_for_all_its_documents() {
    for made_anew in [false, true] {
        let plan = Plan::started().await;
        let aside = plan.home.with_file_name("aside");
        fs::rename(&plan.home, &aside).unwrap();
        if made_anew {
            fs::create_dir_all(plan.home.join("documents")).unwrap();
        }
        for path in [POSITIONS, &plan.second] {
            is_refused(plan.address, path).await;
        }
        let (status, answer) = post_to(plan.address, "/api/documents", &json!({ "name": "Growth 2029" })).await;
        assert_eq!(status, 503, "{answer}");
        let (status, _, answer) = http_to(plan.address, "GET", "/api/documents", &[], String::new()).await;
        assert_eq!(status, 503, "a missing folder is not an empty one: {answer}");
        until_ready(plan.address, 503).await;
        if made_anew {
            assert!(names(&plan.home.join("documents")).is_empty(), "no file is created in the new folder");
            fs::remove_dir_all(&plan.home).unwrap();
        }
        fs::rename(&aside, &plan.home).unwrap();
        until_ready(plan.address, 200).await;
        for path in [POSITIONS, &plan.second] {
            assert_eq!(add(plan.address, path).await.0, 201);
        }
        assert_eq!(plan.server.stop().code, Some(0));
    }
}

#[tokio::test]
async fn deleted_document_file_is_detected() {
    let plan = Plan::started().await;
    fs::remove_file(&plan.second_file).unwrap();
    is_refused(plan.address, &plan.second).await;
    until_ready(plan.address, 503).await;
    assert!(!plan.second_file.exists());
    assert_eq!(add(plan.address, POSITIONS).await.0, 201, "other documents are unaffected");
    assert_eq!(plan.server.stop().code, Some(0));
}

#[tokio::test]
async fn changed_link_to_the_state_file_is_detected() {
    let folder = folder();
    let real = imported(folder.path());
    let other = folder.path().join("other.automerge");
    fs::copy(&real, &other).unwrap();
    let link = folder.path().join("link.automerge");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let (server, address) = Running::server(serve(&link, &[]));
    assert_eq!(add(address, POSITIONS).await.0, 201);
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    is_refused(address, POSITIONS).await;
    until_ready(address, 503).await;
    assert_eq!(server.stop().code, Some(0));
}

/// The file was refused because it is in use under another name.
fn names_other_name(err: &str, file: &Path) {
    for word in [file.to_str().unwrap(), "in use under another name", "hard link"] {
        assert!(err.contains(word), "{word:?} is not in {err}");
    }
}

#[tokio::test]
async fn hard_link_to_an_open_file_is_rejected() {
    let plan = Plan::started().await;
    let elsewhere = folder();
    let data = format!("{FIXTURES}/positions.json");
    for file in [plan.state(), plan.second_file.clone()] {
        let link = elsewhere.path().join("link.automerge");
        fs::hard_link(&file, &link).unwrap();
        assert_eq!(add(plan.address, if file == plan.state() { POSITIONS } else { &plan.second }).await.0, 201);
        let before = fs::read(&file).unwrap();
        names_other_name(&refused(serve(&link, &[])).err, &link);
        let ended = run(&["import", &data, "--state", link.to_str().unwrap()]);
        assert_eq!(ended.code, Some(1));
        names_other_name(&ended.err, &link);
        assert_eq!(fs::read(&file).unwrap(), before);
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(plan.server.stop().code, Some(0));
}

#[tokio::test]
async fn hard_link_to_the_state_file_is_not_a_document() {
    let plan = Plan::started().await;
    fs::remove_file(&plan.second_file).unwrap();
    assert_eq!(plan.server.stop().code, Some(0));
    let state = plan.home.join("state.automerge");
    fs::hard_link(&state, &plan.second_file).unwrap();
    let (server, address) = Running::server(serve(&state, &[]));
    assert_eq!(add(address, &plan.second).await.0, 503);
    assert_eq!(add(address, POSITIONS).await.0, 201);
    let ended = server.stop();
    names_other_name(&ended.err, &plan.second_file);
}

#[test]
fn symlinked_lock_file_is_not_followed() {
    let folder = folder();
    let state = imported(folder.path());
    let (lock, precious) = (folder.path().join("state.automerge.lock"), folder.path().join("precious"));
    fs::write(&precious, "salaries").unwrap();
    for linked in [fs::hard_link::<&Path, &Path>, |from: &Path, to: &Path| std::os::unix::fs::symlink(from, to)] {
        fs::remove_file(&lock).unwrap();
        linked(&precious, &lock).unwrap();
        let ended = refused(serve(&state, &[]));
        assert!(ended.err.contains(lock.to_str().unwrap()) && ended.err.contains("move it away"), "{}", ended.err);
        assert_eq!(fs::read(&precious).unwrap(), b"salaries");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn new_files_are_private_by_default() {
    for (flags, file, of_folder) in [(&[][..], 0o600, 0o700), (&["--file-mode", "640"], 0o640, 0o750)] {
        let outer = folder();
        // Both folders are created, too.
        let home = outer.path().join("plans/2027");
        let (server, address) = Running::server(serve(&home.join("state.automerge"), flags));
        let (status, made) = post_to(address, "/api/documents", &json!({ "name": "Growth 2028" })).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(server.stop().code, Some(0));
        for path in [&home, &home.join("documents"), &outer.path().join("plans")] {
            assert_eq!(mode(path), of_folder, "{}", path.display());
        }
        let all = [home.clone(), home.join("documents")].map(|folder| {
            let inside = names(&folder).into_iter().map(|name| folder.join(name));
            inside.filter(|path| path.is_file()).collect::<Vec<_>>()
        });
        let all = all.concat();
        assert!(all.len() >= 5, "{all:?}");
        for path in all {
            assert_eq!(mode(&path), file, "{}", path.display());
        }
    }
    let folder = folder();
    let state = imported(folder.path());
    assert_eq!(mode(&state), 0o600);
    let out = folder.path().join("out.csv");
    let ended = run(&["export", "--format", "csv", "--state", state.to_str().unwrap(), "-o", out.to_str().unwrap()]);
    assert_eq!((ended.code, mode(&out)), (Some(0), 0o600), "{}", ended.err);
    let ended = refused_flag(&["serve", "--file-mode", "777"]);
    assert!(ended.contains("--file-mode"), "{ended}");
}

fn refused_flag(arguments: &[&str]) -> String {
    let ended = run(arguments);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    ended.err
}
