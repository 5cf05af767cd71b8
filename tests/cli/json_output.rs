//! `--json`: the output of commands for programs.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::support::process::{Ended, folder, imported, run, run_with};

/// The output of a command that ends with this code.
fn output(arguments: &[&str], code: i32) -> Value {
    let Ended { code: ended, out, err } = run(arguments);
    assert_eq!(ended, Some(code), "{arguments:?}: {err}");
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {out}"))
}

/// The keys of an object.
fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn lists_are_arrays_of_objects() {
    let folder = folder();
    let state = imported(folder.path());
    let auth = folder.path().join("auth");
    let (state, auth) = (state.to_str().unwrap(), auth.to_str().unwrap());
    let added = run_with(
        &["user", "add", "cfo", "--role", "editor", "--documents", "default", "--auth", auth],
        "correct horse\n",
    );
    assert_eq!(added.code, Some(0), "{added:?}");
    assert_eq!(
        output(&["user", "list", "--auth", auth, "--json"], 0),
        json!([{ "name": "cfo", "role": "editor", "enabled": true, "documents": ["default"] }])
    );
    let listed = output(&["key", "list", "--auth", auth, "--json"], 0);
    assert_eq!(keys(&listed[0]), ["algorithm", "createdAt", "id", "signs"]);
    assert_eq!((&listed[0]["signs"], listed.as_array().unwrap().len()), (&json!(true), 1));

    let documents = folder.path().join("documents");
    let id = "4NMNnkMhL8jXrdJ9jamS58PAVdXu";
    fs::create_dir(&documents).unwrap();
    fs::write(documents.join(format!("{id}.automerge")), "damaged").unwrap();
    let files = ["--state", state, "--documents", documents.to_str().unwrap(), "--json"];
    let listed = output(&[&["document", "list"], &files[..]].concat(), 0);
    assert_eq!(keys(&listed[0]), ["default", "deleted", "id", "name", "owner", "problem"]);
    assert_eq!((&listed[0]["name"], &listed[0]["default"]), (&json!("Imported plan"), &json!(true)));
    assert_eq!((&listed[1]["id"], &listed[1]["name"]), (&json!(id), &json!(null)));
    assert!(listed[1]["problem"].is_string(), "{listed}");
}

#[test]
fn check_reports_intact_and_damaged_files() {
    let folder = folder();
    let state = imported(folder.path());
    let file = state.to_str().unwrap();
    let intact = output(&["check", file, "--json"], 0);
    assert_eq!(
        keys(&intact),
        ["bytes", "changes", "chunks", "damage", "file", "heads", "intact", "snapshotBytes", "tornBytes"]
    );
    assert_eq!((&intact["intact"], &intact["damage"], &intact["tornBytes"]), (&json!(true), &json!(null), &json!(0)));
    assert_eq!(intact["bytes"], json!(fs::metadata(&state).unwrap().len()));
    fs::write(&state, "nonsense").unwrap();
    let damaged = output(&["check", file, "--json"], 3);
    assert!(damaged["intact"] == json!(false) && damaged["damage"].is_string(), "{damaged}");
}

#[test]
fn copies_of_stores_are_reported_as_one_object() {
    let folder = folder();
    let state = imported(folder.path());
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (backups, database, state) =
        (place("backups"), format!("sqlite:{}", place("plans")), state.display().to_string());
    let made = output(&["backup", &backups, "--state", &state, "--documents", &place("documents"), "--json"], 0);
    assert_eq!(
        keys(&made),
        [
            "accounts",
            "bytes",
            "documents",
            "failed",
            "name",
            "newBytes",
            "removalError",
            "removedBackups",
            "removedFiles"
        ]
    );
    assert_eq!((&made["documents"], &made["failed"], &made["accounts"]), (&json!(1), &json!([]), &json!(null)));
    assert_eq!(output(&["restore", &backups, "--list", "--json"], 0), json!([made["name"]]));

    let restored = output(&["restore", &backups, "--to", &database, "--json"], 0);
    assert_eq!(keys(&restored), ["accounts", "complete", "documents", "dryRun"]);
    assert_eq!(keys(&restored["documents"][0]), ["changes", "heads", "id", "reason", "result"]);
    assert_eq!((&restored["complete"], &restored["documents"][0]["result"]), (&json!(true), &json!("copied")));
    let from = format!("files:{state},{}", place("documents"));
    let again = output(&["migrate", "--from", &from, "--to", &database, "--json"], 0);
    assert_eq!((&again["complete"], &again["documents"][0]["result"]), (&json!(true), &json!("unchanged")));
    let checked = output(&["check", "--database", &database, "--json"], 0);
    assert_eq!(keys(&checked), ["database", "documents", "intact"]);
    assert_eq!(checked["documents"][0]["heads"], restored["documents"][0]["heads"]);
}

/// `script` provides a terminal.
#[cfg(target_os = "linux")]
#[test]
fn progress_is_shown_on_a_terminal_only() {
    let folder = folder();
    let state = imported(folder.path());
    let arguments = ["document", "list", "--state", state.to_str().unwrap()];
    assert_eq!(run(&arguments).err, "");
    let command = format!("'{}' document list --state '{}'", env!("CARGO_BIN_EXE_happierwork"), state.display());
    let mut script = Command::new("script");
    let script = script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).env("TERM", "xterm");
    let script = script.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = script.spawn().expect("`script` (of util-linux) is installed");
    child.stdin.take().unwrap().flush().unwrap();
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.out);
    assert!(ended.out.contains("of 1 documents") && ended.out.contains("(default)"), "{:?}", ended.out);
}
