//! [`Records`]: the operations of all changes of a document.
//!
//! The library reproduces a change by visiting the operations of the document and encoding them, and decodes it into some 200 bytes for
//! each operation. A change that adds many positions takes seconds and hundreds of megabytes that way. The records are read from a
//! snapshot of the document instead, in one pass. Runs of operations that type a text are one record.

use std::collections::HashMap;

use automerge::{ActorId, ChangeMetadata, ObjType};
use automerge_chunks::operations::{self as stored, Id, Malformed, Operations, Scalar};

use super::ledger::{Ledger, Operation};
use super::op::{Action, Key, Op};

/// Instead of an actor number: the root.
const ROOT: Operation = (0, u32::MAX);
/// Instead of an actor number: the other number is that of a key.
const KEY: u32 = u32::MAX;
/// Instead of an element: the start of a list or text.
const HEAD: Operation = (0, u32::MAX - 1);
/// Instead of the place of a list of predecessors: there is none.
const NO_PREDECESSORS: u32 = u32::MAX;

/// The operations of all changes, by change and operation number.
pub(super) struct Records<'a> {
    records: Vec<Record>,
    keys: Vec<&'a str>,
    /// Lists of predecessors, each after its length.
    before: Vec<Operation>,
    values: &'a [u8],
}

/// An operation, or a run of operations that type a text.
#[derive(Clone, Copy)]
struct Record {
    /// Index of the change.
    change: u32,
    counter: u32,
    object: Operation,
    key: Operation,
    action: RecordAction,
    /// Type of the value.
    kind: u8,
    /// Number of operations.
    operations: u32,
    /// The bytes of the value.
    start: u32,
    len: u32,
    /// Where its predecessors are, or [`NO_PREDECESSORS`].
    before: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RecordAction {
    Delete,
    MakeMap,
    MakeList,
    MakeText,
    MakeTable,
    Put,
    Type,
    Increment,
    Mark,
}

impl<'a> Records<'a> {
    /// Reads the operations of `chunk`, a snapshot of a document with these changes.
    ///
    /// # Errors
    /// When the chunk cannot be read, or has operations of other changes.
    pub(super) fn of(chunk: &'a [u8], changes: &[ChangeMetadata<'_>], ledger: &mut Ledger) -> Result<Self, Malformed> {
        let mut operations = Operations::of(chunk)?;
        let actors: Vec<ActorId> = operations.actors().iter().map(|actor| ActorId::from(*actor)).collect();
        let mut collector = Collector {
            ranges: Ranges::of(&actors, changes),
            numbers: actors.iter().map(|actor| ledger.actor(actor)).collect(),
            records: Records { records: Vec::new(), keys: Vec::new(), before: Vec::new(), values: operations.values() },
            keys: HashMap::new(),
            place: None,
            pending: HashMap::new(),
        };
        while let Some(operation) = operations.read()? {
            collector.take(&operation, operations.successors())?;
        }
        collector.flush()?;
        let mut records = collector.records;
        records.records.sort_unstable_by_key(|record| (record.change, record.counter));
        Ok(records)
    }

    /// The operations of the change with this index, in the order of their numbers.
    ///
    /// # Errors
    /// When a value is malformed.
    pub(super) fn of_change(&self, change: usize) -> impl Iterator<Item = Result<Op<'_>, Malformed>> {
        let after = |record: &Record| record.change as usize >= change;
        let from = self.records.partition_point(|record| !after(record));
        let until = from + self.records[from..].partition_point(|record| record.change as usize == change);
        self.records[from..until].iter().map(|record| self.op(record).ok_or(Malformed))
    }

    fn op(&self, record: &Record) -> Option<Op<'_>> {
        let value = || self.values.get(record.start as usize..)?.get(..record.len as usize);
        let action = match record.action {
            RecordAction::Delete => Action::Delete,
            RecordAction::MakeMap => Action::Make(ObjType::Map),
            RecordAction::MakeList => Action::Make(ObjType::List),
            RecordAction::MakeText => Action::Make(ObjType::Text),
            RecordAction::MakeTable => Action::Make(ObjType::Table),
            RecordAction::Put => Action::Put(Scalar::read(record.kind, value()?)?),
            RecordAction::Type => {
                Action::Type { text: std::str::from_utf8(value()?).ok()?, operations: record.operations }
            }
            RecordAction::Increment => Action::Increment,
            RecordAction::Mark => Action::Mark,
        };
        let key = match record.key {
            HEAD => Key::Head,
            (key, KEY) => Key::Map(self.keys.get(key as usize)?),
            element => Key::Element(Some(element)),
        };
        let before = if record.before == NO_PREDECESSORS {
            &[]
        } else {
            let (length, list) = self.before.get(record.before as usize..)?.split_first()?;
            list.get(..length.0 as usize)?
        };
        let object = (record.object != ROOT).then_some(record.object);
        Some(Op { counter: record.counter, object, key, action, before })
    }
}

/// Collects the records of a document.
struct Collector<'a> {
    ranges: Ranges,
    /// The number of each actor in the ledger.
    numbers: Vec<u32>,
    records: Records<'a>,
    keys: HashMap<&'a str, u32>,
    /// The place of the last operation: its object, and its key or element.
    place: Option<(Operation, Operation)>,
    /// The successors of operations in this place that have not come yet, each with its predecessors. Those that never come are
    /// deletions.
    pending: HashMap<Id, Vec<Operation>>,
}

impl<'a> Collector<'a> {
    fn take(&mut self, operation: &stored::Operation<'a>, successors: &[Id]) -> Result<(), Malformed> {
        let stored::Operation { id, insert, action, value, .. } = *operation;
        let object = operation.object.map_or(Ok(ROOT), |object| self.number(object))?;
        let own = self.number(id)?;
        let key = match operation.key {
            stored::Key::Map(key) => (self.key(key), KEY),
            stored::Key::Head => HEAD,
            stored::Key::Element(element) => self.number(element)?,
        };
        let place = (object, if insert { own } else { key });
        if self.place != Some(place) {
            self.flush()?;
            self.place = Some(place);
        }
        let before = if self.pending.is_empty() { None } else { self.pending.remove(&id) };
        let is_typed = insert && action == stored::Action::Put && value.kind == stored::TEXT && before.is_none();
        let action = match action {
            stored::Action::MakeMap => RecordAction::MakeMap,
            stored::Action::MakeList => RecordAction::MakeList,
            stored::Action::MakeText => RecordAction::MakeText,
            stored::Action::MakeTable => RecordAction::MakeTable,
            stored::Action::Put if is_typed => RecordAction::Type,
            stored::Action::Put => RecordAction::Put,
            stored::Action::Increment => RecordAction::Increment,
            stored::Action::Mark => RecordAction::Mark,
        };
        let start = u32::try_from(value.start).map_err(|_| Malformed)?;
        let len = u32::try_from(value.len).map_err(|_| Malformed)?;
        let change = self.ranges.find(id).ok_or(Malformed)?;
        let record = Record {
            change,
            counter: id.counter,
            object,
            key,
            action,
            kind: value.kind,
            operations: 1,
            start,
            len,
            before: self.list(before.as_deref()),
        };
        let last = self.records.records.last_mut();
        match last.filter(|last| is_typed && last.is_followed_by(&record, own.1)) {
            Some(last) => {
                last.operations += 1;
                last.len += len;
            }
            None => self.records.records.push(record),
        }
        for successor in successors {
            self.pending.entry(*successor).or_default().push(own);
        }
        Ok(())
    }

    /// Ends a place: its successors that have not come are deletions.
    fn flush(&mut self) -> Result<(), Malformed> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let Some((object, key)) = self.place else { return Ok(()) };
        for (id, before) in std::mem::take(&mut self.pending) {
            let record = Record {
                change: self.ranges.find(id).ok_or(Malformed)?,
                counter: id.counter,
                object,
                key,
                action: RecordAction::Delete,
                kind: 0,
                operations: 1,
                start: 0,
                len: 0,
                before: self.list(Some(&before)),
            };
            self.records.records.push(record);
        }
        Ok(())
    }

    fn number(&self, Id { counter, actor }: Id) -> Result<Operation, Malformed> {
        Ok((counter, *self.numbers.get(actor as usize).ok_or(Malformed)?))
    }

    fn key(&mut self, key: &'a str) -> u32 {
        let keys = &mut self.records.keys;
        *self.keys.entry(key).or_insert_with(|| {
            keys.push(key);
            u32::try_from(keys.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// Keeps a list of predecessors, and returns where it is.
    fn list(&mut self, before: Option<&[Operation]>) -> u32 {
        let Some(before) = before else { return NO_PREDECESSORS };
        let list = &mut self.records.before;
        let start = u32::try_from(list.len()).unwrap_or(NO_PREDECESSORS);
        list.push((u32::try_from(before.len()).unwrap_or(0), 0));
        list.extend_from_slice(before);
        start
    }
}

impl Record {
    /// Whether `next` types right after this record. `actor` is that of `next`.
    fn is_followed_by(&self, next: &Self, actor: u32) -> bool {
        self.action == RecordAction::Type
            && self.change == next.change
            && self.object == next.object
            && self.counter + self.operations == next.counter
            && next.key == (next.counter - 1, actor)
            && self.start + self.len == next.start
    }
}

/// Finds the change of an operation.
struct Ranges {
    /// For each actor the first and the last operation of each of its changes, with the index of the change.
    by_actor: Vec<Vec<(u32, u32, u32)>>,
    /// The actor and the range that were found last.
    last: Option<(u32, (u32, u32, u32))>,
}

impl Ranges {
    fn of(actors: &[ActorId], changes: &[ChangeMetadata<'_>]) -> Self {
        let indices: HashMap<&ActorId, usize> =
            actors.iter().enumerate().map(|(index, actor)| (actor, index)).collect();
        let mut by_actor = vec![Vec::new(); actors.len()];
        for (index, change) in changes.iter().enumerate() {
            let Some(actor) = indices.get(&*change.actor) else { continue };
            let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            by_actor[*actor].push((number(change.start_op), number(change.max_op), number(index as u64)));
        }
        // Mostly sorted already.
        for ranges in &mut by_actor {
            ranges.sort_unstable();
        }
        Self { by_actor, last: None }
    }

    fn find(&mut self, Id { counter, actor }: Id) -> Option<u32> {
        let has = |(first, last, _): &(u32, u32, u32)| (*first..=*last).contains(&counter);
        if let Some((_, range)) = self.last.filter(|(known, range)| *known == actor && has(range)) {
            return Some(range.2);
        }
        let ranges = self.by_actor.get(actor as usize)?;
        let after = ranges.partition_point(|(first, ..)| *first <= counter);
        let range = *ranges.get(after.checked_sub(1)?)?;
        self.last = Some((actor, range));
        has(&range).then_some(range.2)
    }
}
