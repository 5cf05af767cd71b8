//! Finds the rows that changes touch, from the operations of the changes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use automerge::legacy::{Key, ObjectId, OpType};
use automerge::{Automerge, Change, ObjId, Prop, ROOT, ReadDoc};

use super::{ObjectKey, Owner, View, object_key};
use crate::position::{POSITIONS, PositionKey};

/// Operations of a batch above which reading all rows again is cheaper than visiting every operation.
const OPERATIONS_TO_REREAD_ALL: usize = 20_000;
/// Objects with an unknown row above which all rows are read again instead of searching for the row of each object.
const OBJECTS_TO_FIND: usize = 1_000;
/// Levels between an object and its row above which all rows are read again.
const LEVELS_TO_FIND: usize = 200;

/// The parts of the view that changes touch.
#[derive(Default)]
pub(super) struct Touched {
    /// All rows must be read again.
    pub all: bool,
    /// A root key was touched.
    pub plan: bool,
    pub rows: BTreeMap<Arc<str>, Touch>,
}

/// The part of a row that must be read again.
pub(super) enum Touch {
    Whole,
    Fields(BTreeSet<PositionKey>),
}

impl Touched {
    /// Records a touched key; `None` for a key beyond the schema.
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
    /// Finds what these changes touch. `doc` must have them.
    pub(super) fn touched(&self, doc: &Automerge, changes: &[Change]) -> Touched {
        let mut touched = Touched::default();
        if changes.iter().map(Change::len).sum::<usize>() > OPERATIONS_TO_REREAD_ALL {
            touched.all = true;
            return touched;
        }
        // Objects that these changes create, which the view does not know.
        let mut made: HashMap<ObjectKey, Owner> = HashMap::new();
        // Objects that are neither a row nor the value of a key of the schema.
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

    /// Finds the rows of objects through their parents.
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
                    // A map of positions that is not shown contains nothing that a row shows.
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
