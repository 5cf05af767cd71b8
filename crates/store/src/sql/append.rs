//! Appends batches, and determines the result of an append whose answer was lost.

use primitives::DocumentId;

use super::engine::{Engine, EngineError, Failure, TransactionEnd};
use super::statements::{self as sql, NewBatch};
use super::{DatabaseError, SqlStore, is_passing, now_ms};
use crate::position::{Appended, Batch, BatchKind, News, Position};
use crate::{Lengths, integrity};

/// Bytes of a batch that is sent along with its hint. Larger ones do not fit into a notification.
const MAX_HINTED: usize = 5_600;

impl<E: Engine> SqlStore<E> {
    /// Appends a batch if the log ends at `after`. When this returns [`Appended::Stored`], the batch survives a crash of
    /// the database.
    ///
    /// If the connection is lost before the answer, this finds out whether the batch was stored, and sends it again
    /// if not.
    ///
    /// # Errors
    /// [`DatabaseError::OutcomeUnknown`] if that does not succeed in time: the batch may be stored. After all other
    /// errors it is not stored.
    pub async fn append(&self, id: &DocumentId, after: Position, batch: Batch) -> Result<Appended, DatabaseError> {
        if batch.is_empty() {
            return Ok(Appended::Stored { at: after, lengths: self.lengths_at(id, after).await? });
        }
        debug_assert!(
            batch.kind != BatchKind::Changes || integrity::are_whole_chunks(&batch.chunks),
            "only whole chunks are appended"
        );
        self.check_len(id, batch.chunks.len().max(batch.authors.len()))?;
        let row = NewBatch::after(after, batch);
        if !self.insert(id, after, &row).await? {
            return Ok(Appended::Behind);
        }
        self.tell_moved(id, &row);
        let lengths = self.lengths_with(id, after, &row).await;
        self.remember(id, row.at, lengths);
        Ok(Appended::Stored { at: row.at, lengths })
    }

    /// Inserts a row after a position. Returns whether it is the next row now.
    async fn insert(&self, id: &DocumentId, after: Position, row: &NewBatch) -> Result<bool, DatabaseError> {
        let mut backoff = self.backoff();
        // Whether an earlier attempt may be committed.
        let mut is_open = false;
        loop {
            // After a lost answer, the row itself shows the result.
            let found = if is_open { self.find(id, row).await } else { Ok(None) };
            let result = match found {
                Ok(Some(is_own)) => return Ok(is_own),
                Ok(None) => self.insert_once(id, after, row).await,
                Err(error) => Err(error),
            };
            let error = match result {
                Ok(true) => return Ok(true),
                Ok(false) if !is_open => return Ok(false),
                // The log contains the previous try, or the batch of another node. If it contains neither, the log was
                // compacted since, and the result is unknown.
                Ok(false) => match self.find(id, row).await {
                    Ok(Some(is_own)) => return Ok(is_own),
                    Ok(None) => {
                        let source =
                            EngineError::new(Failure::Unknown, "the log was compacted before it could be read");
                        return Err(DatabaseError::OutcomeUnknown { id: id.clone(), source });
                    }
                    Err(error) => error,
                },
                Err(error) => error,
            };
            is_open |= error.failure == Failure::Unknown;
            let error = match is_passing(error.failure) {
                true => backoff.wait(error).await.err(),
                false => Some(error),
            };
            if let Some(source) = error {
                return Err(match is_open {
                    true => DatabaseError::OutcomeUnknown { id: id.clone(), source },
                    false => source.into(),
                });
            }
        }
    }

    /// Sends the insert once.
    async fn insert_once(&self, id: &DocumentId, after: Position, row: &NewBatch) -> Result<bool, EngineError> {
        let insert = sql::append(E::DIALECT, id, after, row);
        if after != Position::START {
            return Ok(self.engine.execute(insert).await? == 1);
        }
        let document = sql::add_document(E::DIALECT, id, now_ms());
        let end = self.engine.transaction(vec![document.any(), insert.expect(1)]).await?;
        Ok(end == TransactionEnd::Committed)
    }

    /// Whether the stored row with this number is this row. `None` if there is no such row.
    async fn find(&self, id: &DocumentId, row: &NewBatch) -> Result<Option<bool>, EngineError> {
        let rows = self.engine.query(sql::tip_at(id, row.at.seq)).await?;
        let tip = rows.first().and_then(|found| found.bytes(0).ok());
        Ok(tip.map(|tip| tip[..] == row.at.tip.as_bytes()[..]))
    }

    /// Size of a document with a batch that was just stored. An estimate if the database does not answer.
    async fn lengths_with(&self, id: &DocumentId, after: Position, row: &NewBatch) -> Lengths {
        let added = if row.kind == BatchKind::Changes { row.chunks.len() as u64 } else { 0 };
        if after == Position::START {
            let snapshot = if added > 0 { integrity::snapshot_len(&row.chunks) } else { 0 };
            return Lengths { snapshot, log: added - snapshot };
        }
        match self.known_at(id, after) {
            Some(known) => Lengths { log: known.lengths.log + added, ..known.lengths },
            None => self.measure(id).await.unwrap_or(Lengths { snapshot: 0, log: added }),
        }
    }

    /// Notifies the other nodes of a durable batch.
    pub(super) fn tell_moved(&self, id: &DocumentId, row: &NewBatch) {
        let is_small = row.chunks.len() + row.authors.len() <= MAX_HINTED;
        let batch =
            is_small.then(|| Batch { kind: row.kind, chunks: row.chunks.to_vec(), authors: row.authors.to_vec() });
        self.engine.tell(News::Moved { id: id.clone(), at: row.at, batch });
    }

    /// Refuses values that the database does not accept.
    pub(super) fn check_len(&self, id: &DocumentId, len: usize) -> Result<(), DatabaseError> {
        let max = self.engine.max_value();
        if len > max {
            return Err(DatabaseError::TooLarge { id: id.clone(), len, max, advice: self.engine.size_advice() });
        }
        Ok(())
    }
}
