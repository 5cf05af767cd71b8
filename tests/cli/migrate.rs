//! `migrate`: between files and databases, there and back.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use primitives::DocumentId;
use serde_json::json;

use super::support::post_to;
use super::support::process::{Ended, Running, folder, imported, names, program, run, serve};

/// Files of one store.
pub struct Files {
    pub state: PathBuf,
    pub documents: PathBuf,
}

impl Files {
    pub fn in_folder(folder: &Path) -> Self {
        Self { state: folder.join("state.automerge"), documents: folder.join("documents") }
    }

    /// An imported default document, and this many others, with authors and rights.
    pub fn filled(folder: &Path, others: u8) -> Self {
        let state = imported(folder);
        let files = Self::in_folder(folder);
        fs::create_dir(&files.documents).unwrap();
        for number in 0..others {
            let id = id(number);
            let put = |extension: &str, content: &[u8]| {
                fs::write(files.documents.join(format!("{id}{extension}")), content).unwrap();
            };
            put(".automerge", &fs::read(&state).unwrap());
            put(".authors.jsonl", format!("{{\"by\":\"user {number}\"}}\n").as_bytes());
            put(".access.json", br#"{"owner":"cfo","users":{"ceo":"viewer"}}"#);
        }
        files
    }

    pub fn name(&self) -> String {
        format!("files:{},{}", self.state.display(), self.documents.display())
    }

    pub fn document(&self, number: u8) -> PathBuf {
        self.documents.join(format!("{}.automerge", id(number)))
    }

    /// Names and contents of all files that hold data.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let is_data = |name: &String| [".automerge", ".jsonl", ".json"].iter().any(|end| name.ends_with(end));
        let others = names(&self.documents).into_iter().filter(is_data);
        let mut contents: BTreeMap<_, _> =
            others.map(|name| (name.clone(), fs::read(self.documents.join(name)).unwrap())).collect();
        contents.insert("state".to_owned(), fs::read(&self.state).unwrap());
        contents
    }
}

pub fn id(number: u8) -> DocumentId {
    DocumentId::from_random([number; 16])
}

fn sqlite(folder: &Path) -> String {
    format!("sqlite:{}", folder.join("plan.db").display())
}

pub fn migrate(from: &str, to: &str, more: &[&str]) -> Ended {
    run(&[&["migrate", "--from", from, "--to", to], more].concat())
}

pub fn succeeds(ended: &Ended) -> &str {
    assert!(ended.code == Some(0) && ended.err.is_empty(), "{ended:?}");
    &ended.out
}

pub fn fails(ended: &Ended, reason: &str) {
    assert!(ended.code == Some(1) && ended.err.contains(reason), "{reason:?} is not in {ended:?}");
}

fn sql(folder: &Path, statement: &str) {
    rusqlite::Connection::open(folder.join("plan.db")).unwrap().execute_batch(statement).unwrap();
}

#[test]
fn files_come_back_from_a_database_byte_by_byte() {
    let (folder, back) = (folder(), folder());
    let files = Files::filled(folder.path(), 3);
    let database = sqlite(folder.path());
    let document = |arguments: &[&str]| {
        let storage = ["--state", files.state.to_str().unwrap(), "--documents", files.documents.to_str().unwrap()];
        assert_eq!(run(&[&["document"], arguments, &storage].concat()).code, Some(0));
    };
    document(&["delete", id(1).as_str()]);
    document(&["delete", id(2).as_str(), "--now"]);
    let before = files.contents();

    let ended = migrate(&files.name(), &database, &[]);
    let out = succeeds(&ended);
    assert!(
        out.contains("4 documents: 4 moved and verified, 0 completed, 0 already there, 0 not moved; 3 changes"),
        "{out}"
    );
    assert!(out.contains(&format!("{}  moved: 1 change, heads ", id(0))), "{out}");
    assert!(out.contains("1 author line, access record"), "{out}");
    assert!(out.contains(&format!("{}  moved: no content, 1 author line, access record", id(2))), "{out}");
    assert_eq!(files.contents(), before, "the source is unchanged");

    for more in [&[][..], &["--document", id(0).as_str()]] {
        for format in ["csv", "json"] {
            let export = |storage: &[&str]| run(&[&["export", "--format", format], storage, more].concat());
            let of_database = export(&["--database", &database]);
            let of_files =
                export(&["--state", files.state.to_str().unwrap(), "--documents", files.documents.to_str().unwrap()]);
            assert!(!of_files.out.is_empty() && succeeds(&of_database) == succeeds(&of_files), "{format} {more:?}");
        }
    }
    let checked = run(&["check", "--database", &database]);
    assert!(succeeds(&checked).contains(&format!("{}: removed", id(2))), "{checked:?}");

    let back = Files::in_folder(back.path());
    let ended = migrate(&database, &back.name(), &[]);
    assert!(succeeds(&ended).contains("4 moved and verified"), "{ended:?}");
    assert_eq!(back.contents(), before);
    let (server, _) = Running::server(serve(&back.state, &[]));
    assert!(server.printed.iter().any(|line| line.contains("(60 positions)")), "{:?}", server.printed);
    assert_eq!(server.stop().code, Some(0));
}

#[test]
fn folder_names_both_files_of_a_store() {
    let folder = folder();
    Files::filled(folder.path(), 1);
    let from = format!("files:{}", folder.path().display());
    let to = format!("files:{}", folder.path().join("copy").display());
    assert!(succeeds(&migrate(&from, &to, &[])).contains("2 moved and verified"));
    assert_eq!(Files::in_folder(&folder.path().join("copy")).contents(), Files::in_folder(folder.path()).contents());
}

#[test]
fn dry_run_creates_nothing_and_reports_differences() {
    let folder = folder();
    let (files, database) = (Files::filled(folder.path(), 2), sqlite(folder.path()));
    let before = names(folder.path());
    for to in [database.as_str(), &format!("files:{}", folder.path().join("copy").display())] {
        let ended = migrate(&files.name(), to, &["--dry-run"]);
        assert!(
            succeeds(&ended).contains("3 documents: 3 would be moved, 0 would be completed, 0 already there"),
            "{ended:?}"
        );
        assert_eq!(names(folder.path()), before, "{to}");
    }
    succeeds(&migrate(&files.name(), &database, &[]));
    sql(folder.path(), &format!("DELETE FROM batch WHERE document = '{}' AND kind = 0", id(1)));
    let ended = migrate(&files.name(), &database, &["--dry-run"]);
    assert!(succeeds(&ended).contains(&format!("{}  would be completed", id(1))), "{ended:?}");
    assert!(ended.out.contains("1 would be completed, 2 already there"), "{ended:?}");
}

#[test]
fn killed_migration_is_completed_by_the_next_run() {
    let folder = folder();
    let (files, database) = (Files::filled(folder.path(), 60), sqlite(folder.path()));
    let mut command = program(&["migrate", "--from", &files.name(), "--to", &database]);
    let mut running = Running::spawn(&mut command);
    running.until(|line| line.contains("  moved: ").then_some(()));
    running.signal("KILL");
    running.ended();
    let ended = migrate(&files.name(), &database, &[]);
    assert!(succeeds(&ended).contains("61 documents: ") && ended.out.contains("  already there: "), "{ended:?}");
    assert!(
        succeeds(&migrate(&files.name(), &database, &[])).contains("0 moved and verified, 0 completed, 61 already")
    );
    let back = Files::in_folder(&folder.path().join("back"));
    succeeds(&migrate(&database, &back.name(), &[]));
    assert_eq!(back.contents(), files.contents());
}

#[tokio::test]
async fn change_of_the_source_meanwhile_is_reported() {
    let folder = folder();
    let (files, database) = (Files::filled(folder.path(), 200), sqlite(folder.path()));
    succeeds(&migrate(&files.name(), &database, &[]));
    let (server, address) = Running::server(program(&["serve", "--listen", "127.0.0.1:0", "--database", &database]));
    let to = format!("files:{}", folder.path().join("copy").display());
    let mut running = Running::spawn(&mut program(&["migrate", "--from", &database, "--to", &to]));
    // The default document is moved first.
    running.until(|line| line.contains("  moved: ").then_some(()));
    running.signal("STOP");
    let row = json!({ "designation": "x", "department": "x", "budget": 1, "location": "x" });
    assert_eq!(post_to(address, "/api/documents/default/positions", &row).await.0, 201);
    running.signal("CONT");
    let ended = running.ended();
    fails(&ended, "1 document of the source changed after reading");
    assert!(ended.err.contains("row 1 then, row 2 now") && ended.err.contains("run the command again"), "{ended:?}");
    assert_eq!(server.stop().code, Some(0));
    let ended = migrate(&database, &to, &[]);
    assert!(succeeds(&ended).contains("0 moved and verified, 1 completed, 200 already there, 0 not moved; 1 change"));
}

#[test]
fn damaged_document_is_named_and_others_are_moved() {
    let folder = folder();
    let (files, database) = (Files::filled(folder.path(), 3), sqlite(folder.path()));
    let mut bytes = fs::read(files.document(1)).unwrap();
    bytes[40] ^= 1;
    fs::write(files.document(1), &bytes).unwrap();
    let torn = [&fs::read(files.document(2)).unwrap()[..], &bytes[..30]].concat();
    fs::write(files.document(2), &torn).unwrap();
    let ended = migrate(&files.name(), &database, &[]);
    fails(&ended, files.document(1).to_str().unwrap());
    assert!(ended.err.contains(&format!("{}: ignored 30 bytes", id(2))), "{ended:?}");
    assert!(ended.out.contains("3 moved and verified, 0 completed, 0 already there, 1 not moved"), "{ended:?}");
    assert_eq!(fs::read(files.document(2)).unwrap(), torn, "the source is not repaired");

    sql(folder.path(), &format!("UPDATE batch SET chunks = zeroblob(9) WHERE kind = 0 AND document = '{}'", id(0)));
    let back = Files::in_folder(&folder.path().join("back"));
    let ended = migrate(&database, &back.name(), &[]);
    fails(&ended, &format!("document {} is out of service: row 2", id(0)));
    assert!(ended.out.contains("2 moved and verified") && ended.out.contains("1 not moved"), "{ended:?}");
}

#[test]
fn other_content_in_the_target_is_kept() {
    let folder = folder();
    let (files, database) = (Files::filled(folder.path(), 3), sqlite(folder.path()));
    succeeds(&migrate(&files.name(), &database, &[]));
    let more = folder.path().join("more.json");
    fs::write(&more, r#"[{"designation": "Cook", "department": "", "budget": 1, "location": ""}]"#).unwrap();
    let id0 = id(0);
    let import = ["import", more.to_str().unwrap(), "--database", &database, "--document", id0.as_str()];
    assert_eq!(run(&import).code, Some(0));
    fs::write(files.documents.join(format!("{}.access.json", id(1))), "{}").unwrap();
    fs::write(files.documents.join(format!("{}.authors.jsonl", id(2))), "{}\n").unwrap();
    let ended = migrate(&files.name(), &database, &[]);
    fails(&ended, "holds 1 changes of this document that the source does not");
    assert!(ended.err.contains("--replace-access") && ended.err.contains("author lines"), "{ended:?}");
    assert!(ended.out.contains("1 already there, 3 not moved"), "{ended:?}");
    let exported = run(&["export", "--database", &database, "--document", id0.as_str()]);
    assert!(succeeds(&exported).contains("Cook"), "{exported:?}");

    let ended = migrate(&files.name(), &database, &["--replace-access"]);
    assert!(ended.out.contains(&format!("{}  completed", id(1))), "{ended:?}");
    assert!(ended.out.contains("1 completed, 1 already there, 2 not moved"), "{ended:?}");
}

#[test]
fn target_with_another_default_document_is_refused() {
    let (one, two) = (folder(), folder());
    let (from, to) = (Files::filled(one.path(), 1), Files::filled(two.path(), 0));
    let before = to.contents();
    fails(&migrate(&from.name(), &to.name(), &[]), "another default document");
    assert_eq!(to.contents(), before);
    let database = sqlite(two.path());
    succeeds(&migrate(&to.name(), &database, &[]));
    for more in [&[][..], &["--dry-run"]] {
        fails(&migrate(&from.name(), &database, more), "Give an empty target");
    }
}

#[test]
fn same_store_as_source_and_target_is_refused() {
    let folder = folder();
    let (files, database) = (Files::filled(folder.path(), 1), sqlite(folder.path()));
    succeeds(&migrate(&files.name(), &database, &[]));
    let by_another_name = format!("sqlite:{}/../{}", folder.path().join("documents").display(), "plan.db");
    fails(&migrate(&database, &by_another_name, &[]), "the same store");
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path(), &link).unwrap();
    fails(&migrate(&files.name(), &format!("files:{}", link.display()), &[]), "the same store");
    let same_folder = format!("files:{},{}", folder.path().join("b.automerge").display(), files.documents.display());
    fails(&migrate(&files.name(), &same_folder, &[]), "the same store");
}

#[test]
fn unusable_stores_are_refused_with_the_reason() {
    let folder = folder();
    let (files, database) = (Files::filled(folder.path(), 1), sqlite(folder.path()));
    let nowhere = format!("files:{}", folder.path().join("nothing").display());
    fails(&migrate(&nowhere, &database, &[]), "holds no documents");
    fails(&migrate(&database, &nowhere, &[]), "holds no documents");
    let misspelt = format!("files:{},{}", folder.path().join("plan.automerge").display(), files.documents.display());
    fails(&migrate(&misspelt, &database, &[]), "plan.automerge does not exist");
    assert!(!folder.path().join("plan.db").exists() && !folder.path().join("nothing").exists());

    let ended = migrate(&files.name(), "postgres://me:hunter2@127.0.0.1:1/plan", &[]);
    fails(&ended, "cannot be reached");
    assert!(!ended.err.contains("hunter2"), "{ended:?}");
    let ended = migrate(&files.name(), "redis://me:hunter2@db/plan", &[]);
    assert!(ended.code == Some(2) && ended.err.contains("files:STATE,DOCUMENTS"), "{ended:?}");

    let (server, _) = Running::server(serve(&files.state, &[]));
    fails(&migrate(&files.name(), &database, &[]), &format!("in use by process {}", server.pid()));
    assert_eq!(server.stop().code, Some(0));

    succeeds(&migrate(&files.name(), &database, &[]));
    sql(
        folder.path(),
        "UPDATE meta SET value = CAST('99' AS BLOB) WHERE name = 'schema version';
         UPDATE meta SET value = CAST('99' AS BLOB) WHERE name LIKE 'oldest%'",
    );
    fails(&migrate(&files.name(), &database, &[]), "Upgrade this node");
    fails(&migrate(&database, &nowhere, &[]), "Upgrade this node");
}

#[test]
fn server_names_the_migration_between_files_and_database() {
    let folder = folder();
    let (files, database) = (Files::filled(folder.path(), 1), sqlite(folder.path()));
    let (state, documents) = (files.state.to_str().unwrap(), files.documents.to_str().unwrap());
    let ended = run(&["serve", "--database", &database, "--state", state, "--documents", documents]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let command = ended.err.split('`').nth(1).unwrap().replace("URL", &database);
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    assert!(succeeds(&run(&arguments)).contains("2 moved and verified"), "{command}");
}
