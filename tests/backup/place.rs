//! A store in files, and a place for its backups.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::support::process::{self, Ended, imported, names, run};
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT};
use primitives::DocumentId;

/// The files of a store, and a place for its backups.
pub struct Place {
    pub folder: tempfile::TempDir,
    pub backups: PathBuf,
}

impl Place {
    /// An imported default document, and this many others, with authors and rights.
    pub fn filled(others: u8) -> Self {
        let folder = process::folder();
        let state = imported(folder.path());
        let documents = folder.path().join("documents");
        fs::create_dir(&documents).unwrap();
        for number in 0..others {
            let id = id(number);
            let put = |extension: &str, content: &[u8]| {
                fs::write(documents.join(format!("{id}{extension}")), content).unwrap();
            };
            put(".automerge", &fs::read(&state).unwrap());
            put(".authors.jsonl", format!("{{\"by\":\"user {number}\"}}\n").as_bytes());
            put(".access.json", br#"{"owner":"cfo","users":{"ceo":"viewer"}}"#);
        }
        let backups = folder.path().join("backup");
        Self { folder, backups }
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state.automerge")
    }

    pub fn documents(&self) -> PathBuf {
        self.folder.path().join("documents")
    }

    pub fn document(&self, number: u8) -> PathBuf {
        self.documents().join(format!("{}.automerge", id(number)))
    }

    /// Backs it up.
    pub fn back_up(&self, more: &[&str]) -> Ended {
        back_up(&self.state(), &self.documents(), text(&self.backups), more)
    }

    /// Restores the newest backup.
    pub fn restore(&self, to: &str, more: &[&str]) -> Ended {
        run(&[&["restore", text(&self.backups), "--to", to], more].concat())
    }

    /// Names and contents of all files that hold documents.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        contents(self.folder.path())
    }

    /// The folders of its backups, the oldest first.
    pub fn made(&self) -> Vec<PathBuf> {
        let folder = self.backups.join("backups");
        names(&folder).into_iter().map(|name| folder.join(name)).collect()
    }
}

/// Names and contents of all files that hold documents in a folder.
pub fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let documents = folder.join("documents");
    let is_data = |name: &String| [".automerge", ".jsonl", ".json"].iter().any(|end| name.ends_with(end));
    let others = names(&documents).into_iter().filter(is_data);
    let mut contents: BTreeMap<_, _> =
        others.map(|name| (name.clone(), fs::read(documents.join(name)).unwrap())).collect();
    contents.insert("state".to_owned(), fs::read(folder.join("state.automerge")).unwrap());
    contents
}

pub fn back_up(state: &Path, documents: &Path, to: &str, more: &[&str]) -> Ended {
    let files = ["--state", text(state), "--documents", text(documents)];
    run(&[&["backup", to], &files[..], more].concat())
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The argument that names the files of a store in a folder.
pub fn files(folder: &Path) -> String {
    format!("files:{}", folder.display())
}

pub fn id(number: u8) -> DocumentId {
    DocumentId::from_random([number; 16])
}

#[track_caller]
pub fn succeeds(ended: &Ended) -> &str {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    &ended.out
}

#[track_caller]
pub fn fails(ended: &Ended, reason: &str) {
    assert!(ended.code == Some(1) && ended.err.contains(reason), "{reason:?} is not in {ended:?}");
}

/// Adds a key to a document, as a server appends a change.
pub fn append_change(path: &Path, key: &str, value: &str) {
    let before = fs::read(path).unwrap();
    let mut document = AutoCommit::load(&before).unwrap();
    let heads = document.get_heads();
    document.put(ROOT, key, value).unwrap();
    fs::write(path, [before, document.save_after(&heads)].concat()).unwrap();
}

/// The number of bytes that a backup says are new.
#[track_caller]
pub fn stored(ended: &Ended) -> usize {
    let (_, rest) = succeeds(ended).split_once("of which ").unwrap();
    rest.split(' ').next().unwrap().parse().unwrap()
}
