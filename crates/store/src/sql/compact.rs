//! Snapshots in place of rows, recovery from a full copy, and removal.

use bytes::Bytes;
use primitives::DocumentId;

use super::chain::{Chain, checksum};
use super::document::DocumentRows;
use super::engine::{Engine, Failure, TransactionEnd};
use super::statements::{self as sql, NewBatch};
use super::{ChainDamage, DatabaseError, SqlStore, now_ms};
use crate::integrity::VerifiedContent;
use crate::position::{Appended, Batch, Position};
use crate::{Lengths, SnapshotError};

/// How long a reservation of a compaction lasts if its node dies.
const RESERVED_MS: i64 = 120_000;

/// How often a removal or a recovery is retried because other nodes append meanwhile.
const TRIES: usize = 100;

/// The rows of a document up to one of them.
struct Prefix {
    /// Position of the stored snapshot.
    snapshot: Position,
    /// The content up to the row.
    bytes: Vec<u8>,
    /// Author lines of the rows before it.
    authors: Vec<u8>,
}

impl<E: Engine> SqlStore<E> {
    /// Replaces the rows of a document up to `at` by a snapshot, which must hold exactly the same changes. Appends may
    /// continue meanwhile and are kept. The row at `at` stays, since the next append refers to it.
    ///
    /// Does nothing if another node compacts the document or has done so up to a later row. Returns the size of
    /// the document afterwards.
    ///
    /// # Errors
    /// [`DatabaseError::Snapshot`] if the snapshot differs from the stored content. After any error the old rows are in
    /// place.
    pub async fn compact(&self, id: &DocumentId, at: Position, snapshot: Vec<u8>) -> Result<Lengths, DatabaseError> {
        self.check_len(id, snapshot.len())?;
        let now = now_ms();
        if self.execute(|| sql::reserve_compaction(id, now, now + RESERVED_MS)).await? == 0 {
            let (last, is_deleted) = self.last(id).await?;
            if last == Position::START || is_deleted {
                return Err(DatabaseError::Snapshot { id: id.clone(), why: SnapshotError::NothingStored });
            }
            return self.measure(id).await;
        }
        let result = self.compact_reserved(id, at, snapshot.into()).await;
        // Harmless if the transaction has done it: another node may have reserved the next compaction, and two
        // compactions at a time do no damage.
        if !matches!(result, Ok(true))
            && let Err(error) = self.execute(|| sql::release_compaction(id)).await
        {
            tracing::debug!(document = %id, %error, "the reservation of a compaction ends by itself in two minutes");
        }
        result?;
        let lengths = self.measure(id).await?;
        if let Some(known) = self.open.lock().get_mut(id).filter(|known| known.at == at) {
            known.lengths = lengths;
        }
        Ok(lengths)
    }

    /// Returns whether the snapshot was stored.
    async fn compact_reserved(&self, id: &DocumentId, at: Position, snapshot: Bytes) -> Result<bool, DatabaseError> {
        let Some(prefix) = self.prefix(id, at).await? else { return Ok(false) };
        let refused = |why| DatabaseError::Snapshot { id: id.clone(), why };
        if prefix.bytes.is_empty() {
            return Err(refused(SnapshotError::NothingStored));
        }
        let (new, old) = (snapshot.clone(), prefix.bytes);
        let check = offload::run_blocking(move || {
            let content = VerifiedContent::from_whole_chunks(&new).map_err(SnapshotError::Unloadable)?;
            content.has_same_changes_as_log(&old).map_err(SnapshotError::Unloadable)
        });
        if !check.await.map_err(refused)? {
            return Err(refused(SnapshotError::DifferentHeads));
        }
        let sum = checksum(&snapshot);
        let steps = || {
            // The first step locks the document's row, which a removal locks as well.
            let mut steps = vec![sql::release_compaction(id).expect(1)];
            let put = sql::put_snapshot(E::DIALECT, id, prefix.snapshot.seq, at, snapshot.clone(), sum.clone());
            steps.push(put.expect(1));
            if !prefix.authors.is_empty() {
                steps.push(sql::add_authors(id, at.seq - 1, prefix.authors.clone()).expect(1));
            }
            steps.push(sql::delete_batches(id, at.seq).any());
            steps
        };
        // If the answer is lost, either outcome leaves a whole document.
        Ok(self.transaction(steps).await? == TransactionEnd::Committed)
    }

    /// The verified rows up to a position. `None` if the position is not in the rows any more, or a snapshot stands
    /// there already.
    async fn prefix(&self, id: &DocumentId, at: Position) -> Result<Option<Prefix>, DatabaseError> {
        let rows = DocumentRows::read(self.query(|| sql::load_until(id, at.seq)).await?)?;
        if rows.snapshot.as_ref().is_some_and(|snapshot| snapshot.seq >= at.seq) {
            return Ok(None);
        }
        let Some(last) = rows.batches.last().filter(|last| last.seq == at.seq) else { return Ok(None) };
        let last_authors = last.authors.len();
        let chain = offload::run_blocking(move || Chain::verify(rows.snapshot, rows.batches)).await;
        let chain = chain.map_err(|damage| self.quarantine(id, damage))?;
        Ok(chain.filter(|chain| chain.at == at && !chain.is_deleted).map(|chain| {
            let mut authors = chain.authors;
            authors.truncate(authors.len() - last_authors);
            Prefix { snapshot: chain.snapshot, bytes: chain.bytes, authors }
        }))
    }

    /// Appends the changes of a full copy that the database lacks. Returns where the log stands then.
    ///
    /// # Errors
    /// [`DatabaseError::Snapshot`] if the copy cannot be loaded, or lacks changes that are stored.
    pub async fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> Result<(Position, Lengths), DatabaseError> {
        let copy = Bytes::from(full_copy);
        for _ in 0..TRIES {
            let stored = self.load_chain(id).await?.map(|(chain, _)| chain);
            let (at, old) = match stored {
                Some(chain) if chain.is_deleted => {
                    return Err(DatabaseError::Snapshot { id: id.clone(), why: SnapshotError::NothingStored });
                }
                Some(chain) => (chain.at, chain.bytes),
                None => (Position::START, Vec::new()),
            };
            let new = copy.clone();
            let missing = offload::run_blocking(move || missing_chunks(&new, &old)).await;
            let missing = missing.map_err(|error| match error {
                Missing::Refused(why) => DatabaseError::Snapshot { id: id.clone(), why },
                Missing::Stored => self.quarantine(id, ChainDamage::Unloadable(at.seq)),
            })?;
            match self.append(id, at, Batch::changes(missing, Vec::new())).await? {
                Appended::Stored { at, lengths } => return Ok((at, lengths)),
                Appended::Behind => {}
            }
        }
        Err(busy())
    }

    /// Removes the content of a document, for good. Author lines and the access record stay, and a last row ends the log, so
    /// that no node can start it again.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn remove(&self, id: &DocumentId) -> Result<(), DatabaseError> {
        self.close(id);
        let mut backoff = self.backoff();
        loop {
            let (last, is_deleted) = self.last(id).await?;
            if last == Position::START || is_deleted {
                return Ok(());
            }
            let row = NewBatch::after(last, Batch::deletion());
            let now = now_ms();
            let steps = || {
                vec![
                    sql::mark_deleted(id, now).expect(1),
                    sql::append(E::DIALECT, id, last, &row).expect(1),
                    sql::move_authors(id, row.at.seq).any(),
                    sql::delete_batches(id, row.at.seq).any(),
                    sql::delete_snapshot(id).any(),
                    sql::forget_all_peers(id).any(),
                ]
            };
            match self.transaction(steps).await {
                Ok(TransactionEnd::Committed) => {
                    self.tell_moved(id, &row);
                    return Ok(());
                }
                // Another node appended meanwhile, or the answer was lost. The next attempt reads the last row again.
                Ok(TransactionEnd::Unmet(_)) => backoff.wait(busy()).await?,
                Err(error) if error.failure == Failure::Unknown => backoff.wait(error).await?,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Other nodes have changed the same rows too often.
pub(super) fn busy() -> DatabaseError {
    let detail = "other nodes change the same document all the time";
    DatabaseError::Unavailable(super::EngineError::new(Failure::Retry, detail))
}

/// Why the changes that the database lacks are not known.
enum Missing {
    /// The copy is no replacement.
    Refused(SnapshotError),
    /// The stored document cannot be loaded.
    Stored,
}

/// The chunks of a full copy that a stored document lacks: all of them if nothing is stored.
fn missing_chunks(copy: &[u8], stored: &[u8]) -> Result<Vec<u8>, Missing> {
    let new = VerifiedContent::from_whole_chunks(copy)
        .map_err(|damage| Missing::Refused(SnapshotError::Unloadable(damage)))?;
    if stored.is_empty() {
        return Ok(copy.to_vec());
    }
    let old = VerifiedContent::from_whole_chunks(stored).map_err(|_| Missing::Stored)?;
    if !new.contains_changes_of(&old) {
        return Err(Missing::Refused(SnapshotError::DifferentHeads));
    }
    let mut chunks = Vec::new();
    for mut change in new.document.get_changes(&old.document.get_heads()) {
        chunks.extend_from_slice(&change.bytes());
    }
    Ok(chunks)
}
