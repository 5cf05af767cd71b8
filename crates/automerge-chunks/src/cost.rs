//! Estimates what loading a chunk would cost, without loading it.
//!
//! A chunk consists of columns: run-length encoded, and deflated in documents. A few bytes can encode billions of
//! values, which the library would materialize. This module reads only the headers of the runs, and inflates columns
//! one by one within a [`Budget`].
//!
//! The layout is that of automerge 0.12 (`storage/change.rs`, `storage/document.rs`, `storage/bundle/storage.rs`):
//!
//! | chunk | before the columns | columns |
//! |---|---|---|
//! | change | dependencies, actor, seq, start op, time, message, other actors | of operations |
//! | document | actors, heads | column headers of changes and operations, then the columns of changes, then of operations |
//! | bundle | dependencies, actors | of changes, then of operations, each after its column headers |
//!
//! Malformed chunks are rejected: a column that the library reads differently could hide its cost.

use std::borrow::Cow;

use super::chunk::{self, Chunk, ChunkKind, inflate};
use super::reader::Reader;

/// Longest accepted actor id in bytes. Most have 16; a public key has 32 or 64.
const MAX_ACTOR: u64 = 256;
/// Largest product of changes and actors of a document that is opened: its clocks take about 0.6 GB.
pub const MAX_ACTOR_CHANGES: u64 = 2_000_000_000;
/// Largest number of operations for which the library allocates memory because a change claims them, per change.
const MAX_PREALLOCATED: u64 = 16;
/// Number of changes of one chunk that may claim operations that the chunk does not contain. Valid changes do so: the
/// numbering of their operations skips those of concurrent changes.
const MAX_GAPS: u64 = 10_000;
/// Operation counters have 32 bits.
const MAX_OP: u64 = u32::MAX as u64;

/// The remaining cost that the chunks of one message may have. [`charge`] deducts the cost of each chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes of inflated columns.
    pub inflated: u64,
    /// Changes.
    pub changes: u64,
    /// Operations. Links between operations (predecessors, successors), and between changes, have a limit of the same
    /// size.
    pub operations: u64,
    /// Bytes of keys, messages and actor names, including repetitions.
    pub text: u64,
    /// Limit of [`ChangeCounts::actor_changes`] of all chunks together. Nothing is deducted from it.
    pub actor_changes: u64,
}

/// Number of changes and actors in chunks. The library keeps a clock of all actors at every 16th change, so its memory use
/// grows with the product of both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    /// Number of changes.
    pub changes: u64,
    /// Number of actors whose first change is included, and those that documents and bundles list.
    pub actors: u64,
}

impl ChangeCounts {
    /// Product of changes and actors.
    #[must_use]
    pub fn actor_changes(self) -> u64 {
        self.changes.saturating_mul(self.actors)
    }

    /// Approximate size of the library's clocks in MiB.
    #[must_use]
    pub fn clock_mebibytes(self) -> u64 {
        (self.actor_changes() / 16 * 5) >> 20
    }

    fn add(&mut self, changes: u64, actors: u64) {
        self.changes = self.changes.saturating_add(changes);
        self.actors = self.actors.saturating_add(actors);
    }
}

/// Why a chunk is rejected before it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooCostly {
    /// Its columns inflate to too many bytes.
    #[error("its columns inflate to too many bytes")]
    Inflated,
    /// Too many changes.
    #[error("it holds too many changes")]
    Changes,
    /// Too many operations, or links between them.
    #[error("it holds too many operations")]
    Operations,
    /// Keys or messages that repeat to too many bytes.
    #[error("its keys and messages are too long")]
    Text,
    /// An actor id that is too long.
    #[error("its actor ids are too long")]
    Actors,
    /// Too many changes by too many actors.
    #[error("it holds too many changes by too many actors")]
    ActorChanges,
    /// The chunk is malformed.
    #[error("its columns are malformed")]
    Malformed,
}

/// Deducts the cost of a chunk from `budget`, and adds its changes and actors to `counts`.
///
/// # Errors
/// When the chunk exceeds the budget, or is malformed.
pub fn charge(chunk: &Chunk<'_>, budget: &mut Budget, counts: &mut ChangeCounts) -> Result<(), TooCostly> {
    match chunk.kind {
        ChunkKind::Change => change(chunk.body(), budget, counts),
        ChunkKind::CompressedChange => {
            let body = inflate(chunk.body(), budget.inflated).map_err(|_| TooCostly::Inflated)?;
            deduct(&mut budget.inflated, body.len() as u64, TooCostly::Inflated)?;
            change(&body, budget, counts)
        }
        ChunkKind::Document => document(chunk.body(), budget, counts),
        ChunkKind::Bundle => bundle(chunk.body(), budget, counts),
    }
}

/// Adds the changes and actors of a chunk whose checksum is valid to `counts`.
///
/// Ignores malformed chunks: the library refuses to load them.
pub fn count(bytes: &[u8], counts: &mut ChangeCounts) {
    let _ = chunk::body(bytes).map(|(kind, body)| match kind {
        ChunkKind::Change => count_change(body, counts),
        ChunkKind::CompressedChange => {
            let body = inflate(body, u64::MAX).map_err(|_| TooCostly::Inflated)?;
            count_change(&body, counts)
        }
        ChunkKind::Document => count_columns(body, counts, |rest| {
            let actors = actors(rest)?;
            required(hashes(rest))?;
            let changes = required(Columns::headers(rest))?;
            required(Columns::headers(rest))?;
            Ok((actors, changes))
        }),
        ChunkKind::Bundle => count_columns(body, counts, |rest| {
            required(hashes(rest))?;
            Ok((actors(rest)?, required(Columns::headers(rest))?))
        }),
    });
}

fn count_change(body: &[u8], counts: &mut ChangeCounts) -> Result<(), TooCostly> {
    let mut rest = Reader::new(body);
    required(hashes(&mut rest))?;
    actor(&mut rest)?;
    count_seq(required(rest.unsigned())?, counts);
    Ok(())
}

/// Every actor's first change has sequence number 1.
fn count_seq(seq: u64, counts: &mut ChangeCounts) {
    counts.add(1, u64::from(seq == 1));
}

fn count_columns<'a>(
    body: &'a [u8],
    counts: &mut ChangeCounts,
    parse_headers: impl FnOnce(&mut Reader<'a>) -> Result<(u64, Columns<'a>), TooCostly>,
) -> Result<(), TooCostly> {
    const ALL: u64 = u64::MAX;
    let mut rest = Reader::new(body);
    let (actors, changes) = parse_headers(&mut rest)?;
    let mut budget = Budget { inflated: ALL, changes: ALL, operations: ALL, text: ALL, actor_changes: ALL };
    let extent = changes.with_data(&mut rest)?.extent(&mut budget)?;
    counts.add(extent.rows, actors);
    Ok(())
}

fn check_counts(counts: &ChangeCounts, budget: &Budget) -> Result<(), TooCostly> {
    if counts.actor_changes() > budget.actor_changes { Err(TooCostly::ActorChanges) } else { Ok(()) }
}

fn deduct(left: &mut u64, amount: u64, error: TooCostly) -> Result<(), TooCostly> {
    *left = left.checked_sub(amount).ok_or(error)?;
    Ok(())
}

/// Turns missing or unparsable input into an error.
fn required<T>(read: Option<T>) -> Result<T, TooCostly> {
    read.ok_or(TooCostly::Malformed)
}

fn change(body: &[u8], budget: &mut Budget, counts: &mut ChangeCounts) -> Result<(), TooCostly> {
    let mut rest = Reader::new(body);
    required(hashes(&mut rest))?;
    actor(&mut rest)?;
    count_seq(required(rest.unsigned())?, counts);
    check_counts(counts, budget)?;
    required(rest.unsigned())?;
    required(rest.signed())?;
    required(rest.length_prefixed())?;
    actors(&mut rest)?;
    let columns = required(Columns::headers(&mut rest))?.with_data(&mut rest)?;
    deduct(&mut budget.changes, 1, TooCostly::Changes)?;
    // The columns of a change are never deflated individually.
    let extent = columns.extent(budget)?;
    deduct(&mut budget.operations, extent.rows, TooCostly::Operations)
}

fn document(body: &[u8], budget: &mut Budget, counts: &mut ChangeCounts) -> Result<(), TooCostly> {
    let mut rest = Reader::new(body);
    let actors = actors(&mut rest)?;
    required(hashes(&mut rest))?;
    let changes = required(Columns::headers(&mut rest))?;
    let operations = required(Columns::headers(&mut rest))?;
    let changes = changes.with_data(&mut rest)?;
    let operations = operations.with_data(&mut rest)?;
    let (change_extent, operation_extent) = extents(&changes, &operations, actors, budget, counts)?;
    let claims = claimed_operations(&changes, change_extent)?;
    check_claims(&claims, operation_extent)
}

fn bundle(body: &[u8], budget: &mut Budget, counts: &mut ChangeCounts) -> Result<(), TooCostly> {
    let mut rest = Reader::new(body);
    required(hashes(&mut rest))?;
    let actors = actors(&mut rest)?;
    let changes = required(Columns::headers(&mut rest))?.with_data(&mut rest)?;
    let operations = required(Columns::headers(&mut rest))?.with_data(&mut rest)?;
    let (_, operation_extent) = extents(&changes, &operations, actors, budget, counts)?;
    let starts = changes.numbers(bundle_column::START_OP)?;
    let ends = changes.numbers(bundle_column::MAX_OP)?;
    if starts.len() != ends.len() {
        return Err(TooCostly::Malformed);
    }
    let claims: Option<Vec<u64>> = starts.iter().zip(&ends).map(|(start, end)| (end + 1).checked_sub(*start)).collect();
    check_claims(&required(claims)?, operation_extent)
}

/// The columns that this module reads, by the library's numbers: name, then three bits of type (and one for deflate).
mod document_column {
    pub(super) const MAX_OP: u32 = (1 << 4) | super::DELTA;
    pub(super) const DEPENDENCIES: u32 = (4 << 4) | super::GROUP;
    pub(super) const DEPENDENCY: u32 = (4 << 4) | super::DELTA;
}
mod bundle_column {
    pub(super) const START_OP: u32 = (1 << 4) | super::DELTA;
    pub(super) const MAX_OP: u32 = (2 << 4) | super::DELTA;
}

fn extents(
    changes: &Columns<'_>,
    operations: &Columns<'_>,
    actors: u64,
    budget: &mut Budget,
    counts: &mut ChangeCounts,
) -> Result<(Extent, Extent), TooCostly> {
    let change_extent = changes.extent(budget)?;
    deduct(&mut budget.changes, change_extent.rows, TooCostly::Changes)?;
    counts.add(change_extent.rows, actors);
    check_counts(counts, budget)?;
    let operation_extent = operations.extent(budget)?;
    deduct(&mut budget.operations, operation_extent.rows, TooCostly::Operations)?;
    Ok((change_extent, operation_extent))
}

/// Number of operations that each change of a document claims: those after its dependencies.
fn claimed_operations(changes: &Columns<'_>, extent: Extent) -> Result<Vec<u64>, TooCostly> {
    let max_ops = changes.numbers(document_column::MAX_OP)?;
    let counts = changes.numbers(document_column::DEPENDENCIES)?;
    let mut dependencies = changes.numbers(document_column::DEPENDENCY)?.into_iter();
    if max_ops.len() as u64 != extent.rows || counts.len() != max_ops.len() {
        return Err(TooCostly::Malformed);
    }
    let mut claims = Vec::with_capacity(max_ops.len());
    for (index, (max_op, count)) in max_ops.iter().zip(counts).enumerate() {
        let mut before = 0;
        for _ in 0..count {
            // The library assumes that dependencies are earlier changes.
            let dependency = dependencies.next().and_then(|at| usize::try_from(at).ok()).filter(|at| *at < index);
            before = before.max(max_ops[required(dependency)?]);
        }
        claims.push(required(max_op.checked_sub(before))?);
    }
    Ok(claims)
}

/// The library allocates for the claimed operations before it reads any.
fn check_claims(claims: &[u64], operations: Extent) -> Result<(), TooCostly> {
    let claimed: u64 = claims.iter().map(|claim| (*claim).min(MAX_PREALLOCATED)).sum();
    let available = operations.rows + operations.links + MAX_PREALLOCATED * MAX_GAPS;
    if claimed > available { Err(TooCostly::Operations) } else { Ok(()) }
}

/// Skips a count and as many hashes.
fn hashes(rest: &mut Reader<'_>) -> Option<()> {
    let bytes = rest.unsigned()?.checked_mul(32)?;
    rest.take(bytes).map(|_| ())
}

fn actor(rest: &mut Reader<'_>) -> Result<(), TooCostly> {
    let length = required(rest.unsigned())?;
    if length > MAX_ACTOR {
        return Err(TooCostly::Actors);
    }
    required(rest.take(length)).map(|_| ())
}

fn actors(rest: &mut Reader<'_>) -> Result<u64, TooCostly> {
    let count = required(rest.unsigned())?;
    for _ in 0..count {
        // Each takes a byte at least, so this ends with the input.
        actor(rest)?;
    }
    Ok(count)
}

const GROUP: u32 = 0;
const DELTA: u32 = 3;
const BOOLEAN: u32 = 4;
const STRING: u32 = 5;
const RAW: u32 = 7;
/// Bit of a column's number: its bytes are deflated.
const DEFLATED: u32 = 8;
/// The group of raw bytes, not rows, in the changes of a bundle. In a document this column has another type.
const EXTRA_BYTES: u32 = 6 << 4;

/// A group of columns: their headers, and their data.
struct Columns<'a> {
    headers: Vec<(u32, u64)>,
    data: Reader<'a>,
}

/// Size of a group of columns.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    /// Number of rows of the longest column.
    rows: u64,
    /// Total number of rows in grouped columns.
    links: u64,
}

impl<'a> Columns<'a> {
    fn headers(rest: &mut Reader<'a>) -> Option<Self> {
        let mut headers = Vec::with_capacity(16);
        for _ in 0..rest.unsigned()? {
            let spec = u32::try_from(rest.unsigned()?).ok()?;
            headers.push((spec, rest.unsigned()?));
        }
        Some(Self { headers, data: Reader::new(&[]) })
    }

    fn with_data(mut self, rest: &mut Reader<'a>) -> Result<Self, TooCostly> {
        let length = self.headers.iter().try_fold(0u64, |sum, (_, length)| sum.checked_add(*length));
        self.data = Reader::new(required(length.and_then(|length| rest.take(length)))?);
        Ok(self)
    }

    fn each(&self) -> impl Iterator<Item = Result<(u32, &'a [u8]), TooCostly>> {
        let mut data = self.data;
        self.headers.iter().map(move |(spec, length)| Ok((*spec, required(data.take(*length))?)))
    }

    /// Counts rows and links, within `budget`.
    fn extent(&self, budget: &mut Budget) -> Result<Extent, TooCostly> {
        let mut extent = Extent::default();
        let mut group = None;
        for column in self.each() {
            let (spec, bytes) = column?;
            let bytes = inflated(spec, bytes, budget.inflated)?;
            if let Cow::Owned(bytes) = &bytes {
                deduct(&mut budget.inflated, bytes.len() as u64, TooCostly::Inflated)?;
            }
            let rows = match spec & 7 {
                RAW => 0,
                BOOLEAN => booleans(&bytes)?,
                STRING => runs(&bytes, |rest, times| {
                    let length = required(rest.length_prefixed())?.len() as u64;
                    deduct(&mut budget.text, length.saturating_mul(times), TooCostly::Text)
                })?,
                GROUP if spec & !15 != EXTRA_BYTES => runs(&bytes, |rest, times| {
                    let items = required(rest.unsigned())?;
                    extent.links = extent.links.saturating_add(items.saturating_mul(times));
                    Ok(())
                })?,
                DELTA => runs(&bytes, |rest, _| required(rest.signed()).map(|_| ()))?,
                _ => runs(&bytes, |rest, _| required(rest.unsigned()).map(|_| ()))?,
            };
            // A group's columns follow it, with as many rows as it says.
            match spec & 7 {
                GROUP => {
                    group = Some(spec >> 4);
                    extent.rows = extent.rows.max(rows);
                }
                _ if group == Some(spec >> 4) => extent.links = extent.links.max(rows),
                _ => extent.rows = extent.rows.max(rows),
            }
            if extent.links > budget.operations {
                return Err(TooCostly::Operations);
            }
        }
        Ok(extent)
    }

    /// The values of one column. [`Columns::extent`] must have checked their number.
    fn numbers(&self, wanted: u32) -> Result<Vec<u64>, TooCostly> {
        let mut numbers = Vec::new();
        for column in self.each() {
            let (spec, bytes) = column?;
            if spec & !DEFLATED != wanted {
                continue;
            }
            // `extent` has checked the inflated size.
            let bytes = inflated(spec, bytes, u64::MAX)?;
            let mut sum = 0i64;
            runs(&bytes, |rest, times| {
                // Deltas add up; other numbers are absolute.
                let (delta, plain) = match wanted & 7 {
                    DELTA => (required(rest.signed())?, 0),
                    _ => (0, required(rest.unsigned())?),
                };
                for _ in 0..times {
                    sum = required(sum.checked_add(delta))?;
                    let number = required(u64::try_from(sum).ok())?.max(plain);
                    if number > MAX_OP {
                        return Err(TooCostly::Malformed);
                    }
                    numbers.push(number);
                }
                Ok(())
            })?;
        }
        Ok(numbers)
    }
}

/// A column's bytes, inflated to at most `limit` bytes.
fn inflated(spec: u32, bytes: &[u8], limit: u64) -> Result<Cow<'_, [u8]>, TooCostly> {
    if spec & DEFLATED == 0 {
        return Ok(Cow::Borrowed(bytes));
    }
    inflate(bytes, limit).map(Cow::Owned).map_err(|_| TooCostly::Inflated)
}

/// Reads runs and returns the number of rows. A run is a positive count and one repeated value, a negative count and as
/// many values, or a zero and a count of nulls.
fn runs<'a>(
    bytes: &'a [u8],
    mut value: impl FnMut(&mut Reader<'a>, u64) -> Result<(), TooCostly>,
) -> Result<u64, TooCostly> {
    let mut rest = Reader::new(bytes);
    let mut rows = 0u64;
    while !rest.is_empty() {
        let head = required(rest.signed())?;
        rows = rows.saturating_add(match head {
            0 => required(rest.unsigned())?,
            1.. => {
                value(&mut rest, head.unsigned_abs())?;
                head.unsigned_abs()
            }
            _ => {
                for _ in 0..head.unsigned_abs() {
                    // Each takes a byte at least, so this ends with the input.
                    value(&mut rest, 1)?;
                }
                head.unsigned_abs()
            }
        });
    }
    Ok(rows)
}

/// Reads alternating counts of false and true, and returns the number of rows.
fn booleans(bytes: &[u8]) -> Result<u64, TooCostly> {
    let mut rest = Reader::new(bytes);
    let mut rows = 0u64;
    while !rest.is_empty() {
        rows = rows.saturating_add(required(rest.unsigned())?);
    }
    Ok(rows)
}
