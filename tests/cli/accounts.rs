//! `user`: accounts and their passwords.

use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Command, Stdio};

use auth::{Grant, LoginRefused, Refused, Role};
use runtime::clock::now;

use super::keys_and_tokens::{Auth, refused};
use super::support::process::{Ended, program, run_with};

const PASSWORD: &str = "correct horse";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Auth {
    /// Runs a command with this standard input.
    fn given(&self, arguments: &[&str], input: &str) -> Ended {
        run_with(&[arguments, &["--auth", self.path.to_str().unwrap()]].concat(), input)
    }

    fn add(&self, name: &str, role: &str) {
        let ended = self.given(&["user", "add", name, "--role", role], &format!("{PASSWORD}\n"));
        assert_eq!((ended.code, &*ended.out), (Some(0), ""), "{}", ended.err);
    }

    async fn login(&self, name: &str, password: &str) -> Result<(String, Grant), LoginRefused> {
        let session = self.authority().login(name, password, HERE, now()).await?;
        Ok((session.token, session.grant))
    }
}

#[tokio::test]
async fn account_password_is_read_from_standard_input() {
    let auth = Auth::new();
    let add = ["user", "add", "CFO@Example.com", "--role", "owner", "--documents", "default"];
    let ended = auth.given(&add, &format!("{PASSWORD}\r\nnot this"));
    assert_eq!((ended.code, &*ended.out), (Some(0), ""), "{}", ended.err);
    assert!(ended.err.contains("cfo@example.com can log in: owner, documents default"), "{}", ended.err);
    assert!(ended.err.contains("created the first key"), "{}", ended.err);
    let (_, grant) = auth.login("cfo@example.com", PASSWORD).await.unwrap();
    assert_eq!((grant.role, grant.documents.to_string()), (Role::Owner, "default".to_owned()));
    assert_eq!(auth.login("cfo@example.com", "not this").await.err(), Some(LoginRefused::Wrong));
    let again = auth.given(&add, PASSWORD);
    assert!(refused(&again).contains("the account cfo@example.com exists already"), "{}", again.err);
}

#[test]
fn invalid_passwords_create_no_account() {
    let auth = Auth::new();
    for (input, word) in [
        ("1234567\n", "at least 8 characters"),
        ("\n", "at least 8 characters"),
        (&*"x".repeat(1_025), "at most 1024 bytes"),
        (&*"x".repeat(1 << 20), "at most 1024 bytes"),
        ("", "standard input"),
    ] {
        let ended = auth.given(&["user", "add", "cfo", "--role", "owner"], input);
        assert!(refused(&ended).contains(word), "{}", ended.err);
    }
    for name in ["", " ", "a\nb"] {
        let ended = auth.given(&["user", "add", name, "--role", "owner"], PASSWORD);
        assert!(refused(&ended).contains("1 to 200 characters"), "{}", ended.err);
    }
    assert!(!auth.path.join("users.json").exists() && !auth.path.join("keys.json").exists());
}

#[tokio::test]
async fn new_password_ends_old_sessions() {
    let auth = Auth::new();
    auth.add("cfo", "owner");
    let (session, _) = auth.login("cfo", PASSWORD).await.unwrap();
    let token = auth.prints(&["token", "--user", "cfo", "--role", "viewer"]);
    let ended = auth.given(&["user", "passwd", "cfo"], "another horse\n");
    assert_eq!((ended.code, &*ended.out), (Some(0), ""), "{}", ended.err);
    assert!(ended.err.contains("logged out"), "{}", ended.err);
    for old in [&session, &token] {
        assert_eq!(auth.verify(old), Err(Refused::Disabled));
    }
    assert_eq!(auth.login("cfo", PASSWORD).await.err(), Some(LoginRefused::Wrong));
    let (session, _) = auth.login("cfo", "another horse").await.unwrap();
    assert!(auth.verify(&session).is_ok());
    assert!(auth.verify(&auth.prints(&["token", "--user", "CFO", "--role", "viewer"])).is_ok(), "made after it");
}

#[tokio::test]
async fn changed_rights_apply_to_existing_sessions() {
    let auth = Auth::new();
    auth.add("cfo", "viewer");
    let (session, _) = auth.login("cfo", PASSWORD).await.unwrap();
    let ended = auth.run(&["user", "set", "cfo", "--role", "owner"]);
    assert_eq!((ended.code, &*ended.out), (Some(0), ""), "{}", ended.err);
    assert!(ended.err.contains("cfo is owner, documents *"), "{}", ended.err);
    auth.prints(&["user", "set", "cfo", "--documents", "default"]);
    let grant = auth.verify(&session).unwrap();
    assert_eq!((grant.role, grant.documents.to_string()), (Role::Owner, "default".to_owned()));
    let nothing = auth.run(&["user", "set", "cfo"]);
    assert_eq!(nothing.code, Some(2), "{}", nothing.err);
    assert!(nothing.err.contains("--role") && nothing.err.contains("--documents"), "{}", nothing.err);
}

#[tokio::test]
async fn disabled_account_loses_logins_and_tokens() {
    let auth = Auth::new();
    auth.add("cfo", "editor");
    let (session, _) = auth.login("cfo", PASSWORD).await.unwrap();
    assert_eq!(auth.prints(&["user", "disable", "cfo"]), "");
    assert_eq!(auth.login("cfo", PASSWORD).await.err(), Some(LoginRefused::Wrong));
    assert_eq!(auth.verify(&session), Err(Refused::Disabled));
    let error = auth.refuses(&["token", "--user", "cfo", "--role", "viewer"]);
    assert!(error.contains("happierwork user enable cfo"), "{error}");
    assert_eq!(auth.prints(&["user", "enable", "cfo"]), "");
    assert_eq!(auth.verify(&session), Err(Refused::Disabled), "the session is older than the change");
    assert!(auth.login("cfo", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn deleted_account_is_gone_and_its_tokens_stay_refused() {
    let auth = Auth::new();
    auth.add("cfo", "owner");
    let (session, _) = auth.login("cfo", PASSWORD).await.unwrap();
    let program = auth.prints(&["token", "--user", "cfo", "--role", "viewer"]);
    let ended = auth.run(&["user", "delete", "CFO"]);
    assert_eq!((ended.code, &*ended.out), (Some(0), ""), "{}", ended.err);
    assert!(ended.err.contains("cfo is deleted"), "{}", ended.err);
    assert_eq!(auth.login("cfo", PASSWORD).await.err(), Some(LoginRefused::Wrong));
    assert_eq!(auth.prints(&["user", "list"]).lines().count(), 1, "only the header");
    assert!(auth.refuses(&["user", "delete", "cfo"]).contains("there is no account cfo"));
    auth.add("cfo", "viewer");
    for old in [&session, &program] {
        assert_eq!(auth.verify(old), Err(Refused::Disabled));
    }
    let (_, grant) = auth.login("cfo", PASSWORD).await.unwrap();
    assert_eq!(grant.role, Role::Viewer);
}

#[test]
fn user_list_shows_rights_and_no_secret() {
    let auth = Auth::new();
    auth.add("zoe", "viewer");
    auth.add("cfo@example.com", "owner");
    auth.prints(&["user", "set", "zoe", "--documents", "default"]);
    auth.prints(&["user", "disable", "zoe"]);
    let listed = auth.prints(&["user", "list"]);
    let words: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words,
        [
            ["NAME", "ROLE", "STATE", "DOCUMENTS"],
            ["cfo@example.com", "owner", "enabled", "*"],
            ["zoe", "viewer", "disabled", "default"]
        ]
    );
    assert!(!listed.contains("argon2") && !listed.contains(PASSWORD), "{listed}");
    let users = fs::read_to_string(auth.path.join("users.json")).unwrap();
    assert!(users.contains("$argon2id$v=19$m=19456,t=2,p=1$") && !users.contains(PASSWORD));
}

#[test]
fn missing_account_error_names_the_list_command() {
    let auth = Auth::new();
    auth.add("cfo", "owner");
    for command in [
        &["passwd", "ceo"][..],
        &["set", "ceo", "--role", "viewer"],
        &["disable", "ceo"],
        &["enable", "ceo"],
        &["delete", "ceo"],
    ] {
        let ended = auth.given(&[&["user"], command].concat(), "another horse\n");
        let error = refused(&ended);
        assert!(error.contains("there is no account ceo") && error.contains("happierwork user list"), "{error}");
    }
}

#[test]
fn concurrent_additions_keep_all_accounts() {
    let auth = Auth::new();
    let running: Vec<_> = (0..8)
        .map(|number| {
            let name = format!("user-{number}");
            let command = ["user", "add", &name, "--role", "viewer", "--auth", auth.path.to_str().unwrap()];
            let mut child = program(&command).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(PASSWORD.as_bytes()).unwrap();
            child
        })
        .collect();
    for mut child in running {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    assert_eq!(auth.prints(&["user", "list"]).lines().count(), 9);
    assert_eq!(auth.prints(&["key", "list"]).lines().count(), 2, "and there is one first key");
}

/// Prompts on a terminal: `script` provides one, and types its standard input.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn terminal_prompts_twice_without_echo() {
    let auth = Auth::new();
    let typed = |input: &str| {
        let command =
            format!("{} user add cfo --role owner --auth '{}'", env!("CARGO_BIN_EXE_happierwork"), auth.path.display());
        let mut script = Command::new("script");
        let script = script.args(["--quiet", "--return", "--echo", "never", "--command", &command, "/dev/null"]);
        let script = script.env_remove("HAPPIERWORK_AUTH").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().expect("`script` (of util-linux) is installed");
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        Ended::from(child.wait_with_output().unwrap())
    };
    let differ = typed("correct horse\ncorrect house\n");
    assert!(differ.out.contains("the passwords do not match"), "{}", differ.out);
    assert_eq!(differ.code, Some(1), "{}", differ.out);
    assert!(!auth.path.join("users.json").exists());
    let ended = typed(&format!("{PASSWORD}\n{PASSWORD}\n"));
    assert_eq!(ended.code, Some(0), "{}", ended.out);
    assert!(ended.out.contains("Password: ") && ended.out.contains("Repeat password: "), "{}", ended.out);
    assert!(!ended.out.contains("horse"), "{}", ended.out);
    assert!(auth.login("cfo", PASSWORD).await.is_ok());
}
