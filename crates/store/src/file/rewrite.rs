//! Compaction and recovery: a document's file as a whole is written anew.

use std::sync::Arc;

use offload::run_blocking;
use primitives::DocumentId;
use tokio::runtime::Handle;

use super::log::Log;
use super::{Inner, LogCell, Slot};
use crate::content::{Content, Damage};
use crate::replace::{NewFile, ReplaceError};
use crate::{Lengths, SnapshotError, StoreError};

/// Replaces what is stored now by a snapshot of it, while appends go on.
pub(super) async fn compact(inner: Arc<Inner>, id: DocumentId, snapshot: Vec<u8>) -> Result<Lengths, StoreError> {
    let slot = inner.slot(&id);
    let rewriting = Arc::clone(&slot.rewriting).lock_owned().await;
    // Taken before the thread is, so that an append that is asked for after this call comes after it.
    let cell = Arc::clone(&slot.log).lock_owned().await;
    run_blocking(move || {
        let result = compact_log(&inner, &id, &slot, cell, &snapshot);
        drop(rewriting);
        inner.forget_if_closed(&id, slot);
        result
    })
    .await
}

fn compact_log(
    inner: &Inner,
    id: &DocumentId,
    slot: &Slot,
    mut cell: LogCell,
    snapshot: &[u8],
) -> Result<Lengths, StoreError> {
    inner.ensure_open(id, &mut cell).map_err(|error| error.while_writing(id))?;
    let log = stored(id, &mut cell)?;
    if log.is_refused() {
        return Err(StoreError::Refused { id: id.clone() });
    }
    let not_read = |source| StoreError::Read { id: id.clone(), source };
    let (old_file, covered) = log.durable_part().map_err(not_read)?;
    drop(cell);
    let rewrite = Handle::current().block_on(Arc::clone(&inner.rewrites).acquire_owned());

    // The long part: appends are not held up by it.
    let old = old_file.read(0..covered).map_err(not_read)?;
    let path = inner.place(id);
    let new = NewFile::write(&*inner.disk, path.path(), snapshot).map_err(|error| StoreError::write(id, error))?;
    let checked = read_back(id, &new).and_then(|content| {
        match content.same_as_log(&old).map_err(|damage| snapshot_error(id, damage))? {
            true => Ok(content.snapshot_len),
            false => Err(other_heads(id)),
        }
    });
    drop(old);

    let mut cell = Arc::clone(&slot.log).blocking_lock_owned();
    let ready = checked.and_then(|snapshot_len| match stored(id, &mut cell)? {
        log if log.is_refused() => Err(StoreError::Refused { id: id.clone() }),
        log => Ok((log, snapshot_len)),
    });
    // Released when the new file is in its place, or given up.
    let _rewrite = rewrite;
    match ready {
        Ok((log, snapshot_len)) => {
            let replaced = log.replace(new, snapshot_len, covered).map_err(|error| replace_error(id, error));
            inner.note_refusal(id, cell.as_ref());
            inner.bound_open_files(id, cell.as_mut());
            replaced
        }
        Err(error) => {
            new.discard(&*inner.disk);
            Err(error)
        }
    }
}

/// Writes a full copy in the place of a file that can no longer be written to.
pub(super) async fn recover(inner: Arc<Inner>, id: DocumentId, full_copy: Vec<u8>) -> Result<Lengths, StoreError> {
    let slot = inner.slot(&id);
    let rewriting = Arc::clone(&slot.rewriting).lock_owned().await;
    let mut cell = Arc::clone(&slot.log).lock_owned().await;
    run_blocking(move || {
        let result = recover_log(&inner, &id, &mut cell, &full_copy);
        inner.bound_open_files(&id, cell.as_mut());
        inner.note_refusal(&id, cell.as_ref());
        drop((cell, rewriting));
        inner.forget_if_closed(&id, slot);
        result
    })
    .await
}

fn recover_log(inner: &Inner, id: &DocumentId, cell: &mut Option<Log>, copy: &[u8]) -> Result<Lengths, StoreError> {
    inner.ensure_open(id, cell).map_err(|error| error.while_writing(id))?;
    let Some(log) = cell else {
        Content::whole(copy).map_err(|damage| snapshot_error(id, damage))?;
        return inner.append(id, cell, copy);
    };
    let place = inner.place(id);
    let new = NewFile::write(&*inner.disk, place.path(), copy).map_err(|error| StoreError::write(id, error))?;
    let checked = read_back(id, &new).and_then(|content| match log.read() {
        Ok(old) => {
            let old = Content::whole(&old).map_err(|damage| snapshot_error(id, damage))?;
            if content.contains(&old) { Ok(content.snapshot_len) } else { Err(other_heads(id)) }
        }
        // A disk on which a write has failed may well have lost the old content, too; the caller's copy is then the best
        // there is.
        Err(error) if log.is_refused() => {
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

fn stored<'a>(id: &DocumentId, cell: &'a mut Option<Log>) -> Result<&'a mut Log, StoreError> {
    cell.as_mut().ok_or_else(|| StoreError::Snapshot { id: id.clone(), why: SnapshotError::NothingStored })
}

fn read_back(id: &DocumentId, new: &NewFile) -> Result<Content, StoreError> {
    let bytes = new.read().map_err(|error| StoreError::write(id, error))?;
    Content::whole(&bytes).map_err(|damage| snapshot_error(id, damage))
}

fn snapshot_error(id: &DocumentId, damage: Damage) -> StoreError {
    StoreError::Snapshot { id: id.clone(), why: SnapshotError::Unloadable(damage) }
}

fn other_heads(id: &DocumentId) -> StoreError {
    StoreError::Snapshot { id: id.clone(), why: SnapshotError::OtherHeads }
}

fn replace_error(id: &DocumentId, error: ReplaceError) -> StoreError {
    match error {
        ReplaceError::Kept(source) => StoreError::write(id, source),
        ReplaceError::Unknown(_) => StoreError::Refused { id: id.clone() },
    }
}
