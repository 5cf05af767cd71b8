//! The schema of a plan inside an Automerge document, and how positions are read.
//!
//! ```text
//! { documentId, name, currency, unit, totalBudget, yearStart?, archived?, successor?, predecessor?,
//!   departmentBudgets?: { "<department>": <amount> }, scenarios?: { "<documentId>": <entry> }, columns?: { "<key>": <entry> },
//!   positions: { "<id>": { <fields>, <values of columns>, createdAt, updatedAt, updatedBy } } }
//! ```
//!
//! Reading never fails and drops nothing silently, because other programs write documents as well. A row with missing or
//! malformed fields is shown as far as it can be read, and content beyond the schema is kept in [`Extra`]. Texts may be Text
//! objects (which this program and JavaScript assignments write) or scalar strings (which older programs write).

use std::collections::BTreeMap;
use std::sync::Arc;

use automerge::{Automerge, ObjId, ObjType, ROOT, ScalarValue, Value};
use primitives::DocumentId;
pub use primitives::{DOCUMENT_ID, POSITIONS};
use serde_json::Value as Json;

use super::document_id::document_of_url;
use super::extra::{Extra, MAX_ROW_BYTES, distinct};
use super::json_encoder::{Encoder, show_scalar};
use super::scenarios::{ScenarioMap, read_map};
use super::shared_map::{COLUMNS_MAP, SCENARIOS_MAP};
use super::snapshot::Snapshot;
use super::{Budget, FieldId, FieldMap, Marks, Month, Scale, root_map};

/// Root key of the plan's name.
pub const NAME: &str = "name";
/// Root key of the currency, an ISO 4217 code.
pub const CURRENCY: &str = "currency";
/// Root key of the number of currency units in one unit of a budget.
pub const UNIT: &str = "unit";
/// Root key of the total budget, in units of the plan.
pub const TOTAL_BUDGET: &str = "totalBudget";
/// Root key of the first month of the plan's year.
pub const YEAR_START: &str = "yearStart";
/// Root key of the map of the departments' budgets, in units of the plan.
pub const DEPARTMENT_BUDGETS: &str = "departmentBudgets";
/// Root key that is true in an archived plan.
pub const ARCHIVED: &str = "archived";

/// Root key of the URL of the document in which a plan goes on without its history.
pub const SUCCESSOR: &str = "successor";
/// Root key of the URL of the document of which a plan is the successor.
pub const PREDECESSOR: &str = "predecessor";

/// Key of a position's creation time, a timestamp. Rows are ordered by it. The editable fields are in [`FIELDS`](super::FIELDS).
pub const CREATED_AT: &str = "createdAt";
/// Key of the time of a position's last edit, a timestamp.
pub const UPDATED_AT: &str = "updatedAt";
/// Key of the name of a position's last editor.
pub const UPDATED_BY: &str = "updatedBy";

/// Default of [`Plan::unit`]: one lakh of rupees.
pub const DEFAULT_UNIT: f64 = 100_000.0;

/// A position, as read from the document.
#[derive(Debug, Clone, PartialEq)]
pub struct Position {
    /// Key in the map of positions. Opaque.
    pub id: Arc<str>,
    /// The value of each editable field, usually of its kind (see [`FieldKind`](super::FieldKind)); other programs may have
    /// written any other value. `None` if the field is missing, or holds nothing that JSON can show.
    pub fields: FieldMap<Option<Json>>,
    /// Creation time, in milliseconds since 1970.
    pub created_at: Option<i64>,
    /// Time of the last edit, in milliseconds since 1970.
    pub updated_at: Option<i64>,
    /// Name of the last editor, as that client wrote it.
    pub updated_by: Option<String>,
    /// The values that lost against a concurrent write, by field key. Writing the field again removes them.
    pub conflicts: BTreeMap<&'static str, Vec<Json>>,
    /// Content of the row beyond the schema. `None` in most rows.
    pub extra: Option<Box<Extra>>,
}

/// The settings of a plan: the root keys of its document.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The plan's name.
    pub name: Option<String>,
    /// ISO 4217 code.
    pub currency: Option<String>,
    /// Currency units in one unit of a budget.
    pub unit: f64,
    /// In units of the plan.
    pub total_budget: Option<f64>,
    /// The first month of the plan's year.
    pub year_start: Option<Month>,
    /// The budgets of departments. Usually amounts in units of the plan; other programs may have written any other value. `None`
    /// without a map.
    pub department_budgets: Option<Arc<BTreeMap<String, Json>>>,
    /// Whether the plan is archived. Other values than `true` do not archive it.
    pub archived: bool,
    /// The document in which the plan goes on without its history.
    pub successor: Option<DocumentId>,
    /// The document of which the plan is the successor.
    pub predecessor: Option<DocumentId>,
    /// The entries of scenarios. `None` without a map of them.
    pub scenarios: Option<Arc<ScenarioMap>>,
    /// The columns that people have added, by the key of their values in the positions. `None` without a map of them.
    pub columns: Option<Arc<BTreeMap<String, Json>>>,
}

impl Plan {
    /// Whether both have the same settings, apart from those that the first version lacked: the year, the budgets of departments, the
    /// archive, the scenarios and the columns.
    pub(super) fn has_first_settings_of(&self, other: &Self) -> bool {
        let first = |plan: &Self| (plan.name.clone(), plan.currency.clone(), plan.unit, plan.total_budget);
        first(self) == first(other)
    }

    /// The scale of amounts in this plan, for numbers as programs write them.
    #[must_use]
    pub fn scale(&self) -> Scale<'_> {
        Scale { marks: Marks::POINT, currency: self.currency.as_deref(), unit: self.unit, bare: self.unit }
    }
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            name: None,
            currency: None,
            unit: DEFAULT_UNIT,
            total_budget: None,
            year_start: None,
            department_budgets: None,
            archived: false,
            successor: None,
            predecessor: None,
            scenarios: None,
            columns: None,
        }
    }
}

/// The maps of positions, the winner last. A document has one, unless peers created several concurrently.
pub(super) fn position_maps_at(snapshot: Snapshot<'_>) -> Vec<ObjId> {
    snapshot
        .all(&ROOT, POSITIONS)
        .into_iter()
        .filter(|(value, _)| matches!(value, Value::Object(ObjType::Map)))
        .map(|(_, object)| object)
        .collect()
}

/// The maps of positions at the current heads: see [`position_maps_at`].
pub(super) fn position_maps(doc: &Automerge) -> Vec<ObjId> {
    position_maps_at(Snapshot::now(doc))
}

fn root_value(snapshot: Snapshot<'_>, key: &str) -> Option<Json> {
    let (value, object) = snapshot.all(&ROOT, key).pop()?;
    snapshot.show(&value, &object)
}

/// Reads the settings of the plan.
#[must_use]
pub fn read_plan(doc: &Automerge) -> Plan {
    let now = Snapshot::now(doc);
    let text = |key: &str| root_value(now, key).and_then(|value| value.as_str().map(str::to_owned));
    let number = |key: &str| root_value(now, key).and_then(|value| value.as_f64());
    let document = |key: &str| text(key).and_then(|url| document_of_url(&url));
    let map = |key: &str| now.map(&ROOT, key);
    Plan {
        name: text(NAME),
        currency: text(CURRENCY),
        unit: number(UNIT).filter(|unit| *unit > 0.0).unwrap_or(DEFAULT_UNIT),
        total_budget: number(TOTAL_BUDGET).filter(|total| *total >= 0.0),
        year_start: text(YEAR_START).and_then(|month| Month::parse(&month)),
        department_budgets: map(DEPARTMENT_BUDGETS).map(|map| Arc::new(root_map::read(now, &map).values)),
        archived: root_value(now, ARCHIVED) == Some(Json::Bool(true)),
        successor: document(SUCCESSOR),
        predecessor: document(PREDECESSOR),
        scenarios: map(SCENARIOS_MAP.key).map(|map| Arc::new(read_map(now, &map))),
        columns: map(COLUMNS_MAP.key).map(|map| Arc::new(root_map::read(now, &map).values)),
    }
}

/// One of the values under a position's id.
pub(super) struct Candidate<'a> {
    /// The map of positions that contains it.
    pub map: ObjId,
    /// The row's own map; `None` if the value is not a map.
    pub row: Option<ObjId>,
    /// The value, if it is not a map.
    other: Option<(Value<'a>, ObjId)>,
}

/// The values under a position's id, the winner last. Several if positions with the same id were created concurrently.
pub(super) fn candidates<'a>(doc: &'a Automerge, maps: &[ObjId], id: &str) -> Vec<Candidate<'a>> {
    candidates_at(Snapshot::now(doc), maps, id)
}

fn candidates_at<'a>(snapshot: Snapshot<'a>, maps: &[ObjId], id: &str) -> Vec<Candidate<'a>> {
    let mut found = Vec::new();
    for map in maps {
        for (value, object) in snapshot.all(map, id) {
            let (row, other) = match value {
                Value::Object(ObjType::Map) => (Some(object), None),
                value => (None, Some((value, object))),
            };
            found.push(Candidate { map: map.clone(), row, other });
        }
    }
    found
}

/// A position, and the objects that it was read from. A change to one of them can change the position.
pub(super) struct Reading {
    pub position: Position,
    /// The row's own map, if there is only one. A single field can be read again from it.
    pub row: Option<ObjId>,
    pub sources: Vec<Source>,
}

/// An object that a position was read from.
pub(super) struct Source {
    pub object: ObjId,
    /// The key whose text this is; `None` for a row's map.
    pub key: Option<PositionKey>,
}

/// Reads one position, if it exists.
pub(super) fn read_position(doc: &Automerge, maps: &[ObjId], id: &Arc<str>) -> Option<Reading> {
    read_position_at(Snapshot::now(doc), maps, id)
}

/// Reads one position at the heads of `snapshot`. `maps` must be the maps of positions at these heads.
pub(super) fn read_position_at(snapshot: Snapshot<'_>, maps: &[ObjId], id: &Arc<str>) -> Option<Reading> {
    let mut candidates = candidates_at(snapshot, maps, id);
    let winner = candidates.pop()?;
    let row = winner.row.clone().filter(|_| candidates.is_empty());
    let mut reader = RowReader::new(snapshot);
    let mut fields = winner.row.map(|row| reader.read(row)).unwrap_or_default();
    if let Some((value, object)) = winner.other {
        reader.extra.value = Some(reader.encoder.value(&value, &object).unwrap_or(Json::Null));
    }
    for loser in candidates {
        // A losing value that is not a map cannot be shown as a conflict of a field.
        let Some(row) = loser.row else {
            reader.encoder.omit(1);
            continue;
        };
        for (key, values) in reader.read(row) {
            fields.entry(key).or_default().splice(0..0, values);
        }
    }
    let mut position = Position::new(Arc::clone(id));
    for (key, values) in fields {
        position.set(key, values);
    }
    let RowReader { unknown, mut extra, encoder, sources, .. } = reader;
    for (key, values) in unknown {
        extra.add(&key, values);
    }
    extra.omitted = encoder.omitted();
    if !extra.is_empty() {
        position.extra = Some(Box::new(extra));
    }
    Some(Reading { position, row, sources })
}

/// Reads the value of one key of a row again, and adds the texts that it was read from to `sources`. Returns false if a value does
/// not match the schema, so that the whole row must be read.
pub(super) fn reread_field(
    doc: &Automerge,
    row: &ObjId,
    key: PositionKey,
    position: &mut Position,
    sources: &mut Vec<Source>,
) -> bool {
    let mut values = Vec::new();
    let now = Snapshot::now(doc);
    let mut found = now.all(row, key.as_str());
    if !key.is_editable() {
        // The losing values of other fields are not shown.
        found.drain(..found.len().saturating_sub(1));
    }
    for (value, object) in found {
        let shown = show_field(now, key, &value, &object).filter(|_| key.accepts(&value));
        let Some(shown) = shown else { return false };
        values.push(shown);
        if value.is_object() {
            sources.push(Source { object, key: Some(key) });
        }
    }
    position.set(key, values);
    true
}

/// A key of a position's map that the schema knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum PositionKey {
    /// An editable field.
    Field(FieldId),
    CreatedAt,
    UpdatedAt,
    UpdatedBy,
}

impl PositionKey {
    /// `None` for keys beyond the schema.
    pub(super) fn from_key(key: &str) -> Option<Self> {
        match key {
            CREATED_AT => Some(Self::CreatedAt),
            UPDATED_AT => Some(Self::UpdatedAt),
            UPDATED_BY => Some(Self::UpdatedBy),
            key => FieldId::from_key(key).map(Self::Field),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Field(field) => field.key(),
            Self::CreatedAt => CREATED_AT,
            Self::UpdatedAt => UPDATED_AT,
            Self::UpdatedBy => UPDATED_BY,
        }
    }

    fn is_editable(self) -> bool {
        matches!(self, Self::Field(_))
    }

    /// Whether a value can be shown under this key. Editable fields show any value.
    fn accepts(self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Field(_), _) => true,
            (Self::CreatedAt | Self::UpdatedAt, Value::Scalar(scalar)) => match &**scalar {
                ScalarValue::Timestamp(_) | ScalarValue::Int(_) | ScalarValue::Uint(_) | ScalarValue::Counter(_) => {
                    true
                }
                ScalarValue::F64(number) => number.is_finite(),
                _ => false,
            },
            (Self::CreatedAt | Self::UpdatedAt, Value::Object(_)) => false,
            (Self::UpdatedBy, value) => {
                matches!(value, Value::Object(ObjType::Text))
                    || matches!(value, Value::Scalar(scalar) if matches!(**scalar, ScalarValue::Str(_)))
            }
        }
    }
}

impl Position {
    /// A position without any fields.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self {
            id: id.into(),
            fields: FieldMap::default(),
            created_at: None,
            updated_at: None,
            updated_by: None,
            conflicts: BTreeMap::new(),
            extra: None,
        }
    }

    /// The text of a field, if it holds one.
    #[must_use]
    pub fn text(&self, field: FieldId) -> Option<&str> {
        self.fields[field].as_ref()?.as_str()
    }

    /// The amount of a field, if it holds one. Digits that another program wrote as text count as an amount.
    #[must_use]
    pub fn amount(&self, field: FieldId) -> Option<Budget> {
        Budget::of_stored(self.fields[field].as_ref()?)
    }

    /// The month of a field, if it holds a valid one.
    #[must_use]
    pub fn month(&self, field: FieldId) -> Option<Month> {
        Month::parse(self.text(field)?)
    }

    /// Whether both positions have the same values for all keys of the schema, apart from optional fields.
    pub(super) fn has_fields_of(&self, other: &Self) -> bool {
        let Self { id, created_at, updated_at, updated_by, extra, .. } = self;
        let has_field = |field: FieldId| {
            self.fields[field] == other.fields[field]
                && self.conflicts.get(field.key()) == other.conflicts.get(field.key())
        };
        let is_map = |extra: &Option<Box<Extra>>| extra.as_ref().is_none_or(|extra| extra.value.is_none());
        *id == other.id
            && (created_at, updated_at, updated_by) == (&other.created_at, &other.updated_at, &other.updated_by)
            && FieldId::all().filter(|field| !field.kind().is_optional()).all(has_field)
            && is_map(extra) == is_map(&other.extra)
    }

    /// Sets the values under a key of the schema. The winner is the last of `values`.
    fn set(&mut self, key: PositionKey, mut values: Vec<Json>) {
        let winner = values.pop();
        match key {
            PositionKey::Field(field) => {
                let losing = distinct(values, winner.as_ref());
                if losing.is_empty() {
                    self.conflicts.remove(field.key());
                } else {
                    self.conflicts.insert(field.key(), losing);
                }
                self.fields[field] = winner;
            }
            PositionKey::CreatedAt => self.created_at = winner.and_then(|value| as_milliseconds(&value)),
            PositionKey::UpdatedAt => self.updated_at = winner.and_then(|value| as_milliseconds(&value)),
            PositionKey::UpdatedBy => self.updated_by = winner.and_then(|value| value.as_str().map(str::to_owned)),
        }
    }
}

/// Reads the rows that stand under one id.
struct RowReader<'a> {
    snapshot: Snapshot<'a>,
    encoder: Encoder<'a>,
    sources: Vec<Source>,
    /// The values of keys beyond the schema, the winner last.
    unknown: BTreeMap<String, Vec<Json>>,
    extra: Extra,
}

impl<'a> RowReader<'a> {
    fn new(snapshot: Snapshot<'a>) -> Self {
        let encoder = Encoder::new(snapshot, MAX_ROW_BYTES);
        Self { snapshot, encoder, sources: Vec::new(), unknown: BTreeMap::new(), extra: Extra::default() }
    }

    /// Reads a row: the values of each key of the schema, the winner last. Call it for the winning row first, and for the row that
    /// lost first last.
    fn read(&mut self, row: ObjId) -> BTreeMap<PositionKey, Vec<Json>> {
        let mut fields = BTreeMap::new();
        let snapshot = self.snapshot;
        for item in snapshot.entries(&row) {
            let known = PositionKey::from_key(&item.key);
            let (mut values, mut others) = (Vec::new(), Vec::new());
            let mut add = |value: &Value<'_>, object: ObjId| match known {
                Some(key) if key.accepts(value) => {
                    values.extend(self.show(key, value, &object));
                    if value.is_object() {
                        self.sources.push(Source { object, key: Some(key) });
                    }
                }
                _ => others.extend(self.encoder.member(&item.key, value, &object)),
            };
            if item.conflict && known.is_none_or(PositionKey::is_editable) {
                for (value, object) in snapshot.all(&row, &*item.key) {
                    add(&value, object);
                }
            } else {
                let id = item.id();
                add(&item.value.into(), id);
            }
            if let Some(key) = known.filter(|_| !values.is_empty()) {
                fields.insert(key, values);
            }
            if !others.is_empty() {
                self.unknown.entry(item.key.to_string()).or_default().splice(0..0, others);
            }
        }
        self.sources.push(Source { object: row, key: None });
        fields
    }

    /// Any value under a key of the schema.
    fn show(&mut self, key: PositionKey, value: &Value<'_>, object: &ObjId) -> Option<Json> {
        show_field(self.snapshot, key, value, object).or_else(|| self.encoder.value(value, object))
    }
}

/// A text or a scalar under a key of the schema as JSON; see [`Snapshot::show`].
fn show_field(snapshot: Snapshot<'_>, key: PositionKey, value: &Value<'_>, object: &ObjId) -> Option<Json> {
    match (key, value) {
        // Timestamps are shown as numbers, because they order the rows.
        (PositionKey::CreatedAt | PositionKey::UpdatedAt, Value::Scalar(scalar)) => match &**scalar {
            ScalarValue::Timestamp(ms) => Some(Json::from(*ms)),
            scalar => show_scalar(scalar),
        },
        _ => snapshot.show(value, object),
    }
}

/// A time in milliseconds since 1970: any number, such as that of `Date.now()` in JavaScript.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "milliseconds; saturates")]
pub fn as_milliseconds(value: &Json) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|number| number as i64))
}
