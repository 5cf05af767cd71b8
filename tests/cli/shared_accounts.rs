//! `user` and `token` with accounts in a database, while servers use it.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::keys_and_tokens::{Auth, refused};
use super::migrate::{Files, fails, migrate, succeeds};
use super::support::http::{http_to, post_to};
use super::support::process::{Ended, Running, folder, program, run_with};

const PASSWORD: &str = "correct horse";

/// Keys in a folder, accounts in a database.
struct Cluster {
    auth: Auth,
    database: String,
}

impl Cluster {
    fn new() -> Self {
        let auth = Auth::new();
        let database = format!("sqlite:{}", auth.path.with_file_name("plan.db").display());
        Self { auth, database }
    }

    fn given(&self, arguments: &[&str], input: &str) -> Ended {
        let flags = ["--auth", self.auth.path.to_str().unwrap(), "--database", &self.database];
        run_with(&[arguments, &flags].concat(), input)
    }

    fn does(&self, arguments: &[&str]) -> Ended {
        let ended = self.given(arguments, &format!("{PASSWORD}\n"));
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        ended
    }

    fn server(&self) -> Command {
        let flags = ["--auth", self.auth.path.to_str().unwrap(), "--database", &self.database];
        program(&[&["--listen", "127.0.0.1:0"], &flags[..]].concat())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_in_a_database_serve_all_servers() {
    let cluster = Cluster::new();
    cluster.does(&["user", "add", "cfo", "--role", "editor"]);
    assert!(!cluster.auth.path.join("users.json").exists());
    let listed = cluster.does(&["user", "list"]).out;
    assert!(listed.contains("cfo   editor  enabled   *"), "{listed}");

    let (one, one_address) = Running::server(cluster.server());
    let (two, two_address) = Running::server(cluster.server());
    let login = json!({ "email": "cfo", "password": PASSWORD });
    let (status, answer) = post_to(one_address, "/accounts/api/login/", &login).await;
    assert_eq!(status, 200, "{answer}");
    let session = answer["token"].as_str().unwrap().to_owned();
    let status_at = async |address, token: &str| {
        let bearer = format!("Bearer {token}");
        http_to(address, "GET", "/api/documents", &[("authorization", &bearer)], String::new()).await.0
    };
    assert_eq!(status_at(two_address, &session).await, 200);

    // A command acts at all running servers.
    let token = cluster.does(&["token", "--user", "cfo", "--role", "viewer"]).out;
    assert_eq!(status_at(two_address, token.trim()).await, 200);
    cluster.does(&["user", "disable", "cfo"]);
    for address in [one_address, two_address] {
        while status_at(address, &session).await != 401 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    let (status, answer) = post_to(two_address, "/accounts/api/login/", &login).await;
    assert_eq!(status, 401, "{answer}");
    let disabled = cluster.given(&["token", "--user", "cfo", "--role", "viewer"], "");
    assert!(refused(&disabled).contains("is disabled"), "{}", disabled.err);

    // A logout at one server applies to the other.
    cluster.does(&["user", "enable", "cfo"]);
    let session = loop {
        let (status, answer) = post_to(one_address, "/accounts/api/login/", &login).await;
        if status == 200 {
            break answer["token"].as_str().unwrap().to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let bearer = format!("Bearer {session}");
    let headers = [("authorization", &*bearer)];
    let (status, ..) = http_to(one_address, "POST", "/accounts/api/logout/", &headers, String::new()).await;
    assert_eq!(status, 200);
    while status_at(two_address, &session).await != 401 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    one.stop();
    two.stop();
}

#[test]
fn accounts_of_a_folder_are_copied_to_a_database() {
    let cluster = Cluster::new();
    let auth = cluster.auth.path.to_str().unwrap().to_owned();
    let added = run_with(&["user", "add", "ceo", "--role", "owner", "--auth", &auth], &format!("{PASSWORD}\n"));
    assert_eq!(added.code, Some(0), "{}", added.err);
    let mut server = cluster.server();
    let refusal = server.output().unwrap();
    assert_eq!(refusal.status.code(), Some(1));
    let reason = String::from_utf8(refusal.stderr).unwrap();
    assert!(reason.contains("happierwork user copy --auth"), "{reason}");

    let copied = cluster.does(&["user", "copy"]);
    assert!(copied.err.contains("ceo is copied"), "{}", copied.err);
    assert!(copied.err.contains("1 of 1 accounts"), "{}", copied.err);
    let again = cluster.does(&["user", "copy"]);
    assert!(again.err.contains("ceo was there already"), "{}", again.err);
    assert!(cluster.does(&["user", "list"]).out.contains("ceo   owner"));
    let (server, address) = Running::server(cluster.server());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let login = json!({ "email": "ceo", "password": PASSWORD });
    let (status, answer): (u16, Value) = runtime.block_on(post_to(address, "/accounts/api/login/", &login));
    assert_eq!(status, 200, "{answer}");
    server.stop();
}

#[test]
fn migrate_moves_accounts_with_the_documents() {
    let home = folder();
    let files = Files::filled(home.path(), 1);
    let path = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let (auth, back) = (path("auth"), path("back"));
    let [one, two] = ["one.db", "two.db"].map(|name| format!("sqlite:{}", path(name)));
    let input = format!("{PASSWORD}\n");
    let added = run_with(&["user", "add", "ceo", "--role", "owner", "--auth", &auth], &input);
    assert_eq!(added.code, Some(0), "{}", added.err);

    let moved = "1 account: 1 moved, 0 already there";
    let would = migrate(&files.name(), &one, &["--accounts", &auth, "--dry-run"]);
    assert!(succeeds(&would).contains("1 account: 1 would be moved, 0 already there"));
    assert!(succeeds(&migrate(&files.name(), &one, &["--accounts", &auth])).contains(moved));
    let again = migrate(&files.name(), &one, &["--accounts", &auth, "--dry-run"]);
    assert!(succeeds(&again).contains("1 account: 0 would be moved, 1 already there"));
    assert!(succeeds(&migrate(&one, &two, &[])).contains(moved));
    fails(&migrate(&two, &Files::in_folder(&home.path().join("copy")).name(), &[]), "--accounts DIR");
    let files_again = Files::in_folder(&home.path().join("copy")).name();
    let would = migrate(&two, &files_again, &["--accounts", &back, "--dry-run"]);
    assert!(succeeds(&would).contains("1 account: 1 would be moved, 0 already there"));
    assert!(succeeds(&migrate(&two, &files_again, &["--accounts", &back])).contains(moved));
    let users = |folder: &str| fs::read(home.path().join(folder).join("users.json")).unwrap();
    assert_eq!(users("auth"), users("back"));

    let changed = run_with(&["user", "set", "ceo", "--role", "viewer", "--database", &one], "");
    assert_eq!(changed.code, Some(0), "{}", changed.err);
    fails(&migrate(&one, &two, &[]), "the account ceo differs in the target");
    fails(&migrate(&one, &two, &["--accounts", &auth]), "--accounts is for files");
    fails(&migrate(&files.name(), &files_again, &["--accounts", &auth]), "Accounts of files stay");
}

#[test]
fn accounts_without_a_place_are_a_usage_error() {
    let ended = run_with(&["user", "list"], "");
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("--auth"), "{}", ended.err);
}
