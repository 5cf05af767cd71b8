//! Compaction and recovery, which rewrite a document's whole file.

use std::sync::Arc;

use offload::run_blocking;
use primitives::DocumentId;
use tokio::runtime::Handle;

use super::Inner;
use super::entry::{DocumentEntry, LogGuard};
use super::log::Log;
use crate::integrity::{Damage, VerifiedContent};
use crate::replace::{NewFile, ReplaceError};
use crate::{Lengths, SnapshotError, StoreError};

/// Replaces the stored content by a snapshot of it, during concurrent appends.
pub(super) async fn compact(inner: Arc<Inner>, id: DocumentId, snapshot: Vec<u8>) -> Result<Lengths, StoreError> {
    let entry = inner.entry(&id);
    let rewrite = Arc::clone(&entry.rewrite).lock_owned().await;
    // Locked before the blocking thread starts, so that later appends come after this call.
    let log_guard = Arc::clone(&entry.log).lock_owned().await;
    run_blocking(move || {
        let result = compact_log(&inner, &id, &entry, log_guard, &snapshot);
        drop(rewrite);
        inner.remove_entry_if_closed(&id, entry);
        result
    })
    .await
}

fn compact_log(
    inner: &Inner,
    id: &DocumentId,
    entry: &DocumentEntry,
    mut log_guard: LogGuard,
    snapshot: &[u8],
) -> Result<Lengths, StoreError> {
    inner.ensure_open(id, &mut log_guard).map_err(|error| error.while_writing(id))?;
    let log = stored_log(id, &mut log_guard)?;
    if log.needs_recovery() {
        return Err(StoreError::NeedsRecovery { id: id.clone() });
    }
    let read_error = |source| StoreError::Read { id: id.clone(), source };
    let (old_file, covered) = log.durable_part().map_err(read_error)?;
    drop(log_guard);
    let permit = Handle::current().block_on(Arc::clone(&inner.compaction_permits).acquire_owned());

    // The long part. It does not block appends.
    let old = old_file.read(0..covered).map_err(read_error)?;
    let location = inner.location(id);
    let new = NewFile::write(&*inner.disk, location.path(), snapshot).map_err(|error| StoreError::write(id, error))?;
    let checked = read_back(id, &new).and_then(|content| {
        match content.has_same_changes_as_log(&old).map_err(|damage| snapshot_error(id, damage))? {
            true => Ok(content.snapshot_len),
            false => Err(different_heads(id)),
        }
    });
    drop(old);

    let mut log_guard = Arc::clone(&entry.log).blocking_lock_owned();
    let ready = checked.and_then(|snapshot_len| match stored_log(id, &mut log_guard)? {
        log if log.needs_recovery() => Err(StoreError::NeedsRecovery { id: id.clone() }),
        log => Ok((log, snapshot_len)),
    });
    // Released once the new file has replaced the old one, or was discarded.
    let _permit = permit;
    match ready {
        Ok((log, snapshot_len)) => {
            let replaced = log.replace(new, snapshot_len, covered).map_err(|error| replace_error(id, error));
            inner.update_health(id, log_guard.as_ref());
            inner.limit_open_files(id, log_guard.as_mut());
            replaced
        }
        Err(error) => {
            new.discard(&*inner.disk);
            Err(error)
        }
    }
}

/// Replaces a file that can no longer be written to by a full copy.
pub(super) async fn recover(inner: Arc<Inner>, id: DocumentId, full_copy: Vec<u8>) -> Result<Lengths, StoreError> {
    let entry = inner.entry(&id);
    let rewrite = Arc::clone(&entry.rewrite).lock_owned().await;
    let mut log_guard = Arc::clone(&entry.log).lock_owned().await;
    run_blocking(move || {
        let result = recover_log(&inner, &id, &mut log_guard, &full_copy);
        inner.limit_open_files(&id, log_guard.as_mut());
        inner.update_health(&id, log_guard.as_ref());
        drop((log_guard, rewrite));
        inner.remove_entry_if_closed(&id, entry);
        result
    })
    .await
}

fn recover_log(
    inner: &Inner,
    id: &DocumentId,
    log_guard: &mut Option<Log>,
    copy: &[u8],
) -> Result<Lengths, StoreError> {
    inner.ensure_open(id, log_guard).map_err(|error| error.while_writing(id))?;
    let Some(log) = log_guard else {
        VerifiedContent::from_whole_chunks(copy).map_err(|damage| snapshot_error(id, damage))?;
        return inner.append(id, log_guard, copy);
    };
    let location = inner.location(id);
    let new = NewFile::write(&*inner.disk, location.path(), copy).map_err(|error| StoreError::write(id, error))?;
    let checked = read_back(id, &new).and_then(|content| match log.read() {
        Ok(old) => {
            let old = VerifiedContent::from_whole_chunks(&old).map_err(|damage| snapshot_error(id, damage))?;
            if content.contains_changes_of(&old) { Ok(content.snapshot_len) } else { Err(different_heads(id)) }
        }
        // The disk that failed a write may have lost the old content as well. The caller's copy is then the best one.
        Err(error) if log.needs_recovery() => {
            tracing::warn!(document = %id, %error, "the old file cannot be compared with the copy that replaces it");
            Ok(content.snapshot_len)
        }
        Err(source) => Err(StoreError::Read { id: id.clone(), source }),
    });
    match checked {
        Ok(snapshot_len) => log.replace_all(new, snapshot_len).map_err(|error| replace_error(id, error)),
        Err(error) => {
            new.discard(&*inner.disk);
            Err(error)
        }
    }
}

fn stored_log<'a>(id: &DocumentId, log: &'a mut Option<Log>) -> Result<&'a mut Log, StoreError> {
    log.as_mut().ok_or_else(|| StoreError::InvalidSnapshot { id: id.clone(), reason: SnapshotError::NothingStored })
}

fn read_back(id: &DocumentId, new: &NewFile) -> Result<VerifiedContent, StoreError> {
    let bytes = new.read().map_err(|error| StoreError::write(id, error))?;
    VerifiedContent::from_whole_chunks(&bytes).map_err(|damage| snapshot_error(id, damage))
}

fn snapshot_error(id: &DocumentId, damage: Damage) -> StoreError {
    StoreError::InvalidSnapshot { id: id.clone(), reason: SnapshotError::Unloadable(damage) }
}

fn different_heads(id: &DocumentId) -> StoreError {
    StoreError::InvalidSnapshot { id: id.clone(), reason: SnapshotError::DifferentHeads }
}

fn replace_error(id: &DocumentId, error: ReplaceError) -> StoreError {
    match error {
        ReplaceError::Unchanged(source) => StoreError::write(id, source),
        ReplaceError::Indeterminate(_) => StoreError::NeedsRecovery { id: id.clone() },
    }
}
