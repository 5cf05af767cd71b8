//! The configuration file of `--config`.

use std::fs;
use std::path::{Path, PathBuf};

use super::support::process::{Running, folder, imported, program, run};

fn config(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("happierwork.toml");
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn server_starts_with_the_settings_of_the_file() {
    let folder = folder();
    let state = imported(folder.path());
    let text = format!(
        "state = {state:?}\ndocuments = \"further\"\nlisten = [\"127.0.0.1:0\", \"127.0.0.4:0\"]\nlog-format = \"json\"\n"
    );
    let file = config(folder.path(), &text);
    let mut command = program(&["serve", "--config", file.to_str().unwrap()]);
    command.current_dir(folder.path());
    let (server, _) = Running::server(command);
    let started: serde_json::Value = serde_json::from_str(server.printed.last().unwrap()).unwrap();
    assert_eq!(started["positions"], 60);
    assert!(started["listening"][1]["http"].as_str().unwrap().starts_with("http://127.0.0.4:"), "{started}");
    assert!(folder.path().join("further").is_dir());
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn flag_comes_before_variable_and_variable_before_file() {
    let folder = folder();
    let file = config(folder.path(), "state = \"file.automerge\"\nlisten = \"127.0.0.1:0\"");
    for (flag, variable, expected) in [
        (None, None, "file.automerge"),
        (None, Some(""), "file.automerge"),
        (None, Some("variable.automerge"), "variable.automerge"),
        (Some("flag.automerge"), Some("variable.automerge"), "flag.automerge"),
    ] {
        let mut command = program(&[]);
        command.current_dir(folder.path()).env("HAPPIERWORK_CONFIG", &file);
        if let Some(variable) = variable {
            command.env("HAPPIERWORK_STATE", variable);
        }
        if let Some(flag) = flag {
            command.args(["--state", flag]);
        }
        let (server, _) = Running::server(command);
        let document = format!("/{expected} (");
        assert!(
            server.printed.iter().any(|line| line.starts_with("document") && line.contains(&document)),
            "{expected}: {:?}",
            server.printed
        );
        assert_eq!(server.stop().code, Some(0));
    }
}

#[test]
fn wrong_file_ends_every_command_with_2_and_the_line() {
    let folder = folder();
    let wrong = config(folder.path(), "grace = 10\n\nlissen = \"127.0.0.1:0\"\n");
    let missing = folder.path().join("missing.toml");
    for (file, words) in [(&wrong, "happierwork.toml:3: unknown key `lissen`"), (&missing, "missing.toml: ")] {
        for command in [&["serve"][..], &["document", "list"], &["user", "list"]] {
            let ended = run(&[command, &["--config", file.to_str().unwrap()]].concat());
            assert_eq!(ended.code, Some(2), "{ended:?}");
            assert!(ended.err.contains(words) && ended.out.is_empty(), "{ended:?}");
        }
        assert_eq!(run(&["--help"]).code, Some(0));
    }
}

#[test]
fn commands_use_the_places_of_the_file() {
    let folder = folder();
    let state = imported(folder.path());
    let file = config(folder.path(), &format!("state = {state:?}\nbackup = \"copies\"\nbackup-keep-last = 1"));
    let here = |arguments: &[&str]| {
        let mut command = program(arguments);
        command.current_dir(folder.path()).env("HAPPIERWORK_CONFIG", &file);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(here(&["document", "list"]).contains("(default)"));
    assert!(here(&["backup"]).contains(": 1 document, "));
    assert!(here(&["backup"]).contains("removed 1 earlier backup"), "the retention counts as well");
    assert_eq!(here(&["restore", "--list"]).lines().count(), 1);
}
