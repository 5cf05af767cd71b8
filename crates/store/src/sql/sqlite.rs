//! SQLite: a database in one file on this machine.
//!
//! One thread writes. It commits all queued calls in one transaction, so that they share one fsync. Reads use separate
//! connections: in WAL mode neither waits for the other.
//!
//! Other processes may use the file at the same time, such as the command line. This process polls for their changes several
//! times a second.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, ToSql};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::dialect::Dialect;
use super::engine::{
    ClusterKeys, Engine, EngineError, Failure, NewsMode, Row, SchemaSession, Statement, Step, TransactionEnd, Value,
};
use super::error::DatabaseOpenError;
use super::news;
use crate::position::News;

/// How long a statement waits for the lock of another process.
const BUSY: Duration = Duration::from_secs(5);
/// Maximum number of calls that are committed together.
const MAX_GROUP: usize = 512;
/// Idle connections that are kept for reads.
const MAX_READERS: usize = 4;
/// Polling interval for changes of other processes.
const LOOK: Duration = Duration::from_millis(250);
/// SQLite's limit for one value is 10^9 bytes.
const MAX_VALUE: usize = 900_000_000;

/// A database in a file.
pub struct Sqlite {
    path: PathBuf,
    writer: mpsc::UnboundedSender<Request>,
    readers: Arc<Mutex<Vec<Connection>>>,
    news: broadcast::Sender<News>,
    watcher: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// A request to the writing thread.
enum Request {
    /// Run these steps in a transaction.
    Run(Vec<Step>, Answer<Outcome>),
    /// A number that changes when another process has changed the file.
    DataVersion(Answer<i64>),
}

type Answer<T> = oneshot::Sender<Result<T, EngineError>>;

/// How a transaction ended, and how many rows its last step affected.
type Outcome = (TransactionEnd, u64);

impl Sqlite {
    /// Opens the file, or creates it, readable by this user alone.
    ///
    /// # Errors
    /// If it cannot be opened or is not an SQLite database.
    pub async fn open(path: &Path) -> Result<Self, DatabaseOpenError> {
        let file = path.to_owned();
        let opened = offload::run_blocking(move || create(&file).and_then(|()| connect(&file))).await;
        let connection = opened.map_err(|detail| DatabaseOpenError::File { path: path.to_owned(), detail })?;
        let (writer, requests) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new().name("sqlite-writer".into());
        let started = thread.spawn(move || write(&connection, requests));
        started.map_err(|error| DatabaseOpenError::File { path: path.to_owned(), detail: error.to_string() })?;
        Ok(Self {
            path: path.to_owned(),
            writer,
            readers: Arc::default(),
            news: broadcast::channel(news::CAPACITY).0,
            watcher: Mutex::default(),
        })
    }

    async fn run(&self, steps: Vec<Step>) -> Result<Outcome, EngineError> {
        ask(&self.writer, |answer| Request::Run(steps, answer)).await
    }
}

async fn ask<T>(
    writer: &mpsc::UnboundedSender<Request>,
    request: impl FnOnce(Answer<T>) -> Request,
) -> Result<T, EngineError> {
    let (answer, answered) = oneshot::channel();
    let stopped = || EngineError::new(Failure::Unknown, "the thread that writes to the database has stopped");
    writer.send(request(answer)).map_err(|_| EngineError { failure: Failure::NotSent, ..stopped() })?;
    answered.await.map_err(|_| stopped())?
}

/// Creates the file, so that it never exists with other rights.
fn create(path: &Path) -> Result<(), String> {
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// A connection with our settings.
fn connect(path: &Path) -> Result<Connection, String> {
    let told = |error: rusqlite::Error| error.to_string();
    let connection = Connection::open(path).map_err(told)?;
    connection.busy_timeout(BUSY).map_err(told)?;
    connection.set_prepared_statement_cache_capacity(64);
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0)).map_err(told)?;
    if mode != "wal" {
        return Err("its file system does not support the WAL mode of SQLite; use a local file system".to_owned());
    }
    // An fsync for each commit; on macOS one that reaches the disk.
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = 1; PRAGMA checkpoint_fullfsync = 1")
        .map_err(told)?;
    Ok(connection)
}

/// The writing thread: serves requests until the engine is dropped.
fn write(connection: &Connection, mut requests: mpsc::UnboundedReceiver<Request>) {
    while let Some(first) = requests.blocking_recv() {
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(request) = next.take() {
            match request {
                Request::Run(steps, answer) => group.push((steps, answer)),
                Request::DataVersion(answer) => {
                    let version = connection.pragma_query_value(None, "data_version", |row| row.get(0));
                    let _ = answer.send(version.map_err(|error| read_error(&error)));
                }
            }
            if group.len() < MAX_GROUP {
                next = requests.try_recv().ok();
            }
        }
        if !group.is_empty() {
            commit(connection, group);
        }
    }
}

/// Runs and commits calls in one transaction, each within a savepoint of its own.
fn commit(connection: &Connection, group: Vec<(Vec<Step>, Answer<Outcome>)>) {
    let mut outcomes = Vec::with_capacity(group.len());
    let result = connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| write_error(&error)).and_then(|()| {
        for (steps, _) in &group {
            outcomes.push(savepoint(connection, steps)?);
        }
        connection.execute_batch("COMMIT").map_err(|error| match write_error(&error) {
            // Its pages may be in the file already.
            error if error.failure == Failure::Rejected => EngineError { failure: Failure::Unknown, ..error },
            error => error,
        })
    });
    if result.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    match result {
        Ok(()) => {
            for ((_, answer), outcome) in group.into_iter().zip(outcomes) {
                let _ = answer.send(outcome);
            }
        }
        Err(error) => {
            for (_, answer) in group {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}

/// Runs the steps of one call.
///
/// # Errors
/// If the whole transaction has failed. An error of this call alone is in the result.
fn savepoint(connection: &Connection, steps: &[Step]) -> Result<Result<Outcome, EngineError>, EngineError> {
    let all = |sql| connection.execute_batch(sql).map_err(|error| write_error(&error));
    all("SAVEPOINT call")?;
    let mut affected = 0;
    for (index, step) in steps.iter().enumerate() {
        match run(connection, &step.statement) {
            Ok(rows) if step.expect.is_none_or(|expected| expected == rows) => affected = rows,
            Ok(_) => {
                all("ROLLBACK TO call; RELEASE call")?;
                return Ok(Ok((TransactionEnd::Unmet(index), 0)));
            }
            // A full disk, for instance, ends the whole transaction.
            Err(error) if connection.is_autocommit() => return Err(error),
            Err(error) => {
                all("ROLLBACK TO call; RELEASE call")?;
                return Ok(Err(error));
            }
        }
    }
    all("RELEASE call")?;
    Ok(Ok((TransactionEnd::Committed, affected)))
}

fn run(connection: &Connection, statement: &Statement) -> Result<u64, EngineError> {
    let (sql, _) = Dialect::Sqlite.placeholders(&statement.sql);
    let run = || {
        let mut prepared = connection.prepare_cached(&sql)?;
        prepared.execute(rusqlite::params_from_iter(&statement.params))
    };
    run().map(|rows| rows as u64).map_err(|error| write_error(&error))
}

fn read(connection: &Connection, statement: &Statement) -> Result<Vec<Row>, EngineError> {
    let (sql, _) = Dialect::Sqlite.placeholders(&statement.sql);
    let run = || {
        let mut prepared = connection.prepare_cached(&sql)?;
        let columns = prepared.column_count();
        let mut result = prepared.query(rusqlite::params_from_iter(&statement.params))?;
        let mut rows = Vec::new();
        while let Some(row) = result.next()? {
            let values = (0..columns).map(|column| Ok(value(row.get_ref(column)?)));
            rows.push(Row(values.collect::<rusqlite::Result<_>>()?));
        }
        Ok(rows)
    };
    run().map_err(|error| read_error(&error))
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null | ValueRef::Real(_) => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => bytes.into(),
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(rusqlite::types::ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(int) => ValueRef::Integer(*int),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// An error of a statement that writes; the statement was rolled back.
fn write_error(error: &rusqlite::Error) -> EngineError {
    let text = error.to_string();
    let failure = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Failure::Retry,
        Some(ErrorCode::DiskFull) => Failure::Full,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied) => {
            Failure::NoPrivilege
        }
        _ if text.contains("no such table") => Failure::NoSuchTable,
        _ if text.contains("already exists") => Failure::TableExists,
        _ => Failure::Rejected,
    };
    EngineError::new(failure, text)
}

/// An error of a statement that reads.
fn read_error(error: &rusqlite::Error) -> EngineError {
    write_error(error)
}

/// A separate connection with the lock on the file.
pub struct SqliteSchemaSession(Connection);

impl SchemaSession for SqliteSchemaSession {
    async fn run(&mut self, statement: Statement) -> Result<Vec<Row>, EngineError> {
        offload::block_in_place(|| read(&self.0, &statement))
    }

    async fn finish(self) -> Result<(), EngineError> {
        offload::block_in_place(|| self.0.execute_batch("COMMIT").map_err(|error| write_error(&error)))
    }
}

impl Engine for Sqlite {
    const DIALECT: Dialect = Dialect::Sqlite;

    type SchemaSession = SqliteSchemaSession;

    async fn query(&self, statement: Statement) -> Result<Vec<Row>, EngineError> {
        let (readers, path) = (Arc::clone(&self.readers), self.path.clone());
        offload::run_blocking(move || {
            let idle = readers.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => connect(&path).map_err(|error| EngineError::new(Failure::NotSent, error))?,
            };
            let rows = read(&connection, &statement);
            let mut readers = readers.lock();
            if readers.len() < MAX_READERS {
                readers.push(connection);
            }
            rows
        })
        .await
    }

    async fn execute(&self, statement: Statement) -> Result<u64, EngineError> {
        Ok(self.run(vec![statement.any()]).await?.1)
    }

    async fn transaction(&self, steps: Vec<Step>) -> Result<TransactionEnd, EngineError> {
        Ok(self.run(steps).await?.0)
    }

    async fn lock_schema(&self) -> Result<SqliteSchemaSession, EngineError> {
        let path = self.path.clone();
        offload::run_blocking(move || {
            let connection = connect(&path).map_err(|error| EngineError::new(Failure::NotSent, error))?;
            connection.execute_batch("BEGIN IMMEDIATE").map_err(|error| write_error(&error))?;
            Ok(SqliteSchemaSession(connection))
        })
        .await
    }

    fn open_error(&self, error: EngineError) -> DatabaseOpenError {
        match error.failure {
            Failure::Retry => {
                DatabaseOpenError::Unreachable { location: self.path.display().to_string(), detail: error.detail }
            }
            _ => DatabaseOpenError::File { path: self.path.clone(), detail: error.detail },
        }
    }

    fn max_value(&self) -> usize {
        MAX_VALUE
    }

    fn join(&self, _: ClusterKeys) {
        let (writer, news) = (self.writer.downgrade(), self.news.clone());
        let watch = async move {
            let mut last = None;
            loop {
                tokio::time::sleep(LOOK).await;
                let Some(writer) = writer.upgrade() else { return };
                match ask(&writer, Request::DataVersion).await {
                    Ok(version) => {
                        // The first poll counts as a change: another process may have changed the file since this process
                        // read it.
                        if last.replace(version) != Some(version) {
                            let _ = news.send(News::LookAtAll);
                        }
                    }
                    Err(error) => tracing::debug!(%error, "the database file was not looked at"),
                }
            }
        };
        *self.watcher.lock() = Some(tokio::spawn(watch));
    }

    fn news(&self) -> BoxStream<'static, News> {
        news::stream(self.news.subscribe()).boxed()
    }

    fn tell(&self, _: News) {}

    fn news_mode(&self) -> NewsMode {
        NewsMode::Polling
    }

    async fn shut_down(&self) {
        if let Some(watcher) = self.watcher.lock().take() {
            watcher.abort();
        }
        self.readers.lock().clear();
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher.lock().take() {
            watcher.abort();
        }
    }
}
