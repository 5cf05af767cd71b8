//! Changes which document is in the state file.

use std::io;
use std::sync::Arc;

use offload::run_blocking;
use primitives::DocumentId;

use super::{EXTENSION, FileStore, Inner};
use crate::StoreError;
use crate::disk::parent_folder;
use crate::replace::replace;

impl FileStore {
    /// Puts another stored document into the state file, and the one that was there into the folder of the documents. No document may be
    /// open. Drop the store afterwards: it still has the old default document.
    ///
    /// A crash leaves the old or the new document in the state file. A copy of it may stay in the folder, which is ignored until
    /// this is called again.
    ///
    /// # Errors
    /// When the document is not stored, when another file is in the place of the old default document, or when the disk fails.
    pub async fn make_default(&self, id: &DocumentId) -> Result<(), StoreError> {
        let (inner, id) = (Arc::clone(&self.inner), id.clone());
        run_blocking(move || inner.make_default(&id)).await
    }
}

impl Inner {
    fn make_default(&self, id: &DocumentId) -> Result<(), StoreError> {
        if *id == self.default_id {
            return Ok(());
        }
        let missing = || StoreError::Read { id: id.clone(), source: io::ErrorKind::NotFound.into() };
        let new = self.read_file(id)?.ok_or_else(missing)?;
        let (old_id, from) = (&self.default_id, self.location(id));
        if let Some(old) = self.read_file(old_id)? {
            let to = self.documents.join(format!("{old_id}{EXTENSION}"));
            // An interrupted call has left a copy that may lack later changes.
            if self.read_file_at(&to, old_id)?.is_some_and(|found| !old.starts_with(&found)) {
                let error = io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "another file is in its place in the folder of the documents",
                );
                return Err(StoreError::write(old_id, error));
            }
            replace(&*self.disk, &to, &old).map_err(|error| StoreError::write(old_id, error))?;
        }
        replace(&*self.disk, &self.state, &new).map_err(|error| StoreError::write(id, error))?;
        let removed = self.disk.remove(from.path()).and_then(|()| self.disk.sync_dir(parent_folder(from.path())));
        removed.map_err(|error| StoreError::write(id, error))
    }
}
