//! Opens the database that a URL names.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use offload::run_blocking;
use primitives::DocumentId;
use tokio::time::Instant;

use super::accounts::{Account, AttemptOutcome, Bucket, Changed, Revocation};
use super::backoff::{Backoff, Jitter};
use super::check::{DocumentDamage, DocumentSummary};
use super::document::StoredDocument;
use super::engine::{Engine, NewsMode};
use super::url::{DatabaseUrl, ServerUrl};
use super::{DatabaseError, DatabaseOpenError, SqlOptions, SqlStore, schema};
use crate::Store;

/// Maximum number of connections for statements of one process.
const CONNECTIONS: usize = 16;

/// How long a call tries to reach the database. A client that writes while the database is unavailable waits for two calls: the
/// append, and the reload after it.
const PATIENCE: Duration = Duration::from_secs(4);

/// Result of [`Database::check`].
pub type Checked = Result<DocumentSummary, DocumentDamage>;

/// A [`SqlStore`] on any database.
pub trait Database: Store {
    /// The id under which clients remember the state that they share with this cluster. It is the same at all nodes.
    fn storage_id(&self) -> [u8; 16];

    /// The default document. `None` if none was chosen.
    ///
    /// # Errors
    /// If the database is not available.
    fn default_document(&self) -> BoxFuture<'_, Result<Option<DocumentId>, DatabaseError>>;

    /// Chooses the default document, unless one is chosen. Returns the chosen one, which is the same at all nodes.
    ///
    /// # Errors
    /// If the database is not available.
    fn choose_default_document(&self, id: &DocumentId) -> BoxFuture<'_, Result<DocumentId, DatabaseError>>;

    /// Makes a document the default one, in place of the one that was chosen. Nodes that run keep the old one until they start again.
    ///
    /// # Errors
    /// If the database is not available.
    fn set_default_document(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), DatabaseError>>;

    /// All accounts, in the order of their names.
    ///
    /// # Errors
    /// If the database is not available.
    fn accounts(&self) -> BoxFuture<'_, Result<Vec<Account>, DatabaseError>>;

    /// An account. `None` if no account has this name.
    ///
    /// # Errors
    /// If the database is not available.
    fn account(&self, name: &str) -> BoxFuture<'_, Result<Option<Account>, DatabaseError>>;

    /// Stores an account in place of the one with the version `expected`; 0 stands for none. Notifies all nodes.
    ///
    /// # Errors
    /// If the database is not available. The account may be stored if the connection was lost.
    fn put_account(&self, name: &str, expected: u64, record: Vec<u8>) -> BoxFuture<'_, Result<Changed, DatabaseError>>;

    /// The revoked tokens that have not expired at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// If the database is not available.
    fn revocations(&self, now: i64) -> BoxFuture<'_, Result<Vec<Revocation>, DatabaseError>>;

    /// Revokes a token until it expires, and notifies all nodes. Revoking it again changes nothing.
    ///
    /// # Errors
    /// If the database is not available. The token may be revoked if the connection was lost.
    fn revoke(&self, token: &str, expires: i64) -> BoxFuture<'_, Result<(), DatabaseError>>;

    /// Counts an attempt in a bucket that all nodes share, unless the bucket is empty.
    ///
    /// # Errors
    /// If the database is not available.
    fn attempt(&self, bucket: &str, limit: Bucket) -> BoxFuture<'_, Result<AttemptOutcome, DatabaseError>>;

    /// Fills a bucket again.
    ///
    /// # Errors
    /// If the database is not available.
    fn reset_attempts(&self, bucket: &str) -> BoxFuture<'_, Result<(), DatabaseError>>;

    /// Forgets revoked tokens that have expired at `now`, in seconds since 1970, and buckets that are full again.
    ///
    /// # Errors
    /// If the database is not available.
    fn forget_expired(&self, now: i64) -> BoxFuture<'_, Result<(), DatabaseError>>;

    /// A document with its author lines, read by one statement. `None` if nothing of it is stored, or it was removed.
    ///
    /// # Errors
    /// As of [`Store::load`].
    fn stored(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<StoredDocument>, DatabaseError>>;

    /// Verifies everything that is stored of a document. `None` if nothing is stored. Takes no document out of service.
    ///
    /// # Errors
    /// If the database is not available.
    fn check(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Checked>, DatabaseError>>;

    /// How this node currently learns of the changes of others.
    fn news_mode(&self) -> NewsMode;

    /// Ends background work and closes connections.
    fn shut_down(&self) -> BoxFuture<'_, ()>;
}

impl<E: Engine> Database for SqlStore<E> {
    fn storage_id(&self) -> [u8; 16] {
        SqlStore::storage_id(self)
    }

    fn default_document(&self) -> BoxFuture<'_, Result<Option<DocumentId>, DatabaseError>> {
        SqlStore::default_document(self).boxed()
    }

    fn choose_default_document(&self, id: &DocumentId) -> BoxFuture<'_, Result<DocumentId, DatabaseError>> {
        let id = id.clone();
        async move { SqlStore::choose_default_document(self, &id).await }.boxed()
    }

    fn set_default_document(&self, id: &DocumentId) -> BoxFuture<'_, Result<(), DatabaseError>> {
        let id = id.clone();
        async move { SqlStore::set_default_document(self, &id).await }.boxed()
    }

    fn accounts(&self) -> BoxFuture<'_, Result<Vec<Account>, DatabaseError>> {
        SqlStore::accounts(self).boxed()
    }

    fn account(&self, name: &str) -> BoxFuture<'_, Result<Option<Account>, DatabaseError>> {
        let name = name.to_owned();
        async move { SqlStore::account(self, &name).await }.boxed()
    }

    fn put_account(&self, name: &str, expected: u64, record: Vec<u8>) -> BoxFuture<'_, Result<Changed, DatabaseError>> {
        let name = name.to_owned();
        async move { SqlStore::put_account(self, &name, expected, record).await }.boxed()
    }

    fn revocations(&self, now: i64) -> BoxFuture<'_, Result<Vec<Revocation>, DatabaseError>> {
        SqlStore::revocations(self, now).boxed()
    }

    fn revoke(&self, token: &str, expires: i64) -> BoxFuture<'_, Result<(), DatabaseError>> {
        let token = token.to_owned();
        async move { SqlStore::revoke(self, &token, expires).await }.boxed()
    }

    fn attempt(&self, bucket: &str, limit: Bucket) -> BoxFuture<'_, Result<AttemptOutcome, DatabaseError>> {
        let bucket = bucket.to_owned();
        async move { SqlStore::attempt(self, &bucket, limit).await }.boxed()
    }

    fn reset_attempts(&self, bucket: &str) -> BoxFuture<'_, Result<(), DatabaseError>> {
        let bucket = bucket.to_owned();
        async move { SqlStore::reset_attempts(self, &bucket).await }.boxed()
    }

    fn forget_expired(&self, now: i64) -> BoxFuture<'_, Result<(), DatabaseError>> {
        SqlStore::forget_expired(self, now).boxed()
    }

    fn stored(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<StoredDocument>, DatabaseError>> {
        let id = id.clone();
        async move { SqlStore::load(self, &id).await }.boxed()
    }

    fn check(&self, id: &DocumentId) -> BoxFuture<'_, Result<Option<Checked>, DatabaseError>> {
        let id = id.clone();
        async move { SqlStore::check(self, &id).await }.boxed()
    }

    fn news_mode(&self) -> NewsMode {
        SqlStore::news_mode(self)
    }

    fn shut_down(&self) -> BoxFuture<'_, ()> {
        SqlStore::shut_down(self).boxed()
    }
}

/// How to open a database.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// The database.
    pub url: DatabaseUrl,
    /// A direct connection for notifications, if the PostgreSQL database is behind a pooler that does not deliver them.
    pub listen: Option<ServerUrl>,
    /// How long to try again while the database cannot be reached.
    pub wait: Duration,
}

/// Opens a database, and creates or migrates its tables. Tries again while it cannot be reached.
///
/// # Errors
/// If it cannot be used, or not be reached for [`DatabaseOptions::wait`].
pub async fn open(options: &DatabaseOptions) -> Result<Arc<dyn Database>, DatabaseOpenError> {
    let missing = || DatabaseOpenError::Other {
        location: options.url.location(),
        detail: "its tables were dropped while it was opened".to_owned(),
    };
    open_with(options, Tables::Create).await?.ok_or_else(missing)
}

/// Opens a database that has the tables of documents. Returns `None`, and creates nothing, if it has none.
///
/// # Errors
/// As for [`open`].
pub async fn open_existing(options: &DatabaseOptions) -> Result<Option<Arc<dyn Database>>, DatabaseOpenError> {
    open_with(options, Tables::Require).await
}

/// The treatment of a database without tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tables {
    Create,
    Require,
}

type Opened = Result<Option<Arc<dyn Database>>, DatabaseOpenError>;

async fn open_with(options: &DatabaseOptions, tables: Tables) -> Opened {
    let (options, runtime) = (options.clone(), tokio::runtime::Handle::current());
    // On a thread of its own: the compiler cannot show that the drivers' futures are `Send` where callers need it
    // (rust-lang/rust#64552).
    run_blocking(move || runtime.block_on(try_until_deadline(&options, tables))).await
}

async fn try_until_deadline(options: &DatabaseOptions, tables: Tables) -> Opened {
    let deadline = Instant::now() + options.wait;
    let mut backoff = Backoff::new(options.wait, Jitter::default());
    let mut said = false;
    loop {
        let error = match open_once(options, tables).await {
            Ok(database) => return Ok(database),
            Err(error) if error.is_temporary() && Instant::now() < deadline => error,
            Err(error) => return Err(error),
        };
        if !said {
            tracing::warn!(%error, wait = ?options.wait, "the database cannot be reached yet; trying again");
            said = true;
        }
        backoff.wait(error).await?;
    }
}

fn settings() -> SqlOptions {
    SqlOptions { patience: PATIENCE, ..SqlOptions::default() }
}

async fn open_once(options: &DatabaseOptions, tables: Tables) -> Opened {
    // Opening an SQLite file creates it.
    if tables == Tables::Require && matches!(&options.url, DatabaseUrl::Sqlite(path) if !path.exists()) {
        return Ok(None);
    }
    match &options.url {
        #[cfg(feature = "postgres")]
        DatabaseUrl::Postgres(url) => {
            let postgres = super::PostgresOptions {
                connections: CONNECTIONS,
                listen: options.listen.clone(),
                ..super::PostgresOptions::default()
            };
            open_store(super::Postgres::open(url, postgres).await?, tables).await
        }
        #[cfg(feature = "mysql")]
        DatabaseUrl::MySql(url) => open_store(super::MySql::open(url, CONNECTIONS).await?, tables).await,
        #[cfg(feature = "sqlite")]
        DatabaseUrl::Sqlite(path) => open_store(super::Sqlite::open(path).await?, tables).await,
        #[cfg(not(all(feature = "postgres", feature = "mysql", feature = "sqlite")))]
        url => Err(DatabaseOpenError::Other {
            location: url.location(),
            detail: "this program was built without support for it".to_owned(),
        }),
    }
}

async fn open_store<E: Engine>(engine: E, tables: Tables) -> Opened {
    if tables == Tables::Require && !schema::exists(&engine).await? {
        engine.shut_down().await;
        return Ok(None);
    }
    Ok(Some(Arc::new(SqlStore::open(engine, settings()).await?)))
}
