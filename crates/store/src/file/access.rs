//! The access rights of each document: `<documentId>.access.json` in the folder of the documents.

use std::io;
use std::path::PathBuf;

use primitives::DocumentId;

use super::Inner;
use crate::replace::replace;
use crate::{Location, OpenError, StoreError, StoredAccess};

/// Extension of the file of an access record.
pub(super) const EXTENSION: &str = ".access.json";

impl Inner {
    fn access_file(&self, id: &DocumentId) -> PathBuf {
        self.documents.join(format!("{id}{EXTENSION}"))
    }

    pub(super) fn load_access(&self) -> Result<Vec<StoredAccess>, StoreError> {
        let files = match self.disk.list_files(&self.documents) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|error| StoreError::from(self.folder_error(error)))?,
        };
        let ids = files.iter().filter_map(|name| name.strip_suffix(EXTENSION)?.parse::<DocumentId>().ok());
        ids.filter_map(|id| self.load_access_of(&id).transpose()).collect()
    }

    pub(super) fn load_access_of(&self, id: &DocumentId) -> Result<Option<StoredAccess>, StoreError> {
        let path = self.access_file(id);
        let read = || {
            let file = self.disk.open(&path)?;
            file.read(0..file.len()?)
        };
        match read() {
            Ok(record) => Ok(Some(StoredAccess { document: id.clone(), version: 0, record })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(OpenError::io(Location::Documents(path), error).into()),
        }
    }

    /// Atomic and durable.
    pub(super) fn save_access(&self, id: &DocumentId, bytes: &[u8]) -> Result<(), StoreError> {
        self.create_folder().map_err(|error| StoreError::from(error).while_writing(id))?;
        let path = self.access_file(id);
        replace(&*self.disk, &path, bytes).map_err(|error| StoreError::write(id, error))
    }
}
