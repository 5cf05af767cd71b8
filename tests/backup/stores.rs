//! Backups of databases, and restores from files to a database and back.

use super::place::{Place, contents, fails, files, id, stored, succeeds, text};
use super::support::process::{folder, run};

#[test]
fn backups_move_between_files_and_databases() {
    let place = Place::filled(3);
    let before = place.contents();
    place.back_up(&[]);
    let database = format!("sqlite:{}", place.folder.path().join("plan.db").display());
    let out = place.restore(&database, &["--dry-run"]);
    assert!(succeeds(&out).contains("4 documents: 4 would be restored"), "{out:?}");
    assert!(!place.folder.path().join("plan.db").exists());
    let out = place.restore(&database, &[]);
    assert!(succeeds(&out).contains("4 documents: 4 restored and verified"), "{out:?}");
    fails(&place.restore(&database, &[]), "holds documents already");
    let merged = place.restore(&database, &["--merge"]);
    assert!(succeeds(&merged).contains("4 already there"), "{merged:?}");

    let of_database = place.folder.path().join("backup of database");
    let back_up = || run(&["backup", text(&of_database), "--database", &database]);
    let first = stored(&back_up());
    let again = stored(&back_up());
    assert!(first > 10_000 && again == 0, "{first} bytes, then {again}");
    let restored = folder();
    succeeds(&run(&["restore", text(&of_database), "--to", &files(restored.path())]));
    assert_eq!(contents(restored.path()), before);
    let check = run(&["check", "--database", &database]);
    assert!(succeeds(&check).contains(id(2).as_str()), "{check:?}");
}
