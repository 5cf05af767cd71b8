//! MySQL and MariaDB.
//!
//! Transactions run at READ COMMITTED, so that an insert that reads the row before it takes no gap locks. There are no
//! notifications: each node looks at the database several times a second.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, Error, IoError, Opts, OptsBuilder, Params, PathOrBuf, SslOpts};
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio::time::timeout;

use super::dialect::Dialect;
use super::engine::{
    ClusterKeys, Engine, EngineError, Failure, NewsMode, Row, SchemaSession, Statement, Step, TransactionEnd, Value,
};
use super::error::DatabaseOpenError;
use super::news;
use super::pool::{Lease, Pool};
use super::url::{HostPort, Password, ServerUrl, Tls};
use crate::position::News;

/// How long we wait for an answer.
const ANSWER: Duration = Duration::from_secs(7);
/// The same for statements that read or write a whole document.
const LONG_ANSWER: Duration = Duration::from_secs(120);
/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often to look at the database.
const LOOK: Duration = Duration::from_millis(250);
/// Least `max_allowed_packet`: the default of MariaDB.
const MIN_PACKET: u64 = 16 << 20;
/// What a packet holds besides one large value.
const PACKET_MARGIN: u64 = 64 << 10;
/// Name of the lock that migrations hold, with the name of the database.
const SCHEMA_LOCK: &str = "SELECT GET_LOCK(CONCAT('happierwork schema ', LEFT(DATABASE(), 40)), 60)";

const MYSQL_MIN: (u16, u16, u16) = (8, 0, 19);
const MARIADB_MIN: (u16, u16, u16) = (10, 6, 0);

const SETUP: [&str; 4] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "SET SESSION innodb_lock_wait_timeout = 5",
    "SET SESSION autocommit = 1",
];

/// A MySQL or MariaDB database.
pub struct MySql {
    connector: Connector,
    pool: Pool<Conn>,
    max_value: usize,
    news: broadcast::Sender<News>,
    poll: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

/// Makes connections.
struct Connector {
    url: ServerUrl,
    hosts: Vec<(HostPort, Opts)>,
}

/// What the server says about itself.
struct ServerSettings {
    version: String,
    flush_log_at_commit: i64,
    max_packet: u64,
    is_read_only: bool,
    has_binary_log: bool,
    sync_binary_log: i64,
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

impl Connector {
    fn new(url: &ServerUrl) -> Result<Self, DatabaseOpenError> {
        let tls = match url.tls() {
            Tls::Off => None,
            Tls::VerifyFull => Some(
                tls(url).map_err(|detail| DatabaseOpenError::Tls { location: url.location(), detail })?,
            ),
        };
        if tls.is_none() && !url.hosts.iter().all(HostPort::is_local) {
            tracing::warn!(database = %url.location(), "the connection to the database is not encrypted");
        }
        let options = |host: &HostPort| -> Opts {
            let builder = OptsBuilder::default()
                .user(url.user.clone())
                .pass(url.password.as_ref().map(Password::reveal))
                .db_name(Some(&url.database))
                .prefer_socket(false)
                .tcp_nodelay(true)
                .tcp_keepalive(Some(Duration::from_secs(10)))
                .client_found_rows(true)
                .stmt_cache_size(64)
                .setup(SETUP.to_vec());
            if host.is_socket() {
                builder.socket(Some(&host.host)).prefer_socket(true).into()
            } else {
                builder.ip_or_hostname(&host.host).tcp_port(host.port).ssl_opts(tls.clone()).into()
            }
        };
        let hosts = url.hosts.iter().map(|host| (host.clone(), options(host))).collect();
        Ok(Self { url: url.clone(), hosts })
    }

    /// A connection to the first server that accepts writes.
    async fn connect(&self) -> Result<(Conn, ServerSettings), Refused> {
        let mut last = Refused::Timeout;
        for (host, options) in &self.hosts {
            let connected = timeout(self.url.connect_timeout, async {
                let mut connection = Conn::new(options.clone()).await?;
                let settings = read_settings(&mut connection).await?;
                Ok::<_, Error>((connection, settings))
            });
            last = match connected.await {
                Ok(Ok((_, settings))) if settings.is_read_only => Refused::ReadOnly(host.to_string()),
                Ok(Ok(connected)) => return Ok(connected),
                Ok(Err(error)) => Refused::Error(error),
                Err(_) => Refused::Timeout,
            };
        }
        Err(last)
    }

    /// Refuses servers that are too old or may lose what they have acknowledged.
    fn check(&self, settings: &ServerSettings) -> Result<(), DatabaseOpenError> {
        let location = self.url.location();
        let is_mariadb = settings.version.to_ascii_lowercase().contains("mariadb");
        let (product, minimum) = if is_mariadb { ("MariaDB", MARIADB_MIN) } else { ("MySQL", MYSQL_MIN) };
        if parse_version(&settings.version) < minimum {
            let (found, (a, b, c)) = (format!("{product} {}", settings.version), minimum);
            return Err(DatabaseOpenError::TooOld { location, found, minimum: format!("{product} {a}.{b}.{c}") });
        }
        if ![1, 3].contains(&settings.flush_log_at_commit) {
            return Err(DatabaseOpenError::UnsafeSetting {
                location,
                setting: format!("innodb_flush_log_at_trx_commit = {}", settings.flush_log_at_commit),
                advice: "Set innodb_flush_log_at_trx_commit = 1".to_owned(),
            });
        }
        if settings.has_binary_log && settings.sync_binary_log == 0 {
            return Err(DatabaseOpenError::UnsafeSetting {
                location,
                setting: "a binary log with sync_binlog = 0".to_owned(),
                advice: "Set sync_binlog = 1".to_owned(),
            });
        }
        if settings.max_packet < MIN_PACKET {
            return Err(DatabaseOpenError::SettingTooSmall {
                location,
                setting: format!("max_allowed_packet = {}", settings.max_packet),
                minimum: MIN_PACKET.to_string(),
                advice: "Set max_allowed_packet = 1G, so that large documents fit".to_owned(),
            });
        }
        Ok(())
    }

    fn open_error(&self, refused: Refused) -> DatabaseOpenError {
        let (location, detail) = (self.url.location(), refused.to_string());
        let user = self.url.user.clone().unwrap_or_default();
        match refused {
            Refused::Error(Error::Server(error)) => match error.code {
                1045 | 1698 => DatabaseOpenError::Login { location, user, detail },
                1049 => DatabaseOpenError::NoSuchDatabase { location, name: self.url.database.clone() },
                1044 | 1142 | 1227 => DatabaseOpenError::NoPrivilege { location, user, detail },
                1040 | 1053 | 1203 => DatabaseOpenError::Unreachable { location, detail },
                _ => DatabaseOpenError::Other { location, detail },
            },
            Refused::Error(Error::Io(IoError::Tls(_)) | Error::Driver(DriverError::NoClientSslFlagFromServer)) => {
                DatabaseOpenError::Tls { location, detail }
            }
            Refused::Error(Error::Driver(DriverError::UnknownAuthPlugin { .. } | DriverError::CleartextPluginDisabled)) => {
                DatabaseOpenError::Login { location, user, detail }
            }
            Refused::Error(_) | Refused::Timeout | Refused::ReadOnly(_) => {
                DatabaseOpenError::Unreachable { location, detail }
            }
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the connection was not made in time")]
    Timeout,
    #[error("{0} is read-only")]
    ReadOnly(String),
    #[error("{}", text(.0))]
    Error(Error),
}

/// TLS with the system's authorities, or those of a file.
fn tls(url: &ServerUrl) -> Result<SslOpts, String> {
    let roots = match &url.root_certificates {
        Some(path) => {
            std::fs::metadata(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
            vec![PathOrBuf::Path(path.clone().into())]
        }
        None => {
            let system = rustls_native_certs::load_native_certs().certs;
            system.into_iter().map(|certificate| PathOrBuf::Buf(certificate.to_vec().into())).collect()
        }
    };
    Ok(SslOpts::default().with_root_certs(roots).with_disable_built_in_roots(true))
}

async fn read_settings(connection: &mut Conn) -> Result<ServerSettings, Error> {
    let row: Option<mysql_async::Row> = connection
        .exec_first(
            "SELECT VERSION(), @@GLOBAL.innodb_flush_log_at_trx_commit, @@SESSION.max_allowed_packet, \
             @@GLOBAL.read_only, @@GLOBAL.log_bin, @@GLOBAL.sync_binlog",
            (),
        )
        .await?;
    let row = row.map(read).unwrap_or(Row(Vec::new()));
    let number = |column| row.int(column).unwrap_or_default();
    Ok(ServerSettings {
        version: row.text(0).unwrap_or_default().to_owned(),
        flush_log_at_commit: number(1),
        max_packet: row.unsigned(2).unwrap_or_default(),
        is_read_only: number(3) != 0,
        has_binary_log: number(4) != 0,
        sync_binary_log: number(5),
    })
}

/// The first three numbers of a version.
fn parse_version(version: &str) -> (u16, u16, u16) {
    // MariaDB may put a compatibility version before its own.
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

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

/// What is known about a statement after this error.
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
        let user = self.connector.url.user.clone().unwrap_or_default();
        DatabaseOpenError::of_statement(error, self.connector.url.location(), user)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_both_products_are_read() {
        assert_eq!(parse_version("8.0.36-0ubuntu0.22.04.1"), (8, 0, 36));
        assert_eq!(parse_version("10.11.6-MariaDB-0+deb12u1"), (10, 11, 6));
        assert_eq!(parse_version("5.5.5-10.6.1-MariaDB"), (10, 6, 1));
        assert_eq!(parse_version(""), (0, 0, 0));
    }
}
