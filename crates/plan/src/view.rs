//! The view: the positions as JSON clients see them, kept current change by change and never rebuilt for one.
//!
//! Which rows a change touches is read from the change's own operations. Automerge's patches would not do: they tell
//! what became visible, and say nothing about the values that lost against a concurrent write (a third value for a
//! field, or an edit to the losing one of two rows with one id, yields no patch), which this view shows as conflicts.
//! Of a touched row the touched fields are read again (a row with fields beyond the schema is read whole), and it is
//! rendered once, in every form that is served; an export joins the renderings.

mod touched;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use automerge::{ActorId, Automerge, Change, ChangeHash, ObjId, ReadDoc};
use touched::{Touch, Touched};

use super::extra::{Extra, read_root_extra};
use super::position::{Plan, Position, PositionKey, Reading, position_maps, read_plan, read_position, reread_field};

/// How a position is rendered: given by whoever serves it, so that this room knows no protocol.
#[derive(Clone, Copy)]
pub struct Renderings {
    /// The JSON API's form.
    pub json: fn(&Position, &mut Vec<u8>),
    /// The legacy protocol's form; empty for a row that legacy clients are not told of.
    pub legacy: fn(&Position, &mut Vec<u8>),
    /// A line of CSV.
    pub csv: fn(&Position, &mut Vec<u8>),
}

/// Renders nothing: for views that are only read as [`Position`]s.
impl Default for Renderings {
    fn default() -> Self {
        fn nothing(_: &Position, _: &mut Vec<u8>) {}
        Self { json: nothing, legacy: nothing, csv: nothing }
    }
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
    /// Only something beyond the schema changed: see [`Position::extra`](super::position::Position::extra).
    Extended(Arc<Row>),
    /// It is gone.
    Deleted(Arc<str>),
}

impl RowEvent {
    /// Which row.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        match self {
            Self::Added(row) | Self::Edited(row) | Self::Extended(row) => &row.position.id,
            Self::Deleted(id) => id,
        }
    }
}

/// What a batch changed for those who look at rows.
#[derive(Debug, Default, PartialEq)]
pub struct ViewChange {
    /// Row by row.
    pub rows: Vec<RowEvent>,
    /// What the document says about itself, if that changed.
    pub plan: Option<Plan>,
}

/// The view, shared with readers. They see the last published state; the document writes it when publishing.
pub type SharedView = Arc<RwLock<View>>;

/// Reads a shared view. (A panic while writing it cannot leave it half-written in a way that a reader could not bear:
/// the document is reloaded then.)
pub fn read_view(view: &SharedView) -> RwLockReadGuard<'_, View> {
    view.read().unwrap_or_else(PoisonError::into_inner)
}

/// Writes it: what reads the document goes before, or holds everybody up.
pub(super) fn write_view(view: &SharedView) -> RwLockWriteGuard<'_, View> {
    view.write().unwrap_or_else(PoisonError::into_inner)
}

/// First the newest; then by id. Rows without a moment come last.
pub(super) type OrderKey = (bool, Reverse<i64>, Arc<str>);
/// An object inside of the document, without the library's index (which differs between copies of a document).
type ObjectKey = (u64, ActorId);

struct Entry {
    row: Arc<Row>,
    /// The row's own map, if there is just one.
    map: Option<ObjId>,
    /// What it was read from: the maps, and by field the objects. (Not the objects inside of a field beyond the schema: a
    /// change to one of these is rare enough to look for the row that it belongs to.)
    objects: Vec<(ObjectKey, Option<PositionKey>)>,
}

/// What an object inside of the document belongs to.
#[derive(Clone)]
struct Owner {
    id: Arc<str>,
    /// The key that it stands under. `None` for a row's map, and for objects under keys beyond the schema.
    key: Option<PositionKey>,
}

/// The positions of one document, in order and rendered.
pub struct View {
    renderings: Renderings,
    entries: HashMap<Arc<str>, Entry>,
    order: BTreeMap<OrderKey, Arc<Row>>,
    owners: HashMap<ObjectKey, Owner>,
    maps: Vec<ObjId>,
    map_keys: HashSet<ObjectKey>,
    plan: Plan,
    extra: Option<Box<Extra>>,
    heads: Vec<ChangeHash>,
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
        let maps = position_maps(doc);
        let mut view = Self {
            renderings,
            entries: HashMap::new(),
            order: BTreeMap::new(),
            owners: HashMap::new(),
            map_keys: maps.iter().filter_map(object_key).collect(),
            maps,
            plan: Plan::default(),
            extra: read_root_extra(doc),
            heads: Vec::new(),
        };
        let keys: BTreeSet<String> = view.maps.iter().flat_map(|map| doc.keys(map)).collect();
        for key in keys {
            view.reread(doc, &Arc::from(key));
        }
        view.plan = read_plan(doc);
        view.heads = doc.get_heads();
        view
    }

    /// The document's heads that this view shows.
    #[must_use]
    pub fn heads(&self) -> &[ChangeHash] {
        &self.heads
    }

    /// What the document says about itself.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What stands in the root of the document beyond the schema.
    #[must_use]
    pub fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
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
        self.order.values()
    }

    /// All rows in one form, joined by `separator`. Rows that have no such form are left out.
    pub fn join(&self, form: Form, separator: &[u8], out: &mut Vec<u8>) {
        let size: usize = self.rows().map(|row| row.form(form).len() + separator.len()).sum();
        out.reserve(size);
        let shown = self.rows().map(|row| row.form(form)).filter(|shown| !shown.is_empty());
        for (index, shown) in shown.enumerate() {
            if index > 0 {
                out.extend_from_slice(separator);
            }
            out.extend_from_slice(shown);
        }
    }

    /// Brings a view to where `doc` is now, after these changes. Readers are held up for as long as it takes to put rows in
    /// their place, even when all of them are read again.
    pub fn update(view: &SharedView, doc: &Automerge, changes: &[Change]) -> ViewChange {
        let (touched, renderings) = {
            let view = read_view(view);
            (view.touched(doc, changes), view.renderings)
        };
        if touched.all {
            let fresh = Self::new(doc, renderings);
            let (change, old) = write_view(view).replace(fresh);
            drop(old);
            return change;
        }
        write_view(view).patch(doc, touched)
    }

    /// Reads all of `doc` again, after something failed. Tells what was not shown before; if it is not known how far an
    /// update had come that failed, tells everything as it is now.
    pub fn reload(view: &SharedView, doc: &Automerge) -> ViewChange {
        let renderings = read_view(view).renderings;
        let fresh = Self::new(doc, renderings);
        let half_updated = view.is_poisoned();
        let (mut change, old) = write_view(view).replace(fresh);
        if half_updated {
            view.clear_poison();
            let view = read_view(view);
            change.rows.retain(|event| matches!(event, RowEvent::Deleted(_)));
            change.rows.extend(view.rows().map(|row| RowEvent::Edited(Arc::clone(row))));
            change.plan = Some(view.plan().clone());
        }
        drop(old);
        change
    }

    /// Takes the place of all that was shown. Returns the old view, as letting go of it takes a while.
    fn replace(&mut self, fresh: Self) -> (ViewChange, Self) {
        let old = std::mem::replace(self, fresh);
        let mut rows = Vec::new();
        for (id, Entry { row, .. }) in &self.entries {
            match old.entries.get(id) {
                None => rows.push(RowEvent::Added(Arc::clone(row))),
                Some(before) if before.row.position != row.position => rows.push(changed(&before.row, row)),
                Some(_) => {}
            }
        }
        let gone = old.entries.keys().filter(|id| !self.entries.contains_key(*id));
        rows.extend(gone.map(|id| RowEvent::Deleted(Arc::clone(id))));
        // In an order that does not depend on a hash map's.
        rows.sort_by(|one, other| one.id().cmp(other.id()));
        let plan = (self.plan != old.plan).then(|| self.plan.clone());
        (ViewChange { rows, plan }, old)
    }

    fn patch(&mut self, doc: &Automerge, touched: Touched) -> ViewChange {
        let rows = touched.rows.into_iter();
        let rows = rows
            .filter_map(|(id, touch)| match touch {
                Touch::Whole => self.reread(doc, &id),
                Touch::Fields(fields) => self.reread_fields(doc, &id, &fields),
            })
            .collect();
        if touched.plan {
            self.extra = read_root_extra(doc);
        }
        let plan = touched.plan.then(|| read_plan(doc)).filter(|plan| *plan != self.plan);
        if let Some(plan) = &plan {
            self.plan = plan.clone();
        }
        self.heads = doc.get_heads();
        ViewChange { rows, plan }
    }

    fn reread(&mut self, doc: &Automerge, id: &Arc<str>) -> Option<RowEvent> {
        let before = self.take(id);
        let Some(Reading { position, row, sources }) = read_position(doc, &self.maps, id) else {
            return before.map(|_| RowEvent::Deleted(Arc::clone(id)));
        };
        let objects = sources.iter().filter_map(|source| Some((object_key(&source.object)?, source.key))).collect();
        self.put(before.map(|entry| entry.row), position, row, objects)
    }

    /// Reads some fields of a row again; nothing else of it has changed. A row with something beyond the schema is read
    /// whole: what is shown of it within the bounds depends on all of it.
    fn reread_fields(&mut self, doc: &Automerge, id: &Arc<str>, keys: &BTreeSet<PositionKey>) -> Option<RowEvent> {
        let Some(Entry { row, map: Some(map), .. }) = self.entries.get(id) else { return self.reread(doc, id) };
        if row.position.extra.is_some() {
            return self.reread(doc, id);
        }
        let mut position = row.position.clone();
        let mut sources = Vec::new();
        for key in keys {
            if !reread_field(doc, map, *key, &mut position, &mut sources) {
                return self.reread(doc, id);
            }
        }
        let Entry { row, map, mut objects } = self.take(id)?;
        objects.retain(|(_, key)| !key.is_some_and(|key| keys.contains(&key)));
        objects.extend(sources.iter().filter_map(|source| Some((object_key(&source.object)?, source.key))));
        self.put(Some(row), position, map, objects)
    }

    /// Takes a row out of the view.
    fn take(&mut self, id: &str) -> Option<Entry> {
        let entry = self.entries.remove(id)?;
        self.order.remove(&order_key(&entry.row.position));
        for (object, _) in &entry.objects {
            self.owners.remove(object);
        }
        Some(entry)
    }

    /// Puts a row into the view; `before` is the one that was taken out of its place.
    fn put(
        &mut self,
        before: Option<Arc<Row>>,
        position: Position,
        map: Option<ObjId>,
        objects: Vec<(ObjectKey, Option<PositionKey>)>,
    ) -> Option<RowEvent> {
        let id = Arc::clone(&position.id);
        for (object, key) in &objects {
            self.owners.insert(object.clone(), Owner { id: Arc::clone(&id), key: *key });
        }
        let (row, event) = match before {
            Some(row) if row.position == position => (row, None),
            before => {
                let row = Arc::new(Row::new(position, &self.renderings));
                let event = before.map_or_else(|| RowEvent::Added(Arc::clone(&row)), |before| changed(&before, &row));
                (row, Some(event))
            }
        };
        self.order.insert(order_key(&row.position), Arc::clone(&row));
        self.entries.insert(id, Entry { row, map, objects });
        event
    }
}

fn changed(before: &Row, row: &Arc<Row>) -> RowEvent {
    let event = if before.position.has_fields_of(&row.position) { RowEvent::Extended } else { RowEvent::Edited };
    event(Arc::clone(row))
}

pub(super) fn order_key(position: &Position) -> OrderKey {
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
