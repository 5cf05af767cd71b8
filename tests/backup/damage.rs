//! Damaged backups, damaged documents, and backups that were interrupted.

use std::fs;
use std::path::PathBuf;

use super::place::{Place, contents, fails, files, id, stored, succeeds, text};
use super::support::process::{folder, run};

/// All files below a folder.
fn all_files(folder: &std::path::Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { all_files(&path) } else { vec![path] }).collect()
}

#[test]
fn every_damaged_file_is_found_without_restoring() {
    let place = Place::filled(1);
    let auth = place.folder.path().join("auth");
    fs::create_dir(&auth).unwrap();
    fs::write(auth.join("revoked.jsonl"), "{\"jti\":\"a\",\"exp\":9999999999}\n").unwrap();
    place.back_up(&["--auth", text(&auth)]);
    let check = || run(&["restore", text(&place.backups), "--dry-run"]);
    succeeds(&check());
    let backup = place.made().remove(0);
    let damaged = all_files(&backup);
    assert!(damaged.len() >= 8, "{damaged:?}");
    for path in damaged {
        let good = fs::read(&path).unwrap();
        let mut bad = good.clone();
        bad[good.len() / 2] ^= 1;
        fs::write(&path, bad).unwrap();
        let found = check();
        assert!(found.code == Some(1) && found.err.contains("damaged"), "{}: {found:?}", path.display());
        let target = folder();
        assert_eq!(place.restore(&files(target.path()), &[]).code, Some(1));
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0, "{}: nothing is restored", path.display());
        fs::remove_file(&path).unwrap();
        assert_eq!(check().code, Some(1), "{} is missing", path.display());
        fs::write(&path, good).unwrap();
    }
    succeeds(&check());
}

#[test]
fn intact_documents_can_be_restored_without_the_damaged() {
    let place = Place::filled(2);
    place.back_up(&[]);
    fs::write(place.made()[0].join(format!("documents/{}.automerge", id(0))), b"").unwrap();
    let target = folder();
    fails(&place.restore(&files(target.path()), &[]), "1 document of the backup damaged. Nothing was restored");
    let some = place.restore(&files(target.path()), &["--skip-damaged"]);
    assert!(some.code == Some(1) && some.out.contains("2 documents: 2 restored and verified"), "{some:?}");
    // The next backup stores the lost part again.
    let again = stored(&place.back_up(&[]));
    assert_eq!(again, fs::read(place.document(0)).unwrap().len());
    succeeds(&run(&["restore", text(&place.backups), "--dry-run"]));
}

#[test]
fn damaged_document_stays_as_it_was_last_backed_up() {
    let place = Place::filled(3);
    place.back_up(&[]);
    let before = place.contents();
    fs::write(place.document(0), b"nonsense").unwrap();
    fs::remove_file(place.document(1)).unwrap();
    for extension in ["automerge", "authors.jsonl", "access.json"] {
        fs::remove_file(place.documents().join(format!("{}.{extension}", id(2)))).unwrap();
    }
    // Twice: what is outdated already stays as well.
    for _ in 0..2 {
        let ended = place.back_up(&["--keep-last", "1"]);
        fails(&ended, "3 documents not backed up; no earlier backup was removed");
        assert!(ended.err.contains(&format!("{} is not in the backup as it is now: missing", id(2))), "{ended:?}");
    }
    assert_eq!(place.made().len(), 3);
    let target = folder();
    let ended = place.restore(&files(target.path()), &[]);
    succeeds(&ended);
    assert_eq!(ended.err.matches("is as of backup").count(), 3, "{ended:?}");
    assert_eq!(contents(target.path()), before);
}

#[test]
fn lost_default_document_stays_the_default_one() {
    let place = Place::filled(1);
    place.back_up(&[]);
    let before = place.contents();
    fs::remove_file(place.state()).unwrap();
    fails(&place.back_up(&[]), "1 document not backed up");
    let target = folder();
    succeeds(&place.restore(&files(target.path()), &[]));
    assert_eq!(contents(target.path()), before);
}

#[test]
fn interrupted_backup_leaves_the_earlier_one_whole() {
    let place = Place::filled(2);
    place.back_up(&[]);
    let before = place.contents();
    // An interrupted backup has no manifest. Its mark is still there.
    place.back_up(&["--full"]);
    let interrupted = place.made().pop().unwrap();
    fs::remove_file(interrupted.join("manifest.json")).unwrap();
    let mark = place.backups.join("running/0123");
    fs::create_dir_all(mark.parent().unwrap()).unwrap();
    fs::write(&mark, b"").unwrap();
    assert_eq!(run(&["restore", text(&place.backups), "--list"]).out.lines().count(), 1);
    let target = folder();
    succeeds(&place.restore(&files(target.path()), &[]));
    assert_eq!(contents(target.path()), before);

    // Its files stay while it could still be running.
    succeeds(&place.back_up(&[]));
    assert!(interrupted.join("state.automerge").exists());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(2 * 86_400);
    fs::File::options().write(true).open(&mark).unwrap().set_modified(old).unwrap();
    succeeds(&place.back_up(&[]));
    assert!(!interrupted.exists() && !mark.exists());
    assert!(!place.backups.join("running").exists());
    succeeds(&run(&["restore", text(&place.backups), "--dry-run"]));
}
