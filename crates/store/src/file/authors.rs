//! The authors of a document's changes: `<documentId>.authors.jsonl` in the folder of the documents. An append-only file of
//! lines.

use std::io;
use std::path::{Path, PathBuf};

use primitives::DocumentId;

use super::{Inner, unsynced_marker};
use crate::disk::Disk;
use crate::replace::{NewFile, ReplaceError};
use crate::{Location, OpenError, StoreError};

/// Extension of a file of author lines.
pub(super) const EXTENSION: &str = ".authors.jsonl";

fn read(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    file.read(0..file.len()?).map(Some)
}

/// Removes the partial last line that a crash may have left.
pub(super) fn whole_lines(mut bytes: Vec<u8>) -> Vec<u8> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    bytes.truncate(whole);
    bytes
}

/// Durably appends lines. After a failure, the next call rewrites the file first: its end may be a partial line, or may not be
/// durable.
fn append(disk: &dyn Disk, path: &Path, lines: &[u8]) -> io::Result<()> {
    let file = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return replace(disk, path, lines),
        other => other?,
    };
    let end = file.len()?;
    let ends_with_line = end == 0 || file.read(end - 1..end)? == b"\n";
    if !ends_with_line || unsynced_marker::is_set(disk, path) {
        let mut all = whole_lines(file.read(0..end)?);
        all.extend_from_slice(lines);
        return replace(disk, path, &all);
    }
    file.write(end, lines).and_then(|()| file.sync()).inspect_err(|_| unsynced_marker::set(disk, path))
}

fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    match NewFile::write(disk, path, bytes)?.commit(disk, path) {
        Ok(_) => {
            // If a crash restores the marker, the file is only rewritten once more.
            unsynced_marker::clear(disk, path);
            Ok(())
        }
        Err(ReplaceError::Unchanged(error)) => Err(error),
        Err(ReplaceError::Indeterminate(error)) => {
            unsynced_marker::set(disk, path);
            Err(error)
        }
    }
}

impl Inner {
    fn authors_file(&self, id: &DocumentId) -> PathBuf {
        self.documents.join(format!("{id}{EXTENSION}"))
    }

    pub(super) fn load_authors(&self, id: &DocumentId) -> Result<Vec<u8>, StoreError> {
        let path = self.authors_file(id);
        match read(&*self.disk, &path) {
            Ok(bytes) => Ok(bytes.map(whole_lines).unwrap_or_default()),
            Err(error) => Err(OpenError::io(Location::Documents(path), error).into()),
        }
    }

    pub(super) fn append_authors(&self, id: &DocumentId, lines: &[u8]) -> Result<(), StoreError> {
        debug_assert!(lines.ends_with(b"\n"), "only whole lines are appended");
        self.create_folder().map_err(|error| StoreError::from(error).while_writing(id))?;
        append(&*self.disk, &self.authors_file(id), lines).map_err(|error| StoreError::write(id, error))
    }
}
