//! What all changes have set, and how one finds it again.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::{ActorId, Automerge, ObjId, Prop, ReadDoc};

use super::write::{Field, Left, NO_OPERATION, Names, PLAN, Words, Write};

/// An operation, or the object that it made: its number, and the number of its actor.
pub(super) type Operation = (u64, u32);

/// A text that was changed in its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spliced {
    /// The write that made it.
    pub write: u32,
    /// About how many operations it has.
    pub operations: usize,
}

/// Where a value stands that is read from the document: a key of a map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// The map; `None`: the root.
    pub object: Option<Operation>,
    /// The position that it is of, or [`PLAN`].
    pub position: u32,
    pub field: Field,
    /// About how many operations there are inside of what stands there.
    pub operations: usize,
}

/// Operations that may be looked at to find out what stood in maps that were replaced: so many, and so many for each write
/// that there is. Who replaces the same large map again and again, at the same time, must not keep anybody busy, nor make a
/// history grow without bounds.
const LOOKS: usize = 200_000;
const LOOKS_PER_WRITE: usize = 4;

/// A map of positions, or that is a position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map {
    /// The position that it is, if it is one.
    pub position: u32,
    /// How often something was written into it.
    pub writes: usize,
}

/// The writes of all changes, by the numbers of the changes.
#[derive(Default)]
pub(super) struct Ledger {
    actors: HashMap<ActorId, u32>,
    names: Vec<ActorId>,
    /// Of each actor its changes, in their order.
    by_actor: Vec<Vec<u32>>,
    /// Of each change the number of its first operation.
    starts: Vec<u64>,
    /// Of each change its first write; and the end.
    firsts: Vec<u32>,
    writes: Vec<Write>,
    pub(super) words: Words,
    pub(super) fields: Names,
    positions: HashMap<Arc<str>, u32>,
    ids: Vec<Arc<str>>,
    /// The maps of positions that there ever were.
    pub(super) maps: HashMap<Operation, Map>,
    /// The maps that positions ever were.
    pub(super) rows: HashMap<Operation, Map>,
    /// Texts that were changed in their place. None: what such a text belongs to is not of the schema.
    pub(super) spliced: HashMap<Operation, Option<Spliced>>,
    /// Where values stand that are read from the document.
    pub(super) places: Vec<Place>,
    /// Objects inside of maps and lists: in which place these stand.
    pub(super) nested: HashMap<Operation, u32>,
    /// Writes that took the place of several values, by change and operation: where these stood.
    pub(super) settled: HashMap<(u32, u32), Vec<u32>>,
    /// Of changes that have done more than is told of them, as removing many positions at once: how much, about.
    pub(super) unlisted: HashMap<u32, usize>,
    /// Operations that were looked at: see [`LOOKS`].
    looks: usize,
    /// Writes that were operations, and did not only follow from others.
    written: usize,
}

impl Ledger {
    /// The number of an actor that is known, or of a new one.
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

    /// How many changes of this actor there are.
    pub(super) fn changes_of(&self, actor: &ActorId) -> u64 {
        self.known_actor(actor).map_or(0, |actor| self.by_actor[actor as usize].len() as u64)
    }

    /// The operation as it is called here; None: its actor has made nothing yet.
    pub(super) fn operation(&self, counter: u64, actor: &ActorId) -> Option<Operation> {
        Some((counter, self.known_actor(actor)?))
    }

    /// The object as the library calls it.
    pub(super) fn object(&self, (counter, actor): Operation) -> ObjId {
        // The last number is a hint for the library, which looks the actor up if it is wrong.
        ObjId::Id(counter, self.names[actor as usize].clone(), 0)
    }

    /// The number of a new place.
    pub(super) fn place(&mut self, object: Option<Operation>, position: u32, field: Field) -> u32 {
        self.places.push(Place { object, position, field, operations: 0 });
        u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
    }

    /// The number of a position, known or not.
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

    /// None: it is the plan.
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

    /// Whether one may look at what stands in a map into which so much was written.
    pub(super) fn may_look(&mut self, writes: usize) -> bool {
        self.looks += 1 + writes;
        self.looks <= LOOKS + LOOKS_PER_WRITE * self.written
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

    /// What a change has set.
    pub(super) fn writes(&self, change: u32) -> &[Write] {
        &self.writes[self.firsts[change as usize] as usize..self.firsts[change as usize + 1] as usize]
    }

    /// What a change has set of a position, or of one field of it. The number of the first of these.
    pub(super) fn writes_to(&self, change: u32, position: u32, field: Option<Field>) -> &[Write] {
        let writes = self.writes(change);
        let from = writes.partition_point(|write| (write.position, Some(write.field)) < (position, field));
        let of_it = |write: &Write| write.position == position && field.is_none_or(|field| write.field == field);
        &writes[from..from + writes[from..].partition_point(of_it)]
    }

    /// The write that an operation was.
    pub(super) fn write_of(&self, (counter, actor): Operation, position: u32, field: Field) -> Option<u32> {
        let changes = self.by_actor.get(actor as usize)?;
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

    /// Where a text stands that was made by an earlier change, and is changed in its place; None: nowhere that is of the
    /// schema.
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
        let is_text = matches!(self.write(write)?.left, Left::Text { .. });
        is_text.then_some(Spliced { write, operations: 0 })
    }

    /// A text that was changed in its place, and about how many operations it has.
    pub(super) fn spliced_text(&self, write: u32, actor: &ActorId) -> Option<(ObjId, usize)> {
        let start = self.start(self.change_of(write));
        let text = self.operation(start + u64::from(self.write(write)?.operation), actor)?;
        let operations = self.spliced.get(&text).copied().flatten().map_or(0, |spliced| spliced.operations);
        Some((self.object(text), operations))
    }
}
