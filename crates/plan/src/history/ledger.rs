//! [`Ledger`]: the writes of all changes, with indices.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use automerge::{ActorId, Automerge, ObjId, Prop, ReadDoc};

use super::write::{FieldNames, FieldNumber, InternedTexts, NO_OPERATION, NewValue, PLAN, Write};

/// The id of an operation, or of the object that it created: operation number and actor number.
pub(super) type Operation = (u32, u32);

/// A text that was edited in place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spliced {
    /// The write that created it.
    pub write: u32,
    /// Approximate number of its operations.
    pub operations: usize,
}

/// A key of a map, whose value is read from the document.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The map; `None` for the root.
    pub object: Option<Operation>,
    /// Number of the position, or [`PLAN`].
    pub position: u32,
    pub field: FieldNumber,
    /// Approximate number of operations inside of the value.
    pub operations: usize,
}

/// Limit of the operations that are visited to find the content of replaced maps: a fixed part, and a part for each write. It
/// bounds the time and memory for a document in which peers replace the same large map many times.
const MAX_VISITS: usize = 200_000;
const MAX_VISITS_PER_WRITE: usize = 4;

/// The map of positions, or the map of one position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    /// Number of the position, or [`PLAN`] for the map of positions.
    pub position: u32,
    /// Number of operations in it.
    pub writes: usize,
}

/// The writes of all changes, by change number.
#[derive(Default)]
pub(super) struct Ledger {
    actors: HashMap<ActorId, u32>,
    names: Vec<ActorId>,
    /// The changes of each actor, in order.
    by_actor: Vec<Vec<u32>>,
    /// The number of the first operation of each change.
    starts: Vec<u64>,
    /// The number of the first write of each change, and the number of writes.
    firsts: Vec<u32>,
    writes: Vec<Write>,
    pub(super) words: InternedTexts,
    pub(super) fields: FieldNames,
    positions: HashMap<Arc<str>, u32>,
    ids: Vec<Arc<str>>,
    /// All maps of positions that ever existed.
    pub(super) maps: HashMap<Operation, Map>,
    /// The maps of all positions that ever existed.
    pub(super) rows: HashMap<Operation, Map>,
    /// Texts that were edited in place. `None` for a text that is not the value of a field.
    pub(super) spliced: HashMap<Operation, Option<Spliced>>,
    /// Places of values that are read from the document.
    pub(super) places: Vec<Place>,
    /// The place of each object inside of a map or list.
    pub(super) nested: HashMap<Operation, u32>,
    /// Writes that resolved a conflict, by change, position and field, with the places of its values.
    pub(super) settled: HashMap<(u32, u32, FieldNumber), Vec<u32>>,
    /// Approximate number of writes of a change that are not recorded, such as the removal of many positions at once.
    pub(super) unlisted: HashMap<u32, usize>,
    /// Visited operations: see [`MAX_VISITS`].
    visits: usize,
    /// Number of writes with an operation of their own.
    written: usize,
}

impl Ledger {
    /// The number of an actor, which is added if it is new.
    pub(super) fn actor(&mut self, actor: &ActorId) -> u32 {
        if let Some(number) = self.actors.get(actor) {
            return *number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.actors.insert(actor.clone(), number);
        self.names.push(actor.clone());
        self.by_actor.push(Vec::new());
        number
    }

    pub(super) fn known_actor(&self, actor: &ActorId) -> Option<u32> {
        self.actors.get(actor).copied()
    }

    /// The change of this actor with this sequence number.
    pub(super) fn change(&self, actor: &ActorId, sequence: u64) -> Option<u32> {
        let changes = &self.by_actor[self.known_actor(actor)? as usize];
        changes.get(usize::try_from(sequence.checked_sub(1)?).ok()?).copied()
    }

    /// Number of changes of an actor.
    pub(super) fn changes_of(&self, actor: &ActorId) -> u64 {
        self.known_actor(actor).map_or(0, |actor| self.by_actor[actor as usize].len() as u64)
    }

    /// The id of an operation. `None` if its actor is unknown.
    pub(super) fn operation(&self, counter: u64, actor: &ActorId) -> Option<Operation> {
        Some((u32::try_from(counter).ok()?, self.known_actor(actor)?))
    }

    /// The order of two ids in which the greater one wins a conflict.
    pub(super) fn order(&self, one: Operation, other: Operation) -> Ordering {
        let key = |(counter, actor): Operation| (counter, self.names.get(actor as usize));
        key(one).cmp(&key(other))
    }

    /// The library's id of an object.
    pub(super) fn object(&self, (counter, actor): Operation) -> ObjId {
        // The last number is a hint for the library, which visits the actor up if it is wrong.
        ObjId::Id(u64::from(counter), self.names[actor as usize].clone(), 0)
    }

    /// Adds a place, and returns its number.
    pub(super) fn place(&mut self, object: Option<Operation>, position: u32, field: FieldNumber) -> u32 {
        self.places.push(Place { object, position, field, operations: 0 });
        u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
    }

    /// The number of a position, which is added if it is new.
    pub(super) fn position(&mut self, id: &str) -> u32 {
        if let Some(number) = self.positions.get(id) {
            return *number;
        }
        let number = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let id: Arc<str> = Arc::from(id);
        self.ids.push(Arc::clone(&id));
        self.positions.insert(id, number);
        number
    }

    pub(super) fn known_position(&self, id: &str) -> Option<u32> {
        self.positions.get(id).copied()
    }

    /// The id of a position; `None` for [`PLAN`].
    pub(super) fn id(&self, position: u32) -> Option<&Arc<str>> {
        self.ids.get(position as usize)
    }

    /// Adds the writes of the next change, which must be sorted by register.
    pub(super) fn add(&mut self, actor: u32, start: u64, writes: Vec<Write>) {
        if self.firsts.is_empty() {
            self.firsts.push(0);
        }
        let change = self.next_change();
        self.by_actor[actor as usize].push(change);
        self.starts.push(start);
        self.written += writes.iter().filter(|write| write.operation != NO_OPERATION).count();
        self.writes.extend(writes);
        self.firsts.push(u32::try_from(self.writes.len()).unwrap_or(u32::MAX));
    }

    /// The number that the next change gets.
    pub(super) fn next_change(&self) -> u32 {
        u32::try_from(self.starts.len()).unwrap_or(u32::MAX)
    }

    /// Whether the content of a map with this many operations may be visited, and counts them.
    pub(super) fn may_visit(&mut self, writes: usize) -> bool {
        self.visits += 1 + writes;
        self.visits <= MAX_VISITS + MAX_VISITS_PER_WRITE * self.written
    }

    /// The number of the first operation of a change.
    pub(super) fn start(&self, change: u32) -> u64 {
        self.starts[change as usize]
    }

    pub(super) fn write(&self, number: u32) -> Option<&Write> {
        self.writes.get(number as usize)
    }

    pub(super) fn write_mut(&mut self, number: u32) -> Option<&mut Write> {
        self.writes.get_mut(number as usize)
    }

    /// The change that a write belongs to.
    pub(super) fn change_of(&self, write: u32) -> u32 {
        u32::try_from(self.firsts.partition_point(|first| *first <= write)).unwrap_or(u32::MAX).saturating_sub(1)
    }

    /// The writes of a change.
    pub(super) fn writes(&self, change: u32) -> &[Write] {
        &self.writes[self.firsts[change as usize] as usize..self.firsts[change as usize + 1] as usize]
    }

    /// The writes of a change to a position, or to one field of it.
    pub(super) fn writes_to(&self, change: u32, position: u32, field: Option<FieldNumber>) -> &[Write] {
        let writes = self.writes(change);
        let from = writes.partition_point(|write| (write.position, Some(write.field)) < (position, field));
        let of_it = |write: &Write| write.position == position && field.is_none_or(|field| write.field == field);
        &writes[from..from + writes[from..].partition_point(of_it)]
    }

    /// The write of an operation.
    pub(super) fn write_of(&self, (counter, actor): Operation, position: u32, field: FieldNumber) -> Option<u32> {
        let changes = self.by_actor.get(actor as usize)?;
        let counter = u64::from(counter);
        let after = changes.partition_point(|change| self.starts[*change as usize] <= counter);
        let change = *changes.get(after.checked_sub(1)?)?;
        let operation = u32::try_from(counter - self.start(change)).ok()?;
        let first = self.firsts[change as usize];
        let writes = self.writes(change);
        let from = writes.partition_point(|write| write.register() < (position, field));
        let found = writes[from..]
            .iter()
            .take_while(|write| write.register() == (position, field))
            .position(|write| write.operation == operation)?;
        Some(first + u32::try_from(from + found).ok()?)
    }

    /// Finds the write of a text that an earlier change created and that is now edited in place. `None` if the text is not the
    /// value of a field.
    pub(super) fn find_text(&self, doc: &Automerge, text: Operation) -> Option<Spliced> {
        let object = self.object(text);
        let parent = doc.parents(&object).ok()?.next()?;
        let Prop::Map(key) = &parent.prop else { return None };
        let (position, field) = match &parent.obj {
            ObjId::Root => (PLAN, self.fields.known(key)?),
            ObjId::Id(counter, actor, _) => {
                let row = self.operation(*counter, actor)?;
                (self.rows.get(&row)?.position, self.fields.known(key)?)
            }
        };
        let write = self.write_of(text, position, field)?;
        let is_text = matches!(self.write(write)?.new_value, NewValue::Text { .. });
        is_text.then_some(Spliced { write, operations: 0 })
    }

    /// The object of a text that was edited in place, and the approximate number of its operations.
    pub(super) fn spliced_text(&self, write: u32, actor: &ActorId) -> Option<(ObjId, usize)> {
        let start = self.start(self.change_of(write));
        let text = self.operation(start + u64::from(self.write(write)?.operation), actor)?;
        let operations = self.spliced.get(&text).copied().flatten().map_or(0, |spliced| spliced.operations);
        Some((self.object(text), operations))
    }
}
