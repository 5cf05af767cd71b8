//! MySQL and MariaDB.
//!
//! Transactions run at READ COMMITTED, so that an insert that reads the row before it takes no gap locks. There are no
//! notifications: each node polls the database several times a second.

mod connect;

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, Params};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::time::timeout;

use self::connect::Connector;
use super::dialect::Dialect;
use super::engine::{
    ClusterKeys, Engine, EngineError, Failure, NewsMode, Row, SchemaSession, Statement, Step, TransactionEnd, Value,
};
use super::error::DatabaseOpenError;
use super::news;
use super::pool::{Lease, Pool};
use super::url::ServerUrl;
use crate::position::News;

/// Deadline for an answer.
const ANSWER: Duration = Duration::from_secs(7);
/// Deadline for an answer to statements that read or write a whole document.
const LONG_ANSWER: Duration = Duration::from_secs(120);
/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Polling interval.
const LOOK: Duration = Duration::from_millis(250);
/// Room in a packet for everything besides one large value.
const PACKET_MARGIN: u64 = 64 << 10;
/// Name of the lock that migrations hold, with the name of the database.
const SCHEMA_LOCK: &str = "SELECT GET_LOCK(CONCAT('happierwork schema ', LEFT(DATABASE(), 40)), 60)";

/// A MySQL or MariaDB database.
pub struct MySql {
    connector: Connector,
    pool: Pool<Conn>,
    max_value: usize,
    news: broadcast::Sender<News>,
    poll: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl MySql {
    /// Connects, and checks version and settings of the server. Makes at most this many connections.
    ///
    /// # Errors
    /// If there is no connection, or the server is too old or may lose acknowledged changes.
    pub async fn open(url: &ServerUrl, connections: usize) -> Result<Self, DatabaseOpenError> {
        let connector = Connector::new(url)?;
        let (connection, settings) = connector.connect().await.map_err(|refused| connector.open_error(refused))?;
        connector.check(&settings)?;
        let pool = Pool::new(connections);
        pool.add(connection);
        Ok(Self {
            connector,
            pool,
            max_value: usize::try_from(settings.max_packet - PACKET_MARGIN).unwrap_or(usize::MAX),
            news: broadcast::channel(news::CAPACITY).0,
            poll: Mutex::default(),
        })
    }

    async fn take(&self) -> Result<Lease<'_, Conn>, EngineError> {
        let connect = async {
            let connected = self.connector.connect().await;
            connected.map(|(connection, _)| connection).map_err(|refused| EngineError::new(Failure::NotSent, refused))
        };
        self.pool.take(PATIENCE, |connection| !connection.is_disconnected(), connect).await
    }

    async fn run(&self, statement: Statement) -> Result<(Vec<Row>, u64), EngineError> {
        let mut lease = self.take().await?;
        let limit = if statement.is_long { LONG_ANSWER } else { ANSWER };
        match timeout(limit, send(&mut lease.connection, &statement)).await {
            Ok(Ok(answer)) => {
                lease.give_back();
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.note(&error);
                if error.failure != Failure::Unknown {
                    lease.give_back();
                }
                Err(error)
            }
            Err(_) => Err(EngineError::new(Failure::Unknown, TOO_LATE)),
        }
    }

    /// Reconnects after a failover: a server that is read-only now is not the primary.
    fn note(&self, error: &EngineError) {
        if error.failure == Failure::Retry && error.detail.contains("read-only") {
            self.pool.clear();
        }
    }
}

const TOO_LATE: &str = "the database has not answered in time";

/// Sends one statement, prepared once for each connection.
async fn send(connection: &mut Conn, statement: &Statement) -> Result<(Vec<Row>, u64), EngineError> {
    let (sql, order) = Dialect::MySql.placeholders(&statement.sql);
    let values = order.unwrap_or_default().into_iter().filter_map(|index| statement.params.get(index).map(parameter));
    let values: Vec<mysql_async::Value> = values.collect();
    let parameters = if values.is_empty() { Params::Empty } else { Params::Positional(values) };
    let rows: Result<Vec<mysql_async::Row>, Error> = connection.exec(sql.as_ref(), parameters).await;
    match rows {
        Ok(rows) => Ok((rows.into_iter().map(read).collect(), connection.affected_rows())),
        Err(Error::Server(error)) if error.code == DUPLICATE && statement.skips_duplicates => Ok((Vec::new(), 0)),
        Err(error) => Err(EngineError::new(failure(&error), text(&error))),
    }
}

async fn command(connection: &mut Conn, sql: &str) -> Result<(), EngineError> {
    connection.query_drop(sql).await.map_err(|error| EngineError::new(failure(&error), text(&error)))
}

/// Begins a transaction and runs its steps. Returns the first whose expectation is not met.
async fn run_steps(connection: &mut Conn, steps: &[Step]) -> Result<Option<usize>, EngineError> {
    command(connection, "START TRANSACTION").await?;
    for (index, Step { statement, expect }) in steps.iter().enumerate() {
        let (_, affected) = send(connection, statement).await?;
        if expect.is_some_and(|expected| expected != affected) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn parameter(value: &Value) -> mysql_async::Value {
    match value {
        Value::Null => mysql_async::Value::NULL,
        Value::Int(int) => mysql_async::Value::Int(*int),
        Value::Text(text) => mysql_async::Value::Bytes(text.clone().into_bytes()),
        Value::Bytes(bytes) => mysql_async::Value::Bytes(bytes.to_vec()),
    }
}

fn read(row: mysql_async::Row) -> Row {
    let value = |value| match value {
        mysql_async::Value::Int(int) => Value::Int(int),
        mysql_async::Value::UInt(int) => Value::Int(i64::try_from(int).unwrap_or(i64::MAX)),
        mysql_async::Value::Bytes(bytes) => Value::from(bytes),
        _ => Value::Null,
    };
    Row(row.unwrap().into_iter().map(value).collect())
}

/// A key exists already.
const DUPLICATE: u16 = 1062;

/// The state of a statement after this error.
fn failure(error: &Error) -> Failure {
    let Error::Server(error) = error else { return Failure::Unknown };
    match error.code {
        // Lock wait, deadlock, interrupted, time limit (MySQL, MariaDB), read-only server.
        1205 | 1213 | 1317 | 3024 | 1969 | 1290 | 1792 | 1836 => Failure::Retry,
        1021 | 1114 => Failure::Full,
        1146 => Failure::NoSuchTable,
        1050 => Failure::TableExists,
        1044 | 1142 | 1143 | 1227 | 1370 => Failure::NoPrivilege,
        // Shutdown, error during commit, connection killed.
        1053 | 1180 | 1927 | 3168 | 3169 => Failure::Unknown,
        _ if error.message.contains("No space left") => Failure::Full,
        _ => Failure::Rejected,
    }
}

fn text(error: &Error) -> String {
    match error {
        Error::Server(error) => format!("{} (error {})", error.message, error.code),
        // Their texts may contain values.
        Error::Driver(DriverError::FromValue { .. } | DriverError::FromRow { .. }) => "an unexpected value".to_owned(),
        error => error.to_string(),
    }
}

/// A connection that holds the lock on the schema.
pub struct MySqlSchemaSession(Conn);

impl SchemaSession for MySqlSchemaSession {
    async fn run(&mut self, statement: Statement) -> Result<Vec<Row>, EngineError> {
        Ok(send(&mut self.0, &statement).await?.0)
    }

    async fn finish(self) -> Result<(), EngineError> {
        // The lock ends with the connection.
        self.0.disconnect().await.map_err(|error| EngineError::new(failure(&error), text(&error)))
    }
}

impl Engine for MySql {
    const DIALECT: Dialect = Dialect::MySql;

    type SchemaSession = MySqlSchemaSession;

    async fn query(&self, statement: Statement) -> Result<Vec<Row>, EngineError> {
        Ok(self.run(statement).await?.0)
    }

    async fn execute(&self, statement: Statement) -> Result<u64, EngineError> {
        Ok(self.run(statement).await?.1)
    }

    async fn transaction(&self, steps: Vec<Step>) -> Result<TransactionEnd, EngineError> {
        let mut lease = self.take().await?;
        let is_long = steps.iter().any(|step| step.statement.is_long);
        let limit = if is_long { LONG_ANSWER } else { ANSWER };
        // Nothing is committed without COMMIT, and the end of a connection ends its transaction.
        let unmet = match timeout(limit, run_steps(&mut lease.connection, &steps)).await {
            Ok(Ok(unmet)) => unmet,
            Ok(Err(error)) => {
                self.note(&error);
                if error.failure == Failure::Unknown {
                    return Err(EngineError { failure: Failure::Retry, ..error });
                }
                if let Ok(Ok(())) = timeout(ANSWER, command(&mut lease.connection, "ROLLBACK")).await {
                    lease.give_back();
                }
                return Err(error);
            }
            Err(_) => return Err(EngineError::new(Failure::Retry, TOO_LATE)),
        };
        if let Some(index) = unmet {
            if let Ok(Ok(())) = timeout(ANSWER, command(&mut lease.connection, "ROLLBACK")).await {
                lease.give_back();
            }
            return Ok(TransactionEnd::Unmet(index));
        }
        match timeout(limit, command(&mut lease.connection, "COMMIT")).await {
            Ok(Ok(())) => {
                lease.give_back();
                Ok(TransactionEnd::Committed)
            }
            Ok(Err(error)) => Err(EngineError { failure: Failure::Unknown, ..error }),
            Err(_) => Err(EngineError::new(Failure::Unknown, TOO_LATE)),
        }
    }

    async fn lock_schema(&self) -> Result<MySqlSchemaSession, EngineError> {
        let connected = self.connector.connect().await;
        let (mut connection, _) = connected.map_err(|refused| EngineError::new(Failure::NotSent, refused))?;
        let (rows, _) = send(&mut connection, &Statement::new(SCHEMA_LOCK)).await?;
        match rows.first().map(|row| row.int(0)) {
            Some(Ok(1)) => Ok(MySqlSchemaSession(connection)),
            _ => Err(EngineError::new(Failure::Retry, "another node migrates the database")),
        }
    }

    fn open_error(&self, error: EngineError) -> DatabaseOpenError {
        let user = self.connector.user();
        DatabaseOpenError::of_statement(error, self.connector.location(), user)
    }

    fn max_value(&self) -> usize {
        self.max_value
    }

    fn size_advice(&self) -> &'static str {
        "; raise max_allowed_packet"
    }

    fn join(&self, _: ClusterKeys) {
        let news = self.news.clone();
        *self.poll.lock() = Some(tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                let _ = news.send(News::LookAtAll);
            }
        }));
    }

    fn news(&self) -> BoxStream<'static, News> {
        news::stream(self.news.subscribe()).boxed()
    }

    fn tell(&self, _: News) {}

    fn news_mode(&self) -> NewsMode {
        NewsMode::Polling
    }

    async fn shut_down(&self) {
        if let Some(poll) = self.poll.lock().take() {
            poll.abort();
        }
        self.pool.close();
    }
}

impl Drop for MySql {
    fn drop(&mut self) {
        if let Some(poll) = self.poll.lock().take() {
            poll.abort();
        }
    }
}
