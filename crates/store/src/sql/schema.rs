//! The tables, and the migrations between their versions.
//!
//! | table | holds |
//! |---|---|
//! | `meta` | schema version, storage id and keys of the cluster, default document |
//! | `document` | every document that has a batch |
//! | `batch` | the logs: one row for each append since the last compaction, and the row at the snapshot |
//! | `snapshot` | the document up to one row of its log, as one Automerge chunk |
//! | `author` | author lines of the batches that compaction has deleted |
//! | `access`, `account` | records with a version, for compare-and-set |
//! | `control` | what changed in `access`, `account` and `revoked`, in order |
//! | `peer` | heads that returning peers are known to have |
//! | `revoked` | tokens that were logged out before they expired |
//! | `attempt` | when a bucket of login attempts is full again |
//! | `node` | the processes that use the database |
//!
//! Migrations only add. So a node of the previous version can continue, and be restarted, while another one migrates the
//! database: `meta` also contains the oldest version that can use the schema.

use super::dialect::Dialect;
use super::engine::{Engine, EngineError, Failure, Row, SchemaSession, Statement};
use super::error::DatabaseOpenError;
use super::statements as sql;

/// The latest version of the schema: the number of [`MIGRATIONS`].
pub const SCHEMA_VERSION: u64 = MIGRATIONS.len() as u64;

/// The oldest program that can use the schema of this version.
const OLDEST_USER: u64 = 1;

/// Name of the schema version in `meta`.
const VERSION: &str = "schema version";
/// Name of the oldest usable version in `meta`.
const OLDEST: &str = "oldest schema version that can use this one";

const META: &str = "CREATE TABLE IF NOT EXISTS meta (name {name} NOT NULL PRIMARY KEY, value {blob} NOT NULL)";

/// Statements that migrate to each version from the previous one. Entries never change once released.
const MIGRATIONS: &[&[&str]] = &[&[
    "CREATE TABLE IF NOT EXISTS document (id {id} NOT NULL PRIMARY KEY, created {int} NOT NULL, deleted {int} NOT NULL, \
     quarantined_until {int} NOT NULL, compacting_until {int} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS batch (document {id} NOT NULL, seq {int} NOT NULL, tip {key} NOT NULL, kind {int} NOT NULL, \
     chunks {blob} NOT NULL, authors {blob} NOT NULL, PRIMARY KEY (document, seq))",
    "CREATE TABLE IF NOT EXISTS snapshot (document {id} NOT NULL PRIMARY KEY, seq {int} NOT NULL, tip {key} NOT NULL, \
     bytes {blob} NOT NULL, sha256 {blob} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS author (document {id} NOT NULL, seq {int} NOT NULL, content {blob} NOT NULL, \
     PRIMARY KEY (document, seq))",
    "CREATE TABLE IF NOT EXISTS access (document {id} NOT NULL PRIMARY KEY, version {int} NOT NULL, record {blob} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS control (revision {int} NOT NULL PRIMARY KEY, kind {int} NOT NULL, subject {name} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS peer (document {id} NOT NULL, peer {key} NOT NULL, record {blob} NOT NULL, \
     seen {int} NOT NULL, PRIMARY KEY (document, peer))",
    "CREATE TABLE IF NOT EXISTS account (name {name} NOT NULL PRIMARY KEY, version {int} NOT NULL, record {blob} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS revoked (token {name} NOT NULL PRIMARY KEY, expires {int} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS attempt (bucket {name} NOT NULL PRIMARY KEY, whole_at {int} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS node (id {name} NOT NULL PRIMARY KEY, seen {int} NOT NULL, version {name} NOT NULL)",
]];

/// Statements for one dialect after those of a version. Automerge compresses its chunks, so PostgreSQL need not try.
const POSTGRES_EXTRA: &[&[&str]] = &[&[
    "ALTER TABLE batch ALTER COLUMN chunks SET STORAGE EXTERNAL",
    "ALTER TABLE snapshot ALTER COLUMN bytes SET STORAGE EXTERNAL",
]];

/// Creates the tables of an empty database, and migrates those of an earlier version.
///
/// # Errors
/// If the database is newer than this program or belongs to another one, or if a statement fails.
pub(super) async fn migrate<E: Engine>(engine: &E) -> Result<(), DatabaseOpenError> {
    // Does not need the lock, or the right to change tables, if there is nothing to do.
    if current(engine).await? == Some(SCHEMA_VERSION) {
        return Ok(());
    }
    let mut session = engine.lock_schema().await.map_err(|error| engine.open_error(error))?;
    match migrate_locked(&mut session, E::DIALECT).await {
        Ok(()) => session.finish().await.map_err(|error| engine.open_error(error)),
        Err(Stopped::Engine(error)) => Err(engine.open_error(error)),
        Err(Stopped::Open(error)) => Err(error),
    }
}

/// Whether the database has our tables.
///
/// # Errors
/// If this program cannot use them, or a statement fails.
pub(super) async fn exists<E: Engine>(engine: &E) -> Result<bool, DatabaseOpenError> {
    Ok(current(engine).await?.is_some())
}

/// The version of a database that this program can use. `None` if there is none yet.
async fn current<E: Engine>(engine: &E) -> Result<Option<u64>, DatabaseOpenError> {
    let mut values = [None, None];
    for (name, value) in [VERSION, OLDEST].into_iter().zip(&mut values) {
        match engine.query(sql::meta(name)).await {
            Ok(rows) => *value = number(&rows),
            Err(error) if error.failure == Failure::NoSuchTable => return Ok(None),
            Err(error) => return Err(engine.open_error(error)),
        }
    }
    let [version, oldest] = values;
    usable(version.unwrap_or(0), oldest)?;
    Ok(version.map(|version| version.min(SCHEMA_VERSION)))
}

/// Refuses a schema that requires a newer program.
fn usable(found: u64, oldest: Option<u64>) -> Result<(), DatabaseOpenError> {
    if found > SCHEMA_VERSION && oldest.is_none_or(|oldest| oldest > SCHEMA_VERSION) {
        return Err(DatabaseOpenError::SchemaNewer { found, known: SCHEMA_VERSION });
    }
    Ok(())
}

enum Stopped {
    Engine(EngineError),
    Open(DatabaseOpenError),
}

impl From<EngineError> for Stopped {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

async fn migrate_locked<S: SchemaSession>(session: &mut S, dialect: Dialect) -> Result<(), Stopped> {
    let tables = session.run(Statement::new(dialect.tables())).await?;
    let tables: Vec<String> = tables.iter().filter_map(|row| row.text(0).ok()).map(str::to_lowercase).collect();
    let is_there = |name: &str| tables.iter().any(|table| table == name);
    let mut version = None;
    if is_there("meta") {
        version = number(&session.run(sql::meta(VERSION)).await?);
        let oldest = number(&session.run(sql::meta(OLDEST)).await?);
        usable(version.unwrap_or(0), oldest).map_err(Stopped::Open)?;
    }
    if version.is_none() {
        if let Some(table) = OUR_TABLES.into_iter().find(|table| is_there(table)) {
            return Err(Stopped::Open(DatabaseOpenError::ForeignTables { table: table.to_owned() }));
        }
        // With this entry, a later start knows that the tables are ours, where creating tables is not transactional.
        session.run(Statement::new(dialect.types(META))).await?;
        session.run(set_number(dialect, VERSION, 0)).await?;
    }
    for number in version.unwrap_or(0)..SCHEMA_VERSION {
        let extra: &[&str] = match dialect {
            Dialect::Postgres => usize::try_from(number).ok().and_then(|index| POSTGRES_EXTRA.get(index)).copied(),
            Dialect::Sqlite | Dialect::MySql => None,
        }
        .unwrap_or_default();
        let statements = MIGRATIONS.iter().skip(usize::try_from(number).unwrap_or(usize::MAX)).take(1).copied();
        // Collected, so that the future can be sent to another thread.
        let statements: Vec<&str> = statements.flatten().chain(extra).copied().collect();
        for statement in statements {
            session.run(Statement::new(dialect.types(statement))).await?;
        }
        session.run(set_number(dialect, OLDEST, OLDEST_USER)).await?;
        session.run(set_number(dialect, VERSION, number + 1)).await?;
    }
    Ok(())
}

/// Tables that do not exist in an empty database.
const OUR_TABLES: [&str; 11] =
    ["document", "batch", "snapshot", "author", "access", "control", "peer", "account", "revoked", "attempt", "node"];

fn set_number(dialect: Dialect, name: &str, number: u64) -> Statement {
    sql::set_meta(dialect, name, number.to_string().into_bytes())
}

/// The number in a row of `meta`.
fn number(rows: &[Row]) -> Option<u64> {
    rows.first()?.text(0).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_refused_unless_it_says_otherwise() {
        assert!(usable(SCHEMA_VERSION, None).is_ok());
        assert!(usable(SCHEMA_VERSION + 1, Some(SCHEMA_VERSION)).is_ok());
        for oldest in [None, Some(SCHEMA_VERSION + 1)] {
            let refused = usable(SCHEMA_VERSION + 1, oldest).expect_err("newer");
            assert!(refused.to_string().contains("Upgrade this node"), "{refused}");
        }
    }

    #[test]
    fn all_tables_are_known() {
        let created = MIGRATIONS.concat().into_iter().filter_map(|ddl| ddl.strip_prefix("CREATE TABLE IF NOT EXISTS "));
        let created: Vec<&str> = created.filter_map(|ddl| ddl.split(' ').next()).collect();
        assert_eq!(created, OUR_TABLES);
    }
}
