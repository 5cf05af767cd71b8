//! Which documents are unavailable, and whether writes succeed.

use std::io;
use std::path::Path;
use std::sync::Arc;

use primitives::DocumentId;

use super::Inner;
use super::log::Log;
use crate::disk::{parent_folder, with_suffix};
use crate::{ExternalChange, ExternalChangeKind, Location, StoreError, UnavailableReason};

impl Inner {
    /// Records whether an open document is available.
    pub(super) fn update_health(&self, id: &DocumentId, log: Option<&Log>) {
        // `ensure_open` records a document that cannot be opened.
        let Some(log) = log else { return };
        let reason = match log.external_change() {
            _ if log.needs_recovery() => Some(UnavailableReason::NeedsRecovery),
            Some(_) => Some(UnavailableReason::ExternalChange),
            None => None,
        };
        let before = {
            let mut unavailable = self.unavailable.lock();
            match reason {
                Some(reason) => unavailable.insert(id.clone(), reason),
                None => unavailable.remove(id),
            }
        };
        match log.external_change() {
            Some(kind) if reason == Some(UnavailableReason::ExternalChange) && before != reason => {
                tracing::error!(document = %id, "{}", ExternalChange { location: self.location(id), kind });
            }
            None if before == Some(UnavailableReason::ExternalChange) => {
                tracing::info!(document = %id, "the document's file is in its place again; it takes changes");
            }
            _ => {}
        }
    }

    pub(super) fn external_change_error(&self, id: &DocumentId, kind: ExternalChangeKind) -> StoreError {
        StoreError::ExternalChange { id: id.clone(), change: ExternalChange { location: self.location(id), kind } }
    }

    pub(super) fn probe(&self) -> Result<(), StoreError> {
        let _probing = self.probing.lock();
        self.check_open_files()?;
        self.test_write(&with_suffix(&self.state, ".probe"))
            .map_err(|source| StoreError::Folder { location: Location::State(self.state.clone()), source })?;
        if self.lock_folder()? {
            self.test_write(&self.documents.join(".probe")).map_err(|source| StoreError::Folder {
                location: Location::Documents(self.documents.clone()),
                source,
            })?;
        }
        Ok(())
    }

    /// Checks that other programs have not changed the open files. Skips documents that are in use: their calls check it.
    fn check_open_files(&self) -> Result<(), StoreError> {
        let entries: Vec<_> = self.entries.lock().iter().map(|(id, entry)| (id.clone(), Arc::clone(entry))).collect();
        let mut result = Ok(());
        for (id, entry) in entries {
            if let Ok(mut guard) = entry.log.try_lock()
                && let Some(log) = guard.as_mut()
            {
                let checked = match log.check_external_change() {
                    Ok(None) => Ok(()),
                    Ok(Some(kind)) => Err(self.external_change_error(&id, kind)),
                    Err(source) => Err(StoreError::Folder { location: self.location(&id), source }),
                };
                self.update_health(&id, Some(log));
                result = result.and(checked);
            }
            self.remove_entry_if_closed(&id, entry);
        }
        result
    }

    /// Writes, syncs and removes a small file.
    fn test_write(&self, path: &Path) -> io::Result<()> {
        // A crash may have left one behind.
        let _ = self.disk.remove(path);
        let file = self.disk.create(path, None)?;
        // As long as a batch of changes: a disk with a few free bytes counts as full.
        let written = file.write(0, &[0; 4096]).and_then(|()| file.sync());
        let removed = self.disk.remove(path);
        written.and(removed).and_then(|()| self.disk.sync_dir(parent_folder(path)))
    }
}
