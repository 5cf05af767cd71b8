//! Opens, reads, appends to and removes the file of a document.

use std::io;
use std::path::Path;

use primitives::DocumentId;

use super::log::{AppendError, Log, LogOpenError, OpenedLog};
use super::{Inner, lock_path};
use crate::disk::parent_folder;
use crate::integrity::{self, IdSource};
use crate::{Lengths, Loaded, OpenError, Position, Repair, StoreError, UnavailableReason};

impl Inner {
    /// Opens the log of a document, if it exists and is not open. Returns the repair, if a torn tail was truncated.
    pub(super) fn ensure_open(&self, id: &DocumentId, log: &mut Option<Log>) -> Result<Option<Repair>, StoreError> {
        if log.is_some() || (*id != self.default_id && !self.lock_folder()?) {
            return Ok(None);
        }
        let location = self.location(id);
        if *id != self.default_id
            && let Err(error) = self.disk.check_unlocked(&lock_path(location.path()))
        {
            return Err(OpenError::lock(location, error).into());
        }
        // This store knows the id of the default document, but the next start needs to find it in the file.
        let id_source = if *id == self.default_id { self.state_id_source } else { IdSource::Caller };
        match Log::open(&self.disk, location.path(), &self.requested_path(id), id_source) {
            Ok(None) => {
                self.unavailable.lock().remove(id);
                Ok(None)
            }
            Ok(Some(OpenedLog { log: opened, repair })) => {
                *log = Some(opened);
                self.unavailable.lock().remove(id);
                Ok(repair)
            }
            Err(LogOpenError::Io(error)) => Err(OpenError::io(location, error).into()),
            Err(LogOpenError::Locked) => Err(OpenError::LockedElsewhere { location }.into()),
            Err(LogOpenError::Damaged(damage)) => {
                let error = OpenError::damage(location, damage);
                tracing::error!(document = %id, %error, "a document is quarantined");
                self.unavailable.lock().insert(id.clone(), UnavailableReason::Quarantined);
                Err(error.into())
            }
        }
    }

    pub(super) fn load(&self, id: &DocumentId, log: &mut Option<Log>) -> Result<Option<Loaded>, StoreError> {
        let repair = self.ensure_open(id, log)?;
        let Some(log) = log.as_mut() else { return Ok(None) };
        let bytes = log.read().map_err(|source| StoreError::Read { id: id.clone(), source })?;
        let (document, snapshot_len) = (log.take_document(), log.lengths().snapshot);
        let authors = self.load_authors(id)?;
        Ok(Some(Loaded { bytes, authors, document, snapshot_len, repair, position: Position::START }))
    }

    /// Reads the file of a document without opening its log.
    pub(super) fn read_file(&self, id: &DocumentId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_file_at(self.location(id).path(), id)
    }

    /// Reads a file in which a document may be.
    pub(super) fn read_file_at(&self, path: &Path, id: &DocumentId) -> Result<Option<Vec<u8>>, StoreError> {
        let read = || {
            let file = self.disk.open(path)?;
            file.read(0..file.len()?)
        };
        match read() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Read { id: id.clone(), source }),
        }
    }

    pub(super) fn append(&self, id: &DocumentId, log: &mut Option<Log>, bytes: &[u8]) -> Result<Lengths, StoreError> {
        self.open_and_append(id, log, bytes).map_err(|error| error.while_writing(id))
    }

    fn open_and_append(&self, id: &DocumentId, log: &mut Option<Log>, bytes: &[u8]) -> Result<Lengths, StoreError> {
        debug_assert!(integrity::are_whole_chunks(bytes), "only whole chunks are appended");
        self.ensure_open(id, log)?;
        if bytes.is_empty() {
            return Ok(log.as_ref().map_or(Lengths { snapshot: 0, log: 0 }, Log::lengths));
        }
        if let Some(log) = log {
            return log.append(bytes).map_err(|error| match error {
                AppendError::Io(source) => StoreError::write(id, source),
                AppendError::NeedsRecovery => StoreError::NeedsRecovery { id: id.clone() },
                AppendError::ExternalChange(kind) => self.external_change_error(id, kind),
            });
        }
        if *id != self.default_id {
            self.create_folder()?;
        }
        let created = Log::create(&self.disk, self.location(id).path(), &self.requested_path(id), bytes);
        let created = created.map_err(|error| StoreError::write(id, error))?;
        Ok(log.insert(created).lengths())
    }

    pub(super) fn remove(&self, id: &DocumentId, log: &mut Option<Log>) -> Result<(), StoreError> {
        *log = None;
        self.unavailable.lock().remove(id);
        let path = self.location(id).path().to_owned();
        let peers = self.peers_file(id);
        let failed = |error| StoreError::write(id, error);
        let mut files = vec![path.clone(), peers.clone()];
        for path in [&path, &peers] {
            files.extend(self.leftover_files(path).map_err(failed)?);
        }
        for path in files {
            match self.disk.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        self.disk.sync_dir(parent_folder(&path)).map_err(failed)
    }
}
