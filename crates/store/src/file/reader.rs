//! Reads the files of all documents without changing any of them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use automerge::Automerge;
use primitives::DocumentId;

use super::{EXTENSION, FOLDER_LOCK, access, authors, lock_path};
use crate::disk::{Disk, LockGuard, RealDisk};
use crate::integrity::{IdSource, TornTail, VerifiedContent};
use crate::{Location, OpenError};

/// The files that a [`FileStore`](super::FileStore) would open. Unlike that store, it repairs nothing: it ignores a torn write at
/// the end of a file, and needs no permission to write.
pub struct FileReader {
    disk: Arc<dyn Disk>,
    state: PathBuf,
    documents: PathBuf,
    /// The locks of a server, so that no other process changes the files meanwhile. `None` if a server may.
    locks: Option<Vec<LockGuard>>,
}

/// The content of a document's file.
pub struct FileContent {
    /// Whole chunks.
    pub bytes: Vec<u8>,
    /// The document in these bytes.
    pub document: Automerge,
    /// The part of the file after them, which a server would truncate.
    pub torn_tail: Option<TornTail>,
}

impl FileReader {
    /// Locks the file of the default document and the folder of all others, as far as they exist.
    ///
    /// # Errors
    /// When another process uses them, or they cannot be read.
    pub fn open(state: &Path, documents: &Path) -> Result<Self, OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
        let of_state = |error| OpenError::io(Location::State(state.to_owned()), error);
        let path = disk.resolve(state).map_err(of_state)?;
        let mut locks = Vec::new();
        if exists(&*disk, &path).map_err(of_state)? {
            let location = || Location::State(state.to_owned());
            locks.push(disk.lock(&lock_path(&path)).map_err(|error| OpenError::lock(location(), error))?);
        }
        let location = || Location::Documents(documents.to_owned());
        if exists(&*disk, documents).map_err(|error| OpenError::io(location(), error))? {
            let lock = disk.lock(&documents.join(FOLDER_LOCK));
            locks.push(lock.map_err(|error| OpenError::lock(location(), error))?);
        }
        Ok(Self { disk, state: path, documents: documents.to_owned(), locks: Some(locks) })
    }

    /// Reads files that a server may use meanwhile. A server only appends to a file or replaces it, so what is read of a document
    /// holds every change that was stored when the reading began.
    ///
    /// # Errors
    /// When the path of the default document cannot be resolved.
    pub fn open_in_use(state: &Path, documents: &Path) -> Result<Self, OpenError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::default());
        let path = disk.resolve(state).map_err(|error| OpenError::io(Location::State(state.to_owned()), error))?;
        Ok(Self { disk, state: path, documents: documents.to_owned(), locks: None })
    }

    /// The content of the default document's file. `None` if it does not exist.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub fn state(&self) -> Result<Option<FileContent>, OpenError> {
        self.content(Location::State(self.state.clone()), IdSource::Document)
    }

    /// The content of another document's file. `None` if it does not exist.
    ///
    /// # Errors
    /// When it cannot be read, or is damaged.
    pub fn document(&self, id: &DocumentId) -> Result<Option<FileContent>, OpenError> {
        let location = self.location(id);
        if self.locks.is_some() {
            let unlocked = self.disk.check_unlocked(&lock_path(location.path()));
            unlocked.map_err(|error| OpenError::lock(location.clone(), error))?;
        }
        self.content(location, IdSource::Caller)
    }

    /// The bytes of a document's file, unchecked. `None` if it does not exist. Without an id, of the default document's file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn raw(&self, id: Option<&DocumentId>) -> Result<Option<Vec<u8>>, OpenError> {
        let location = id.map_or_else(|| Location::State(self.state.clone()), |id| self.location(id));
        read(location.path()).map_err(|error| OpenError::io(location.clone(), error))
    }

    fn location(&self, id: &DocumentId) -> Location {
        Location::Documents(self.documents.join(format!("{id}{EXTENSION}")))
    }

    /// The documents other than the default one that have content, author lines or an access record.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self) -> Result<BTreeSet<DocumentId>, OpenError> {
        let files = match self.disk.list_files(&self.documents) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            other => other.map_err(|error| OpenError::io(Location::Documents(self.documents.clone()), error))?,
        };
        let id = |name: &str| {
            let extensions = [EXTENSION, access::EXTENSION, authors::EXTENSION];
            extensions.iter().find_map(|extension| name.strip_suffix(extension)?.parse().ok())
        };
        Ok(files.iter().filter_map(|name| id(name)).collect())
    }

    /// The author lines of a document. A partial last line is omitted.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn authors(&self, id: &DocumentId) -> Result<Vec<u8>, OpenError> {
        Ok(self.read(&format!("{id}{}", authors::EXTENSION))?.map(authors::whole_lines).unwrap_or_default())
    }

    /// The access record of a document. `None` if it has none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn access(&self, id: &DocumentId) -> Result<Option<Vec<u8>>, OpenError> {
        self.read(&format!("{id}{}", access::EXTENSION))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, OpenError> {
        let path = self.documents.join(name);
        read(&path).map_err(|error| OpenError::io(Location::Documents(path), error))
    }

    fn content(&self, location: Location, id_source: IdSource) -> Result<Option<FileContent>, OpenError> {
        let bytes = read(location.path()).map_err(|error| OpenError::io(location.clone(), error))?;
        let Some(mut bytes) = bytes else { return Ok(None) };
        let content = VerifiedContent::from_file(&bytes, id_source);
        let content = content.map_err(|damage| OpenError::damage(location, damage))?;
        bytes.truncate(usize::try_from(content.valid_len).unwrap_or(usize::MAX));
        Ok(Some(FileContent { bytes, document: content.document, torn_tail: content.torn_tail }))
    }
}

fn exists(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    match disk.stat(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|_| true),
    }
}

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    // A read from a pipe or a device would not end.
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    if !metadata.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    // No more than the length at this moment: a busy server could append faster than this reads.
    let len = file.metadata()?.len();
    let mut bytes = Vec::new();
    file.by_ref().take(len).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StateFile;
    use crate::conformance::{TestEditor, id};

    #[test]
    fn torn_tail_is_ignored_and_left_in_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let (state, documents) = (folder.path().join("state.automerge"), folder.path().join("documents"));
        fs::create_dir(&documents).expect("made");
        let mut editor = TestEditor::new();
        editor.edit();
        let (whole, next) = (editor.save(), editor.edit());
        let path = documents.join(format!("{}{EXTENSION}", id(1)));
        let torn = [&whole[..], &next[..9]].concat();
        fs::write(&path, &torn).expect("written");
        fs::write(documents.join(format!("{}.authors.jsonl", id(2))), "one\ntw").expect("written");
        let reader = FileReader::open(&state, &documents).expect("opens");
        assert!(reader.state().expect("readable").is_none());
        assert_eq!(reader.list().expect("readable"), BTreeSet::from([id(1), id(2)]));
        let content = reader.document(&id(1)).expect("readable").expect("there");
        assert_eq!((content.bytes, content.torn_tail.map(|tail| tail.len)), (whole, Some(9)));
        assert_eq!(reader.authors(&id(2)).expect("readable"), b"one\n");
        assert_eq!(reader.access(&id(2)).expect("readable"), None);
        assert_eq!(fs::read(&path).expect("there"), torn);
    }

    #[test]
    fn files_in_use_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state.automerge");
        let mut editor = TestEditor::new();
        editor.edit();
        fs::write(&state, editor.save()).expect("written");
        let held = StateFile::open(&state).expect("opens");
        let refused = FileReader::open(&state, &folder.path().join("documents")).err().expect("in use");
        assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
        let beside = FileReader::open_in_use(&state, &folder.path().join("documents")).expect("needs no lock");
        assert!(beside.state().expect("readable").is_some());
        drop(held);
        FileReader::open(&state, &folder.path().join("documents")).expect("free");
    }
}
