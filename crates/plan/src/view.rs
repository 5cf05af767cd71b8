//! [`View`]: all positions, read and rendered, and updated incrementally with each change.
//!
//! The view finds the rows that a change touches from the operations of the change. Automerge's patches are not enough: they
//! describe visible values only. A write that loses against a concurrent one (a third value of a field, or an edit of the losing
//! one of two rows with the same id) yields no patch, but the view shows it as a conflict. Only the touched fields of a row are
//! read again; rows with content beyond the schema are read whole. Each row is rendered once in every form that is served, and
//! lists and exports join the renderings.

mod touched;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use automerge::{ActorId, Automerge, Change, ChangeHash, ObjId, ReadDoc};
use touched::{Touch, Touched};

use super::extra::{Extra, read_root_extra};
use super::list_cursor::{ListCursor, OrderKey, order_key};
use super::position::{Plan, Position, PositionKey, Reading, position_maps, read_plan, read_position, reread_field};
use super::problems::{PlacedProblem, SchemaProblem, plan_problems, position_problems};

/// Functions that render a position. The server passes them in, so that this crate does not depend on its protocols.
#[derive(Clone, Copy)]
pub struct Renderings {
    /// Renders the form of the JSON API.
    pub json: fn(&Position, &mut Vec<u8>),
    /// Renders the form of an additional protocol of the server. Writes nothing for a row that this protocol omits.
    pub additional: fn(&Position, &mut Vec<u8>),
    /// Renders a line of CSV.
    pub csv: fn(&Position, &mut Vec<u8>),
}

/// Renders nothing: for views that are only read as [`Position`]s.
impl Default for Renderings {
    fn default() -> Self {
        fn nothing(_: &Position, _: &mut Vec<u8>) {}
        Self { json: nothing, additional: nothing, csv: nothing }
    }
}

/// A form in which rows are rendered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For the JSON API.
    Json,
    /// For the additional protocol of the server.
    Additional,
    /// A line of CSV.
    Csv,
}

/// A position with its renderings.
#[derive(Debug, PartialEq)]
pub struct Row {
    /// The position.
    pub position: Position,
    forms: [Box<[u8]>; 3],
    /// Number of its values that do not fit the schema.
    problems: usize,
}

impl Row {
    fn new(position: Position, renderings: &Renderings) -> Self {
        let render = |write: fn(&Position, &mut Vec<u8>)| {
            let mut out = Vec::with_capacity(256);
            write(&position, &mut out);
            out.into_boxed_slice()
        };
        let forms = [render(renderings.json), render(renderings.additional), render(renderings.csv)];
        let problems = position_problems(&position).len();
        Self { position, forms, problems }
    }

    /// The row in a rendered form.
    #[must_use]
    pub fn form(&self, form: Form) -> &[u8] {
        &self.forms[form as usize]
    }
}

/// A change of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum RowEvent {
    /// The row was created or restored.
    Added(Arc<Row>),
    /// A field of the row changed.
    Edited(Arc<Row>),
    /// Only optional fields (see [`FieldKind::is_optional`](super::FieldKind::is_optional)) or content beyond the schema (see
    /// [`Position::extra`](super::position::Position::extra)) changed. Protocols that do not know optional fields ignore it.
    Extended(Arc<Row>),
    /// The row was deleted.
    Deleted(Arc<str>),
}

impl RowEvent {
    /// The id of the row.
    #[must_use]
    pub fn id(&self) -> &Arc<str> {
        match self {
            Self::Added(row) | Self::Edited(row) | Self::Extended(row) => &row.position.id,
            Self::Deleted(id) => id,
        }
    }
}

/// The changes of a view by one batch.
#[derive(Debug, Default, PartialEq)]
pub struct ViewChange {
    /// The changed rows.
    pub rows: Vec<RowEvent>,
    /// The settings of the plan, if they changed.
    pub plan: Option<PlanEvent>,
}

/// A change of the settings of a plan.
#[derive(Debug, Clone, PartialEq)]
pub enum PlanEvent {
    /// The name, the currency, the unit or the total budget changed.
    Edited(Plan),
    /// Only the year, the budgets of departments, the archive or the scenarios changed. Protocols that do not know these ignore it.
    Extended(Plan),
}

impl PlanEvent {
    fn between(before: &Plan, plan: &Plan) -> Option<Self> {
        let event = if plan.has_first_settings_of(before) { Self::Extended } else { Self::Edited };
        (before != plan).then(|| event(plan.clone()))
    }

    /// The settings after the change.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        let (Self::Edited(plan) | Self::Extended(plan)) = self;
        plan
    }

    /// This change and an earlier one as one change.
    #[must_use]
    pub fn after(self, earlier: Option<Self>) -> Self {
        match (earlier, self) {
            (Some(Self::Edited(_)), Self::Extended(plan)) => Self::Edited(plan),
            (_, change) => change,
        }
    }
}

/// A view that is shared with readers. They see the last published state; publishing updates the view.
///
/// A lock of the standard library, because [`View::reload`] must know whether an update has panicked halfway.
pub type SharedView = Arc<RwLock<View>>;

/// Locks a shared view for reading. Ignores poisoning: after a panic during an update the document is reloaded.
pub fn read_view(view: &SharedView) -> RwLockReadGuard<'_, View> {
    view.read().unwrap_or_else(PoisonError::into_inner)
}

/// Locks a shared view for writing. Read the document before, because the lock blocks all readers.
pub(super) fn write_view(view: &SharedView) -> RwLockWriteGuard<'_, View> {
    view.write().unwrap_or_else(PoisonError::into_inner)
}

/// An object id without the library's actor index, which differs between copies of a document.
type ObjectKey = (u64, ActorId);

struct Entry {
    row: Arc<Row>,
    /// The row's own map, if there is only one.
    map: Option<ObjId>,
    /// The objects that the row was read from, each with its key. Excludes objects inside of fields beyond the schema: these change
    /// so rarely that their row is searched for.
    objects: Vec<(ObjectKey, Option<PositionKey>)>,
}

/// The row and the key that an object belongs to.
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
    plan_problems: Vec<SchemaProblem>,
    /// The rows with values that do not fit the schema, in order.
    flawed: BTreeMap<OrderKey, Arc<Row>>,
    /// Number of these values.
    row_problems: usize,
    heads: Vec<ChangeHash>,
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View").field("rows", &self.len()).field("heads", &self.heads).finish_non_exhaustive()
    }
}

impl View {
    /// Reads all positions of a document.
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
            plan_problems: Vec::new(),
            flawed: BTreeMap::new(),
            row_problems: 0,
            heads: Vec::new(),
        };
        let keys: BTreeSet<String> = view.maps.iter().flat_map(|map| doc.keys(map)).collect();
        for key in keys {
            view.reread(doc, &Arc::from(key));
        }
        view.plan = read_plan(doc);
        view.plan_problems = plan_problems(&view.plan, view.extra.as_deref());
        view.heads = doc.get_heads();
        view
    }

    /// The heads of the document that the view shows.
    #[must_use]
    pub fn heads(&self) -> &[ChangeHash] {
        &self.heads
    }

    /// The settings of the plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Content of the root of the document beyond the schema.
    #[must_use]
    pub fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    /// Number of values that do not fit the schema.
    #[must_use]
    pub fn problem_count(&self) -> usize {
        self.plan_problems.len() + self.row_problems
    }

    /// The values that do not fit the schema: of the settings, then of the positions in order.
    pub fn problems(&self) -> impl Iterator<Item = PlacedProblem> {
        let settings = self.plan_problems.iter().map(|problem| (None, problem.clone()));
        let rows = self.flawed.values().flat_map(|row| {
            let position = &row.position;
            position_problems(position).into_iter().map(|problem| (Some(Arc::clone(&position.id)), problem))
        });
        settings.chain(rows).map(|(position, problem)| PlacedProblem { position, problem })
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

    /// The positions after a place, in order.
    pub fn rows_after(&self, cursor: &ListCursor) -> impl Iterator<Item = &Arc<Row>> {
        self.order.range((Bound::Excluded(cursor.order_key()), Bound::Unbounded)).map(|(_, row)| row)
    }

    /// Appends all rows in one form to `out`, joined by `separator`. Rows with an empty rendering are left out.
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

    /// Updates a view after these changes, which `doc` has. Rows are read before the write lock is taken if all of them have to be
    /// read again.
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

    /// Reads all of `doc` again after a failure. Returns the changes to the view; if an update of the view has panicked, returns
    /// all rows as edited.
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
            change.plan = Some(PlanEvent::Edited(view.plan().clone()));
        }
        drop(old);
        change
    }

    /// Replaces the view. Also returns the old view, because dropping it takes time.
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
        // An order that does not depend on the hash map.
        rows.sort_by(|one, other| one.id().cmp(other.id()));
        let plan = PlanEvent::between(&old.plan, &self.plan);
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
        let plan = touched.plan.then(|| read_plan(doc)).and_then(|plan| PlanEvent::between(&self.plan, &plan));
        if let Some(event) = &plan {
            self.plan = event.plan().clone();
        }
        if touched.plan {
            self.plan_problems = plan_problems(&self.plan, self.extra.as_deref());
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

    /// Reads some keys of a row again. A row with content beyond the schema is read whole, because the limits of what is shown
    /// depend on the whole row.
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

    /// Removes a row from the view.
    fn take(&mut self, id: &str) -> Option<Entry> {
        let entry = self.entries.remove(id)?;
        let key = order_key(&entry.row.position);
        self.order.remove(&key);
        if self.flawed.remove(&key).is_some() {
            self.row_problems -= entry.row.problems;
        }
        for (object, _) in &entry.objects {
            self.owners.remove(object);
        }
        Some(entry)
    }

    /// Inserts a row into the view. `before` is the row that was removed from its place.
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
        let key = order_key(&row.position);
        if row.problems > 0 {
            self.row_problems += row.problems;
            self.flawed.insert(key.clone(), Arc::clone(&row));
        }
        self.order.insert(key, Arc::clone(&row));
        self.entries.insert(id, Entry { row, map, objects });
        event
    }
}

fn changed(before: &Row, row: &Arc<Row>) -> RowEvent {
    let event = if before.position.has_fields_of(&row.position) { RowEvent::Extended } else { RowEvent::Edited };
    event(Arc::clone(row))
}

fn object_key(object: &ObjId) -> Option<ObjectKey> {
    match object {
        ObjId::Root => None,
        ObjId::Id(counter, actor, _) => Some((*counter, actor.clone())),
    }
}

/// All rows as one comparable value, to compare a view with a new one.
#[must_use]
pub fn snapshot(view: &View) -> BTreeMap<Arc<str>, Position> {
    view.entries.iter().map(|(id, entry)| (Arc::clone(id), entry.row.position.clone())).collect()
}

#[cfg(test)]
mod tests;
