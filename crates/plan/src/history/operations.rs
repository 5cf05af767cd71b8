//! [`Reader`]: derives the writes of a change from its operations.
//!
//! Many operations of a change on one register count as one write, with the value after the last of them. The value before is
//! that of the predecessors of the operations.

use std::collections::{BTreeMap, HashMap, HashSet};

use automerge::legacy::OpId;
use automerge::{ActorId, Automerge, Change, ChangeHash, ObjId, ObjType, ReadDoc};
use automerge_chunks::operations::Scalar;

use super::ledger::{Ledger, Map, Operation};
use super::op::{Action, Key, Op};
use super::register::{Draft, Made, MadeObject, Register};
use super::typed::Texts;
use super::write::{FieldNumber, NO_OPERATION, NOTHING, NewValue, PLAN, Write};
use crate::position::{DOCUMENT_ID, POSITIONS};
use crate::snapshot::Snapshot;

/// The writes of a change. All its dependencies must be in the ledger.
pub(super) fn read(ledger: &mut Ledger, doc: &Automerge, change: &Change) -> Vec<Write> {
    let start = change.start_op().get();
    let mut reader = Reader::new(ledger, doc, change.hash(), change.deps(), (change.actor_id(), start));
    let mut before = Vec::new();
    for (counter, op) in (start..).zip(&change.decode().operations) {
        before.clear();
        before.extend(op.pred.iter().filter_map(|id| reader.known(id)));
        if let Some(op) = Op::of(counter, op, &before, |id| reader.known(id)) {
            reader.take(&op);
        }
    }
    reader.finish()
}

/// Reads the operations of one change, in the order of their numbers.
pub(super) struct Reader<'a> {
    ledger: &'a mut Ledger,
    doc: &'a Automerge,
    hash: [ChangeHash; 1],
    deps: &'a [ChangeHash],
    /// The number of the change's actor.
    own: u32,
    /// The number of the change's first operation.
    first: u32,
    registers: Vec<Register>,
    /// By object, position and field.
    found: HashMap<(Option<Operation>, u32, FieldNumber), u32>,
    /// In the order of their numbers.
    made: Vec<MadeObject>,
    /// Index of the object that was found last: mostly the next operation is in the same one.
    last_made: usize,
    texts: Texts,
    /// The map of positions that the change created.
    map: Option<u32>,
    /// Positions that the change removed together with their map of positions, and their own maps.
    removed: BTreeMap<u32, Option<Operation>>,
    /// Maps that the change deleted or replaced. Its operations in them have no visible effect.
    dead: HashSet<Operation>,
}

impl<'a> Reader<'a> {
    /// Begins to read a change of an actor whose first operation has the number `start`.
    pub(super) fn new(
        ledger: &'a mut Ledger,
        doc: &'a Automerge,
        hash: ChangeHash,
        deps: &'a [ChangeHash],
        (actor, start): (&ActorId, u64),
    ) -> Self {
        let own = ledger.actor(actor);
        Self {
            ledger,
            doc,
            hash: [hash],
            deps,
            own,
            first: u32::try_from(start).unwrap_or(u32::MAX),
            registers: Vec::new(),
            found: HashMap::new(),
            made: Vec::new(),
            last_made: 0,
            texts: Texts::default(),
            map: None,
            removed: BTreeMap::new(),
            dead: HashSet::new(),
        }
    }

    /// Takes the next operation.
    pub(super) fn take(&mut self, op: &Op<'_>) {
        match (op.object, op.key) {
            (None, Key::Map(key)) if key == POSITIONS => self.replace_positions(op),
            (None, Key::Map(key)) if key == DOCUMENT_ID => {}
            (None, Key::Map(key)) => self.set_field(None, PLAN, key, op),
            (None, Key::Head | Key::Element(_)) => {}
            (Some(object), key) => self.take_inside(object, key, op),
        }
    }

    fn take_inside(&mut self, object: Operation, key: Key<'_>, op: &Op<'_>) {
        let made = if self.is_own(object) { self.find_made(object.0) } else { None };
        let made = made.map(|index| {
            self.made[index].operations += op.operations();
            self.made[index].made
        });
        match (made, key) {
            (Some(Made::Map), Key::Map(key)) => self.set_position(object, key, op),
            (Some(Made::Row(register)), Key::Map(key)) => {
                let position = self.registers[register as usize].position;
                self.set_field(Some(object), position, key, op);
            }
            (Some(Made::Nested(place)), _) => self.inside(place, op),
            (Some(Made::Text(text)), _) => self.texts.take(text, self.own, op, &mut self.ledger.words),
            (Some(_), _) => {}
            (None, Key::Map(key)) => {
                let Ledger { maps, rows, .. } = &mut *self.ledger;
                if let Some(map) = maps.get_mut(&object) {
                    map.writes += 1;
                    self.set_position(object, key, op);
                } else if let Some(row) = rows.get_mut(&object) {
                    row.writes += 1;
                    let position = row.position;
                    self.set_field(Some(object), position, key, op);
                } else if let Some(place) = self.ledger.nested.get(&object) {
                    self.inside(*place, op);
                }
            }
            // An object of this change that is not in `made` is in the place of a position.
            (None, _) if self.is_own(object) => {}
            (None, _) => match self.ledger.nested.get(&object) {
                Some(place) => self.inside(*place, op),
                None => self.splice(object, op),
            },
        }
    }

    fn set_position(&mut self, map: Operation, id: &str, op: &Op<'_>) {
        let position = self.ledger.position(id);
        self.dead.extend(op.before);
        let register = self.set(Some(map), position, FieldNumber::ROW, op);
        if matches!(op.action, Action::Make(ObjType::Map)) {
            self.add_made(op.counter, Made::Row(register));
        }
    }

    /// Applies an operation on a field of a position, or on a root key.
    fn set_field(&mut self, object: Option<Operation>, position: u32, key: &str, op: &Op<'_>) {
        if let Some(field) = self.ledger.fields.field(key) {
            self.set(object, position, field, op);
        } else {
            *self.ledger.unlisted.entry(self.ledger.next_change()).or_default() += 1;
        }
    }

    /// Applies an operation inside of a map or list in a field.
    fn inside(&mut self, place: u32, op: &Op<'_>) {
        if matches!(op.action, Action::Make(_)) {
            self.add_made(op.counter, Made::Nested(place));
            self.ledger.nested.insert((op.counter, self.own), place);
        }
        let Some(at) = self.ledger.places.get_mut(place as usize) else { return };
        at.operations += op.operations() as usize;
        let (object, position, field) = (at.object, at.position, at.field);
        self.find_register(object, position, field, op.counter, || Draft::Inside(place));
    }

    /// Adds the place of a map, a list or bytes in a field, and returns its number.
    fn nest(&mut self, object: Option<Operation>, position: u32, field: FieldNumber, op: &Op<'_>) -> u32 {
        let place = self.ledger.place(object, position, field);
        if matches!(op.action, Action::Make(_)) {
            self.add_made(op.counter, Made::Nested(place));
            self.ledger.nested.insert((op.counter, self.own), place);
        }
        place
    }

    /// Applies an operation on a register, and returns the index of the register.
    fn set(&mut self, object: Option<Operation>, position: u32, field: FieldNumber, op: &Op<'_>) -> u32 {
        let index = self.find_register(object, position, field, op.counter, || Draft::Gone);
        let new_value = match op.action {
            Action::Delete => Draft::Gone,
            Action::Make(ObjType::Map) if field == FieldNumber::ROW => Draft::Row,
            Action::Mark => return index,
            _ if field == FieldNumber::ROW => Draft::Made,
            Action::Make(ObjType::Text) => {
                let text = self.texts.create();
                self.add_made(op.counter, Made::Text(text));
                Draft::Text(text)
            }
            Action::Make(_) | Action::Put(Scalar::Bytes) => Draft::Nested(self.nest(object, position, field, op)),
            Action::Put(Scalar::Counter) | Action::Increment => Draft::Counter,
            Action::Put(value) => Draft::Scalar(self.ledger.words.scalar(value)),
            Action::Type { text, .. } => Draft::Scalar(self.ledger.words.text(text)),
        };
        let (own, first, names) = (self.own, self.first, &*self.ledger);
        let is_foreign = |(counter, actor): &&Operation| *actor != own || *counter < first;
        let register = &mut self.registers[index as usize];
        for id in op.before.iter().filter(is_foreign) {
            register.before.get_or_insert_default().push(*id);
        }
        if let Some(before) = register.before.as_mut().filter(|before| before.len() > 1) {
            before.sort_unstable_by(|one, other| names.order(*one, *other));
        }
        register.counter = op.counter;
        register.new_value = new_value;
        index
    }

    /// The index of a register, which is added if it is new.
    fn find_register(
        &mut self,
        object: Option<Operation>,
        position: u32,
        field: FieldNumber,
        counter: u32,
        new_value: impl FnOnce() -> Draft,
    ) -> u32 {
        let next = u32::try_from(self.registers.len()).unwrap_or(u32::MAX);
        let index = *self.found.entry((object, position, field)).or_insert(next);
        if index == next {
            self.registers.push(Register::new(object, position, field, counter, new_value()));
        }
        index
    }

    fn add_made(&mut self, counter: u32, made: Made) {
        self.made.push(MadeObject { counter, made, operations: 0 });
    }

    /// The index of an object that the change created.
    fn find_made(&mut self, counter: u32) -> Option<usize> {
        if self.made.get(self.last_made).is_none_or(|last| last.counter != counter) {
            self.last_made = self.made.binary_search_by_key(&counter, |made| made.counter).ok()?;
        }
        Some(self.last_made)
    }

    fn made(&self, counter: u32) -> Option<&MadeObject> {
        let index = self.made.binary_search_by_key(&counter, |made| made.counter).ok()?;
        self.made.get(index)
    }

    /// Applies an operation that replaces or deletes the map of positions.
    fn replace_positions(&mut self, op: &Op<'_>) {
        self.map = matches!(op.action, Action::Make(ObjType::Map)).then_some(op.counter);
        if self.map.is_some() {
            self.add_made(op.counter, Made::Map);
        }
        for map in op.before {
            let Some(Map { writes, .. }) = self.ledger.maps.get(map).copied() else { continue };
            self.dead.insert(*map);
            if !self.ledger.may_visit(writes) {
                *self.ledger.unlisted.entry(self.ledger.next_change()).or_default() += writes;
                continue;
            }
            for item in Snapshot::at(self.doc, self.deps).entries(&self.ledger.object(*map)) {
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
    fn splice(&mut self, text: Operation, op: &Op<'_>) {
        let (ledger, doc) = (&mut *self.ledger, self.doc);
        let spliced = match ledger.spliced.get_mut(&text) {
            Some(known) => known,
            None => {
                let found = ledger.find_text(doc, text);
                ledger.spliced.entry(text).or_insert(found)
            }
        };
        let Some(spliced) = spliced else { return };
        spliced.operations += op.operations() as usize;
        let write = spliced.write;
        let Some(Write { position, field, new_value, .. }) = ledger.write_mut(write) else { return };
        if let NewValue::Text { spliced, .. } = new_value {
            *spliced = true;
        }
        let (position, field) = (*position, *field);
        self.find_register(Some(text), position, field, op.counter, || Draft::Splice(write));
    }

    /// Ends the change, and returns its writes.
    pub(super) fn finish(mut self) -> Vec<Write> {
        let registers = std::mem::take(&mut self.registers);
        let live: Vec<&Register> = registers.iter().filter(|register| self.is_live(register, &registers)).collect();
        // The register that holds the value of each written field, if there is a value. Most changes delete nothing and edit no text in
        // place, and need it not.
        let mut is_set: HashMap<(u32, FieldNumber), Option<&Register>> = HashMap::new();
        let asks = |register: &Register| matches!(register.new_value, Draft::Gone | Draft::Splice(_));
        let is_needed = !self.removed.is_empty() || live.iter().any(|register| asks(register));
        let asked = if is_needed { live.as_slice() } else { &[] };
        for register in asked.iter().filter(|register| !matches!(register.new_value, Draft::Splice(_))) {
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
            let had = !register.before().is_empty() || removed.is_some();
            let before = register.before().last().copied();
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
                    self.record_resolved(position, field, set.object);
                    self.record_resolved(position, field, register.object);
                    continue;
                }
                Draft::Splice(write) => write,
                Draft::Inside(_) => NOTHING,
                Draft::Row => {
                    let made = Map { position, writes: self.writes_into(counter) };
                    self.ledger.rows.insert((counter, self.own), made);
                    let mut rows: Vec<Operation> = register.before().iter().rev().copied().collect();
                    if rows.is_empty() {
                        rows.extend(removed.copied().flatten());
                    }
                    if !rows.is_empty() {
                        replaced.push((position, rows));
                    }
                    NOTHING
                }
                _ if field == FieldNumber::ROW => NOTHING,
                _ => before.and_then(|id| self.ledger.write_of(id, position, field)).unwrap_or(NOTHING),
            };
            let new_value = self.new_value(register);
            if register.before().len() > 1 && field != FieldNumber::ROW && !matches!(new_value, NewValue::Cleared(_)) {
                self.record_resolved(position, field, register.object);
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
        match self.made(object.0).map(|made| made.made) {
            Some(Made::Map) => self.map == Some(object.0),
            Some(Made::Row(row)) => {
                let row = &registers[row as usize];
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
            Draft::Scalar(value) => *value,
            Draft::Splice(_) => NewValue::Splice,
            Draft::Counter => NewValue::Counter(self.place(register)),
            Draft::Text(text) => {
                if let Some(text) = self.texts.value(*text, &mut self.ledger.words) {
                    return text;
                }
                let object = self.ledger.object((register.counter, self.own));
                let text = self.doc.text_at(&object, &self.hash).unwrap_or_default();
                self.ledger.words.text(&text)
            }
        }
    }

    fn writes_into(&self, counter: u32) -> usize {
        self.made(counter).map_or(0, |made| made.operations as usize)
    }

    fn place(&mut self, register: &Register) -> u32 {
        self.ledger.place(register.object, register.position, register.field)
    }

    /// Records that the write to a field resolved a conflict between its values in `object`.
    fn record_resolved(&mut self, position: u32, field: FieldNumber, object: Option<Operation>) {
        let key = (self.ledger.next_change(), position, field);
        let known = self.ledger.settled.get(&key).into_iter().flatten();
        let mut known = known.filter_map(|place| self.ledger.places.get(*place as usize));
        if !known.any(|place| place.object == object) {
            let place = self.ledger.place(object, position, field);
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
                Some(_) => continue,
                None if lost
                    .iter()
                    .rev()
                    .take_while(|write| write.position == position)
                    .any(|write| write.field == field) =>
                {
                    continue;
                }
                None => lost.push(gone(position, field, before)),
            }
            if item.conflict {
                self.record_resolved(position, field, Some(row));
            }
        }
    }

    fn known(&self, id: &OpId) -> Option<Operation> {
        self.ledger.operation(id.counter(), id.actor())
    }

    fn is_own(&self, (counter, actor): Operation) -> bool {
        actor == self.own && counter >= self.first
    }

    fn number(&self, counter: u32) -> u32 {
        counter.saturating_sub(self.first)
    }
}

/// The write of a field that was removed together with its position.
fn gone(position: u32, field: FieldNumber, before: u32) -> Write {
    Write { position, operation: NO_OPERATION, before, field, had: true, new_value: NewValue::Gone }
}
