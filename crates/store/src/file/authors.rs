//! The file of who brought which change in: `<documentId>.authors.jsonl`, in the folder of the documents. Lines are only
//! ever added to it.

use std::io;
use std::path::{Path, PathBuf};

use primitives::DocumentId;

use super::{Inner, trust};
use crate::disk::Disk;
use crate::replace::{NewFile, ReplaceError};
use crate::{OpenError, Place, StoreError};

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    file.read(0..file.len()?).map(Some)
}

/// Without what a crash has left of a line.
fn whole_lines(mut bytes: Vec<u8>) -> Vec<u8> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    bytes.truncate(whole);
    bytes
}

/// Adds lines, durably. Should that fail, the file is written anew before the next ones are added: what is in it beyond
/// the last success may be half of a line, or exist only in the operating system's memory.
fn append(disk: &dyn Disk, path: &Path, lines: &[u8]) -> io::Result<()> {
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return replace(disk, path, lines),
        other => other?,
    };
    let end = file.len()?;
    let ends_well = end == 0 || file.read(end - 1..end)? == b"\n";
    if !ends_well || trust::is_withdrawn(disk, path) {
        let mut all = whole_lines(file.read(0..end)?);
        all.extend_from_slice(lines);
        return replace(disk, path, &all);
    }
    file.write(end, lines).and_then(|()| file.sync()).inspect_err(|_| trust::withdraw(disk, path))
}

fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match NewFile::write(disk, path, bytes)?.publish(disk, path) {
        Ok(_) => {
            // Should a crash bring the mark back, the file is only written once more.
            trust::restore(disk, path);
            Ok(())
        }
        Err(ReplaceError::Kept(error)) => Err(error),
        Err(ReplaceError::Unknown(error)) => {
            trust::withdraw(disk, path);
            Err(error)
        }
    }
}

impl Inner {
    fn authors_file(&self, id: &DocumentId) -> PathBuf {
        self.documents.join(format!("{id}.authors.jsonl"))
    }

    pub(super) fn load_authors(&self, id: &DocumentId) -> Result<Vec<u8>, StoreError> {
        let path = self.authors_file(id);
        match read(&*self.disk, &path) {
            Ok(bytes) => Ok(bytes.map(whole_lines).unwrap_or_default()),
            Err(error) => Err(OpenError::io(Place::Documents(path), error).into()),
        }
    }

    pub(super) fn append_authors(&self, id: &DocumentId, lines: &[u8]) -> Result<(), StoreError> {
        debug_assert!(lines.ends_with(b"\n"), "only whole lines are appended");
        self.make_documents().map_err(|error| StoreError::from(error).while_writing(id))?;
        append(&*self.disk, &self.authors_file(id), lines).map_err(|error| StoreError::write(id, error))
    }
}
