//! Derives the writes of a change from its operations.
//!
//! Many operations of a change on one register count as one write, with the value after the last of them. The value before is
//! that of the predecessors of the operations.

use std::collections::{BTreeMap, HashMap, HashSet};

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::{Automerge, Change, ChangeHash, ObjId, ObjType, ReadDoc, ScalarValue};

use super::ledger::{Ledger, Map, Operation};
use super::typed::Typed;
use super::write::{FieldNumber, NO_OPERATION, NOTHING, NewValue, PLAN, Write};
use crate::position::{DOCUMENT_ID, POSITIONS};
use crate::snapshot::Snapshot;

/// The writes of a change. All its dependencies must be in the ledger.
pub(super) fn read(ledger: &mut Ledger, doc: &Automerge, change: &Change) -> Vec<Write> {
    let own = ledger.actor(change.actor_id());
    let (first, hash) = (change.start_op().get(), change.hash());
    let operations = change.decode().operations;
    let mut reader = Reader {
        ledger,
        doc,
        hash: [hash],
        deps: change.deps(),
        own,
        first,
        registers: Vec::new(),
        found: HashMap::new(),
        made: HashMap::new(),
        written: HashMap::new(),
        texts: Vec::new(),
        map: None,
        removed: BTreeMap::new(),
        dead: HashSet::new(),
    };
    for (counter, op) in (first..).zip(&operations) {
        reader.take(counter, op);
    }
    reader.finish()
}

/// A register of the document, with the effect of the operations so far.
struct Register {
    position: u32,
    field: FieldNumber,
    /// The object that contains it; `None` for the root.
    object: Option<Operation>,
    /// The values before, in ascending order: the last is the winner.
    before: Vec<OpId>,
    /// The number of the last operation.
    counter: u64,
    new_value: Draft,
}

/// The value of a register after the last operation.
enum Draft {
    Gone,
    Made,
    /// The map of a position.
    Row,
    Scalar(ScalarValue),
    Text(usize),
    Counter,
    /// A map, a list or bytes. The number of its place.
    Nested(u32),
    /// The content of a map or list of an earlier change was edited. The number of its place.
    Inside(u32),
    /// A text of an earlier change was edited in place. The number of its write.
    Splice(u32),
}

/// An object that the change created.
#[derive(Clone, Copy)]
enum Made {
    Map,
    /// The map of a position. The index of its register.
    Row(usize),
    Text(usize),
    /// An object in this place, or inside of the value in this place.
    Nested(u32),
}

struct Reader<'a> {
    ledger: &'a mut Ledger,
    doc: &'a Automerge,
    hash: [ChangeHash; 1],
    deps: &'a [ChangeHash],
    /// The number of the change's actor.
    own: u32,
    /// The number of the change's first operation.
    first: u64,
    registers: Vec<Register>,
    /// By object, position and field.
    found: HashMap<(Option<Operation>, u32, FieldNumber), usize>,
    made: HashMap<u64, Made>,
    /// Number of operations in each created object.
    written: HashMap<u64, usize>,
    texts: Vec<Typed>,
    /// The map of positions that the change created.
    map: Option<u64>,
    /// Positions that the change removed together with their map of positions, and their own maps.
    removed: BTreeMap<u32, Option<Operation>>,
    /// Maps that the change deleted or replaced. Its operations in them have no visible effect.
    dead: HashSet<Operation>,
}

impl Reader<'_> {
    fn take(&mut self, counter: u64, op: &Op) {
        match (&op.obj, &op.key) {
            (ObjectId::Root, Key::Map(key)) if key == POSITIONS => self.replace_positions(counter, op),
            (ObjectId::Root, Key::Map(key)) if key == DOCUMENT_ID => {}
            (ObjectId::Root, Key::Map(key)) => self.set_field(None, PLAN, key, counter, op),
            (ObjectId::Root, Key::Seq(_)) => {}
            (ObjectId::Id(id), key) => {
                let Some(object) = self.operation(id) else { return };
                self.take_inside(object, key, counter, op);
            }
        }
    }

    fn take_inside(&mut self, object: Operation, key: &Key, counter: u64, op: &Op) {
        let made = if self.is_own(object) { self.made.get(&object.0).copied() } else { None };
        if made.is_some() {
            *self.written.entry(object.0).or_default() += 1;
        }
        match (made, key) {
            (Some(Made::Map), Key::Map(key)) => self.set_position(object, key, counter, op),
            (Some(Made::Row(register)), Key::Map(key)) => {
                let position = self.registers[register].position;
                self.set_field(Some(object), position, key, counter, op);
            }
            (Some(Made::Nested(place)), _) => self.inside(place, counter, op),
            (Some(Made::Text(text)), _) => {
                let Self { texts, ledger, own, .. } = self;
                texts[text].take(counter, *own, op, |id| ledger.operation(id.counter(), id.actor()));
            }
            (Some(_), Key::Seq(_)) => {}
            (None, Key::Map(key)) => {
                let Ledger { maps, rows, .. } = &mut *self.ledger;
                if let Some(map) = maps.get_mut(&object) {
                    map.writes += 1;
                    self.set_position(object, key, counter, op);
                } else if let Some(row) = rows.get_mut(&object) {
                    row.writes += 1;
                    let position = row.position;
                    self.set_field(Some(object), position, key, counter, op);
                } else if let Some(place) = self.ledger.nested.get(&object) {
                    self.inside(*place, counter, op);
                }
            }
            // An object of this change that is not in `made` is in the place of a position.
            (None, Key::Seq(_)) if self.is_own(object) => {}
            (None, Key::Seq(_)) => match self.ledger.nested.get(&object) {
                Some(place) => self.inside(*place, counter, op),
                None => self.splice(object, counter),
            },
        }
    }

    fn set_position(&mut self, map: Operation, id: &str, counter: u64, op: &Op) {
        let position = self.ledger.position(id);
        self.dead.extend(op.pred.iter().filter_map(|id| self.ledger.operation(id.counter(), id.actor())));
        let register = self.set(Some(map), position, FieldNumber::ROW, counter, op);
        if matches!(op.action, OpType::Make(ObjType::Map)) {
            self.made.insert(counter, Made::Row(register));
        }
    }

    /// Applies an operation on a field of a position, or on a root key.
    fn set_field(&mut self, object: Option<Operation>, position: u32, key: &str, counter: u64, op: &Op) {
        if let Some(field) = self.ledger.fields.field(key) {
            self.set(object, position, field, counter, op);
        } else {
            *self.ledger.unlisted.entry(self.ledger.next_change()).or_default() += 1;
        }
    }

    /// Applies an operation inside of a map or list in a field.
    fn inside(&mut self, place: u32, counter: u64, op: &Op) {
        if matches!(op.action, OpType::Make(_)) {
            self.made.insert(counter, Made::Nested(place));
            self.ledger.nested.insert((counter, self.own), place);
        }
        let Some(at) = self.ledger.places.get_mut(place as usize) else { return };
        at.operations += 1;
        let (object, position, field) = (at.object, at.position, at.field);
        let next = self.registers.len();
        if *self.found.entry((object, position, field)).or_insert(next) == next {
            let new_value = Draft::Inside(place);
            self.registers.push(Register { position, field, object, before: Vec::new(), counter, new_value });
        }
    }

    /// Adds the place of a map, a list or bytes in a field, and returns its number.
    fn nest(&mut self, object: Option<Operation>, position: u32, field: FieldNumber, counter: u64, op: &Op) -> u32 {
        let place = self.ledger.place(object, position, field);
        if matches!(op.action, OpType::Make(_)) {
            self.made.insert(counter, Made::Nested(place));
            self.ledger.nested.insert((counter, self.own), place);
        }
        place
    }

    /// Applies an operation on a register, and returns the index of the register.
    fn set(&mut self, object: Option<Operation>, position: u32, field: FieldNumber, counter: u64, op: &Op) -> usize {
        let next = self.registers.len();
        let index = *self.found.entry((object, position, field)).or_insert(next);
        if index == next {
            self.registers.push(Register {
                position,
                field,
                object,
                before: Vec::new(),
                counter,
                new_value: Draft::Gone,
            });
        }
        let is_foreign = |id: &&OpId| self.operation(id).is_none_or(|id| !self.is_own(id));
        let before: Vec<OpId> = op.pred.iter().filter(is_foreign).cloned().collect();
        let new_value = match &op.action {
            OpType::Delete => Draft::Gone,
            OpType::Make(ObjType::Map) if field == FieldNumber::ROW => Draft::Row,
            OpType::Make(_) | OpType::Put(_) | OpType::Increment(_) if field == FieldNumber::ROW => Draft::Made,
            OpType::Make(ObjType::Text) => {
                self.texts.push(Typed::default());
                self.made.insert(counter, Made::Text(self.texts.len() - 1));
                Draft::Text(self.texts.len() - 1)
            }
            OpType::Make(_) | OpType::Put(ScalarValue::Bytes(_)) => {
                Draft::Nested(self.nest(object, position, field, counter, op))
            }
            OpType::Put(ScalarValue::Counter(_)) | OpType::Increment(_) => Draft::Counter,
            OpType::Put(value) => Draft::Scalar(value.clone()),
            OpType::MarkBegin(_) | OpType::MarkEnd(_) => return index,
        };
        let register = &mut self.registers[index];
        if !before.is_empty() {
            register.before.extend(before);
            register.before.sort_unstable();
        }
        register.counter = counter;
        register.new_value = new_value;
        index
    }

    /// Applies an operation that replaces or deletes the map of positions.
    fn replace_positions(&mut self, counter: u64, op: &Op) {
        self.map = matches!(op.action, OpType::Make(ObjType::Map)).then_some(counter);
        self.made.extend(self.map.map(|map| (map, Made::Map)));
        for id in op.pred.iter() {
            let Some(map) = self.operation(id) else { continue };
            let Some(Map { writes, .. }) = self.ledger.maps.get(&map).copied() else { continue };
            self.dead.insert(map);
            if !self.ledger.may_visit(writes) {
                *self.ledger.unlisted.entry(self.ledger.next_change()).or_default() += writes;
                continue;
            }
            for item in Snapshot::at(self.doc, self.deps).entries(&self.ledger.object(map)) {
                let row = match item.id() {
                    ObjId::Id(counter, actor, _) => self.ledger.operation(counter, &actor),
                    ObjId::Root => None,
                };
                self.dead.extend(row);
                self.removed.insert(self.ledger.position(&item.key), row);
            }
        }
    }

    /// Applies an operation on a text of an earlier change.
    fn splice(&mut self, text: Operation, counter: u64) {
        let (ledger, doc) = (&mut *self.ledger, self.doc);
        let spliced = match ledger.spliced.get_mut(&text) {
            Some(known) => known,
            None => {
                let found = ledger.find_text(doc, text);
                ledger.spliced.entry(text).or_insert(found)
            }
        };
        let Some(spliced) = spliced else { return };
        spliced.operations += 1;
        let write = spliced.write;
        let Some(Write { position, field, new_value, .. }) = ledger.write_mut(write) else { return };
        if let NewValue::Text { spliced, .. } = new_value {
            *spliced = true;
        }
        let (position, field) = (*position, *field);
        let next = self.registers.len();
        if *self.found.entry((Some(text), position, field)).or_insert(next) == next {
            let new_value = Draft::Splice(write);
            self.registers.push(Register {
                position,
                field,
                object: Some(text),
                before: Vec::new(),
                counter,
                new_value,
            });
        }
    }

    fn finish(mut self) -> Vec<Write> {
        let registers = std::mem::take(&mut self.registers);
        let live: Vec<&Register> = registers.iter().filter(|register| self.is_live(register, &registers)).collect();
        // The register that holds the value of each written field, if there is a value.
        let mut is_set: HashMap<(u32, FieldNumber), Option<&Register>> = HashMap::new();
        for register in live.iter().filter(|register| !matches!(register.new_value, Draft::Splice(_))) {
            let set = is_set.entry((register.position, register.field)).or_default();
            if !matches!(register.new_value, Draft::Gone) {
                *set = Some(register);
            }
        }
        if let Some(map) = self.map {
            let made = Map { position: PLAN, writes: self.writes_into(map) };
            self.ledger.maps.insert((map, self.own), made);
        }
        let mut writes = Vec::with_capacity(live.len());
        // Positions that replaced others with the same id, with the maps of the others.
        let mut replaced: Vec<(u32, Vec<Operation>)> = Vec::new();
        for register in live {
            let Register { position, field, counter, .. } = *register;
            let removed = if field == FieldNumber::ROW { self.removed.get(&position) } else { None };
            let had = !register.before.is_empty() || removed.is_some();
            let before = register.before.last().and_then(|id| self.operation(id));
            let before = match register.new_value {
                // An edit in place is left out if the field was written or the position replaced as well.
                Draft::Splice(_)
                    if [field, FieldNumber::ROW].iter().any(|field| is_set.contains_key(&(position, *field))) =>
                {
                    continue;
                }
                Draft::Splice(_) if self.removed.contains_key(&position) => continue,
                Draft::Gone if !had => continue,
                // Of two positions under one id, the field was written in one and deleted in the other.
                Draft::Gone
                    if let Some(Some(set)) = is_set.get(&(position, field))
                        && field != FieldNumber::ROW
                        && set.object != register.object =>
                {
                    self.record_resolved(set, set);
                    self.record_resolved(set, register);
                    continue;
                }
                Draft::Splice(write) => write,
                Draft::Inside(_) => NOTHING,
                Draft::Row => {
                    let made = Map { position, writes: self.writes_into(counter) };
                    self.ledger.rows.insert((counter, self.own), made);
                    let mut rows: Vec<Operation> =
                        register.before.iter().rev().filter_map(|id| self.operation(id)).collect();
                    if register.before.is_empty() {
                        rows.extend(removed.copied().flatten());
                    }
                    replaced.push((position, rows));
                    NOTHING
                }
                _ if field == FieldNumber::ROW => NOTHING,
                _ => before.and_then(|id| self.ledger.write_of(id, position, field)).unwrap_or(NOTHING),
            };
            let new_value = self.new_value(register);
            if register.before.len() > 1 && field != FieldNumber::ROW && !matches!(new_value, NewValue::Cleared(_)) {
                self.record_resolved(register, register);
            }
            writes.push(Write { position, operation: self.number(counter), before, field, had, new_value });
        }
        let removed = std::mem::take(&mut self.removed).into_keys();
        let removed = removed.filter(|position| !is_set.contains_key(&(*position, FieldNumber::ROW)));
        writes.extend(removed.map(|position| gone(position, FieldNumber::ROW, NOTHING)));
        writes.sort_by_key(|write| (write.register(), write.operation));
        let mut lost = Vec::new();
        for (position, rows) in replaced {
            for row in rows {
                self.record_replaced(position, row, &mut writes, &mut lost);
            }
        }
        if !lost.is_empty() {
            writes.extend(lost);
            writes.sort_by_key(|write| (write.register(), write.operation));
        }
        writes
    }

    /// Whether the object of a register still exists after the change.
    fn is_live(&self, register: &Register, registers: &[Register]) -> bool {
        let Some(object) = register.object else { return true };
        if !self.is_own(object) {
            return !self.dead.contains(&object);
        }
        match self.made.get(&object.0) {
            Some(Made::Map) => self.map == Some(object.0),
            Some(Made::Row(row)) => {
                let row = &registers[*row];
                matches!(row.new_value, Draft::Row) && row.counter == object.0 && self.is_live(row, registers)
            }
            Some(Made::Text(_) | Made::Nested(_)) | None => true,
        }
    }

    fn new_value(&mut self, register: &Register) -> NewValue {
        match &register.new_value {
            Draft::Gone if register.field == FieldNumber::ROW => NewValue::Gone,
            Draft::Gone => NewValue::Cleared(self.place(register)),
            Draft::Made | Draft::Row => NewValue::Made,
            Draft::Nested(place) => NewValue::Nested(*place),
            Draft::Inside(place) => NewValue::Inside(*place),
            Draft::Scalar(value) => self.ledger.words.scalar(value),
            Draft::Splice(_) => NewValue::Splice,
            Draft::Counter => NewValue::Counter(self.place(register)),
            Draft::Text(text) => {
                if let Some(text) = self.texts[*text].text() {
                    return self.ledger.words.text(text);
                }
                let object = self.ledger.object((register.counter, self.own));
                let text = self.doc.text_at(&object, &self.hash).unwrap_or_default();
                self.ledger.words.text(&text)
            }
        }
    }

    fn writes_into(&self, made: u64) -> usize {
        self.written.get(&made).copied().unwrap_or(0)
    }

    fn place(&mut self, register: &Register) -> u32 {
        self.ledger.place(register.object, register.position, register.field)
    }

    /// Records that a write resolved a conflict between the values of a register.
    fn record_resolved(&mut self, write: &Register, register: &Register) {
        let key = (self.ledger.next_change(), self.number(write.counter));
        let known = self.ledger.settled.get(&key).into_iter().flatten();
        let mut known = known.filter_map(|place| self.ledger.places.get(*place as usize));
        if !known.any(|place| place.object == register.object) {
            let place = self.place(register);
            self.ledger.settled.entry(key).or_default().push(place);
        }
    }

    /// Records that a position replaced another one with the same id. The old values of its fields are those of the replaced
    /// position, and fields that it lacks are added to `lost`. If it replaced several, call this for the winner first; the next
    /// ones supply the fields that the winner lacked. The writes must be sorted.
    fn record_replaced(&mut self, position: u32, row: Operation, writes: &mut [Write], lost: &mut Vec<Write>) {
        let Some(Map { writes: large, .. }) = self.ledger.rows.get(&row).copied() else { return };
        if !self.ledger.may_visit(large) {
            return;
        }
        for item in Snapshot::at(self.doc, self.deps).entries(&self.ledger.object(row)) {
            let Some(field) = self.ledger.fields.known(&item.key) else { continue };
            let ObjId::Id(counter, actor, _) = item.id() else { continue };
            let before = self.ledger.operation(counter, &actor);
            let Some(before) = before.and_then(|id| self.ledger.write_of(id, position, field)) else { continue };
            let at = writes.partition_point(|write| write.register() < (position, field));
            match writes.get_mut(at).filter(|write| write.register() == (position, field)) {
                Some(write) if write.before == NOTHING => write.before = before,
                Some(_) => {}
                None if lost
                    .iter()
                    .rev()
                    .take_while(|write| write.position == position)
                    .any(|write| write.field == field) => {}
                None => lost.push(gone(position, field, before)),
            }
        }
    }

    fn operation(&self, id: &OpId) -> Option<Operation> {
        self.ledger.operation(id.counter(), id.actor())
    }

    fn is_own(&self, (counter, actor): Operation) -> bool {
        actor == self.own && counter >= self.first
    }

    fn number(&self, counter: u64) -> u32 {
        u32::try_from(counter - self.first).unwrap_or(u32::MAX)
    }
}

/// The write of a field that was removed together with its position.
fn gone(position: u32, field: FieldNumber, before: u32) -> Write {
    Write { position, operation: NO_OPERATION, before, field, had: true, new_value: NewValue::Gone }
}
