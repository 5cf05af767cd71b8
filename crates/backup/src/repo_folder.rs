//! The folder in which a stock automerge-repo server keeps its documents, as `NodeFSStorageAdapter` writes it.
//!
//! ```text
//! DATA_DIR/
//!     st/orage-adapter-id
//!     4N/MNnkMhL8jXrdJ9jamS58PAVdXu/           document 4NMNnkMhL8jXrdJ9jamS58PAVdXu
//!         snapshot/<hash of heads>             the document as one chunk
//!         incremental/<hash of the bytes>      later changes
//!         sync-state/<storage id>              of no use to another server
//! ```
//!
//! A new snapshot is written before the files that it replaces are removed, so several files may hold the same changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use automerge_chunks::chunk::{ScanEnd, scan};
use primitives::DocumentId;

use crate::{DocumentFailure, StorageError};

/// Folders of a document that hold its chunks, in the order in which they are read.
const CHUNK_FOLDERS: [&str; 2] = ["snapshot", "incremental"];
/// Length of the names of the folders that hold documents.
const PREFIX: usize = 2;

/// The reason why an empty file is refused.
const EMPTY: &str = "it is empty, probably because its server was stopped during a write. Changes may be missing. To import the \
                     document without them, remove the file";

/// A folder of documents. It is only read; the server that writes it must not run.
#[derive(Debug)]
pub struct RepoFolder {
    /// The folder of each document.
    documents: BTreeMap<DocumentId, PathBuf>,
    /// Names in the place of documents that are no ids of documents.
    foreign: Vec<String>,
}

impl RepoFolder {
    /// Lists the documents of a folder.
    ///
    /// # Errors
    /// When the folder cannot be read, or holds no documents.
    pub fn open(folder: &Path) -> Result<Self, StorageError> {
        let failed = |source: io::Error| StorageError::RepoFolder { folder: folder.to_owned(), source };
        let (mut documents, mut foreign) = (BTreeMap::new(), Vec::new());
        for (prefix, path) in folders(folder).map_err(failed)? {
            if prefix.len() != PREFIX {
                continue;
            }
            for (rest, path) in folders(&path).map_err(failed)? {
                if !CHUNK_FOLDERS.iter().any(|name| path.join(name).is_dir()) {
                    continue;
                }
                let name = format!("{prefix}{rest}");
                match name.parse() {
                    Ok(id) => drop(documents.insert(id, path)),
                    Err(_) => foreign.push(name),
                }
            }
        }
        if documents.is_empty() && foreign.is_empty() {
            return Err(StorageError::NoRepoFolder(folder.to_owned()));
        }
        foreign.sort();
        Ok(Self { documents, foreign })
    }

    /// Names in the place of documents that are no ids of documents, such as the UUIDs of early versions.
    #[must_use]
    pub fn foreign(&self) -> &[String] {
        &self.foreign
    }

    pub(crate) fn list(&self) -> BTreeSet<DocumentId> {
        self.documents.keys().cloned().collect()
    }

    /// The chunks of all files of a document.
    pub(crate) fn read(&self, id: &DocumentId) -> Result<Vec<u8>, DocumentFailure> {
        let mut chunks = Vec::new();
        let Some(folder) = self.documents.get(id) else { return Ok(chunks) };
        for name in CHUNK_FOLDERS {
            let folder = folder.join(name);
            let failed = |path: &Path, reason: String| DocumentFailure::RepoFile { file: path.to_owned(), reason };
            if !folder.is_dir() {
                continue;
            }
            for path in files(&folder).map_err(|error| failed(&folder, error.to_string()))? {
                let bytes = fs::read(&path).map_err(|error| failed(&path, error.to_string()))?;
                // The adapter empties a file before it writes it: an empty one may be all that is left of changes.
                if bytes.is_empty() {
                    return Err(failed(&path, EMPTY.to_owned()));
                }
                if scan(&bytes, u64::MAX).end != ScanEnd::Whole {
                    return Err(failed(&path, "it does not hold whole Automerge chunks".to_owned()));
                }
                chunks.extend_from_slice(&bytes);
            }
        }
        Ok(chunks)
    }
}

/// The folders in a folder, with their names. Names that are not UTF-8 are no part of ids.
fn folders(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_dir()) {
            found.push((name.to_owned(), path));
        }
    }
    Ok(found)
}

/// The files in a folder, by name.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{AutoCommit, ROOT};
    use tempfile::{TempDir, tempdir};

    use super::*;
    use crate::{Contents, Failure};

    const ID: &str = "4NMNnkMhL8jXrdJ9jamS58PAVdXu";

    /// A folder with one document. Its snapshot holds the first change, its increments all three.
    fn folder() -> (TempDir, AutoCommit) {
        let folder = tempdir().expect("a folder");
        let mut document = AutoCommit::new();
        document.put(ROOT, "a", 1).expect("put");
        let mut files = vec![("snapshot/one", document.save())];
        files.push(("incremental/one", document.save()));
        for (name, value) in [("incremental/b", 2), ("incremental/a", 3)] {
            document.put(ROOT, "a", value).expect("put");
            files.push((name, document.save_incremental()));
        }
        for (name, bytes) in files {
            write(folder.path(), &format!("{}/{}/{name}", &ID[..2], &ID[2..]), &bytes);
        }
        write(folder.path(), "st/orage-adapter-id", b"id");
        write(folder.path(), "lost+found/x/snapshot/a", b"?");
        (folder, document)
    }

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    #[tokio::test]
    async fn overlapping_files_are_one_document() {
        let (folder, mut document) = folder();
        let contents = Contents::RepoFolder(RepoFolder::open(folder.path()).expect("opens").into());
        let ids = contents.documents().await.expect("a list");
        assert_eq!(ids.iter().map(DocumentId::as_str).collect::<Vec<_>>(), [ID]);
        let copy = contents.read(&ids[0]).await.expect("reads");
        assert_eq!(copy.heads(), Some(document.get_heads()));
        let content = copy.content.expect("content");
        assert_eq!(automerge::Automerge::load(&content.bytes).expect("loads").get_heads(), document.get_heads());
        assert!(copy.access.is_none() && copy.authors.is_empty());
    }

    #[tokio::test]
    async fn damaged_and_incomplete_documents_are_refused() {
        let (folder, _) = folder();
        let read = async || {
            let contents = Contents::RepoFolder(RepoFolder::open(folder.path()).expect("opens").into());
            contents.read(&ID.parse().expect("an id")).await.map(|_| ())
        };
        let file = |name: &str| folder.path().join(&ID[..2]).join(&ID[2..]).join(name);
        let whole = fs::read(file("incremental/b")).expect("reads");
        fs::write(file("incremental/b"), &whole[..whole.len() - 1]).expect("written");
        let Err(Failure::Document(DocumentFailure::RepoFile { file: named, .. })) = read().await else {
            panic!("read")
        };
        assert!(named.ends_with("incremental/b"), "{named:?}");
        fs::write(file("incremental/b"), "").expect("written");
        let Err(Failure::Document(DocumentFailure::RepoFile { reason, .. })) = read().await else { panic!("read") };
        assert_eq!(reason, EMPTY);
        fs::remove_file(file("incremental/b")).expect("removed");
        let missing = read().await;
        assert!(matches!(missing, Err(Failure::Document(DocumentFailure::MissingDependencies(1)))), "{missing:?}");
    }

    #[test]
    fn other_folders_are_refused() {
        let empty = tempdir().expect("a folder");
        assert!(matches!(RepoFolder::open(empty.path()), Err(StorageError::NoRepoFolder(_))));
        assert!(matches!(RepoFolder::open(&empty.path().join("missing")), Err(StorageError::RepoFolder { .. })));
        write(empty.path(), "0b/e30cc0-d3f1-4ac7-b9a1-1c6b8a3f9d11/snapshot/a", b"?");
        let folder = RepoFolder::open(empty.path()).expect("opens");
        assert_eq!(folder.foreign(), ["0be30cc0-d3f1-4ac7-b9a1-1c6b8a3f9d11"]);
        assert!(folder.list().is_empty());
    }
}
