//! The statements, each once. [`Dialect`] covers the differences between databases.

use bytes::Bytes;
use primitives::DocumentId;

use super::dialect::Dialect;
use super::engine::{Statement, Step, Value};
use crate::position::{Batch, BatchKind, Control, Position};

/// A batch with more bytes may take longer to append.
const LARGE: usize = 1 << 20;

/// An integer for the database.
pub(super) fn int(number: u64) -> Value {
    // Row numbers and milliseconds stay below 2^63.
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn id(document: &DocumentId) -> Value {
    Value::Text(document.as_str().to_owned())
}

impl Statement {
    fn id(self, document: &DocumentId) -> Self {
        self.with(id(document))
    }

    fn skipping_duplicates(mut self, dialect: Dialect) -> Self {
        self.sql = format!("{}{}", self.sql, dialect.skip_duplicates()).into();
        self.skips_duplicates = true;
        self
    }

    /// As a step of a transaction that must affect this many rows.
    pub(super) const fn expect(self, rows: u64) -> Step {
        Step { statement: self, expect: Some(rows) }
    }

    /// As a step of a transaction that may affect any number of rows.
    pub(super) const fn any(self) -> Step {
        Step { statement: self, expect: None }
    }
}

/// The row of a batch.
#[derive(Debug, Clone)]
pub(super) struct NewBatch {
    pub(super) at: Position,
    pub(super) kind: BatchKind,
    pub(super) chunks: Bytes,
    pub(super) authors: Bytes,
}

impl NewBatch {
    /// The row of `batch` after a position.
    pub(super) fn after(after: Position, batch: Batch) -> Self {
        Self { at: after.next(&batch), kind: batch.kind, chunks: batch.chunks.into(), authors: batch.authors.into() }
    }
}

/// Appends a batch, if the log ends at `after` in an entry other than a deletion. One row if the batch was appended.
pub(super) fn append(dialect: Dialect, document: &DocumentId, after: Position, batch: &NewBatch) -> Statement {
    let values = "INSERT INTO batch (document, seq, tip, kind, chunks, authors) SELECT $1, $2, $3, $4, $5, $6";
    let guard = if after == Position::START {
        "NOT EXISTS (SELECT 1 FROM batch WHERE document = $1)"
    } else {
        "EXISTS (SELECT 1 FROM batch WHERE document = $1 AND seq = $7 AND tip = $8 AND kind <> 2)"
    };
    let statement = Statement::new(format!("{values}{} WHERE {guard}", dialect.one_row()))
        .id(document)
        .with(int(batch.at.seq))
        .with(&batch.at.tip.as_bytes()[..])
        .with(i64::from(batch.kind as u8))
        .with(batch.chunks.clone())
        .with(batch.authors.clone());
    let mut statement = match after {
        Position::START => statement,
        after => statement.with(int(after.seq)).with(&after.tip.as_bytes()[..]),
    };
    statement.is_long = batch.chunks.len() > LARGE;
    statement.is_frequent = after != Position::START;
    statement.skipping_duplicates(dialect)
}

/// The tip of one row. Columns: tip.
pub(super) fn tip_at(document: &DocumentId, seq: u64) -> Statement {
    Statement::new("SELECT tip FROM batch WHERE document = $1 AND seq = $2").id(document).with(int(seq))
}

/// Adds the row of a document, unless it exists.
pub(super) fn add_document(dialect: Dialect, document: &DocumentId, now_ms: i64) -> Statement {
    let sql = "INSERT INTO document (id, created, deleted, quarantined_until, compacting_until) SELECT $1, $2, 0, 0, 0";
    // Without a condition, SQLite would parse `ON CONFLICT` as a part of the SELECT.
    Statement::new(format!("{sql}{} WHERE 1 = 1", dialect.one_row()))
        .id(document)
        .with(now_ms)
        .skipping_duplicates(dialect)
}

/// Snapshot, moved authors and batches of a document at one moment. Columns: part (0 snapshot, 1 authors, 2 batch), seq, tip,
/// kind, content, more (checksum or authors). Unordered: not every database sorts large rows well.
pub(super) fn load(document: &DocumentId) -> Statement {
    Statement::new(
        "SELECT 0 AS part, seq, tip, 0 AS kind, bytes, sha256 AS more FROM snapshot WHERE document = $1 \
         UNION ALL SELECT 1, seq, NULL, 0, NULL, content FROM author WHERE document = $1 \
         UNION ALL SELECT 2, seq, tip, kind, chunks, authors FROM batch WHERE document = $1",
    )
    .id(document)
    .long()
}

/// Snapshot and batches up to a row. Columns as of [`load`].
pub(super) fn load_until(document: &DocumentId, seq: u64) -> Statement {
    Statement::new(
        "SELECT 0 AS part, seq, tip, 0 AS kind, bytes, sha256 AS more FROM snapshot WHERE document = $1 \
         UNION ALL SELECT 2, seq, tip, kind, chunks, authors FROM batch WHERE document = $1 AND seq <= $2",
    )
    .id(document)
    .with(int(seq))
    .long()
}

/// The row with this number, without its content, and the first of those after it. Columns: seq, tip, kind, chunks, authors.
pub(super) fn batches_after(document: &DocumentId, seq: u64, limit: usize) -> Statement {
    Statement::new(format!(
        "SELECT seq, tip, kind, CASE WHEN seq > $2 THEN chunks END, CASE WHEN seq > $2 THEN authors END FROM batch \
         WHERE document = $1 AND seq >= $2 ORDER BY seq LIMIT {limit}"
    ))
    .id(document)
    .with(int(seq))
}

/// One row. Columns as of [`batches_after`].
pub(super) fn batch_at(document: &DocumentId, seq: u64) -> Statement {
    Statement::new("SELECT seq, tip, kind, chunks, authors FROM batch WHERE document = $1 AND seq = $2")
        .id(document)
        .with(int(seq))
        .long()
}

/// The positions of the logs of these documents. Columns: document, seq, tip (NULL if there is none).
pub(super) fn positions(documents: &[DocumentId]) -> Statement {
    let list = (1..=documents.len()).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
    // The subqueries read one entry of the primary key each. MAX with GROUP BY would read every row of the logs.
    let mut statement = Statement::new(format!(
        "SELECT d.id, (SELECT b.seq FROM batch b WHERE b.document = d.id ORDER BY b.seq DESC LIMIT 1), \
         (SELECT b.tip FROM batch b WHERE b.document = d.id ORDER BY b.seq DESC LIMIT 1) \
         FROM document d WHERE d.id IN ({list})"
    ));
    statement.params = documents.iter().map(id).collect();
    statement
}

/// The last row of a log. Columns: seq, tip, kind.
pub(super) fn last(document: &DocumentId) -> Statement {
    Statement::new("SELECT seq, tip, kind FROM batch WHERE document = $1 ORDER BY seq DESC LIMIT 1").id(document)
}

/// Size of a document. Columns: bytes of the snapshot, its number, bytes of the chunks after it (each NULL if there are
/// none).
pub(super) fn lengths(dialect: Dialect, document: &DocumentId) -> Statement {
    let snapshot_seq = "COALESCE((SELECT seq FROM snapshot WHERE document = $1), 0)";
    let sum = dialect.integer_sum("LENGTH(chunks)");
    Statement::new(format!(
        "SELECT (SELECT LENGTH(bytes) FROM snapshot WHERE document = $1), {snapshot_seq}, \
         (SELECT {sum} FROM batch WHERE document = $1 AND kind = 0 AND seq > {snapshot_seq})"
    ))
    .id(document)
}

/// The documents that have content. Columns: id.
pub(super) fn list() -> Statement {
    Statement::new(
        "SELECT d.id FROM document d WHERE d.deleted = 0 AND (\
         EXISTS (SELECT 1 FROM snapshot s WHERE s.document = d.id) OR \
         EXISTS (SELECT 1 FROM batch b WHERE b.document = d.id AND b.kind = 0)) ORDER BY d.id",
    )
    .long()
}

/// Reserves the compaction of a document until `until_ms`. No row if another node has reserved it.
pub(super) fn reserve_compaction(document: &DocumentId, now_ms: i64, until_ms: i64) -> Statement {
    Statement::new("UPDATE document SET compacting_until = $1 WHERE id = $2 AND compacting_until < $3 AND deleted = 0")
        .with(until_ms)
        .id(document)
        .with(now_ms)
}

/// Ends a reservation. One row, which stays locked until the transaction ends, unless the document was removed.
pub(super) fn release_compaction(document: &DocumentId) -> Statement {
    Statement::new("UPDATE document SET compacting_until = 0 WHERE id = $1 AND deleted = 0").id(document)
}

/// Replaces the snapshot at `old` (0: none) by one at a later position. One row if the snapshot is still at `old`, and the log still
/// has the position: a failover of the database may have lost it.
pub(super) fn put_snapshot(
    dialect: Dialect,
    document: &DocumentId,
    old: u64,
    at: Position,
    bytes: Bytes,
    sha256: Vec<u8>,
) -> Statement {
    const IN_LOG: &str = "EXISTS (SELECT 1 FROM batch WHERE document = $1 AND seq = $2 AND tip = $3)";
    let statement = if old == 0 {
        Statement::new(format!(
            "INSERT INTO snapshot (document, seq, tip, bytes, sha256) SELECT $1, $2, $3, $4, $5{} WHERE {IN_LOG}",
            dialect.one_row()
        ))
        .skipping_duplicates(dialect)
    } else {
        Statement::new(format!(
            "UPDATE snapshot SET seq = $2, tip = $3, bytes = $4, sha256 = $5 \
             WHERE document = $1 AND seq = $6 AND seq < $2 AND {IN_LOG}"
        ))
    };
    let statement =
        statement.id(document).with(int(at.seq)).with(&at.tip.as_bytes()[..]).with(bytes).with(sha256).long();
    if old == 0 { statement } else { statement.with(int(old)) }
}

/// Keeps author lines of batches that are about to be deleted.
pub(super) fn add_authors(document: &DocumentId, seq: u64, lines: Vec<u8>) -> Statement {
    Statement::new("INSERT INTO author (document, seq, content) VALUES ($1, $2, $3)")
        .id(document)
        .with(int(seq))
        .with(lines)
}

/// Moves the author lines of all batches before a row.
pub(super) fn move_authors(document: &DocumentId, before: u64) -> Statement {
    Statement::new(
        "INSERT INTO author (document, seq, content) \
         SELECT document, seq, authors FROM batch WHERE document = $1 AND seq < $2 AND LENGTH(authors) > 0",
    )
    .id(document)
    .with(int(before))
    .long()
}

/// Deletes the batches before a row.
pub(super) fn delete_batches(document: &DocumentId, before: u64) -> Statement {
    Statement::new("DELETE FROM batch WHERE document = $1 AND seq < $2").id(document).with(int(before)).long()
}

/// Deletes the snapshot.
pub(super) fn delete_snapshot(document: &DocumentId) -> Statement {
    Statement::new("DELETE FROM snapshot WHERE document = $1").id(document).long()
}

/// Marks a document as removed. One row, which stays locked until the transaction ends.
pub(super) fn mark_deleted(document: &DocumentId, now_ms: i64) -> Statement {
    Statement::new("UPDATE document SET deleted = $1 WHERE id = $2").with(now_ms).id(document)
}

/// All access records. Columns: document, version, record.
pub(super) fn access_records() -> Statement {
    Statement::new("SELECT document, version, record FROM access ORDER BY document").long()
}

/// The access record of a document. Columns: document, version, record.
pub(super) fn access_record(document: &DocumentId) -> Statement {
    Statement::new("SELECT document, version, record FROM access WHERE document = $1").id(document)
}

/// Stores an access record after the one with the version `expected` (0: none). One row if that is the stored one.
pub(super) fn put_access(dialect: Dialect, document: &DocumentId, expected: u64, record: Bytes) -> Statement {
    put_versioned(dialect, "access", "document", id(document), expected, record)
}

/// All accounts. Columns: name, version, record.
pub(super) fn accounts() -> Statement {
    Statement::new("SELECT name, version, record FROM account ORDER BY name").long()
}

/// An account. Columns: name, version, record.
pub(super) fn account(name: &str) -> Statement {
    Statement::new("SELECT name, version, record FROM account WHERE name = $1").with(name)
}

/// Stores an account after the one with the version `expected` (0: none). One row if that is the stored one.
pub(super) fn put_account(dialect: Dialect, name: &str, expected: u64, record: Bytes) -> Statement {
    put_versioned(dialect, "account", "name", name.into(), expected, record)
}

fn put_versioned(
    dialect: Dialect,
    table: &str,
    key_column: &str,
    key: Value,
    expected: u64,
    record: Bytes,
) -> Statement {
    if expected == 0 {
        Statement::new(format!(
            "INSERT INTO {table} ({key_column}, version, record) SELECT $1, 1, $2{} WHERE 1 = 1",
            dialect.one_row()
        ))
        .with(key)
        .with(record)
        .skipping_duplicates(dialect)
    } else {
        Statement::new(format!(
            "UPDATE {table} SET record = $2, version = version + 1 WHERE {key_column} = $1 AND version = $3"
        ))
        .with(key)
        .with(record)
        .with(int(expected))
    }
}

/// Adds a control after the last one. No row if another transaction has added one meanwhile. So the revisions have no gap, and
/// a reader that has seen one has seen all before it.
pub(super) fn add_control(dialect: Dialect, control: &Control) -> Statement {
    // The derived table makes MySQL read the table before it writes to it.
    Statement::new(
        "INSERT INTO control (revision, kind, subject) SELECT c.last + 1, $1, $2 FROM \
         (SELECT COALESCE(MAX(revision), 0) AS last FROM control) c WHERE 1 = 1",
    )
    .with(control.kind.number())
    .with(control.key.as_str())
    .skipping_duplicates(dialect)
}

/// The controls from a revision on. Columns: revision, kind, subject.
pub(super) fn controls_from(revision: u64) -> Statement {
    Statement::new("SELECT revision, kind, subject FROM control WHERE revision >= $1 ORDER BY revision")
        .with(int(revision))
        .long()
}

/// The last revision. Columns: revision.
pub(super) fn control_revision() -> Statement {
    Statement::new("SELECT COALESCE(MAX(revision), 0) FROM control")
}

/// Records a revoked token.
pub(super) fn revoke(dialect: Dialect, token: &str, expires: i64) -> Statement {
    Statement::new(format!("INSERT INTO revoked (token, expires) SELECT $1, $2{} WHERE 1 = 1", dialect.one_row()))
        .with(token)
        .with(expires)
        .skipping_duplicates(dialect)
}

/// The revoked tokens that have not expired. Columns: token, expires.
pub(super) fn revoked(now: i64) -> Statement {
    Statement::new("SELECT token, expires FROM revoked WHERE expires >= $1").with(now).long()
}

/// The revocation of one token. Columns: token, expires.
pub(super) fn revocation(token: &str) -> Statement {
    Statement::new("SELECT token, expires FROM revoked WHERE token = $1").with(token)
}

/// Forgets revoked tokens that have expired.
pub(super) fn forget_revoked(now: i64) -> Statement {
    Statement::new("DELETE FROM revoked WHERE expires < $1").with(now)
}

/// The time at which the bucket is full again. Columns: `whole_at`.
pub(super) fn attempts(bucket: &str) -> Statement {
    Statement::new("SELECT whole_at FROM attempt WHERE bucket = $1").with(bucket)
}

/// Adds the first attempt of a bucket. No row if there is one.
pub(super) fn first_attempt(dialect: Dialect, bucket: &str, whole_at: i64) -> Statement {
    Statement::new(format!("INSERT INTO attempt (bucket, whole_at) SELECT $1, $2{} WHERE 1 = 1", dialect.one_row()))
        .with(bucket)
        .with(whole_at)
        .skipping_duplicates(dialect)
}

/// Changes the time at which the bucket is full again. No row if another attempt was counted meanwhile.
pub(super) fn next_attempt(bucket: &str, old: i64, whole_at: i64) -> Statement {
    Statement::new("UPDATE attempt SET whole_at = $1 WHERE bucket = $2 AND whole_at = $3")
        .with(whole_at)
        .with(bucket)
        .with(old)
}

/// Forgets one bucket, which fills it.
pub(super) fn reset_attempts(bucket: &str) -> Statement {
    Statement::new("DELETE FROM attempt WHERE bucket = $1").with(bucket)
}

/// Forgets buckets that are full again.
pub(super) fn forget_attempts(now_ms: i64) -> Statement {
    Statement::new("DELETE FROM attempt WHERE whole_at < $1").with(now_ms)
}

/// The remembered peers of a document. Columns: key, record.
pub(super) fn peers(document: &DocumentId) -> Statement {
    Statement::new("SELECT peer, record FROM peer WHERE document = $1").id(document).long()
}

/// Remembers peers: pairs of key and record.
pub(super) fn put_peers(
    dialect: Dialect,
    document: &DocumentId,
    peers: Vec<([u8; 16], Vec<u8>)>,
    now_ms: i64,
) -> Statement {
    let mut sql = "INSERT INTO peer (document, seen, peer, record) VALUES ".to_owned();
    let mut statement = Statement::new("").id(document).with(now_ms);
    for (index, (key, record)) in peers.into_iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        sql.push_str(&format!("{separator}($1, $2, ${}, ${})", 3 + 2 * index, 4 + 2 * index));
        statement = statement.with(&key[..]).with(record);
    }
    statement.sql = (sql + &dialect.overwrite("document, peer", &["record", "seen"])).into();
    statement.long()
}

/// Forgets peers of a document.
pub(super) fn forget_peers(document: &DocumentId, keys: &[[u8; 16]]) -> Statement {
    let list = (2..2 + keys.len()).map(|number| format!("${number}")).collect::<Vec<_>>().join(", ");
    let statement = Statement::new(format!("DELETE FROM peer WHERE document = $1 AND peer IN ({list})")).id(document);
    keys.iter().fold(statement, |statement, key| statement.with(&key[..]))
}

/// Forgets all peers of a document.
pub(super) fn forget_all_peers(document: &DocumentId) -> Statement {
    Statement::new("DELETE FROM peer WHERE document = $1").id(document)
}

/// A value of the table `meta`. Columns: value.
pub(super) fn meta(name: &str) -> Statement {
    Statement::new("SELECT value FROM meta WHERE name = $1").with(name)
}

/// Sets a value of the table `meta`, unless it is set.
pub(super) fn set_meta_once(dialect: Dialect, name: &str, value: Vec<u8>) -> Statement {
    Statement::new(format!("INSERT INTO meta (name, value) SELECT $1, $2{} WHERE 1 = 1", dialect.one_row()))
        .with(name)
        .with(value)
        .skipping_duplicates(dialect)
}

/// Sets a value of the table `meta`.
pub(super) fn set_meta(dialect: Dialect, name: &str, value: Vec<u8>) -> Statement {
    Statement::new(format!("INSERT INTO meta (name, value) VALUES ($1, $2){}", dialect.overwrite("name", &["value"])))
        .with(name)
        .with(value)
}

/// Records the heartbeat of a node.
pub(super) fn see_node(dialect: Dialect, node: &str, now_ms: i64, version: &str) -> Statement {
    Statement::new(format!(
        "INSERT INTO node (id, seen, version) VALUES ($1, $2, $3){}",
        dialect.overwrite("id", &["seen", "version"])
    ))
    .with(node)
    .with(now_ms)
    .with(version)
}

/// The nodes. Columns: id, seen, version.
pub(super) fn nodes() -> Statement {
    Statement::new("SELECT id, seen, version FROM node ORDER BY id")
}

/// Forgets a node.
pub(super) fn forget_node(node: &str) -> Statement {
    Statement::new("DELETE FROM node WHERE id = $1").with(node)
}

/// Forgets nodes that were last alive before a moment.
pub(super) fn forget_nodes_before(ms: i64) -> Statement {
    Statement::new("DELETE FROM node WHERE seen < $1").with(ms)
}
