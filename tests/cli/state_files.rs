//! How the server handles the state file that it finds.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ObjType, ROOT, ReadDoc};
use automerge_chunks::chunk;

use super::support::process::{FIXTURES, Running, folder, imported, names, refused, run, serve};

/// Adds one change to a document's file, as another program would append it.
fn append_change(state: &Path) -> Vec<u8> {
    let mut doc = AutoCommit::load(&fs::read(state).unwrap()).unwrap();
    doc.save();
    doc.put(ROOT, "appended", rand::random::<u64>()).unwrap();
    let change = doc.save_incremental();
    fs::write(state, [fs::read(state).unwrap(), change.clone()].concat()).unwrap();
    change
}

#[test]
fn missing_file_is_created_and_keeps_its_id() {
    let folder = folder();
    // The folder is created, too.
    let state = folder.path().join("plans/2027/state.automerge");
    let (server, _) = Running::server(serve(&state, &[]));
    let line = server.printed.iter().find(|line| line.starts_with("document")).unwrap().clone();
    assert!(line.ends_with("(new, 0 positions)"), "{line}");
    let url = server.printed.iter().find(|line| line.starts_with("url")).unwrap().clone();
    assert_eq!(server.stop().code, Some(0));
    assert!(AutoCommit::load(&fs::read(&state).unwrap()).is_ok());
    // A copy elsewhere has the same id.
    let copy = folder.path().join("copy.automerge");
    fs::copy(&state, &copy).unwrap();
    let (server, _) = Running::server(serve(&copy, &[]));
    assert!(server.printed.contains(&url), "{url} is not in {:?}", server.printed);
}

/// A scenario contains the id of its plan, and nothing tells its file from a copy of the plan.
#[test]
fn scenario_file_is_served_as_its_plan() {
    let folder = folder();
    let plan = imported(folder.path());
    let url = |server: &Running| server.printed.iter().find(|line| line.starts_with("url")).unwrap().clone();
    let (server, _) = Running::server(serve(&plan, &[]));
    let of_plan = url(&server);
    assert_eq!(server.stop().code, Some(0));
    let mut scenario = AutoCommit::load(&fs::read(&plan).unwrap()).unwrap();
    let (_, positions) = scenario.get(ROOT, "positions").unwrap().unwrap();
    let row = scenario.put_object(&positions, "new in the scenario", ObjType::Map).unwrap();
    scenario.put(&row, "designation", "New").unwrap();
    let file = folder.path().join("elsewhere/scenario.automerge");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, scenario.save()).unwrap();
    let (server, _) = Running::server(serve(&file, &[]));
    assert_eq!(url(&server), of_plan);
    assert!(server.printed.iter().any(|line| line.contains("(61 positions)")), "{:?}", server.printed);
}

/// Every command refuses the file, leaves it unchanged, and creates no other file.
fn refused_by_all(state: &Path, reason: &str) {
    let (before, beside) = (fs::read(state).unwrap(), names(state.parent().unwrap()));
    let path = state.to_str().unwrap();
    let ended = refused(serve(state, &[]));
    for word in [path, reason, "left as it is", "happierwork check", "backup", "move it away"] {
        assert!(ended.err.contains(word), "{word:?} is not in {}", ended.err);
    }
    let data = format!("{FIXTURES}/positions.json");
    for (arguments, code) in [
        (&["import", &data, "--state", path][..], 1),
        (&["export", "--state", path], 1),
        (&["document", "list", "--state", path], 1),
        (&["check", path], 3),
    ] {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(format!("{}{}", ended.out, ended.err).contains(reason), "{arguments:?}: {ended:?}");
    }
    assert_eq!(fs::read(state).unwrap(), before);
    let is_new = |name: &String| !beside.contains(name) && !name.ends_with(".lock") && name != "documents";
    assert!(!names(state.parent().unwrap()).iter().any(is_new), "{:?}", names(state.parent().unwrap()));
}

#[test]
fn truncated_file_is_rejected_by_every_command() {
    let folder = folder();
    let state = imported(folder.path());
    let whole = fs::read(&state).unwrap();
    for cut in [1, 4, 100, 3_000, whole.len() - 1] {
        fs::write(&state, &whole[..cut]).unwrap();
        refused_by_all(&state, "it holds no whole chunk");
    }
    fs::write(&state, b"").unwrap();
    refused_by_all(&state, "it is empty");
    fs::write(&state, &whole).unwrap();
    let (server, _) = Running::server(serve(&state, &[]));
    assert!(server.printed.iter().any(|line| line.contains("(60 positions)")));
}

#[test]
fn repair_keeps_the_identity_and_positions() {
    let folder = folder();
    let plan = fs::read(imported(folder.path())).unwrap();
    // The document starts with content that is not yet the plan.
    let mut other = AutoCommit::new();
    let empty = other.save();
    other.put(ROOT, "name", "Growth").unwrap();
    let nameless = other.save();
    let mut id_only = AutoCommit::new();
    id_only.put(ROOT, "documentId", "4NMNnkMhL8jXrdJ9jamS58PAVdXu").unwrap();
    let id_only = id_only.save();
    for (beginning, reason) in
        [(empty, "is empty"), (nameless, "does not carry the document's id"), (id_only, "has no positions")]
    {
        let state = folder.path().join("remnant.automerge");
        fs::write(&state, [&beginning, &plan[..3_000]].concat()).unwrap();
        refused_by_all(&state, reason);
    }
}

#[test]
fn torn_tail_is_truncated_kept_and_reported() {
    let folder = folder();
    let state = imported(folder.path());
    let whole = fs::read(&state).unwrap();
    append_change(&state);
    let torn = fs::read(&state).unwrap();
    let torn = &torn[..torn.len() - 3];
    fs::write(&state, torn).unwrap();

    let (mut server, _) = Running::server(serve(&state, &[]));
    let said = server.until(|line| line.strip_prefix("repaired  ").map(str::to_owned));
    let kept = folder.path().join(format!("state.automerge.torn-{}", whole.len()));
    assert!(said.contains(&format!("{} bytes", torn.len() - whole.len())), "{said}");
    assert!(said.contains(kept.to_str().unwrap()), "{said}");
    assert_eq!(fs::read(&kept).unwrap(), &torn[whole.len()..]);
    assert_eq!(fs::read(&state).unwrap(), whole);
    assert!(server.printed.iter().any(|line| line.contains("(60 positions)")));
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn foreign_file_is_rejected_and_left_unchanged() {
    let folder = folder();
    let state = folder.path().join("state.automerge");
    for content in [&b"[{\"id\": \"1\"}]"[..], b"\0\0\0\0\0\0\0\0", &[0x85; 300]] {
        fs::write(&state, content).unwrap();
        let ended = refused(serve(&state, &[]));
        assert!(ended.err.contains(state.to_str().unwrap()), "{}", ended.err);
        assert!(
            ended.err.contains("not an Automerge document") || ended.err.contains("happierwork check"),
            "{}",
            ended.err
        );
        assert_eq!(fs::read(&state).unwrap(), content);
    }
}

#[test]
fn damaged_file_is_rejected_with_a_remedy() {
    let folder = folder();
    let state = imported(folder.path());
    append_change(&state);
    append_change(&state);
    let mut bytes = fs::read(&state).unwrap();
    let chunks = chunk::scan(&bytes, u64::MAX).chunks;
    assert_eq!(chunks.len(), 3);
    for at in [chunks[0].1.start + 40, chunks[1].1.start + 12] {
        bytes[at] ^= 1;
        fs::write(&state, &bytes).unwrap();
        let before = names(folder.path());
        let ended = refused(serve(&state, &[]));
        for word in [state.to_str().unwrap(), "left as it is", "happierwork check", "backup"] {
            assert!(ended.err.contains(word), "{word:?} is not in {}", ended.err);
        }
        assert_eq!(fs::read(&state).unwrap(), bytes);
        let after: Vec<String> = names(folder.path()).into_iter().filter(|name| !name.ends_with(".lock")).collect();
        assert_eq!(after, before.into_iter().filter(|name| !name.ends_with(".lock")).collect::<Vec<_>>());
        bytes[at] ^= 1;
    }
    fs::write(&state, &bytes).unwrap();
    let (server, _) = Running::server(serve(&state, &[]));
    assert_eq!(server.stop().code, Some(0), "whole again");
}

#[test]
fn folder_or_file_below_a_file_is_rejected() {
    let folder = folder();
    let ended = refused(serve(&folder.path().join("."), &[]));
    assert!(ended.err.contains("--state"), "{}", ended.err);
    let inner = folder.path().join("plan.automerge");
    fs::create_dir(&inner).unwrap();
    let ended = refused(serve(&inner, &[]));
    assert!(ended.err.contains(inner.to_str().unwrap()) && ended.err.contains("--state"), "{}", ended.err);
    fs::write(folder.path().join("a file"), b"").unwrap();
    let ended = refused(serve(&folder.path().join("a file/state.automerge"), &[]));
    assert!(ended.err.contains("--state"), "{}", ended.err);
}

/// The id of a user other than root, if the test runs as root. Such a user can own files that the server must not
/// write.
fn somebody_else() -> Option<u32> {
    const NOBODY: u32 = 65_534;
    let id = Command::new("id").arg("-u").output().unwrap().stdout;
    (id.trim_ascii() == b"0").then_some(NOBODY)
}

#[test]
fn unwritable_file_or_folder_prevents_startup() {
    let folder = folder();
    let state = imported(folder.path());
    let _ = fs::remove_file(folder.path().join("state.automerge.lock"));
    let user = somebody_else();
    // A user other than root may have no access to the program's folder.
    let copied = folder.path().join("happierwork");
    fs::copy(env!("CARGO_BIN_EXE_happierwork"), &copied).unwrap();
    let server = || {
        let template = serve(&state, &[]);
        let mut command = Command::new(&copied);
        command.args(template.get_args()).current_dir("/").env_clear();
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        command
    };
    let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let before = fs::read(&state).unwrap();
    for (what, of_file, of_folder) in [
        ("the file is read-only", 0o444, 0o777),
        ("the folder is read-only", 0o666, 0o555),
        ("unreadable", 0o000, 0o777),
    ] {
        set(&state, of_file);
        set(folder.path(), of_folder);
        let ended = refused(server());
        set(folder.path(), 0o777);
        assert!(ended.err.contains(state.to_str().unwrap()), "{what}: {}", ended.err);
        assert!(ended.err.contains("writable for this user"), "{what}: {}", ended.err);
        set(&state, 0o644);
        assert_eq!(fs::read(&state).unwrap(), before, "{what}");
        let _ = fs::remove_file(folder.path().join("state.automerge.lock"));
    }
    set(&state, 0o666);
    let (server, _) = Running::server(server());
    assert_eq!(server.stop().code, Some(0), "writable again");
}
