//! Broken nodes, which the simulation of several nodes must detect.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use primitives::DocumentId;
use store::sql::{EngineError, Failure, Statement};
use store::{
    AccessChanged, After, Appended, Batch, Control, Health, Lengths, Loaded, News, PeerRecord, Position, Store,
    StoreError, StoredAccess,
};

use super::database::{Answer, Request};

/// The defect of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// No defect.
    Nothing,
    /// An append inserts its row after any log.
    NoGuard,
    /// An append goes to the end of the log, even if its caller has not read the log that far.
    ServerChoosesNumber,
    /// A batch is published before it is stored.
    PublishBeforeAppend,
    /// A batch that was not stored, because the log had moved on, counts as stored.
    BehindIsStored,
    /// Compaction deletes the row that the next append refers to.
    CompactionDeletesLastRow,
    /// Nodes never compare positions: a lost hint stays lost.
    HintsOnly,
    /// A batch whose answer was lost is reported as not stored, without checking.
    UnknownIsError,
    /// A batch whose answer was lost counts as stored, without checking.
    UnknownIsStored,
    /// When the database has forgotten batches, nodes drop their copies in memory instead of storing them again.
    NoHealing,
}

impl Broken {
    /// All defects.
    pub const ALL: [Self; 9] = [
        Self::NoGuard,
        Self::ServerChoosesNumber,
        Self::PublishBeforeAppend,
        Self::BehindIsStored,
        Self::CompactionDeletesLastRow,
        Self::HintsOnly,
        Self::UnknownIsError,
        Self::UnknownIsStored,
        Self::NoHealing,
    ];

    /// Changes a call on its way to the database.
    pub fn rewrite(self, request: Request) -> Request {
        match request {
            Request::Execute(statement) => Request::Execute(self.rewrite_statement(statement)),
            Request::Transaction(mut steps) => {
                for step in &mut steps {
                    step.statement = self.rewrite_statement(step.statement.clone());
                }
                Request::Transaction(steps)
            }
            query => query,
        }
    }

    fn rewrite_statement(self, mut statement: Statement) -> Statement {
        const GUARD: &str = "EXISTS (SELECT 1 FROM batch WHERE document = $1 AND seq = $7 AND tip = $8 AND kind <> 2)";
        const BELOW: &str = "DELETE FROM batch WHERE document = $1 AND seq < $2";
        match self {
            Self::NoGuard if statement.sql.contains(GUARD) => {
                statement.sql = statement.sql.replace(GUARD, "1 = 1").into();
                statement.params.truncate(6);
            }
            Self::CompactionDeletesLastRow if statement.sql == BELOW => {
                statement.sql = BELOW.replace('<', "<=").into();
            }
            _ => {}
        }
        statement
    }

    /// The result of an append without an answer.
    pub fn unknown(self, error: EngineError) -> Result<Answer, EngineError> {
        match self {
            Self::UnknownIsError => Err(EngineError { failure: Failure::Rejected, ..error }),
            Self::UnknownIsStored => Ok(Answer::Affected(1)),
            _ => Err(error),
        }
    }
}

/// A store with a defect, or without.
pub struct BrokenStore {
    inner: Arc<dyn Store>,
    broken: Broken,
}

impl BrokenStore {
    pub fn new(inner: Arc<dyn Store>, broken: Broken) -> Self {
        Self { inner, broken }
    }
}

impl Store for BrokenStore {
    fn is_shared(&self) -> bool {
        self.inner.is_shared()
    }

    fn load(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Loaded>, StoreError>> {
        self.inner.load(id)
    }

    fn raw(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        self.inner.raw(id)
    }

    fn append(&self, id: &DocumentId, after: Position, batch: Batch) -> BoxFuture<'_, Result<Appended, StoreError>> {
        let (inner, id, broken) = (Arc::clone(&self.inner), id.clone(), self.broken);
        let believed = Appended::Stored { at: after.next(&batch), lengths: Lengths { snapshot: 0, log: 0 } };
        async move {
            match broken {
                Broken::ServerChoosesNumber => {
                    let positions = inner.positions(vec![id.clone()]).await?;
                    let after = positions.first().map_or(Position::START, |(_, at)| *at);
                    inner.append(&id, after, batch).await
                }
                Broken::PublishBeforeAppend => {
                    tokio::spawn(async move { inner.append(&id, after, batch).await });
                    Ok(believed)
                }
                Broken::BehindIsStored => match inner.append(&id, after, batch).await? {
                    Appended::Behind => Ok(believed),
                    stored => Ok(stored),
                },
                _ => inner.append(&id, after, batch).await,
            }
        }
        .boxed()
    }

    fn after(&self, id: &DocumentId, at: Position) -> BoxFuture<'_, Result<After, StoreError>> {
        self.inner.after(id, at)
    }

    fn positions(&self, ids: Vec<DocumentId>) -> BoxFuture<'_, Result<Vec<(DocumentId, Position)>, StoreError>> {
        self.inner.positions(ids)
    }

    fn compact(&self, id: &DocumentId, at: Position, snapshot: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        self.inner.compact(id, at, snapshot)
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<DocumentId>, StoreError>> {
        self.inner.list()
    }

    fn close(&self, id: &DocumentId) -> BoxFuture<'_, ()> {
        self.inner.close(id)
    }

    fn recover(&self, id: &DocumentId, full_copy: Vec<u8>) -> BoxFuture<'_, Result<Lengths, StoreError>> {
        self.inner.recover(id, full_copy)
    }

    fn load_peers(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<PeerRecord>, StoreError>> {
        self.inner.load_peers(id)
    }

    fn save_peers(&self, id: &DocumentId, records: Vec<PeerRecord>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.save_peers(id, records)
    }

    fn load_authors(&self, id: &DocumentId) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        self.inner.load_authors(id)
    }

    fn load_access(&self) -> BoxFuture<'_, Result<Vec<StoredAccess>, StoreError>> {
        self.inner.load_access()
    }

    fn load_access_of(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<StoredAccess>, StoreError>> {
        self.inner.load_access_of(id)
    }

    fn change_access(
        &self,
        id: &DocumentId,
        expected: u64,
        record: Vec<u8>,
    ) -> BoxFuture<'_, Result<AccessChanged, StoreError>> {
        self.inner.change_access(id, expected, record)
    }

    fn control_since(&self, revision: u64) -> BoxFuture<'_, Result<(u64, Vec<Control>), StoreError>> {
        self.inner.control_since(revision)
    }

    fn news(&self) -> Option<BoxStream<'static, News>> {
        self.inner.news()
    }

    fn tell(&self, message: Vec<u8>) {
        self.inner.tell(message);
    }

    fn remove(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.remove(id)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn probe(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        self.inner.probe()
    }
}
