//! `key` and `token`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use auth::{AuthOptions, Authority, DocumentName, Documents, Grant, Refused, Role};
use primitives::DocumentId;
use runtime::clock::now;
use serde_json::Value;
use tempfile::TempDir;

use super::support::process::{Ended, folder, program, run};

/// A folder of keys and accounts that does not exist yet.
pub struct Auth {
    _home: TempDir,
    pub path: PathBuf,
}

impl Auth {
    pub fn new() -> Self {
        let home = folder();
        Self { path: home.path().join("auth"), _home: home }
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(&[arguments, &["--auth", self.path.to_str().unwrap()]].concat())
    }

    /// The output of a successful command.
    pub fn prints(&self, arguments: &[&str]) -> String {
        let ended = self.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}", ended.err);
        ended.out
    }

    /// The error of a refused command.
    pub fn refuses(&self, arguments: &[&str]) -> String {
        refused(&self.run(arguments))
    }

    pub fn authority(&self) -> Authority {
        let options = AuthOptions {
            folder: Some(self.path.clone()),
            session: Duration::from_secs(3_600),
            ..AuthOptions::default()
        };
        Authority::open(&options).unwrap_or_else(|error| panic!("{error}"))
    }

    pub fn verify(&self, token: &str) -> Result<Grant, Refused> {
        self.authority().verify(token.trim_end(), now())
    }

    pub fn file(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path.join(name)).unwrap()).unwrap()
    }
}

pub fn refused(ended: &Ended) -> String {
    assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{}", ended.err);
    assert!(ended.err.starts_with("happierwork: "), "{}", ended.err);
    ended.err.clone()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn key_new_creates_a_private_key_and_prints_its_id() {
    let auth = Auth::new();
    let kid = auth.prints(&["key", "new"]);
    assert_eq!(kid.trim_end(), auth.file("keys.json")["keys"][0]["kid"].as_str().unwrap());
    assert_eq!((mode(&auth.path), mode(&auth.path.join("keys.json"))), (0o700, 0o600));
    assert_eq!(auth.file("keys.json")["keys"][0]["alg"], "EdDSA");
    auth.prints(&["key", "new", "--alg", "hs256"]);
    assert_eq!(auth.file("keys.json")["keys"][1]["alg"], "HS256");
}

#[test]
fn key_list_shows_the_signing_key_and_no_secret() {
    let auth = Auth::new();
    let [old, new] = ["ed25519", "hs256"].map(|alg| auth.prints(&["key", "new", "--alg", alg]).trim_end().to_owned());
    let listed = auth.prints(&["key", "list"]);
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 3, "{listed}");
    assert!(lines[1].starts_with(&old) && lines[1].contains("EdDSA") && lines[1].ends_with("  verifies"), "{listed}");
    assert!(
        lines[2].starts_with(&new) && lines[2].contains("HS256") && lines[2].ends_with("  signs, verifies"),
        "{listed}"
    );
    assert!(lines[1].contains("20") && lines[1].contains("T") && lines[1].contains("Z"), "a date: {listed}");
    let keys = auth.file("keys.json");
    for secret in [&keys["keys"][0]["d"], &keys["keys"][1]["k"]] {
        assert!(!listed.contains(secret.as_str().unwrap()), "{listed}");
    }
}

#[test]
fn key_export_prints_only_public_keys() {
    let auth = Auth::new();
    let public = auth.prints(&["key", "new"]).trim_end().to_owned();
    let secret = auth.prints(&["key", "new", "--alg", "hs256"]).trim_end().to_owned();
    let exported = auth.run(&["key", "export"]);
    assert_eq!(exported.code, Some(0));
    assert!(exported.err.contains(&secret) && exported.err.contains("left out"), "{}", exported.err);
    let set: Value = serde_json::from_str(&exported.out).unwrap();
    assert_eq!(set["keys"].as_array().unwrap().len(), 1);
    assert_eq!((&set["keys"][0]["kid"], &set["keys"][0]["use"]), (&Value::from(public), &Value::from("sig")));
    let keys = auth.file("keys.json");
    for part in [&keys["keys"][0]["d"], &keys["keys"][1]["k"]] {
        assert!(!exported.out.contains(part.as_str().unwrap()) && !exported.err.contains(part.as_str().unwrap()));
    }
}

#[test]
fn keys_are_rotated_by_new_and_retire() {
    let auth = Auth::new();
    let old = auth.prints(&["key", "new"]).trim_end().to_owned();
    let token = auth.prints(&["token", "--user", "jane", "--role", "editor"]);
    assert!(auth.refuses(&["key", "retire", &old]).contains("happierwork key new"), "no key would be left");
    assert!(auth.refuses(&["key", "retire", "other"]).contains("happierwork key list"));
    auth.prints(&["key", "new"]);
    assert!(auth.verify(&token).is_ok(), "the old key still verifies");
    assert_eq!(auth.prints(&["key", "retire", &old]), "");
    assert_eq!(auth.verify(&token), Err(Refused::Invalid));
    assert!(!fs::read_to_string(auth.path.join("keys.json")).unwrap().contains(&old));
}

#[test]
fn token_is_printed_alone_with_the_requested_claims() {
    let auth = Auth::new();
    let id = DocumentId::from_random([7; 16]);
    let documents = format!("default,{}", id.url());
    let flags = ["token", "--user", " Jane Doe ", "--role", "owner", "--documents", &documents, "--expires", "30m"];
    let made = auth.run(&flags);
    assert_eq!(made.code, Some(0));
    assert!(made.err.contains("created the first key"), "{}", made.err);
    assert_eq!(made.out.lines().count(), 1);
    let grant = auth.verify(&made.out).unwrap();
    assert_eq!((&*grant.user, grant.role, grant.session), ("Jane Doe", Role::Owner, false));
    assert_eq!(grant.documents, Documents::Named([DocumentName::Default, DocumentName::Id(id)].into()));
    assert_eq!(grant.expires - grant.issued, 1_800);
    assert!((now() - grant.issued).abs() < 60);
    let grant = auth.verify(&auth.prints(&["token", "--user", "jane", "--role", "viewer"])).unwrap();
    assert_eq!((grant.documents, grant.expires - grant.issued), (Documents::All, 12 * 3_600));
}

#[test]
fn invalid_token_flags_create_no_key() {
    let auth = Auth::new();
    for flags in [
        &["--expires", "401d"][..],
        &["--expires", "0s"],
        &["--expires", "soon"],
        &["--documents", ""],
        &["--documents", "default,nonsense"],
        &["--role", "admin"],
    ] {
        let ended = auth.run(
            &[&["token", "--user", "jane"], flags, &["--role=editor"][usize::from(flags[0] == "--role")..]].concat(),
        );
        assert_eq!((ended.code, &*ended.out), (Some(2), ""), "{flags:?}: {}", ended.err);
    }
    assert!(auth.refuses(&["token", "--user", "a\nb", "--role", "editor"]).contains("control characters"));
    assert!(!auth.path.join("keys.json").exists());
    auth.prints(&["key", "new"]);
    let many: Vec<String> = (0..100).map(|id| DocumentId::from_random([id; 16]).to_string()).collect();
    let error = auth.refuses(&["token", "--user", "jane", "--role", "editor", "--documents", &many.join(",")]);
    assert!(error.contains("name fewer"), "{error}");
}

#[test]
fn readable_keys_and_missing_folder_suggest_a_remedy() {
    let auth = Auth::new();
    for command in [&["key", "list"][..], &["key", "export"], &["key", "retire", "x"], &["user", "list"]] {
        let error = auth.refuses(command);
        assert!(error.contains("happierwork user add") && error.contains(auth.path.to_str().unwrap()), "{error}");
    }
    assert!(!auth.path.exists(), "only commands that write create the folder");
    auth.prints(&["key", "new"]);
    let keys = auth.path.join("keys.json");
    let before = fs::read(&keys).unwrap();
    fs::set_permissions(&keys, Permissions::from_mode(0o644)).unwrap();
    for command in [&["key", "list"][..], &["key", "new"], &["token", "--user", "jane", "--role", "viewer"]] {
        let error = auth.refuses(command);
        assert!(error.contains(&format!("chmod 600 {}", keys.display())), "{error}");
    }
    assert_eq!(fs::read(&keys).unwrap(), before);
}

#[test]
fn auth_folder_comes_from_flag_or_environment() {
    let auth = Auth::new();
    let output = program(&["key", "new"]).env("HAPPIERWORK_AUTH", &auth.path).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(auth.path.join("keys.json").exists());
    for command in [&["key", "new"][..], &["user", "list"], &["token", "--user", "jane", "--role", "viewer"]] {
        let ended = run(command);
        assert_eq!(ended.code, Some(2));
        assert!(ended.err.contains("--auth"), "{}", ended.err);
    }
}

#[test]
fn concurrent_key_creation_keeps_all_keys() {
    let auth = Auth::new();
    let command = ["key", "new", "--auth", auth.path.to_str().unwrap()];
    let running: Vec<_> =
        (0..8).map(|_| program(&command).stdout(std::process::Stdio::piped()).spawn().unwrap()).collect();
    let listed = {
        let made = running.into_iter().map(|child| Ended::from(child.wait_with_output().unwrap()));
        let made: Vec<String> = made.map(|ended| ended.out.trim_end().to_owned()).collect();
        let listed = auth.prints(&["key", "list"]);
        assert!(made.iter().all(|kid| !kid.is_empty() && listed.contains(kid.as_str())), "{made:?} in {listed}");
        listed
    };
    assert_eq!(listed.lines().count(), 9);
    assert_eq!(listed.matches("signs").count(), 1);
}
