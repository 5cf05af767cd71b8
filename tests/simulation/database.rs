//! The tables of the simulated database: SQLite in memory, which can forget its last transactions.
//!
//! Every transaction that changes something is a savepoint within one large transaction, so the database can go back to
//! the state before it.

use primitives::DocumentId;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql, params_from_iter};
use store::sql::{EngineError, Failure, Row, Statement, Step, TransactionEnd, Value};
use store::{Batch, BatchKind, Position, Tip};

use super::log_record::LogRecord;

/// Maximum number of transactions that can be forgotten.
const MAX_COMMITS: usize = 64;

/// A call on the database.
#[derive(Debug, Clone)]
pub enum Request {
    Query(Statement),
    Execute(Statement),
    Transaction(Vec<Step>),
}

/// Its result.
#[derive(Debug)]
pub enum Answer {
    Rows(Vec<Row>),
    Affected(u64),
    End(TransactionEnd),
}

pub struct Database {
    connection: Connection,
    document: DocumentId,
    /// For each transaction that can be forgotten, the length of the log before it.
    commits: Vec<usize>,
    log: LogRecord,
    is_full: bool,
}

impl Database {
    /// An empty database, which records the log of this document.
    pub fn new(document: DocumentId) -> Self {
        let connection = Connection::open_in_memory().expect("a database in memory");
        connection.execute_batch("BEGIN").expect("a transaction");
        Self { connection, document, commits: Vec::new(), log: LogRecord::default(), is_full: false }
    }

    pub fn log(&self) -> &LogRecord {
        &self.log
    }

    pub fn log_mut(&mut self) -> &mut LogRecord {
        &mut self.log
    }

    pub fn set_full(&mut self, is_full: bool) {
        self.is_full = is_full;
    }

    pub fn run(&mut self, request: &Request) -> Result<Answer, EngineError> {
        match request {
            Request::Query(statement) => self.read(statement).map(Answer::Rows),
            Request::Execute(statement) => {
                let step = Step { statement: statement.clone(), expect: None };
                self.commit(&[step]).map(|(_, affected)| Answer::Affected(affected))
            }
            Request::Transaction(steps) => self.commit(steps).map(|(end, _)| Answer::End(end)),
        }
    }

    /// Runs a statement that returns rows. Migrations run here as well, and are never forgotten.
    pub fn read(&self, statement: &Statement) -> Result<Vec<Row>, EngineError> {
        let run = || {
            let mut prepared = self.connection.prepare_cached(&statement.sql.replace('$', "?"))?;
            let columns = prepared.column_count();
            let mut result = prepared.query(params_from_iter(statement.params.iter().map(Param)))?;
            let mut rows = Vec::new();
            while let Some(row) = result.next()? {
                let values = (0..columns).map(|column| Ok(value(row.get_ref(column)?)));
                rows.push(Row(values.collect::<rusqlite::Result<_>>()?));
            }
            Ok(rows)
        };
        run().map_err(|error| failure(&error))
    }

    fn commit(&mut self, steps: &[Step]) -> Result<(TransactionEnd, u64), EngineError> {
        if self.is_full {
            return Err(EngineError::new(Failure::Full, "no room"));
        }
        if self.commits.len() >= MAX_COMMITS {
            self.checkpoint();
        }
        let (savepoint, before) = (self.commits.len(), self.connection.total_changes());
        self.batch(&format!("SAVEPOINT c{savepoint}"));
        let mut affected = 0;
        for (index, step) in steps.iter().enumerate() {
            let end = match self.execute(&step.statement) {
                Ok(rows) if step.expect.is_none_or(|expected| expected == rows) => {
                    affected = rows;
                    continue;
                }
                Ok(_) => Ok((TransactionEnd::Unmet(index), 0)),
                Err(error) => Err(error),
            };
            self.batch(&format!("ROLLBACK TO c{savepoint}; RELEASE c{savepoint}"));
            return end;
        }
        if self.connection.total_changes() == before {
            self.batch(&format!("RELEASE c{savepoint}"));
        } else {
            self.commits.push(self.log.len());
            self.record();
        }
        Ok((TransactionEnd::Committed, affected))
    }

    fn execute(&self, statement: &Statement) -> Result<u64, EngineError> {
        let run = || {
            let mut prepared = self.connection.prepare_cached(&statement.sql.replace('$', "?"))?;
            prepared.execute(params_from_iter(statement.params.iter().map(Param)))
        };
        run().map(|rows| rows as u64).map_err(|error| failure(&error))
    }

    fn batch(&self, sql: &str) {
        self.connection.execute_batch(sql).expect(sql);
    }

    /// Records new rows of the log.
    fn record(&mut self) {
        let statement = Statement::new(
            "SELECT seq, tip, kind, chunks, authors FROM batch WHERE document = $1 AND seq > $2 ORDER BY seq",
        );
        let statement = statement.with(self.document.as_str()).with(i64::try_from(self.log.len()).expect("small"));
        for row in self.read(&statement).expect("the schema") {
            let tip = Tip::try_from(&row.bytes(1).expect("a tip")[..]).expect("16 bytes");
            let kind = u8::try_from(row.int(2).expect("a kind")).ok().and_then(BatchKind::from_number);
            let (chunks, authors) = (row.bytes(3).expect("chunks").to_vec(), row.bytes(4).expect("authors").to_vec());
            let at = Position { seq: row.unsigned(0).expect("a number"), tip };
            self.log.add(at, Batch { kind: kind.expect("a known kind"), chunks, authors });
        }
        let statement = Statement::new("SELECT seq FROM batch WHERE document = $1 ORDER BY rowid DESC LIMIT 1");
        let newest = self.read(&statement.with(self.document.as_str())).expect("the schema");
        let newest = newest.first().map(|row| row.unsigned(0).expect("a number"));
        if let Some(newest) = newest.filter(|newest| *newest != self.log.len() as u64) {
            self.log.note(format!("row {newest} was written after row {}", self.log.len()));
        }
    }

    /// Makes all transactions so far permanent.
    pub fn checkpoint(&mut self) {
        self.batch("COMMIT; BEGIN");
        self.commits.clear();
    }

    /// Forgets the last transactions, as a failover to a replica that lags does.
    pub fn forget(&mut self, transactions: usize) {
        let left = self.commits.len().saturating_sub(transactions);
        if let Some(len) = self.commits.get(left).copied() {
            self.batch(&format!("ROLLBACK TO c{left}; RELEASE c{left}"));
            self.commits.truncate(left);
            self.log.truncate(len);
        }
    }
}

/// A parameter.
struct Param<'a>(&'a Value);

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(int) => ValueRef::Integer(*int),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null | ValueRef::Real(_) => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => bytes.into(),
    }
}

fn failure(error: &rusqlite::Error) -> EngineError {
    let text = error.to_string();
    let failure = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Retry,
        _ if text.contains("no such table") => Failure::NoSuchTable,
        _ => Failure::Rejected,
    };
    EngineError::new(failure, text)
}
