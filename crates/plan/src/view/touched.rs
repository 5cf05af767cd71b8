//! Which rows changes touch, read from their operations.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use automerge::legacy::{Key, ObjectId, OpType};
use automerge::{Automerge, Change, ObjId, Prop, ROOT, ReadDoc};

use super::{ObjectKey, Owner, View, object_key};
use crate::position::{POSITIONS, PositionKey};

/// Above this many operations in one batch it is cheaper to read all rows again than to look at every operation.
const OPERATIONS_TO_REREAD_ALL: usize = 20_000;
/// Above this many objects that no row is known to consist of, all rows are read again instead of looking for each object's
/// row.
const OBJECTS_TO_FIND: usize = 1_000;
/// Above this many levels between an object and its row, all rows are read again.
const LEVELS_TO_FIND: usize = 200;

/// What changes touch of the view.
#[derive(Default)]
pub(super) struct Touched {
    /// All rows are to be read again.
    pub all: bool,
    /// Something in the root.
    pub plan: bool,
    pub rows: BTreeMap<Arc<str>, Touch>,
}

/// What is to be read again of a row.
pub(super) enum Touch {
    Whole,
    Fields(BTreeSet<PositionKey>),
}

impl Touched {
    /// `None`: something else than a field of the schema.
    fn touch(&mut self, id: &Arc<str>, key: Option<PositionKey>) {
        let Some(key) = key else {
            self.rows.insert(Arc::clone(id), Touch::Whole);
            return;
        };
        let touch = self.rows.entry(Arc::clone(id)).or_insert_with(|| Touch::Fields(BTreeSet::new()));
        if let Touch::Fields(fields) = touch {
            fields.insert(key);
        }
    }
}

impl View {
    /// What these changes, which `doc` has, touch.
    pub(super) fn touched(&self, doc: &Automerge, changes: &[Change]) -> Touched {
        let mut touched = Touched::default();
        if changes.iter().map(Change::len).sum::<usize>() > OPERATIONS_TO_REREAD_ALL {
            touched.all = true;
            return touched;
        }
        // Objects that these changes make: no view has seen them yet.
        let mut made: HashMap<ObjectKey, Owner> = HashMap::new();
        // Objects that neither are a row nor the value of a field of the schema.
        let mut others: HashSet<ObjectKey> = HashSet::new();
        for change in changes {
            let change = change.decode();
            for (counter, op) in (change.start_op.get()..).zip(change.operations) {
                let makes = matches!(op.action, OpType::Make(_)).then(|| (counter, change.actor_id.clone()));
                match (&op.obj, &op.key) {
                    (ObjectId::Root, Key::Map(key)) if key == POSITIONS => touched.all = true,
                    (ObjectId::Root, _) => touched.plan = true,
                    (ObjectId::Id(id), key) => {
                        let place = (id.counter(), id.actor().clone());
                        if self.map_keys.contains(&place) {
                            if let Key::Map(key) = key {
                                let id: Arc<str> = Arc::from(key.as_str());
                                touched.rows.insert(Arc::clone(&id), Touch::Whole);
                                made.extend(makes.map(|object| (object, Owner { id, key: None })));
                            }
                        } else if let Some(owner) = self.owners.get(&place).or_else(|| made.get(&place)).cloned() {
                            let key = owner.key.or_else(|| match key {
                                Key::Map(key) => PositionKey::from_key(key),
                                Key::Seq(_) => None,
                            });
                            touched.touch(&owner.id, key);
                            made.extend(makes.map(|object| (object, Owner { id: owner.id, key })));
                        } else {
                            others.insert(place);
                        }
                    }
                }
            }
        }
        self.find(doc, others, &mut touched);
        touched
    }

    /// Finds the rows that objects belong to, by the objects that they stand in.
    fn find(&self, doc: &Automerge, objects: HashSet<ObjectKey>, touched: &mut Touched) {
        if objects.len() > OBJECTS_TO_FIND {
            touched.all = true;
        }
        for (counter, actor) in objects {
            if touched.all {
                return;
            }
            // The last number is a hint for the library, which looks the actor up if it is wrong.
            let Ok(parents) = doc.parents(ObjId::Id(counter, actor, 0)) else { continue };
            let mut is_found = false;
            for parent in parents.take(LEVELS_TO_FIND) {
                let Prop::Map(key) = parent.prop else { continue };
                if parent.obj == ROOT {
                    // A map of positions that is not shown has nothing that a row shows.
                    touched.plan |= key != POSITIONS;
                    is_found = true;
                } else if object_key(&parent.obj).is_some_and(|map| self.map_keys.contains(&map)) {
                    touched.touch(&Arc::from(key), None);
                    is_found = true;
                    break;
                }
            }
            touched.all |= !is_found;
        }
    }
}
