//! Pages of a history. The cost of a page depends on its content, not on the size of the document.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::{ActorId, Automerge, ChangeHash, ROOT, ReadDoc};
use serde_json::Value as Json;

use super::History;
use super::order::{Cursor, Frontier};
use super::write::{FieldNumber, NewValue, Write, cut, show};
use crate::json_encoder::Encoder;
use crate::snapshot::Snapshot;

/// Most entries of a page.
pub const MAX_ENTRIES: usize = 500;
/// Most items (fields and positions) of an entry.
const MAX_ITEMS: usize = 1_000;
/// Approximate size of a full page, in bytes. The last entry may exceed it by the same amount.
const MAX_BYTES: usize = 1 << 20;
/// Bytes that count for an item besides its texts.
const ITEM: usize = 100;
/// Most changes that are examined for a page, whether they are on it or not.
const MAX_EXAMINED: usize = 200_000;
/// Most changes that are visited to find the heads of the entries of a page.
const MAX_STEPS: usize = 1_000_000;
/// Approximate limit of a nested value, in bytes of JSON.
const NESTED: usize = 4 << 10;
/// Cost limit of a page, in operations of values that are read from the document and items of large changes. The last entry may
/// exceed it.
const MAX_READ: usize = 500_000;

/// Selects a part of a history.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only changes of this position.
    pub position: Option<String>,
    /// Only writes to this field of a position, or to this root key of the document.
    pub field: Option<String>,
    /// Only changes before this place.
    pub before: Option<Cursor>,
    /// Most entries: 1 to [`MAX_ENTRIES`].
    pub limit: usize,
}

/// Why a query fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// No position ever had this id.
    #[error("there is no position with the id {0:?}, and there never was")]
    UnknownPosition(String),
    /// No field ever had this name.
    #[error("no position and no setting of this document ever had a field {0:?}")]
    UnknownField(String),
    /// The Automerge library failed to read a value from the document.
    #[error("the history could not be read; the reason is in the server's log")]
    Failed,
}

/// A part of a history, the newest change first.
#[derive(Debug)]
pub struct Page {
    /// The heads of the document.
    pub heads: Vec<ChangeHash>,
    /// The changes.
    pub entries: Vec<Entry>,
    /// Place from which the next page continues; `None` on the last page.
    pub next: Option<Cursor>,
    /// Number of examined changes.
    pub examined: usize,
}

/// One change with its effect.
#[derive(Debug)]
pub struct Entry {
    /// Its hash.
    pub hash: ChangeHash,
    /// The heads of the document with this change and all changes before it. `None` if they are too many for a URL.
    pub heads: Option<Vec<ChangeHash>>,
    /// The time in the change, in seconds since 1970.
    pub time: Option<i64>,
    /// The actor of the change.
    pub actor: ActorId,
    /// The message of the change.
    pub message: Option<String>,
    /// Positions that it created. If peers have created two maps of positions, a position that was created or deleted in one may
    /// still exist in the other.
    pub added: Vec<Row>,
    /// Positions that it created again after they had been deleted.
    pub restored: Vec<Row>,
    /// Positions that it deleted.
    pub deleted: Vec<Row>,
    /// Fields that it wrote.
    pub fields: Vec<FieldChange>,
    /// Number of items that are left out.
    pub omitted: usize,
}

/// A position, with its designation after the change (before it, if it was deleted).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub position: Arc<str>,
    /// Its designation, if it is a text.
    pub designation: Option<Arc<str>>,
}

/// A field that a change wrote.
#[derive(Debug, PartialEq)]
pub struct FieldChange {
    /// The position. `None` for a root key of the document, such as a setting of the plan.
    pub row: Option<Row>,
    /// Key of the field. A write inside of a map or list counts as a write to the field that contains it.
    pub field: Arc<str>,
    /// The value before, as its author saw it. In a conflict, the winner.
    pub old: Json,
    /// The value after; `null` if the field was deleted.
    pub new: Json,
    /// If the write resolved a conflict: all values of the conflict as its author saw them, the winner first. Otherwise empty.
    pub settled: Vec<Json>,
    /// Whether one of these values is truncated.
    pub cut: bool,
}

impl History {
    /// Returns a page. `doc` must be the indexed document.
    ///
    /// # Errors
    /// When the position or the field of the query never existed.
    pub fn page(&self, doc: &Automerge, query: &Query) -> Result<Page, PageError> {
        let position = match &query.position {
            None => None,
            Some(id) => Some(self.seen(id).ok_or_else(|| PageError::UnknownPosition(id.clone()))?),
        };
        let field = match &query.field {
            None => None,
            Some(name) => {
                let known = self.ledger.fields.known(name);
                Some(known.ok_or_else(|| PageError::UnknownField(name.clone()))?)
            }
        };
        let changes = match position {
            None => self.order.ranked(),
            Some(position) => &self.positions[position as usize].changes,
        };
        let end = match &query.before {
            None => changes.len(),
            Some(cursor) => changes.partition_point(|change| self.order.cursor(*change) < *cursor),
        };
        let mut page = Page { heads: self.heads(), entries: Vec::new(), next: None, examined: 0 };
        let mut reader = Reader::new(self, doc, MAX_BYTES);
        let mut frontier = Frontier::default();
        let mut last = None;
        for change in changes[..end].iter().rev() {
            page.examined += 1;
            let writes = self.matching(*change, position, field);
            if !writes.is_empty() || (position.is_none() && field.is_none()) {
                if page.entries.len() >= query.limit.clamp(1, MAX_ENTRIES) || reader.is_full() {
                    page.next = last;
                    break;
                }
                let heads = self.order.heads_at(*change, &mut frontier, MAX_STEPS);
                page.entries.extend(reader.entry(*change, writes, (position, field), heads));
            }
            last = Some(self.order.cursor(*change));
            if page.examined >= MAX_EXAMINED && page.examined < end {
                page.next = last;
                break;
            }
        }
        Ok(page)
    }

    /// The number of a position that ever existed.
    pub(super) fn seen(&self, id: &str) -> Option<u32> {
        let position = self.ledger.known_position(id)?;
        self.positions.get(position as usize).filter(|seen| !seen.changes.is_empty()).map(|_| position)
    }

    /// The writes of a change that match a filter. If there is only a field filter, the result may include other fields.
    fn matching(&self, change: u32, position: Option<u32>, field: Option<FieldNumber>) -> &[Write] {
        if field.is_some_and(|field| self.fields[change as usize] & field.bit() == 0) {
            return &[];
        }
        match position {
            Some(position) => self.ledger.writes_to(change, position, field),
            None => self.ledger.writes(change),
        }
    }
}

/// Makes the entries of a page or portion.
pub(super) struct Reader<'a> {
    history: &'a History,
    doc: &'a Automerge,
    /// Approximate size of all entries from which on no more are made.
    max_bytes: usize,
    bytes: usize,
    /// Cost so far: see [`MAX_READ`].
    read: usize,
    /// Designations that were read from the document, by the change that wrote them and the position.
    names: HashMap<(u32, u32), Option<Arc<str>>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(history: &'a History, doc: &'a Automerge, max_bytes: usize) -> Self {
        Self { history, doc, max_bytes, bytes: 0, read: 0, names: HashMap::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= self.max_bytes || self.read >= MAX_READ
    }

    /// The entry of a change, with these writes and heads. `None` if the document lacks it.
    pub(super) fn entry(
        &mut self,
        change: u32,
        writes: &[Write],
        (position, field): (Option<u32>, Option<FieldNumber>),
        heads: Option<Vec<ChangeHash>>,
    ) -> Option<Entry> {
        let hash = self.history.order.hash(change);
        let metadata = self.doc.get_change_meta_by_hash(&hash)?;
        let message = metadata.message.as_deref().filter(|message| !message.is_empty());
        let mut entry = Entry {
            hash,
            heads,
            time: Some(metadata.timestamp).filter(|time| *time != 0),
            actor: metadata.actor.clone().into_owned(),
            message: message.map(|message| cut(message).0.to_owned()),
            added: Vec::new(),
            restored: Vec::new(),
            deleted: Vec::new(),
            fields: Vec::new(),
            omitted: 0,
        };
        let heads_count = entry.heads.as_ref().map_or(0, Vec::len);
        self.bytes += (3 + heads_count) * ITEM + entry.message.as_ref().map_or(0, String::len);
        let full = self.bytes + MAX_BYTES;
        let wanted = self.in_order(writes, field);
        entry.omitted = wanted.len().saturating_sub(MAX_ITEMS);
        for (index, write) in wanted.iter().take(MAX_ITEMS).enumerate() {
            if self.bytes >= full {
                entry.omitted = wanted.len() - index;
                break;
            }
            let row = self.row(write.position, change);
            self.bytes += ITEM + row.as_ref().map_or(0, Row::bytes);
            match row {
                Some(row) if write.field == FieldNumber::ROW && write.new_value == NewValue::Gone => {
                    entry.deleted.push(row)
                }
                Some(row) if write.field == FieldNumber::ROW && self.was_deleted(write.position, change) => {
                    entry.restored.push(row);
                }
                Some(row) if write.field == FieldNumber::ROW => entry.added.push(row),
                row => {
                    let places = self.history.ledger.settled.get(&(change, write.position, write.field));
                    entry.fields.push(self.set(row, write, places.map_or(&[], Vec::as_slice), &hash, &metadata.deps));
                }
            }
        }
        if position.is_none() && field.is_none() {
            entry.omitted += self.history.ledger.unlisted.get(&change).copied().unwrap_or(0);
        }
        Some(entry)
    }

    /// The writes of an entry, in the order of their operations. Only the first [`MAX_ITEMS`] are sorted.
    fn in_order<'w>(&mut self, writes: &'w [Write], field: Option<FieldNumber>) -> Vec<&'w Write> {
        // A position that replaced another one with the same id is left out: its fields show the change.
        let replaces =
            |write: &Write| write.field == FieldNumber::ROW && write.had && write.new_value != NewValue::Gone;
        let is_wanted = |write: &&Write| field.is_none_or(|field| write.field == field) && !replaces(write);
        let mut wanted: Vec<&Write> = writes.iter().filter(is_wanted).collect();
        let ledger = &self.history.ledger;
        let order = |one: &&Write, other: &&Write| {
            let key = |write: &&Write| (write.operation, ledger.id(write.position), write.field);
            key(one).cmp(&key(other))
        };
        if wanted.len() > MAX_ITEMS {
            wanted.select_nth_unstable_by(MAX_ITEMS, order);
            wanted[..MAX_ITEMS].sort_unstable_by(order);
            // The cost of a large change is that of all its writes.
            self.read += wanted.len();
        } else {
            wanted.sort_unstable_by(order);
        }
        wanted
    }

    fn row(&mut self, position: u32, change: u32) -> Option<Row> {
        let id = self.history.ledger.id(position)?;
        Some(Row { position: Arc::clone(id), designation: self.designation(position, change) })
    }

    /// Whether an earlier change deleted the position.
    fn was_deleted(&self, position: u32, change: u32) -> bool {
        let History { order, positions, .. } = self.history;
        let first = positions.get(position as usize).and_then(|seen| seen.deleted.first());
        first.is_some_and(|first| order.cursor(*first) < order.cursor(change))
    }

    /// The designation of a position after a change.
    fn designation(&mut self, position: u32, change: u32) -> Option<Arc<str>> {
        let History { order, ledger, positions, .. } = self.history;
        let named = &positions.get(position as usize)?.named;
        let here = order.cursor(change);
        let until = named.partition_point(|change| order.cursor(*change) <= here);
        let change = *named.get(until.checked_sub(1)?)?;
        let write = ledger.writes_to(change, position, Some(FieldNumber::DESIGNATION)).last()?;
        match write.new_value {
            NewValue::Text { word, .. } => ledger.words.word(word).cloned(),
            NewValue::Splice => {
                if let Some(known) = self.names.get(&(change, position)) {
                    return known.clone();
                }
                let (name, _) = self.text(write.before, &[order.hash(change)]);
                let name = name.as_str().map(Arc::from);
                self.names.insert((change, position), name.clone());
                name
            }
            _ => None,
        }
    }

    /// The old and new value of a write. `places` are those of the values of a conflict that it resolved.
    fn set(
        &mut self,
        row: Option<Row>,
        write: &Write,
        places: &[u32],
        hash: &ChangeHash,
        deps: &[ChangeHash],
    ) -> FieldChange {
        let (new, new_is_cut) = match write.new_value {
            NewValue::Splice => self.text(write.before, &[*hash]),
            new_value => self.value(new_value, &[*hash]),
        };
        let (mut settled, settled_is_cut) = match write.new_value {
            // Writing the winner of a conflict again deletes the other values.
            NewValue::Cleared(place) => self.all(&[place], deps),
            _ => self.all(places, deps),
        };
        let (old, old_is_cut) = match (write.new_value, self.history.ledger.write(write.before)) {
            // The winner need not be among the deleted values.
            (NewValue::Cleared(_) | NewValue::Inside(_), _) => self.value(write.new_value, deps),
            (_, None) => (settled.first().cloned().unwrap_or(Json::Null), false),
            (_, Some(Write { new_value: NewValue::Text { spliced: true, .. }, .. })) => self.text(write.before, deps),
            (_, Some(before)) => self.value(before.new_value, deps),
        };
        if settled.len() < 2 {
            settled.clear();
        }
        self.bytes += bytes(&new) + bytes(&old) + settled.iter().map(bytes).sum::<usize>();
        let field = self.history.ledger.fields.name(write.field);
        FieldChange { row, field, old, new, settled, cut: new_is_cut || old_is_cut || settled_is_cut }
    }

    fn value(&mut self, new_value: NewValue, heads: &[ChangeHash]) -> (Json, bool) {
        match new_value {
            NewValue::Text { word, cut, .. } => {
                let word = self.history.ledger.words.word(word).map(|word| Json::from(&**word));
                (word.unwrap_or(Json::Null), cut)
            }
            NewValue::Counter(place) | NewValue::Cleared(place) | NewValue::Nested(place) | NewValue::Inside(place) => {
                self.values_at(place, heads).pop().unwrap_or((Json::Null, false))
            }
            new_value => (show(new_value), false),
        }
    }

    /// The distinct values in these places, the winner first, and whether one of them is truncated.
    fn all(&mut self, places: &[u32], heads: &[ChangeHash]) -> (Vec<Json>, bool) {
        let (mut values, mut is_cut): (Vec<Json>, bool) = (Vec::new(), false);
        for place in places {
            for (value, cut) in self.values_at(*place, heads).into_iter().rev() {
                is_cut |= cut;
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
        (values, is_cut)
    }

    /// A text that was edited in place, at these heads, and whether it is truncated.
    fn text(&mut self, write: u32, heads: &[ChangeHash]) -> (Json, bool) {
        let History { order, ledger, .. } = self.history;
        let made = self.doc.get_change_meta_by_hash(&order.hash(ledger.change_of(write)));
        let text = made.and_then(|made| ledger.spliced_text(write, &made.actor)).and_then(|(text, operations)| {
            self.read += 1 + operations;
            self.doc.text_at(&text, heads).ok()
        });
        shortened(text.map_or(Json::Null, Json::from))
    }

    /// The values in a place at these heads, the winner last, each with whether it is truncated.
    fn values_at(&mut self, place: u32, heads: &[ChangeHash]) -> Vec<(Json, bool)> {
        let History { ledger, positions, .. } = self.history;
        let Some(place) = ledger.places.get(place as usize) else { return Vec::new() };
        let object = place.object.map_or(ROOT, |object| ledger.object(object));
        // The library visits all operations that were ever made there.
        let seen = positions.get(place.position as usize).map_or(self.history.len(), |seen| seen.changes.len());
        self.read += 1 + seen + place.operations;
        let snapshot = Snapshot::at(self.doc, heads);
        let found = snapshot.all(&object, &*ledger.fields.name(place.field)).into_iter();
        found
            .map(|(value, object)| {
                if let Some(shown) = snapshot.show(&value, &object) {
                    return shortened(shown);
                }
                let mut encoder = Encoder::new(snapshot, NESTED);
                let shown = encoder.value(&value, &object);
                (shown.unwrap_or(Json::Null), encoder.is_cut())
            })
            .collect()
    }
}

/// Truncates a long text, and returns whether it did.
fn shortened(value: Json) -> (Json, bool) {
    match value.as_str().map(cut) {
        Some((text, true)) => (Json::from(text), true),
        _ => (value, false),
    }
}

impl Row {
    fn bytes(&self) -> usize {
        self.position.len() + self.designation.as_ref().map_or(0, |designation| designation.len())
    }
}

fn bytes(value: &Json) -> usize {
    match value {
        Json::String(text) => text.len(),
        Json::Array(values) => values.iter().map(|value| ITEM + bytes(value)).sum(),
        Json::Object(members) => members.iter().map(|(key, value)| ITEM + key.len() + bytes(value)).sum(),
        _ => 0,
    }
}
