//! A page of a history. What it costs grows with what is on it, not with what is in the document.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::{ActorId, Automerge, ChangeHash, ROOT, ReadDoc};
use serde_json::Value as Json;

use super::History;
use super::order::{Cursor, Frontier};
use super::write::{Field, Left, Write, cut, show};
use crate::json_encoder::Encoder;
use crate::snapshot::Snapshot;

/// Entries that one page may have.
pub const MAX_ENTRIES: usize = 500;
/// Fields, and positions that came or went, that are told of one change.
const MAX_ITEMS: usize = 1_000;
/// About how many bytes a page has when it is full. (The last entry may go beyond, by as much again.)
const MAX_BYTES: usize = 1 << 20;
/// Bytes that an item counts as, besides its texts.
const ITEM: usize = 100;
/// Changes that are looked at for a page, whether they are on it or not.
const MAX_EXAMINED: usize = 200_000;
/// Changes that are looked at for the heads that are told with the entries.
const MAX_STEPS: usize = 1_000_000;
/// Bytes of JSON that are told of a nested value, about.
const NESTED: usize = 4 << 10;
/// What is looked at for the changes on a page: operations of what is read from the document, all that a large change has
/// done. (What the last entry needs may go beyond.)
const MAX_READ: usize = 500_000;

/// Which part of a history.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only what was done to this position.
    pub position: Option<String>,
    /// Only what this field was set to: one of a position, or a root key of the document.
    pub field: Option<String>,
    /// Only what comes before this; all otherwise.
    pub before: Option<Cursor>,
    /// Entries, at the most: 1 to [`MAX_ENTRIES`].
    pub limit: usize,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoPage {
    /// There never was a position of this id.
    #[error("there is no position with the id {0:?}, and there never was")]
    UnknownPosition(String),
    /// No field was ever called this.
    #[error("no position and no setting of this document ever had a field {0:?}")]
    UnknownField(String),
    /// The library failed on what has to be read from the document.
    #[error("the history could not be read; the reason is in the server's log")]
    Failed,
}

/// Part of a history, the newest first.
#[derive(Debug)]
pub struct Page {
    /// The heads of the document.
    pub heads: Vec<ChangeHash>,
    /// What was found.
    pub entries: Vec<Entry>,
    /// Where to go on; None: there is nothing more.
    pub next: Option<Cursor>,
    /// How many changes were looked at.
    pub examined: usize,
}

/// One change.
#[derive(Debug)]
pub struct Entry {
    /// Its hash.
    pub hash: ChangeHash,
    /// The heads of the document with it and with all that comes before it in the history. None: they are more than fit
    /// into a URL.
    pub heads: Option<Vec<ChangeHash>>,
    /// When it was made, as it says itself, in seconds since 1970; None: it says nothing.
    pub time: Option<i64>,
    /// Under which actor it was made.
    pub actor: ActorId,
    /// What it says about itself.
    pub message: Option<String>,
    /// Positions that it made. (Where peers have made two maps of positions, one that was made or deleted in one of them may
    /// stand in the other.)
    pub added: Vec<Row>,
    /// Positions that it brought back: they were deleted before.
    pub restored: Vec<Row>,
    /// Positions that it deleted.
    pub deleted: Vec<Row>,
    /// What it set.
    pub fields: Vec<Set>,
    /// How much more it did than is told here.
    pub omitted: usize,
}

/// A position, by what it was called after the change (and, if it was deleted, before).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub position: Arc<str>,
    /// Its designation, if it is a text.
    pub designation: Option<Arc<str>>,
}

/// A field that was set.
#[derive(Debug, PartialEq)]
pub struct Set {
    /// Of which position; `None`: a root key of the document, such as a setting of the plan.
    pub row: Option<Row>,
    /// Which field. One inside of a map or a list is told as the field that these stand in.
    pub field: Arc<str>,
    /// What stood there for whoever set it; of several values, the one that was shown.
    pub old: Json,
    /// What stands there since; null if the field was deleted.
    pub new: Json,
    /// The values of a conflict that this write settled: all that stood there for whoever set it, the one that was shown
    /// first. Empty, unless they were several.
    pub settled: Vec<Json>,
    /// One of these is longer than what is told of it.
    pub cut: bool,
}

impl History {
    /// A page. `doc` is the document that this is the history of.
    ///
    /// # Errors
    /// When it is to be about a position or a field that there never was.
    pub fn page(&self, doc: &Automerge, query: &Query) -> Result<Page, NoPage> {
        let position = match &query.position {
            None => None,
            Some(id) => Some(self.seen(id).ok_or_else(|| NoPage::UnknownPosition(id.clone()))?),
        };
        let field = match &query.field {
            None => None,
            Some(name) => {
                let known = self.ledger.fields.known(name);
                Some(known.ok_or_else(|| NoPage::UnknownField(name.clone()))?)
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
        let mut reader = Reader::new(self, doc);
        let mut last = None;
        for change in changes[..end].iter().rev() {
            page.examined += 1;
            let told = self.told(*change, position, field);
            if !told.is_empty() || (position.is_none() && field.is_none()) {
                if page.entries.len() >= query.limit.clamp(1, MAX_ENTRIES) || reader.is_full() {
                    page.next = last;
                    break;
                }
                page.entries.extend(reader.entry(*change, told, (position, field)));
            }
            last = Some(self.order.cursor(*change));
            if page.examined >= MAX_EXAMINED && page.examined < end {
                page.next = last;
                break;
            }
        }
        Ok(page)
    }

    /// The number of a position that something was ever done to.
    pub(super) fn seen(&self, id: &str) -> Option<u32> {
        let position = self.ledger.known_position(id)?;
        self.positions.get(position as usize).filter(|seen| !seen.changes.is_empty()).map(|_| position)
    }

    /// What a change has set, as far as it is asked for. (Of a field alone: of all positions; others are to be left out.)
    fn told(&self, change: u32, position: Option<u32>, field: Option<Field>) -> &[Write] {
        if field.is_some_and(|field| self.fields[change as usize] & field.bit() == 0) {
            return &[];
        }
        match position {
            Some(position) => self.ledger.writes_to(change, position, field),
            None => self.ledger.writes(change),
        }
    }
}

/// Reads what is told of changes.
struct Reader<'a> {
    history: &'a History,
    doc: &'a Automerge,
    frontier: Frontier,
    bytes: usize,
    /// What was looked at: see [`MAX_READ`].
    read: usize,
    /// Designations that had to be read, by the change that set them and the position.
    names: HashMap<(u32, u32), Option<Arc<str>>>,
}

impl<'a> Reader<'a> {
    fn new(history: &'a History, doc: &'a Automerge) -> Self {
        Self { history, doc, frontier: Frontier::default(), bytes: 0, read: 0, names: HashMap::new() }
    }

    fn is_full(&self) -> bool {
        self.bytes >= MAX_BYTES || self.read >= MAX_READ
    }

    /// None: the document does not have the change.
    fn entry(
        &mut self,
        change: u32,
        writes: &[Write],
        (position, field): (Option<u32>, Option<Field>),
    ) -> Option<Entry> {
        let hash = self.history.order.hash(change);
        let said = self.doc.get_change_meta_by_hash(&hash)?;
        let heads = self.history.order.heads_at(change, &mut self.frontier, MAX_STEPS);
        let message = said.message.as_deref().filter(|message| !message.is_empty());
        let mut entry = Entry {
            hash,
            heads,
            time: Some(said.timestamp).filter(|time| *time != 0),
            actor: said.actor.clone().into_owned(),
            message: message.map(|message| cut(message).0.to_owned()),
            added: Vec::new(),
            restored: Vec::new(),
            deleted: Vec::new(),
            fields: Vec::new(),
            omitted: 0,
        };
        let told_heads = entry.heads.as_ref().map_or(0, Vec::len);
        self.bytes += (3 + told_heads) * ITEM + entry.message.as_ref().map_or(0, String::len);
        let full = self.bytes + MAX_BYTES;
        let wanted = self.in_order(writes, field);
        entry.omitted = wanted.len().saturating_sub(MAX_ITEMS);
        for (told, write) in wanted.iter().take(MAX_ITEMS).enumerate() {
            if self.bytes >= full {
                entry.omitted = wanted.len() - told;
                break;
            }
            let row = self.row(write.position, change);
            self.bytes += ITEM + row.as_ref().map_or(0, Row::bytes);
            match row {
                Some(row) if write.field == Field::ROW && write.left == Left::Gone => entry.deleted.push(row),
                Some(row) if write.field == Field::ROW && self.was_deleted(write.position, change) => {
                    entry.restored.push(row);
                }
                Some(row) if write.field == Field::ROW => entry.added.push(row),
                row => {
                    let places = self.history.ledger.settled.get(&(change, write.operation));
                    entry.fields.push(self.set(row, write, places.map_or(&[], Vec::as_slice), &hash, &said.deps));
                }
            }
        }
        if position.is_none() && field.is_none() {
            entry.omitted += self.history.ledger.unlisted.get(&change).copied().unwrap_or(0);
        }
        Some(entry)
    }

    /// What is to be told of a change, the first in the order in which it was done.
    fn in_order<'w>(&mut self, writes: &'w [Write], field: Option<Field>) -> Vec<&'w Write> {
        // One that took the place of another position is not told: its fields say what has changed.
        let replaces = |write: &Write| write.field == Field::ROW && write.had && write.left != Left::Gone;
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
            // As large as it is, it is looked at whole.
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

    /// Whether a position was deleted by a change before this one.
    fn was_deleted(&self, position: u32, change: u32) -> bool {
        let History { order, positions, .. } = self.history;
        let first = positions.get(position as usize).and_then(|seen| seen.deleted.first());
        first.is_some_and(|first| order.cursor(*first) < order.cursor(change))
    }

    /// What a position was called after a change.
    fn designation(&mut self, position: u32, change: u32) -> Option<Arc<str>> {
        let History { order, ledger, positions, .. } = self.history;
        let named = &positions.get(position as usize)?.named;
        let here = order.cursor(change);
        let until = named.partition_point(|change| order.cursor(*change) <= here);
        let change = *named.get(until.checked_sub(1)?)?;
        let write = ledger.writes_to(change, position, Some(Field::DESIGNATION)).last()?;
        match write.left {
            Left::Text { word, .. } => ledger.words.word(word).cloned(),
            Left::Splice => {
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

    /// `places`: where the values stood that the write took the place of, if they were several.
    fn set(&mut self, row: Option<Row>, write: &Write, places: &[u32], hash: &ChangeHash, deps: &[ChangeHash]) -> Set {
        let (new, new_is_cut) = match write.left {
            Left::Splice => self.text(write.before, &[*hash]),
            left => self.value(left, &[*hash]),
        };
        let (mut settled, settled_is_cut) = match write.left {
            // Who writes one of several values again deletes the others.
            Left::Cleared(place) => self.all(&[place], deps),
            _ => self.all(places, deps),
        };
        let (old, old_is_cut) = match (write.left, self.history.ledger.write(write.before)) {
            // Of several values those that were shown need not be among the deleted ones.
            (Left::Cleared(_) | Left::Inside(_), _) => self.value(write.left, deps),
            (_, None) => (settled.first().cloned().unwrap_or(Json::Null), false),
            (_, Some(Write { left: Left::Text { spliced: true, .. }, .. })) => self.text(write.before, deps),
            (_, Some(before)) => self.value(before.left, deps),
        };
        if settled.len() < 2 {
            settled.clear();
        }
        self.bytes += bytes(&new) + bytes(&old) + settled.iter().map(bytes).sum::<usize>();
        let field = self.history.ledger.fields.name(write.field);
        Set { row, field, old, new, settled, cut: new_is_cut || old_is_cut || settled_is_cut }
    }

    fn value(&mut self, left: Left, heads: &[ChangeHash]) -> (Json, bool) {
        match left {
            Left::Text { word, cut, .. } => {
                let word = self.history.ledger.words.word(word).map(|word| Json::from(&**word));
                (word.unwrap_or(Json::Null), cut)
            }
            Left::Counter(place) | Left::Cleared(place) | Left::Nested(place) | Left::Inside(place) => {
                self.stood(place, heads).pop().unwrap_or((Json::Null, false))
            }
            left => (show(left), false),
        }
    }

    /// The different values that stood in these places, the one that was shown first; and whether one of them is cut.
    fn all(&mut self, places: &[u32], heads: &[ChangeHash]) -> (Vec<Json>, bool) {
        let (mut values, mut is_cut): (Vec<Json>, bool) = (Vec::new(), false);
        for place in places {
            for (value, cut) in self.stood(*place, heads).into_iter().rev() {
                is_cut |= cut;
                if !values.contains(&value) {
                    values.push(value);
                }
            }
        }
        (values, is_cut)
    }

    /// A text that was changed in its place, as it was at some moment; and whether it is cut.
    fn text(&mut self, write: u32, heads: &[ChangeHash]) -> (Json, bool) {
        let History { order, ledger, .. } = self.history;
        let made = self.doc.get_change_meta_by_hash(&order.hash(ledger.change_of(write)));
        let text = made.and_then(|made| ledger.spliced_text(write, &made.actor)).and_then(|(text, operations)| {
            self.read += 1 + operations;
            self.doc.text_at(&text, heads).ok()
        });
        shortened(text.map_or(Json::Null, Json::from))
    }

    /// What stood in a place at some heads, each value with whether it is cut; the one that was shown last.
    fn stood(&mut self, place: u32, heads: &[ChangeHash]) -> Vec<(Json, bool)> {
        let History { ledger, positions, .. } = self.history;
        let Some(place) = ledger.places.get(place as usize) else { return Vec::new() };
        let object = place.object.map_or(ROOT, |object| ledger.object(object));
        // The library looks at all that was ever written there.
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

/// A value, and whether it is not all.
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
