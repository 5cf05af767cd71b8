//! Documents in a database that several nodes share.
//!
//! A document's log is a sequence of rows. A node appends with one statement that inserts the next row only if the last row is
//! the one that the node has read; the primary key lets one of two concurrent appends win. So a writer has read all earlier
//! rows, without locks, leases or a leader, and its checks hold across nodes. Each row carries a hash over itself and all rows
//! before it ([`Position`]).
//!
//! ```text
//!  snapshot (seq 40)            batch
//! ┌──────────────────┐   ┌────┬────┬────┬────┐
//! │ changes 1 to 40  │   │ 40 │ 41 │ 42 │ 43 │   append(after 43) -> 44
//! └──────────────────┘   └────┴────┴────┴────┘
//! ```
//!
//! ```no_run
//! use store::sql::{SqlOptions, SqlStore, Sqlite};
//! use store::{Appended, Batch, Position};
//!
//! # async fn example(id: primitives::DocumentId, chunk: Vec<u8>) -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Sqlite::open("plan.db".as_ref()).await?;
//! let store = SqlStore::open(engine, SqlOptions::default()).await?;
//! let at = store.load(&id).await?.map_or(Position::START, |stored| stored.position);
//! match store.append(&id, at, Batch::changes(chunk, Vec::new())).await? {
//!     Appended::Stored { at, .. } => println!("durable at {at}"),
//!     Appended::Behind => println!("another node was faster: {:?}", store.after(&id, at).await?),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `document` | loading, batches after a position, positions of many documents |
//! | `append` | appends, and the results of appends whose answer was lost |
//! | `compact` | snapshots in place of rows, recovery from a full copy, removal |
//! | `access`, `accounts`, `peers` | data beside documents |
//! | `chain`, `check` | verification of rows |
//! | `store` | [`SqlStore`] as a [`Store`](crate::Store) |
//! | `schema`, `statements`, `dialect` | tables, statements, differences between databases |
//! | `engine` | the interface to a database |
//! | `backoff` | waits between attempts |
//! | `postgres`, `sqlite`, `mysql` | the databases |
//! | `hint` | the format of notifications between nodes |
//! | `database` | opens the database that a URL names |
//! | `url`, `error` | connection strings, errors |

#![cfg_attr(
    not(all(feature = "postgres", feature = "sqlite", feature = "mysql")),
    allow(dead_code, unused_imports, reason = "some parts serve only some of the databases")
)]

mod access;
mod accounts;
mod append;
mod backoff;
mod chain;
mod check;
mod compact;
mod database;
mod dialect;
mod document;
mod engine;
mod error;
#[cfg(feature = "postgres")]
mod hint;
#[cfg(feature = "mysql")]
mod mysql;
mod news;
mod peers;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod schema;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;
mod store;
mod url;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::stream::BoxStream;
use parking_lot::Mutex;
use primitives::DocumentId;

pub use accounts::{Account, AttemptOutcome, Bucket, Changed, Revocation};
pub use backoff::Jitter;
pub use chain::ChainDamage;
pub use check::{DocumentDamage, DocumentSummary};
pub use database::{Database, DatabaseOptions, open, open_existing};
pub use dialect::Dialect;
pub use document::StoredDocument;
pub use engine::{
    ClusterKeys, Engine, EngineError, Failure, NewsMode, Row, SchemaSession, Statement, Step, TransactionEnd,
    UnexpectedColumn, Value,
};
pub use error::{DatabaseError, DatabaseOpenError};
#[cfg(feature = "mysql")]
pub use mysql::MySql;
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresOptions};
pub use schema::SCHEMA_VERSION;
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
pub use url::{DatabaseUrl, HostPort, InvalidDatabaseUrl, Password, ServerUrl, Tls};

use self::backoff::Backoff;
use self::statements as sql;
use crate::position::{News, Position};
use crate::{Health, Lengths, UnavailableReason};

/// Name of the cluster's storage id in `meta`.
const STORAGE_ID: &str = "storage id";
/// Name of the key that authenticates notifications in `meta`.
const HINT_KEY: &str = "hint key";
/// Name of the default document in `meta`.
const DEFAULT_DOCUMENT: &str = "default document";

/// Interval at which a node writes its heartbeat to its table.
const NODE_INTERVAL: Duration = Duration::from_secs(10);
/// Nodes that were last alive longer ago are forgotten.
const FORGET_NODE_AFTER: Duration = Duration::from_secs(86_400);

/// Settings of a [`SqlStore`].
#[derive(Debug, Clone)]
pub struct SqlOptions {
    /// How long a call tries to reach the database before it fails.
    pub patience: Duration,
    /// The version of this program, for the table of nodes.
    pub version: String,
    /// The random part of waits between attempts.
    pub jitter: Jitter,
}

impl Default for SqlOptions {
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(8),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            jitter: Jitter::default(),
        }
    }
}

/// Documents in a database.
pub struct SqlStore<E: Engine> {
    engine: Arc<E>,
    options: SqlOptions,
    /// Shared by all nodes.
    storage_id: [u8; 16],
    /// Identifies this process among the nodes.
    node: String,
    /// Positions and sizes of open documents, as this node knows them.
    open: Mutex<HashMap<DocumentId, Known>>,
    /// Documents whose rows contradict each other.
    damaged: Mutex<BTreeMap<DocumentId, ChainDamage>>,
    /// The peer records that this node has read or written, by key, with a hash of the record.
    peers: Mutex<HashMap<DocumentId, HashMap<[u8; 16], u64>>>,
    hasher: peers::Hasher,
    heartbeat: tokio::task::JoinHandle<()>,
}

/// Position and size of an open document, as this node knows them.
#[derive(Debug, Clone, Copy)]
struct Known {
    at: Position,
    lengths: Lengths,
}

impl<E: Engine> SqlStore<E> {
    /// Opens the store: creates or migrates the tables, and joins the other nodes.
    ///
    /// # Errors
    /// If the database cannot be used. [`DatabaseOpenError::is_temporary`] returns whether to try again.
    pub async fn open(engine: E, options: SqlOptions) -> Result<Self, DatabaseOpenError> {
        schema::migrate(&engine).await?;
        let storage_id = shared_value(&engine, STORAGE_ID, random::<16>().to_vec()).await?;
        let storage_id = <[u8; 16]>::try_from(&storage_id[..]).map_err(|_| {
            engine.open_error(EngineError::new(Failure::Rejected, "the storage id in meta has no 16 bytes"))
        })?;
        let hint_key = shared_value(&engine, HINT_KEY, random::<32>().to_vec()).await?.to_vec();
        let node = random::<8>();
        engine.join(ClusterKeys { storage_id, hint_key, node });
        let node = node.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let engine = Arc::new(engine);
        let heartbeat = tokio::spawn(say_alive(Arc::clone(&engine), node.clone(), options.version.clone()));
        Ok(Self {
            engine,
            options,
            storage_id,
            node,
            open: Mutex::default(),
            damaged: Mutex::default(),
            peers: Mutex::default(),
            hasher: peers::Hasher::new(),
            heartbeat,
        })
    }

    /// The id under which clients remember the state that they share with this cluster. It is the same at all nodes.
    #[must_use]
    pub const fn storage_id(&self) -> [u8; 16] {
        self.storage_id
    }

    /// The default document. `None` if none was chosen.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn default_document(&self) -> Result<Option<DocumentId>, DatabaseError> {
        let rows = self.query(|| sql::meta(DEFAULT_DOCUMENT)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(std::str::from_utf8(&row.bytes(0)?).ok().and_then(|id| id.parse().ok()))
    }

    /// Chooses the default document, unless one is chosen. Returns the chosen one, which is the same at all nodes.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn choose_default_document(&self, id: &DocumentId) -> Result<DocumentId, DatabaseError> {
        self.execute(|| sql::set_meta_once(E::DIALECT, DEFAULT_DOCUMENT, id.as_str().into())).await?;
        Ok(self.default_document().await?.unwrap_or_else(|| id.clone()))
    }

    /// Makes a document the default one, in place of the one that was chosen. Nodes that run keep the old one until they start again.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn set_default_document(&self, id: &DocumentId) -> Result<(), DatabaseError> {
        self.execute(|| sql::set_meta(E::DIALECT, DEFAULT_DOCUMENT, id.as_str().into())).await.map(drop)
    }

    /// The documents that have content, and the default document, in the order of their ids.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn list(&self) -> Result<Vec<DocumentId>, DatabaseError> {
        let mut documents = self.default_document().await?.into_iter().collect::<Vec<_>>();
        for row in self.query(sql::list).await? {
            let id = row.text(0)?;
            match id.parse() {
                Ok(id) => documents.push(id),
                Err(error) => tracing::warn!(%error, "a row of the table `document` has no valid id"),
            }
        }
        documents.sort();
        documents.dedup();
        Ok(documents)
    }

    /// Drops the memory of this node about a document.
    pub fn close(&self, id: &DocumentId) {
        self.open.lock().remove(id);
        self.peers.lock().remove(id);
        self.damaged.lock().remove(id);
    }

    /// The documents that are out of service. Answers at once, from memory.
    #[must_use]
    pub fn health(&self) -> Health {
        let damaged = self.damaged.lock();
        Health { unavailable: damaged.keys().map(|id| (id.clone(), UnavailableReason::Quarantined)).collect() }
    }

    /// How this node currently learns of the changes of others.
    #[must_use]
    pub fn news_mode(&self) -> NewsMode {
        self.engine.news_mode()
    }

    /// Whether a write would succeed now: writes the row of this node.
    ///
    /// # Errors
    /// If it does not succeed.
    pub async fn probe(&self) -> Result<(), DatabaseError> {
        let statement = sql::see_node(E::DIALECT, &self.node, now_ms(), &self.options.version);
        self.engine.execute(statement).await?;
        Ok(())
    }

    /// The nodes that have used the database within the last day.
    ///
    /// # Errors
    /// If the database is not available.
    pub async fn nodes(&self) -> Result<Vec<Node>, DatabaseError> {
        let rows = self.query(sql::nodes).await?;
        let node = |row: &Row| {
            Ok(Node { id: row.text(0)?.to_owned(), seen_ms: row.int(1)?, version: row.text(2)?.to_owned() })
        };
        rows.iter().map(node).collect()
    }

    /// The news of other nodes, from now on. A receiver that is too slow gets [`News::LookAtAll`] in place of missed ones.
    #[must_use]
    pub fn news(&self) -> BoxStream<'static, News> {
        self.engine.news()
    }

    /// Notifies the other nodes, without waiting. The message may be lost.
    pub fn tell(&self, news: News) {
        self.engine.tell(news);
    }

    /// Ends background work and closes connections. Pending calls may fail.
    pub async fn shut_down(&self) {
        self.heartbeat.abort();
        if let Err(error) = self.engine.execute(sql::forget_node(&self.node)).await {
            tracing::debug!(%error, "this node stays in the table of nodes for a day");
        }
        self.engine.shut_down().await;
    }

    /// Runs a statement that reads.
    async fn query(&self, statement: impl Fn() -> Statement + Send + Sync) -> Result<Vec<Row>, DatabaseError> {
        Ok(self.retry(|| self.engine.query(statement()), |failure| failure != Failure::Rejected).await?)
    }

    /// Runs a statement that writes, and that has the same effect if it is run twice.
    async fn execute(&self, statement: impl Fn() -> Statement + Send + Sync) -> Result<u64, DatabaseError> {
        Ok(self.retry(|| self.engine.execute(statement()), |failure| failure != Failure::Rejected).await?)
    }

    /// Calls until the call succeeds, fails for good, or patience ends. `again` selects the failures after which it calls
    /// again.
    async fn retry<T, F: Future<Output = Result<T, EngineError>> + Send>(
        &self,
        call: impl Fn() -> F + Send,
        again: impl Fn(Failure) -> bool + Send,
    ) -> Result<T, EngineError> {
        let mut backoff = self.backoff();
        loop {
            match call().await {
                Err(error) if is_passing(error.failure) && again(error.failure) => backoff.wait(error).await?,
                result => return result,
            }
        }
    }

    /// The waits between attempts of a call.
    fn backoff(&self) -> Backoff {
        Backoff::new(self.options.patience, self.options.jitter.clone())
    }

    /// Runs a transaction. A lost connection leaves it unknown whether the transaction is committed.
    async fn transaction(&self, steps: impl Fn() -> Vec<Step> + Send + Sync) -> Result<TransactionEnd, EngineError> {
        self.retry(|| self.engine.transaction(steps()), |failure| failure != Failure::Unknown).await
    }

    /// Takes a document out of service.
    fn quarantine(&self, id: &DocumentId, damage: ChainDamage) -> DatabaseError {
        if self.damaged.lock().insert(id.clone(), damage) != Some(damage) {
            tracing::error!(document = %id, %damage, "a document in the database is damaged");
        }
        DatabaseError::Damaged { id: id.clone(), damage }
    }
}

impl<E: Engine> Drop for SqlStore<E> {
    fn drop(&mut self) {
        self.heartbeat.abort();
    }
}

/// A process that uses the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// A random name of the process.
    pub id: String,
    /// When it was last alive, in milliseconds since 1970 by its own clock.
    pub seen_ms: i64,
    /// Its version.
    pub version: String,
}

/// The value in `meta` that all nodes share: `fresh`, unless there is one.
async fn shared_value<E: Engine>(
    engine: &E,
    name: &'static str,
    fresh: Vec<u8>,
) -> Result<bytes::Bytes, DatabaseOpenError> {
    let set = engine.execute(sql::set_meta_once(E::DIALECT, name, fresh)).await;
    set.map_err(|error| engine.open_error(error))?;
    let rows = engine.query(sql::meta(name)).await.map_err(|error| engine.open_error(error))?;
    let value = rows.first().and_then(|row| row.bytes(0).ok());
    value.ok_or_else(|| engine.open_error(EngineError::new(Failure::Rejected, format!("meta has no {name}"))))
}

/// Keeps the row of this node fresh, and drops the rows of nodes that have stopped.
async fn say_alive<E: Engine>(engine: Arc<E>, node: String, version: String) {
    loop {
        let now = now_ms();
        let forget = now - i64::try_from(FORGET_NODE_AFTER.as_millis()).unwrap_or(i64::MAX);
        let seen = engine.execute(sql::see_node(E::DIALECT, &node, now, &version)).await;
        let forgotten = engine.execute(sql::forget_nodes_before(forget)).await;
        if let Err(error) = seen.and(forgotten) {
            tracing::debug!(%error, "the table of nodes was not updated");
        }
        tokio::time::sleep(NODE_INTERVAL).await;
    }
}

/// Whether a failure may be temporary.
const fn is_passing(failure: Failure) -> bool {
    matches!(failure, Failure::NotSent | Failure::Retry | Failure::Unknown)
}

/// Random bytes.
fn random<const N: usize>() -> [u8; N] {
    rand::random::<[u8; N]>()
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
