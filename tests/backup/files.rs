//! Backups of files in a folder.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::place::{Place, append_change, back_up, contents, fails, files, id, stored, succeeds, text};
use super::support::process::{folder, imported, names, program, run};

#[test]
fn restored_files_are_those_that_were_backed_up() {
    let place = Place::filled(3);
    let document = |arguments: &[&str]| {
        let (state, documents) = (place.state(), place.documents());
        let storage = ["--state", text(&state), "--documents", text(&documents)];
        assert_eq!(run(&[&["document"], arguments, &storage].concat()).code, Some(0));
    };
    document(&["delete", id(1).as_str()]);
    document(&["delete", id(2).as_str(), "--now"]);
    let before = place.contents();
    let out = place.back_up(&[]);
    assert!(succeeds(&out).contains("4 documents, no accounts"), "{out:?}");
    assert_eq!(place.contents(), before, "the source is unchanged");

    let restored = folder();
    let out = place.restore(&files(restored.path()), &[]);
    assert!(succeeds(&out).contains("4 documents: 4 restored and verified"), "{out:?}");
    assert_eq!(contents(restored.path()), before);
}

#[test]
fn unchanged_store_is_stored_once() {
    let place = Place::filled(5);
    let first = stored(&place.back_up(&[]));
    let again = stored(&place.back_up(&[]));
    assert!(first > 20_000 && again == 0, "{first} bytes, then {again}");
    // Beside the manifest, only the name of the backup that it builds on.
    let made = place.made();
    assert_eq!(names(&made[1]), ["builds-on", "manifest.json", "manifest.json.sha256"]);

    // A full backup is a store that a server can open.
    let full = stored(&place.back_up(&["--full"]));
    assert!(full >= first, "{full} bytes");
    let folder = &place.made()[2];
    assert_eq!(contents(folder), place.contents());
    let check = run(&["check", text(&folder.join("state.automerge"))]);
    assert_eq!(check.code, Some(0), "{check:?}");
}

#[test]
fn only_the_end_of_a_grown_document_is_stored() {
    let place = Place::filled(1);
    let first = stored(&place.back_up(&[]));
    let before = fs::read(place.document(0)).unwrap();
    append_change(&place.document(0), "more", "text");
    let again = stored(&place.back_up(&[]));
    assert!(again < first / 20, "{first} bytes, then {again}");
    let tail = place.made()[1].join(format!("documents/{}.automerge", id(0)));
    assert_eq!([before, fs::read(tail).unwrap()].concat(), fs::read(place.document(0)).unwrap());
    let restored = folder();
    succeeds(&place.restore(&files(restored.path()), &[]));
    assert_eq!(contents(restored.path()), place.contents());
}

#[test]
fn accounts_come_back_and_keys_are_in_no_backup() {
    let place = Place::filled(0);
    let auth = place.folder.path().join("auth");
    fs::write(place.folder.path().join("password"), "correct horse battery staple\n").unwrap();
    let password = || fs::File::open(place.folder.path().join("password")).unwrap();
    let added = program(&["user", "add", "cfo", "--role", "owner", "--auth", text(&auth)]).stdin(password()).output();
    assert!(added.unwrap().status.success());
    assert_eq!(run(&["key", "new", "--auth", text(&auth)]).code, Some(0));
    fs::write(auth.join("revoked.jsonl"), "{\"jti\":\"a\",\"exp\":9999999999}\n").unwrap();

    let out = place.back_up(&["--auth", text(&auth)]);
    assert!(succeeds(&out).contains("1 document, 1 account;"), "{out:?}");
    let keys: serde_json::Value = serde_json::from_slice(&fs::read(auth.join("keys.json")).unwrap()).unwrap();
    let secret = keys["keys"][0]["d"].as_str().expect("a private key").to_owned();
    let backup = &place.made()[0];
    assert_eq!(names(&backup.join("auth")), ["revoked.jsonl", "users.json"]);
    for file in ["auth/users.json", "auth/revoked.jsonl", "manifest.json"] {
        assert!(!fs::read_to_string(backup.join(file)).unwrap().contains(&secret), "{file}");
        let mode = fs::metadata(backup.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }

    let restored = folder();
    let target = restored.path().join("auth");
    fails(&place.restore(&files(restored.path()), &[]), "1 account not restored: name a folder");
    let out = place.restore(&files(restored.path()), &["--merge", "--auth", text(&target)]);
    assert!(succeeds(&out).contains("1 account: 1 restored, 0 already there; 1 revoked token"), "{out:?}");
    let read = |name: &str| [&auth, &target].map(|folder| fs::read(folder.join(name)).unwrap());
    let [before, after] = read("users.json");
    assert_eq!(before, after);
    let [before, after] = read("revoked.jsonl");
    assert_eq!(before, after);
    assert!(!target.join("keys.json").exists());
}

#[test]
fn restore_refuses_a_store_with_documents() {
    let place = Place::filled(1);
    place.back_up(&[]);
    let used = folder();
    imported(used.path());
    let before = fs::read(used.path().join("state.automerge")).unwrap();
    fails(&place.restore(&files(used.path()), &[]), "holds documents already. Nothing was restored");
    fails(&place.restore(&files(used.path()), &["--dry-run"]), "holds documents already");
    // It is another plan, so there is nothing to merge either.
    fails(&place.restore(&files(used.path()), &["--merge"]), "another default document");
    assert_eq!(fs::read(used.path().join("state.automerge")).unwrap(), before);
    // A damaged file is not an empty place.
    fs::write(used.path().join("state.automerge"), b"nonsense").unwrap();
    fails(&place.restore(&files(used.path()), &[]), "not an Automerge document");
}

#[test]
fn merge_keeps_the_changes_of_both() {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT, ReadDoc};

    let place = Place::filled(1);
    let put = |key: &str| {
        let mut document = AutoCommit::load(&fs::read(place.document(0)).unwrap()).unwrap();
        document.put(ROOT, key, 1).unwrap();
        fs::write(place.document(0), document.save()).unwrap();
    };
    let earlier = fs::read(place.document(0)).unwrap();
    put("in the backup");
    place.back_up(&[]);
    fs::write(place.document(0), earlier).unwrap();
    put("in the store");
    let out = place.restore(&files(place.folder.path()), &["--merge"]);
    assert!(succeeds(&out).contains("completed: "), "{out:?}");
    let document = AutoCommit::load(&fs::read(place.document(0)).unwrap()).unwrap();
    for key in ["in the backup", "in the store"] {
        assert!(document.get(ROOT, key).unwrap().is_some(), "{key}");
    }
}

#[test]
fn backups_of_two_stores_do_not_mix() {
    let (one, other) = (Place::filled(0), Place::filled(0));
    one.back_up(&[]);
    let refused = back_up(&other.state(), &other.documents(), text(&one.backups), &["--keep-last", "1"]);
    fails(&refused, "holds backups of another store");
    assert_eq!(one.made().len(), 1);
    let nothing = back_up(&one.folder.path().join("no"), &one.folder.path().join("no"), text(&one.backups), &[]);
    fails(&nothing, "there are no documents to back up");
}

#[test]
fn backups_are_listed_and_restored_by_name() {
    let place = Place::filled(0);
    place.back_up(&[]);
    let before = fs::read(place.state()).unwrap();
    append_change(&place.state(), "more", "text");
    place.back_up(&[]);
    let list = run(&["restore", text(&place.backups), "--list"]);
    let made: Vec<String> = names(&place.backups.join("backups"));
    assert_eq!(succeeds(&list).lines().collect::<Vec<_>>(), made);
    let restored = folder();
    succeeds(&place.restore(&files(restored.path()), &["--backup", &made[0]]));
    assert_eq!(fs::read(restored.path().join("state.automerge")).unwrap(), before);
    let missing = place.restore(&files(restored.path()), &["--backup", "2020-01-01T000000.000Z-00000000"]);
    fails(&missing, "holds no backup 2020-01-01T000000.000Z-00000000");
    fails(&run(&["restore", text(restored.path()), "--dry-run"]), "holds no backup");
}
