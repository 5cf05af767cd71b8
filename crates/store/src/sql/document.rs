//! Reading documents.

use bytes::Bytes;
use primitives::DocumentId;

use super::chain::{BatchRow, Chain, SnapshotRow, follow, tip};
use super::engine::{Engine, Row, UnexpectedColumn};
use super::statements as sql;
use super::{ChainDamage, DatabaseError, Known, SqlStore};
use crate::position::{After, Position, Tip};
use crate::{Lengths, integrity};

/// Documents whose positions one statement reads.
const POSITIONS_AT_ONCE: usize = 500;

/// A node that is this many batches behind loads the document again.
const FAR_BEHIND: usize = 5_000;

/// A stored document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDocument {
    /// A chain of whole Automerge chunks.
    pub bytes: Vec<u8>,
    /// How many of the bytes are a leading document chunk; 0 if the first chunk is of another kind.
    pub snapshot_len: u64,
    /// Where its log stands.
    pub position: Position,
    /// Lines that name the author of each change, in the order in which they were appended.
    pub authors: Vec<u8>,
}

impl StoredDocument {
    /// Snapshot and log of this document.
    #[must_use]
    pub fn lengths(&self) -> Lengths {
        Lengths { snapshot: self.snapshot_len, log: self.bytes.len() as u64 - self.snapshot_len }
    }
}

/// The rows of a document, read by one statement.
pub(super) struct DocumentRows {
    pub(super) snapshot: Option<SnapshotRow>,
    /// Author lines that compaction has moved.
    pub(super) authors: Vec<u8>,
    pub(super) batches: Vec<BatchRow>,
}

impl DocumentRows {
    /// The rows of [`sql::load`] or [`sql::load_until`].
    pub(super) fn read(mut rows: Vec<Row>) -> Result<Self, UnexpectedColumn> {
        let mut keyed = Vec::with_capacity(rows.len());
        for row in rows.drain(..) {
            keyed.push((row.int(0)?, row.unsigned(1)?, row));
        }
        keyed.sort_unstable_by_key(|(part, seq, _)| (*part, *seq));
        let mut read = Self { snapshot: None, authors: Vec::new(), batches: Vec::new() };
        for (part, seq, row) in keyed {
            match part {
                0 => {
                    let (tip, bytes, sha256) = (row.bytes(2)?, row.bytes(4)?, row.bytes(5)?);
                    read.snapshot = Some(SnapshotRow { seq, tip, bytes, sha256 });
                }
                1 => read.authors.extend_from_slice(&row.bytes(5)?),
                _ => {
                    let (tip, kind, chunks, authors) = (row.bytes(2)?, row.int(3)?, row.bytes(4)?, row.bytes(5)?);
                    read.batches.push(BatchRow { seq, tip, kind, chunks, authors });
                }
            }
        }
        Ok(read)
    }
}

impl<E: Engine> SqlStore<E> {
    /// A stored document. `None` if nothing of it is stored, or it was removed. A document whose log holds only access
    /// records is empty.
    ///
    /// # Errors
    /// [`DatabaseError::Damaged`] if its rows contradict each other, which takes it out of service until a load finds
    /// them in order; others if the database is not available.
    pub async fn load(&self, id: &DocumentId) -> Result<Option<StoredDocument>, DatabaseError> {
        let Some((chain, authors)) = self.load_chain(id).await? else {
            self.open.lock().remove(id);
            return Ok(None);
        };
        if chain.is_deleted {
            self.open.lock().remove(id);
            return Ok(None);
        }
        let snapshot_len = integrity::snapshot_len(&chain.bytes);
        let stored = StoredDocument { snapshot_len, bytes: chain.bytes, position: chain.at, authors };
        self.open.lock().insert(id.clone(), Known { at: stored.position, lengths: stored.lengths() });
        Ok(Some(stored))
    }

    /// The author lines of a document, those of a removed one included.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub async fn load_authors(&self, id: &DocumentId) -> Result<Vec<u8>, DatabaseError> {
        Ok(self.load_chain(id).await?.map(|(_, authors)| authors).unwrap_or_default())
    }

    /// All content of a document's rows, unchecked, to save the content of a damaged document. `None` if there is none.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn raw(&self, id: &DocumentId) -> Result<Option<Vec<u8>>, DatabaseError> {
        let rows = DocumentRows::read(self.query(|| sql::load(id)).await?)?;
        let after = rows.snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
        let mut bytes = rows.snapshot.map(|snapshot| snapshot.bytes.to_vec()).unwrap_or_default();
        for batch in rows.batches.into_iter().filter(|batch| batch.kind == 0 && batch.seq > after) {
            bytes.extend_from_slice(&batch.chunks);
        }
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// The verified rows of a document, and all its author lines.
    pub(super) async fn load_chain(&self, id: &DocumentId) -> Result<Option<(Chain, Vec<u8>)>, DatabaseError> {
        let rows = DocumentRows::read(self.query(|| sql::load(id)).await?)?;
        let mut authors = rows.authors;
        match offload::run_blocking(move || Chain::verify(rows.snapshot, rows.batches)).await {
            Ok(chain) => {
                self.damaged.lock().remove(id);
                Ok(chain.map(|mut chain| {
                    authors.append(&mut chain.authors);
                    (chain, authors)
                }))
            }
            Err(damage) => Err(self.quarantine(id, damage)),
        }
    }

    /// The batches that follow a position in the log of a document.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub async fn after(&self, id: &DocumentId, at: Position) -> Result<After, DatabaseError> {
        let mut rows = Vec::new();
        let found = self.query(|| sql::batches_after(id, at.seq, FAR_BEHIND)).await?;
        if found.len() == FAR_BEHIND {
            return Ok(After::Reload);
        }
        for row in found {
            let (seq, tip, kind) = (row.unsigned(0)?, row.bytes(1)?, row.int(2)?);
            let content = |column| if seq > at.seq { row.bytes(column) } else { Ok(Bytes::new()) };
            rows.push(BatchRow { seq, tip, kind, chunks: content(3)?, authors: content(4)? });
        }
        let mut rows = rows.into_iter().peekable();
        // The row at the position, which compaction and removal delete later on.
        let own = rows.next_if(|row| row.seq == at.seq);
        if let Some(own) = &own
            && tip(&own.tip, own.seq).map_err(|damage| self.quarantine(id, damage))? != at.tip
        {
            return Ok(After::Reload);
        }
        match rows.peek() {
            None if own.is_some() || at == Position::START => return Ok(After::Same),
            Some(next) if next.seq == at.seq + 1 => {}
            Some(next) if own.is_some() => {
                return Err(self.quarantine(id, ChainDamage::Gap { missing: at.seq + 1, next: next.seq }));
            }
            _ => return Ok(After::Reload),
        }
        let (mut batches, mut last) = (Vec::new(), at);
        for row in rows {
            match follow(last, row) {
                Ok((next, batch)) => {
                    batches.push((next, batch));
                    last = next;
                }
                // Without the own row, only the hash shows that the next one belongs to the same history.
                Err(ChainDamage::Tip(_)) if own.is_none() && batches.is_empty() && at != Position::START => {
                    return Ok(After::Reload);
                }
                Err(damage) => return Err(self.quarantine(id, damage)),
            }
        }
        if let Some(known) = self.open.lock().get_mut(id).filter(|known| known.at == at) {
            known.at = last;
            let changes = batches.iter().filter(|(_, batch)| batch.kind == crate::position::BatchKind::Changes);
            known.lengths.log += changes.map(|(_, batch)| batch.chunks.len() as u64).sum::<u64>();
        }
        Ok(After::Batches(batches))
    }

    /// The positions of the logs of these documents, without documents that have no log.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn positions(&self, ids: &[DocumentId]) -> Result<Vec<(DocumentId, Position)>, DatabaseError> {
        let mut positions = Vec::with_capacity(ids.len());
        for ids in ids.chunks(POSITIONS_AT_ONCE) {
            for row in self.query(|| sql::positions(ids)).await? {
                if row.is_null(1) {
                    continue;
                }
                let Ok(id) = row.text(0)?.parse::<DocumentId>() else { continue };
                let seq = row.unsigned(1)?;
                let tip = tip(&row.bytes(2)?, seq).map_err(|damage| self.quarantine(&id, damage))?;
                positions.push((id, Position { seq, tip }));
            }
        }
        Ok(positions)
    }

    /// Size of a document, from memory if this node has read it up to this position.
    pub(super) async fn lengths_at(&self, id: &DocumentId, at: Position) -> Result<Lengths, DatabaseError> {
        match self.known_at(id, at) {
            Some(known) => Ok(known.lengths),
            None => self.measure(id).await,
        }
    }

    pub(super) fn known_at(&self, id: &DocumentId, at: Position) -> Option<Known> {
        self.open.lock().get(id).filter(|known| known.at == at).copied()
    }

    pub(super) fn remember(&self, id: &DocumentId, at: Position, lengths: Lengths) {
        self.open.lock().insert(id.clone(), Known { at, lengths });
    }

    /// Size of a document in the database.
    pub(super) async fn measure(&self, id: &DocumentId) -> Result<Lengths, DatabaseError> {
        let rows = self.query(|| sql::lengths(E::DIALECT, id)).await?;
        let number = |column| match rows.first() {
            Some(row) if !row.is_null(column) => row.unsigned(column),
            _ => Ok(0),
        };
        let (snapshot, log) = (number(0)?, number(2)?);
        if snapshot > 0 || log == 0 {
            return Ok(Lengths { snapshot, log });
        }
        // Without a row in `snapshot`, the first batch may begin with a document chunk.
        let rows = self.query(|| sql::batch_at(id, 1)).await?;
        let first = rows.first().map(|row| row.bytes(3)).transpose()?.unwrap_or_default();
        let snapshot = integrity::snapshot_len(&first);
        Ok(Lengths { snapshot, log: log - snapshot })
    }

    /// The last entry of a log: its position, and whether it is a deletion.
    pub(super) async fn last(&self, id: &DocumentId) -> Result<(Position, bool), DatabaseError> {
        let rows = self.query(|| sql::last(id)).await?;
        let Some(row) = rows.first() else { return Ok((Position::START, false)) };
        let seq = row.unsigned(0)?;
        let tip: Tip = tip(&row.bytes(1)?, seq).map_err(|damage| self.quarantine(id, damage))?;
        Ok((Position { seq, tip }, row.int(2)? == 2))
    }
}
