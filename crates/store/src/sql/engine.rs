//! The interface between [`SqlStore`](super::SqlStore) and a database: statements with values in, rows out.
//!
//! An engine knows how to connect and how to run a statement. It knows no documents.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;

use bytes::Bytes;
use futures_util::stream::BoxStream;

use super::dialect::Dialect;
use super::error::DatabaseOpenError;
use crate::position::News;

/// A value of a parameter or a column.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// SQL's NULL. Only read, never a parameter.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// Text.
    Text(String),
    /// A byte string.
    Bytes(Bytes),
}

/// Shows lengths, not contents: values include documents and password hashes.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Int(int) => write!(f, "{int}"),
            Self::Text(text) => write!(f, "text of {} bytes", text.len()),
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Bytes> for Value {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(Bytes::copy_from_slice(bytes))
    }
}

/// A row of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

/// A value does not have the type of its column in the schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column} of a result is not {expected}")]
pub struct UnexpectedColumn {
    column: usize,
    expected: &'static str,
}

impl Row {
    /// The integer in this column.
    ///
    /// # Errors
    /// If there is none.
    pub fn int(&self, column: usize) -> Result<i64, UnexpectedColumn> {
        match self.0.get(column) {
            Some(Value::Int(int)) => Ok(*int),
            _ => Err(UnexpectedColumn { column, expected: "an integer" }),
        }
    }

    /// The non-negative integer in this column.
    ///
    /// # Errors
    /// If there is none.
    pub fn unsigned(&self, column: usize) -> Result<u64, UnexpectedColumn> {
        u64::try_from(self.int(column)?).map_err(|_| UnexpectedColumn { column, expected: "a positive integer" })
    }

    /// The text in this column. MySQL returns text of a binary collation as bytes.
    ///
    /// # Errors
    /// If there is none.
    pub fn text(&self, column: usize) -> Result<&str, UnexpectedColumn> {
        let wrong = UnexpectedColumn { column, expected: "text" };
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Bytes(bytes)) => std::str::from_utf8(bytes).map_err(|_| wrong),
            _ => Err(wrong),
        }
    }

    /// The byte string in this column.
    ///
    /// # Errors
    /// If there is none.
    pub fn bytes(&self, column: usize) -> Result<Bytes, UnexpectedColumn> {
        match self.0.get(column) {
            Some(Value::Bytes(bytes)) => Ok(bytes.clone()),
            _ => Err(UnexpectedColumn { column, expected: "a byte string" }),
        }
    }

    /// Whether the column is NULL.
    #[must_use]
    pub fn is_null(&self, column: usize) -> bool {
        matches!(self.0.get(column), Some(Value::Null) | None)
    }
}

/// A statement with its parameters, which it names `$1`, `$2` and so on.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The text, in the dialect of the engine.
    pub sql: Cow<'static, str>,
    /// The parameters.
    pub params: Vec<Value>,
    /// Whether an insert of an existing key affects no row. (Otherwise it fails.)
    pub skips_duplicates: bool,
    /// Whether the statement reads or writes a whole document, and so may take longer.
    pub is_long: bool,
    /// Whether the statement is run for every edit, and so is worth preparing.
    pub is_frequent: bool,
}

impl Statement {
    /// A statement without parameters.
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { sql: sql.into(), params: Vec::new(), skips_duplicates: false, is_long: false, is_frequent: false }
    }

    /// Adds the next parameter.
    #[must_use]
    pub fn with(mut self, value: impl Into<Value>) -> Self {
        self.params.push(value.into());
        self
    }

    /// Marks the statement as one that may take longer.
    #[must_use]
    pub fn long(mut self) -> Self {
        self.is_long = true;
        self
    }
}

/// A statement of a transaction.
#[derive(Debug, Clone)]
pub struct Step {
    /// The statement.
    pub statement: Statement,
    /// The number of rows that it must affect; `None` accepts any. The transaction is rolled back otherwise.
    pub expect: Option<u64>,
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionEnd {
    /// It is committed.
    Committed,
    /// The step with this index affected another number of rows than expected. Everything was rolled back.
    Unmet(usize),
}

/// The state of a statement that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It was not executed: there is no connection. Try again.
    NotSent,
    /// It was rolled back because of other transactions, a lock or a database that is read-only at the moment. Try
    /// again.
    Retry,
    /// It was sent, and there is no answer: it may be committed now, later, or never.
    Unknown,
    /// It was rolled back: the database has no room.
    Full,
    /// It was rolled back: a table does not exist.
    NoSuchTable,
    /// It was rolled back: a table exists already.
    TableExists,
    /// It was rolled back: the user may not run it.
    NoPrivilege,
    /// It was rolled back for another reason.
    Rejected,
}

/// Why a statement failed. Shows no parameters and no password.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{detail}")]
pub struct EngineError {
    /// The state of the statement.
    pub failure: Failure,
    /// Message of the database or the network.
    pub detail: String,
}

impl EngineError {
    /// An error with the given text.
    pub fn new(failure: Failure, detail: impl fmt::Display) -> Self {
        Self { failure, detail: detail.to_string() }
    }

    /// Whether the statement was not executed, and may succeed if it is sent again.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.failure, Failure::NotSent | Failure::Retry)
    }
}

/// How this node learns of the changes of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewsMode {
    /// The database delivers notifications.
    Notified,
    /// The database does not deliver notifications, or not at the moment: the store yields
    /// [`News::LookAtAll`] several times a second.
    Polling,
}

/// Values that the nodes of a cluster share, and the name of this node.
#[derive(Clone)]
pub struct ClusterKeys {
    /// Identifies the cluster.
    pub storage_id: [u8; 16],
    /// Key of the code that authenticates notifications.
    pub hint_key: Vec<u8>,
    /// Identifies this process among the nodes.
    pub node: [u8; 8],
}

/// A database.
pub trait Engine: Sized + Send + Sync + 'static {
    /// Its SQL dialect.
    const DIALECT: Dialect;

    /// A connection that holds the lock on the schema.
    type SchemaSession: SchemaSession;

    /// Runs a statement that returns rows, in a transaction of its own.
    fn query(&self, statement: Statement) -> impl Future<Output = Result<Vec<Row>, EngineError>> + Send;

    /// Runs a statement in a transaction of its own, and returns how many rows it affected. (Rows that an update matches
    /// count, whether they change or not.) The effect is durable.
    fn execute(&self, statement: Statement) -> impl Future<Output = Result<u64, EngineError>> + Send;

    /// Runs statements in one transaction. The effect is durable if this returns [`TransactionEnd::Committed`].
    fn transaction(&self, steps: Vec<Step>) -> impl Future<Output = Result<TransactionEnd, EngineError>> + Send;

    /// Waits until no other process changes the schema, and keeps others from doing so.
    fn lock_schema(&self) -> impl Future<Output = Result<Self::SchemaSession, EngineError>> + Send;

    /// The error of a statement as a reason why the database cannot be opened.
    fn open_error(&self, error: EngineError) -> DatabaseOpenError;

    /// Largest value of one column in bytes that a statement may carry.
    fn max_value(&self) -> usize;

    /// How the operator can raise that limit; empty, or starts with a separator.
    fn size_advice(&self) -> &'static str {
        ""
    }

    /// Begins to exchange news with other nodes. Called once.
    fn join(&self, keys: ClusterKeys);

    /// The news of other nodes, from now on.
    fn news(&self) -> BoxStream<'static, News>;

    /// Notifies the other nodes, without waiting and without a guarantee.
    fn tell(&self, news: News);

    /// How this node currently learns of the changes of others.
    fn news_mode(&self) -> NewsMode;

    /// Ends background work and closes connections.
    fn shut_down(&self) -> impl Future<Output = ()> + Send;
}

/// A connection on which migrations run.
pub trait SchemaSession: Send {
    /// Runs a statement.
    fn run(&mut self, statement: Statement) -> impl Future<Output = Result<Vec<Row>, EngineError>> + Send;

    /// Makes the changes durable and gives the lock back. Dropping the session gives the lock back, too.
    fn finish(self) -> impl Future<Output = Result<(), EngineError>> + Send;
}
