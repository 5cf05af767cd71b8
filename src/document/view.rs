//! The view: the positions as JSON clients see them, kept current change by change and never rebuilt for one.
//!
//! Which rows a change touches is read from the change's own operations. Automerge's patches would not do: they tell
//! what became visible, and say nothing about the values that lost against a concurrent write (a third value for a
//! field, or an edit to the losing one of two rows with one id, yields no patch), which this view shows as conflicts.
//! A touched row is read again and rendered once, in every form that is served; an export joins the renderings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use automerge::legacy::{Key, ObjectId};
use automerge::{ActorId, Automerge, Change, ChangeHash, ObjId, ReadDoc};

use super::position::{POSITIONS, Plan, Position, position_maps, read_plan, read_position};

/// Above this many operations in one batch it is cheaper to read all rows again than to look at every operation.
const OPERATIONS_TO_REREAD_ALL: usize = 20_000;

/// How a position is rendered: given by whoever serves it, so that this room knows no protocol.
#[derive(Clone, Copy)]
pub struct Renderings {
    /// The JSON API's form.
    pub json: fn(&Position, &mut Vec<u8>),
    /// The legacy protocol's form.
    pub legacy: fn(&Position, &mut Vec<u8>),
    /// A line of CSV.
    pub csv: fn(&Position, &mut Vec<u8>),
    /// Whether the legacy client cannot place the row in its chart: see [`View::strays`].
    pub stray: fn(&Position) -> bool,
}

/// One of the forms in which rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The JSON API's.
    Json,
    /// The legacy protocol's.
    Legacy,
    /// A line of CSV.
    Csv,
}

/// A position with its renderings.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// As read.
    pub position: Position,
    forms: [Box<[u8]>; 3],
}

impl Row {
    fn new(position: Position, renderings: &Renderings) -> Self {
        let render = |write: fn(&Position, &mut Vec<u8>)| {
            let mut out = Vec::with_capacity(256);
            write(&position, &mut out);
            out.into_boxed_slice()
        };
        let forms = [render(renderings.json), render(renderings.legacy), render(renderings.csv)];
        Self { position, forms }
    }

    /// The row in one of the served forms.
    #[must_use]
    pub fn form(&self, form: Form) -> &[u8] {
        &self.forms[form as usize]
    }
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum RowEvent {
    /// It is new, or came back.
    Added(Arc<Row>),
    /// Something of it changed.
    Edited(Arc<Row>),
    /// It is gone.
    Deleted(Arc<str>),
}

/// What a batch changed for those who look at rows.
#[derive(Debug, Default, PartialEq)]
pub struct ViewChange {
    /// Row by row.
    pub rows: Vec<RowEvent>,
    /// What the document says about itself, if that changed.
    pub plan: Option<Plan>,
}

/// First the newest; then by id. Rows without a moment come last.
type OrderKey = (bool, Reverse<i64>, Arc<str>);
/// An object inside of the document, without the library's index (which differs between copies of a document).
type ObjectKey = (u64, ActorId);

struct Entry {
    row: Arc<Row>,
    /// What it was read from.
    objects: Vec<ObjectKey>,
}

/// The positions of one document, in order and rendered.
pub struct View {
    renderings: Renderings,
    entries: HashMap<Arc<str>, Entry>,
    order: BTreeSet<OrderKey>,
    /// Which row an object belongs to.
    owners: HashMap<ObjectKey, Arc<str>>,
    maps: Vec<ObjId>,
    map_keys: HashSet<ObjectKey>,
    plan: Plan,
    heads: Vec<ChangeHash>,
    strays: usize,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("rows", &self.len()).field("heads", &self.heads).finish_non_exhaustive()
    }
}

impl View {
    /// Reads the whole document.
    #[must_use]
    pub fn new(doc: &Automerge, renderings: Renderings) -> Self {
        let mut view = Self {
            renderings,
            entries: HashMap::new(),
            order: BTreeSet::new(),
            owners: HashMap::new(),
            maps: Vec::new(),
            map_keys: HashSet::new(),
            plan: Plan::default(),
            heads: Vec::new(),
            strays: 0,
        };
        view.reread_all(doc);
        view.plan = read_plan(doc);
        view.heads = doc.get_heads();
        view
    }

    /// The document's heads that this view shows.
    #[must_use]
    pub fn heads(&self) -> &[ChangeHash] {
        &self.heads
    }

    /// The heads as a strong HTTP entity tag.
    #[must_use]
    pub fn etag(&self) -> String {
        let mut tag = String::from("\"");
        for (index, head) in self.heads.iter().enumerate() {
            if index > 0 {
                tag.push('.');
            }
            tag.push_str(&head.to_string());
        }
        tag.push('"');
        tag
    }

    /// What the document says about itself.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How many rows are of a kind that the legacy client cannot place.
    #[must_use]
    pub fn strays(&self) -> usize {
        self.strays
    }

    /// How many positions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no position.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One position.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Arc<Row>> {
        self.entries.get(id).map(|entry| &entry.row)
    }

    /// The positions in order.
    pub fn rows(&self) -> impl Iterator<Item = &Arc<Row>> {
        self.order.iter().filter_map(|(_, _, id)| self.get(id))
    }

    /// All rows in one form, joined by `separator`.
    pub fn join(&self, form: Form, separator: &[u8], out: &mut Vec<u8>) {
        let size: usize = self.entries.values().map(|entry| entry.row.form(form).len() + separator.len()).sum();
        out.reserve(size);
        for (index, row) in self.rows().enumerate() {
            if index > 0 {
                out.extend_from_slice(separator);
            }
            out.extend_from_slice(row.form(form));
        }
    }

    /// Brings the view to where `doc` is now, after these changes.
    pub fn update(&mut self, doc: &Automerge, changes: &[Change]) -> ViewChange {
        let touched = if changes.iter().map(Change::len).sum::<usize>() > OPERATIONS_TO_REREAD_ALL {
            Touched { all: true, plan: true, ids: BTreeSet::new() }
        } else {
            self.touched(changes)
        };
        let rows = if touched.all {
            self.reread_all(doc)
        } else {
            touched.ids.into_iter().filter_map(|id| self.reread(doc, &id)).collect()
        };
        let plan = touched.plan.then(|| read_plan(doc)).filter(|plan| *plan != self.plan);
        if let Some(plan) = &plan {
            self.plan = plan.clone();
        }
        self.heads = doc.get_heads();
        ViewChange { rows, plan }
    }

    fn touched(&self, changes: &[Change]) -> Touched {
        let mut touched = Touched::default();
        for change in changes {
            for op in change.decode().operations {
                match (&op.obj, &op.key) {
                    (ObjectId::Root, Key::Map(key)) if key == POSITIONS => touched.all = true,
                    (ObjectId::Root, _) => touched.plan = true,
                    (ObjectId::Id(id), key) => {
                        let object = (id.counter(), id.actor().clone());
                        if self.map_keys.contains(&object) {
                            if let Key::Map(key) = key {
                                touched.ids.insert(Arc::from(key.as_str()));
                            }
                        } else if let Some(owner) = self.owners.get(&object) {
                            touched.ids.insert(Arc::clone(owner));
                        } else {
                            // A splice into one of the root's texts, or an object that no row shows.
                            touched.plan = true;
                        }
                    }
                }
            }
        }
        touched
    }

    fn reread_all(&mut self, doc: &Automerge) -> Vec<RowEvent> {
        self.maps = position_maps(doc);
        self.map_keys = self.maps.iter().filter_map(object_key).collect();
        let mut ids: BTreeSet<Arc<str>> = self.entries.keys().cloned().collect();
        for map in &self.maps {
            ids.extend(doc.keys(map).map(|key| Arc::from(key.as_str())));
        }
        ids.into_iter().filter_map(|id| self.reread(doc, &id)).collect()
    }

    fn reread(&mut self, doc: &Automerge, id: &Arc<str>) -> Option<RowEvent> {
        let before = self.entries.remove(id);
        if let Some(entry) = &before {
            self.order.remove(&order_key(&entry.row.position));
            self.strays -= usize::from((self.renderings.stray)(&entry.row.position));
            for object in &entry.objects {
                self.owners.remove(object);
            }
        }
        let Some(reading) = read_position(doc, &self.maps, id) else {
            return before.map(|_| RowEvent::Deleted(Arc::clone(id)));
        };
        let objects: Vec<ObjectKey> = reading.objects.iter().filter_map(object_key).collect();
        for object in &objects {
            self.owners.insert(object.clone(), Arc::clone(id));
        }
        self.order.insert(order_key(&reading.position));
        self.strays += usize::from((self.renderings.stray)(&reading.position));
        let (row, event) = match before {
            Some(entry) if entry.row.position == reading.position => (entry.row, None),
            before => {
                let row = Arc::new(Row::new(reading.position, &self.renderings));
                let event = if before.is_some() { RowEvent::Edited } else { RowEvent::Added };
                (Arc::clone(&row), Some(event(row)))
            }
        };
        self.entries.insert(Arc::clone(id), Entry { row, objects });
        event
    }
}

#[derive(Default)]
struct Touched {
    all: bool,
    plan: bool,
    ids: BTreeSet<Arc<str>>,
}

fn order_key(position: &Position) -> OrderKey {
    (position.created_at.is_none(), Reverse(position.created_at.unwrap_or_default()), Arc::clone(&position.id))
}

fn object_key(object: &ObjId) -> Option<ObjectKey> {
    match object {
        ObjId::Root => None,
        ObjId::Id(counter, actor, _) => Some((*counter, actor.clone())),
    }
}

/// All rows as one comparable value: for checking a view against a fresh reading of the document.
#[must_use]
pub fn snapshot(view: &View) -> BTreeMap<Arc<str>, Position> {
    view.entries.iter().map(|(id, entry)| (Arc::clone(id), entry.row.position.clone())).collect()
}

#[cfg(test)]
mod tests;
