//! Access records, and the order of all changes outside of documents.

use bytes::Bytes;
use primitives::DocumentId;

use super::compact::busy;
use super::engine::{Engine, Failure, Step, TransactionEnd};
use super::statements::{self as sql, NewBatch};
use super::{DatabaseError, SqlStore, now_ms};
use crate::position::{AccessChanged, Batch, Control, ControlKind, News};

impl<E: Engine> SqlStore<E> {
    /// Stores the access record of a document in place of the one with the version `expected`; 0 stands for none.
    ///
    /// The record also becomes a batch in the document's log. So an append by a node that has not read it is
    /// [`Behind`](crate::position::Appended::Behind). The log of a removed document takes no batch; its record can still be
    /// changed.
    ///
    /// # Errors
    /// [`DatabaseError::OutcomeUnknown`] if the connection was lost and the database does not answer since: the record may be
    /// stored. After all other errors it is not stored.
    pub async fn change_access(
        &self,
        id: &DocumentId,
        expected: u64,
        record: Vec<u8>,
    ) -> Result<AccessChanged, DatabaseError> {
        self.check_len(id, record.len())?;
        // Whether a try may be committed.
        let mut is_open = false;
        let changed = self.try_to_change_access(id, expected, record.into(), &mut is_open).await;
        changed.map_err(|error| match error {
            DatabaseError::Unavailable(source) if is_open => DatabaseError::OutcomeUnknown { id: id.clone(), source },
            error => error,
        })
    }

    async fn try_to_change_access(
        &self,
        id: &DocumentId,
        expected: u64,
        record: Bytes,
        is_open: &mut bool,
    ) -> Result<AccessChanged, DatabaseError> {
        let control = Control { kind: ControlKind::Access, key: id.to_string() };
        let now = now_ms();
        let mut backoff = self.backoff();
        loop {
            if let Some(changed) = self.stored_access(id, expected, &record).await? {
                return Ok(changed);
            }
            let (last, is_deleted) = self.last(id).await?;
            let row = NewBatch::after(last, Batch::access(record.to_vec()));
            let steps = || {
                let mut steps = vec![sql::put_access(E::DIALECT, id, expected, record.clone()).expect(1)];
                if !is_deleted {
                    steps.push(sql::add_document(E::DIALECT, id, now).any());
                    steps.push(sql::append(E::DIALECT, id, last, &row).expect(1));
                }
                steps.push(sql::add_control(E::DIALECT, &control).expect(1));
                steps
            };
            match self.transaction(steps).await {
                Ok(TransactionEnd::Committed) => {
                    if !is_deleted {
                        self.tell_moved(id, &row);
                    }
                    self.tell_control().await;
                    return Ok(AccessChanged::Stored(expected + 1));
                }
                // Another node appended, changed the record or added a control meanwhile, or the answer was lost: check
                // again.
                Ok(TransactionEnd::Unmet(_)) => backoff.wait(busy()).await?,
                Err(error) if error.failure == Failure::Unknown => {
                    *is_open = true;
                    backoff.wait(error).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The outcome of a change of an access record, if it is decided: the stored version differs from the expected one.
    async fn stored_access(
        &self,
        id: &DocumentId,
        expected: u64,
        record: &[u8],
    ) -> Result<Option<AccessChanged>, DatabaseError> {
        match self.load_access_of(id).await? {
            None if expected == 0 => Ok(None),
            Some((version, _)) if version == expected => Ok(None),
            Some((version, stored)) if version == expected + 1 && stored == record => {
                Ok(Some(AccessChanged::Stored(version)))
            }
            _ => Ok(Some(AccessChanged::Behind)),
        }
    }

    /// The access records of all documents, with their versions.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn load_access(&self) -> Result<Vec<(DocumentId, u64, Vec<u8>)>, DatabaseError> {
        let mut records = Vec::new();
        for row in self.query(sql::access_records).await? {
            match row.text(0)?.parse() {
                Ok(id) => records.push((id, row.unsigned(1)?, row.bytes(2)?.into())),
                Err(error) => tracing::warn!(%error, "a row of the table `access` has no valid id"),
            }
        }
        Ok(records)
    }

    /// The access record of one document, with its version.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn load_access_of(&self, id: &DocumentId) -> Result<Option<(u64, Vec<u8>)>, DatabaseError> {
        let rows = self.query(|| sql::access_record(id)).await?;
        rows.first().map(|row| Ok((row.unsigned(1)?, row.bytes(2)?.into()))).transpose()
    }

    /// The changes of access records, accounts and revocations after a revision, and the revision of the last one. Revision 0
    /// is before the first. If the database has lost the revision in a failover, all changes are returned.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn control_since(&self, revision: u64) -> Result<(u64, Vec<Control>), DatabaseError> {
        let (mut last, mut controls) = (revision, Vec::new());
        let mut rows = self.query(|| sql::controls_from(revision)).await?;
        if revision > 0 && rows.first().map(|row| row.unsigned(0)).transpose()? != Some(revision) {
            (last, rows) = (0, self.query(|| sql::controls_from(0)).await?);
        }
        for row in rows {
            last = row.unsigned(0)?;
            if last == revision {
                continue;
            }
            controls.push(Control { kind: ControlKind::from_number(row.int(1)?), key: row.text(2)?.to_owned() });
        }
        Ok((last, controls))
    }

    /// The revision of the last control.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn control_revision(&self) -> Result<u64, DatabaseError> {
        let rows = self.query(sql::control_revision).await?;
        Ok(rows.first().map(|row| row.unsigned(0)).transpose()?.unwrap_or(0))
    }

    /// Runs steps that end in a new control, until they are committed or a step is unmet. Returns whether they are committed.
    pub(super) async fn with_control(
        &self,
        steps: impl Fn() -> Vec<Step> + Send + Sync,
        control: &Control,
    ) -> Result<bool, DatabaseError> {
        let mut backoff = self.backoff();
        loop {
            let all = || {
                let mut all = steps();
                all.push(sql::add_control(E::DIALECT, control).expect(1));
                all
            };
            let before_control = all().len() - 1;
            match self.transaction(all).await? {
                TransactionEnd::Committed => {
                    self.tell_control().await;
                    return Ok(true);
                }
                TransactionEnd::Unmet(step) if step < before_control => return Ok(false),
                TransactionEnd::Unmet(_) => backoff.wait(busy()).await?,
            }
        }
    }

    /// Notifies the other nodes of new controls.
    async fn tell_control(&self) {
        match self.control_revision().await {
            Ok(revision) => self.engine.tell(News::Control(revision)),
            Err(error) => tracing::debug!(%error, "other nodes find a change of access or accounts when they look"),
        }
    }
}
