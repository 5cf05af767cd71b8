//! PostgreSQL.
//!
//! Statements are unnamed and take one round trip, so they also work through a pooler in transaction mode; the frequent ones are
//! prepared where that is possible: see `session`. Notifications use separate connections: see `news`.

mod connect;
mod news;
mod session;
mod standbys;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error};

use self::connect::Connector;
use self::session::{Session, is_not_a_session};
use super::dialect::Dialect;
use super::engine::{
    ClusterKeys, Engine, EngineError, Failure, NewsMode, Row, SchemaSession, Statement, Step, TransactionEnd, Value,
};
use super::error::DatabaseOpenError;
use super::pool::{Lease, Pool};
use super::url::ServerUrl;
use crate::position::News;

/// Time limit of the server for a statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit of the server for statements that read or write a whole document.
const LONG_STATEMENT_TIMEOUT: Duration = Duration::from_secs(120);
/// Additional time that we wait for an answer.
const GRACE: Duration = Duration::from_secs(2);
/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// PostgreSQL's limit for one value is 1 GiB, and it holds several copies in memory.
const MAX_VALUE: usize = 500_000_000;
/// The key of the advisory lock that migrations hold: "hwschema".
const SCHEMA_LOCK: i64 = 0x6877_7363_6865_6d61;

/// Settings of a [`Postgres`] engine.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Maximum number of connections for statements. Two more carry notifications.
    pub connections: usize,
    /// A direct connection for notifications, if the database is behind a pooler that does not deliver them.
    pub listen: Option<ServerUrl>,
    /// Interval between the heartbeats of this node.
    pub heartbeat: Duration,
    /// Longest silence of a node, including this one.
    pub silence: Duration,
    /// Polling interval while notifications are not delivered.
    pub poll: Duration,
    /// Polling interval otherwise.
    pub look: Duration,
    /// Whether each connection is one session of the server, so that statements can be prepared on it. `None`: if notifications
    /// arrive over such a connection.
    pub has_sessions: Option<bool>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections: 16,
            listen: None,
            heartbeat: Duration::from_secs(1),
            silence: Duration::from_secs(3),
            poll: Duration::from_millis(250),
            look: Duration::from_secs(10),
            has_sessions: None,
        }
    }
}

/// A PostgreSQL database.
pub struct Postgres {
    connector: Connector,
    listen: Connector,
    pool: Pool<Session>,
    /// Whether a pooler was found between this server and the sessions of the database.
    is_pooled: AtomicBool,
    options: PostgresOptions,
    news: news::Exchange,
    tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
}

impl Postgres {
    /// Connects, and checks version and settings of the server.
    ///
    /// # Errors
    /// If there is no connection, or the server is too old or may lose acknowledged changes.
    pub async fn open(url: &ServerUrl, options: PostgresOptions) -> Result<Self, DatabaseOpenError> {
        let connector = Connector::new(url)?;
        let listen = options.listen.as_ref().map_or_else(|| Ok(connector.clone()), Connector::new)?;
        let client = connector.open().await?;
        let pool = Pool::new(options.connections);
        pool.add(Session::new(client));
        Ok(Self {
            connector,
            listen,
            pool,
            is_pooled: AtomicBool::new(false),
            options,
            news: news::Exchange::new(),
            tasks: Mutex::default(),
        })
    }

    async fn take(&self) -> Result<Lease<'_, Session>, EngineError> {
        let connect = async { self.connector.connect().await.map(Session::new) };
        self.pool.take(PATIENCE, |session| !session.is_closed(), connect).await
    }

    /// Whether each connection is known to be one session of the server.
    fn has_sessions(&self) -> bool {
        let found = || self.options.listen.is_none() && self.news.mode() == NewsMode::Notified;
        !self.is_pooled.load(Ordering::Relaxed) && self.options.has_sessions.unwrap_or_else(found)
    }

    /// Runs a statement of moderate size.
    async fn run_short(&self, session: &Session, statement: &Statement, wants: Wants) -> Result<Answer, Error> {
        if statement.is_frequent && matches!(wants, Wants::Count) && self.has_sessions() {
            match send_prepared(session, statement).await {
                Err(error) if is_not_a_session(&error) => {
                    tracing::info!("statements are not prepared, because the connection to the database is pooled");
                    self.is_pooled.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        send(session, statement, wants).await
    }

    /// Runs one statement.
    async fn run(&self, statement: Statement, wants: Wants) -> Result<Answer, EngineError> {
        let lease = self.take().await?;
        let client = &lease.connection;
        let limit = if statement.is_long { LONG_STATEMENT_TIMEOUT } else { STATEMENT_TIMEOUT };
        let answer = timeout(limit + GRACE, async {
            if !statement.is_long {
                return self.run_short(client, &statement, wants).await;
            }
            // All three are sent at once.
            let begin = begin(limit);
            let (_, answer, end) = futures_util::join!(
                client.batch_execute(&begin),
                send(client, &statement, wants),
                client.batch_execute("COMMIT")
            );
            let answer = answer?;
            end?;
            Ok(answer)
        });
        match answer.await {
            Ok(Ok(answer)) => {
                lease.give_back();
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.failed(lease, &error)),
            Err(_) => Err(self.too_late()),
        }
    }

    /// The error of a statement that may be committed and was not answered in time.
    fn too_late(&self) -> EngineError {
        self.pool.clear();
        EngineError::new(Failure::Unknown, TOO_LATE)
    }

    /// The error of a statement that was sent. Keeps the connection if it is usable.
    fn failed(&self, lease: Lease<'_, Session>, error: &Error) -> EngineError {
        let failure = failure(error);
        match failure {
            // Most likely the server is a standby since a failover: reconnect to find the primary.
            Failure::Retry if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => self.pool.clear(),
            // A commit that waited for a standby may be visible without it. New connections wait for the standby before they
            // show it.
            Failure::Unknown => self.pool.clear(),
            _ => lease.give_back(),
        }
        EngineError::new(failure, text(error))
    }
}

const TOO_LATE: &str = "the database has not answered in time";

/// The kind of result that a caller needs.
#[derive(Clone, Copy)]
enum Wants {
    Rows,
    Count,
}

/// The result of a statement.
enum Answer {
    Rows(Vec<Row>),
    Count(u64),
}

/// Sends one unnamed statement: a single round trip. The future is boxed because the compiler cannot show that one with parameters
/// as trait objects is [`Send`] in the callers (rust-lang/rust#64552).
fn send<'a>(client: &'a Client, statement: &'a Statement, wants: Wants) -> BoxFuture<'a, Result<Answer, Error>> {
    Box::pin(async move {
        let values: Vec<Parameter<'_>> = statement.params.iter().map(Parameter).collect();
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|value| (value as &(dyn ToSql + Sync), value.ty())).collect();
        Ok(match wants {
            Wants::Rows => {
                let rows = client.query_typed(&statement.sql, &parameters).await?;
                Answer::Rows(rows.iter().map(read).collect())
            }
            Wants::Count => Answer::Count(client.execute_typed(&statement.sql, &parameters).await?),
        })
    })
}

/// Runs a statement as a prepared one. Boxed like [`send`].
fn send_prepared<'a>(session: &'a Session, statement: &'a Statement) -> BoxFuture<'a, Result<Answer, Error>> {
    Box::pin(async move {
        let values: Vec<Parameter<'_>> = statement.params.iter().map(Parameter).collect();
        let parameters: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|value| (value as &(dyn ToSql + Sync), value.ty())).collect();
        Ok(Answer::Count(session.execute_prepared(&statement.sql, &parameters).await?))
    })
}

/// Begins a transaction and runs its steps. Returns the first whose expectation is not met.
async fn run_steps(client: &Client, steps: &[Step], limit: Duration) -> Result<Option<usize>, Error> {
    let begin = begin(limit);
    for (index, Step { statement, expect }) in steps.iter().enumerate() {
        let step = send(client, statement, Wants::Count);
        let affected = if index == 0 {
            // Both are sent at once.
            let (begun, affected) = futures_util::join!(client.batch_execute(&begin), step);
            begun?;
            affected?.count()
        } else {
            step.await?.count()
        };
        if expect.is_some_and(|expected| expected != affected) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

impl Answer {
    fn rows(self) -> Vec<Row> {
        match self {
            Self::Rows(rows) => rows,
            Self::Count(_) => Vec::new(),
        }
    }

    fn count(self) -> u64 {
        match self {
            Self::Rows(rows) => rows.len() as u64,
            Self::Count(count) => count,
        }
    }
}

fn begin(limit: Duration) -> String {
    format!("BEGIN; SET LOCAL statement_timeout = {}", limit.as_millis())
}

/// A parameter in PostgreSQL's binary format.
#[derive(Debug)]
struct Parameter<'a>(&'a Value);

impl ToSql for Parameter<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            Value::Null => return Ok(IsNull::Yes),
            Value::Int(int) => out.put_i64(*int),
            Value::Text(text) => out.put_slice(text.as_bytes()),
            Value::Bytes(bytes) => out.put_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl Parameter<'_> {
    const fn ty(&self) -> Type {
        match self.0 {
            Value::Int(_) => Type::INT8,
            Value::Null | Value::Text(_) => Type::TEXT,
            Value::Bytes(_) => Type::BYTEA,
        }
    }
}

fn read(row: &tokio_postgres::Row) -> Row {
    let value = |(index, column): (usize, &tokio_postgres::Column)| match *column.type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(index).ok().flatten().map(Value::Int),
        Type::INT4 => row.try_get::<_, Option<i32>>(index).ok().flatten().map(|int| Value::Int(int.into())),
        Type::BYTEA => row.try_get::<_, Option<&[u8]>>(index).ok().flatten().map(Value::from),
        _ => row.try_get::<_, Option<&str>>(index).ok().flatten().map(Value::from),
    };
    Row(row.columns().iter().enumerate().map(|column| value(column).unwrap_or(Value::Null)).collect())
}

/// The state of a statement after this error.
fn failure(error: &Error) -> Failure {
    let Some(db) = error.as_db_error() else {
        // The outcome is unknown, except after an error of our own before the statement was sent.
        return if error.to_string().starts_with("error serializing") { Failure::Rejected } else { Failure::Unknown };
    };
    // The connection ends, possibly while a commit waits for a standby.
    if matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
        return Failure::Unknown;
    }
    match db.code() {
        code if [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::OUT_OF_MEMORY,
            SqlState::TOO_MANY_CONNECTIONS,
        ]
        .contains(code) =>
        {
            Failure::Retry
        }
        code if *code == SqlState::DISK_FULL => Failure::Full,
        code if *code == SqlState::UNDEFINED_TABLE => Failure::NoSuchTable,
        code if *code == SqlState::DUPLICATE_TABLE => Failure::TableExists,
        code if *code == SqlState::INSUFFICIENT_PRIVILEGE => Failure::NoPrivilege,
        // Errors of a pooler about its connection to the server.
        code if code.code().starts_with("08") || code.code().starts_with("57P") => Failure::Unknown,
        _ => Failure::Rejected,
    }
}

/// The message of an error, without the values that PostgreSQL adds as details.
fn text(error: &Error) -> String {
    use std::error::Error as _;
    match (error.as_db_error(), error.source()) {
        (Some(db), _) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// A connection whose transaction holds the advisory lock.
pub struct PostgresSchemaSession(Client);

impl SchemaSession for PostgresSchemaSession {
    async fn run(&mut self, statement: Statement) -> Result<Vec<Row>, EngineError> {
        let answer = send(&self.0, &statement, Wants::Rows).await;
        Ok(answer.map_err(|error| EngineError::new(failure(&error), text(&error)))?.rows())
    }

    async fn finish(self) -> Result<(), EngineError> {
        self.0.batch_execute("COMMIT").await.map_err(|error| EngineError::new(failure(&error), text(&error)))
    }
}

impl Engine for Postgres {
    const DIALECT: Dialect = Dialect::Postgres;

    type SchemaSession = PostgresSchemaSession;

    async fn query(&self, statement: Statement) -> Result<Vec<Row>, EngineError> {
        Ok(self.run(statement, Wants::Rows).await?.rows())
    }

    async fn execute(&self, statement: Statement) -> Result<u64, EngineError> {
        Ok(self.run(statement, Wants::Count).await?.count())
    }

    async fn transaction(&self, steps: Vec<Step>) -> Result<TransactionEnd, EngineError> {
        let lease = self.take().await?;
        let client = &lease.connection;
        let is_long = steps.iter().any(|step| step.statement.is_long);
        let limit = if is_long { LONG_STATEMENT_TIMEOUT } else { STATEMENT_TIMEOUT };
        // Nothing is committed without COMMIT, and the end of a connection ends its transaction.
        let unmet = match timeout(limit + GRACE, run_steps(client, &steps, limit)).await {
            Ok(Ok(unmet)) => unmet,
            Ok(Err(error)) => {
                let failure = failure(&error);
                if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) {
                    self.pool.clear();
                }
                if failure == Failure::Unknown {
                    return Err(EngineError::new(Failure::Retry, text(&error)));
                }
                if let Ok(Ok(())) = timeout(GRACE, client.batch_execute("ROLLBACK")).await {
                    lease.give_back();
                }
                return Err(EngineError::new(failure, text(&error)));
            }
            Err(_) => return Err(EngineError::new(Failure::Retry, TOO_LATE)),
        };
        if let Some(index) = unmet {
            if let Ok(Ok(())) = timeout(GRACE, client.batch_execute("ROLLBACK")).await {
                lease.give_back();
            }
            return Ok(TransactionEnd::Unmet(index));
        }
        match timeout(limit + GRACE, client.batch_execute("COMMIT")).await {
            Ok(Ok(())) => {
                lease.give_back();
                Ok(TransactionEnd::Committed)
            }
            Ok(Err(error)) => Err(self.failed(lease, &error)),
            Err(_) => Err(self.too_late()),
        }
    }

    async fn lock_schema(&self) -> Result<PostgresSchemaSession, EngineError> {
        let client = self.connector.connect().await?;
        let lock = format!("{}; SELECT pg_advisory_xact_lock({SCHEMA_LOCK})", begin(LONG_STATEMENT_TIMEOUT));
        let locked = client.batch_execute(&lock).await;
        locked.map_err(|error| EngineError::new(failure(&error), text(&error)))?;
        Ok(PostgresSchemaSession(client))
    }

    fn open_error(&self, error: EngineError) -> DatabaseOpenError {
        DatabaseOpenError::of_statement(error, self.connector.location(), self.connector.user())
    }

    fn max_value(&self) -> usize {
        MAX_VALUE
    }

    fn join(&self, keys: ClusterKeys) {
        *self.tasks.lock() = self.news.start(&self.connector, &self.listen, &self.options, &keys);
    }

    fn news(&self) -> BoxStream<'static, News> {
        super::news::stream(self.news.subscribe()).boxed()
    }

    fn tell(&self, news: News) {
        self.news.tell(news);
    }

    fn news_mode(&self) -> NewsMode {
        self.news.mode()
    }

    async fn shut_down(&self) {
        self.news.leave().await;
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
        self.pool.close();
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }
}
