//! Encodes Automerge values beyond the schema as JSON.
//!
//! | Automerge | JSON |
//! |---|---|
//! | text, string | string |
//! | integer, unsigned integer, counter | number |
//! | float | number, without a point if it is whole; NaN and infinite: `null`, counted as omitted |
//! | boolean, null | the same |
//! | timestamp | string, `2026-11-22T14:21:00.020Z`; a year beyond four digits: its number of milliseconds |
//! | bytes | `{"$bytes": "<base64>"}` |
//! | map, table | object |
//! | list | array |
//! | a scalar of an unknown type | `null`, counted as omitted |
//!
//! Size and depth of an encoded value are limited. Values beyond the limits are left out and counted as omitted, and so are
//! values inside of a nested value that lost against a concurrent write. Formatting of rich text (marks) is left out and not
//! counted.

use automerge::{ObjId, ObjType, ScalarValue, Value};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use primitives::iso_ms;
use serde_json::{Map, Value as Json};

use super::snapshot::Snapshot;

/// Most levels of nested maps and lists.
const MAX_DEPTH: usize = 32;
/// Bytes that count for a member of a map or a list besides its key and value.
const MEMBER: usize = 8;
/// The key of the object that represents bytes.
const BYTES: &str = "$bytes";

/// Encodes values of one document, with a common limit of their size.
pub(super) struct Encoder<'a> {
    snapshot: Snapshot<'a>,
    /// Approximate number of bytes of JSON that still fit.
    room: usize,
    omitted: usize,
    is_cut: bool,
}

impl<'a> Encoder<'a> {
    /// `room` is the approximate limit of all values together, in bytes of JSON.
    pub(super) fn new(snapshot: Snapshot<'a>, room: usize) -> Self {
        Self { snapshot, room, omitted: 0, is_cut: false }
    }

    /// Number of omitted values. A map or a list that is cut short counts once.
    pub(super) fn omitted(&self) -> usize {
        self.omitted
    }

    /// Whether a value exceeded the limits.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Encodes the value under a key of a map. `None` if it exceeds the limits; it is counted then.
    pub(super) fn member(&mut self, key: &str, value: &Value<'_>, object: &ObjId) -> Option<Json> {
        if self.take(MEMBER + key.len()) { self.value(value, object) } else { None }
    }

    /// Encodes a value; `object` is its id if it is an object. `None` if it exceeds the limits; it is counted then.
    pub(super) fn value(&mut self, value: &Value<'_>, object: &ObjId) -> Option<Json> {
        self.encode(value, object, MAX_DEPTH)
    }

    /// Counts omitted values.
    pub(super) fn omit(&mut self, values: usize) {
        self.omitted += values;
    }

    fn encode(&mut self, value: &Value<'_>, object: &ObjId, depth: usize) -> Option<Json> {
        match value {
            // The length is checked first, so that a long text is not read unnecessarily.
            Value::Object(ObjType::Text) if self.snapshot.length(object) > self.room => {
                self.exceed();
                None
            }
            Value::Object(ObjType::Text) => self.text(self.snapshot.text(object)),
            Value::Object(_) if depth == 0 => {
                self.exceed();
                None
            }
            Value::Object(ObjType::List) => Some(self.list(object, depth - 1)),
            Value::Object(ObjType::Map | ObjType::Table) => Some(self.map(object, depth - 1)),
            Value::Scalar(scalar) => match &**scalar {
                ScalarValue::Str(text) => self.text(text.to_string()),
                ScalarValue::Bytes(bytes) if !self.take(bytes.len().div_ceil(3) * 4) => None,
                scalar => Some(show_scalar(scalar).unwrap_or_else(|| {
                    self.omitted += 1;
                    Json::Null
                })),
            },
        }
    }

    fn text(&mut self, text: String) -> Option<Json> {
        self.take(text.len()).then_some(Json::String(text))
    }

    fn map(&mut self, object: &ObjId, depth: usize) -> Json {
        let mut members = Map::new();
        for item in self.snapshot.entries(object) {
            if !self.take(MEMBER + item.key.len()) {
                break;
            }
            if item.conflict {
                self.omit(self.snapshot.all(object, &*item.key).len().saturating_sub(1));
            }
            let (key, id) = (item.key.to_string(), item.id());
            if let Some(value) = self.encode(&item.value.into(), &id, depth) {
                members.insert(key, value);
            }
        }
        Json::Object(members)
    }

    fn list(&mut self, object: &ObjId, depth: usize) -> Json {
        let mut items = Vec::new();
        for item in self.snapshot.items(object) {
            if !self.take(MEMBER) {
                break;
            }
            if item.conflict {
                self.omit(self.snapshot.all(object, item.index).len().saturating_sub(1));
            }
            let id = item.id();
            // The other items keep their index.
            items.push(self.encode(&item.value.into(), &id, depth).unwrap_or(Json::Null));
        }
        Json::Array(items)
    }

    fn take(&mut self, bytes: usize) -> bool {
        match self.room.checked_sub(bytes) {
            Some(room) => {
                self.room = room;
                true
            }
            None => {
                self.exceed();
                false
            }
        }
    }

    fn exceed(&mut self) {
        self.omitted += 1;
        self.is_cut = true;
    }
}

/// A scalar as JSON. `None` if JSON cannot represent it.
pub(super) fn show_scalar(scalar: &ScalarValue) -> Option<Json> {
    match scalar {
        ScalarValue::Str(text) => Some(Json::String(text.to_string())),
        ScalarValue::Int(number) => Some(Json::from(*number)),
        ScalarValue::Timestamp(ms) => Some(show_time(*ms)),
        ScalarValue::Uint(number) => Some(Json::from(*number)),
        ScalarValue::F64(number) => show_float(*number),
        ScalarValue::Counter(counter) => Some(Json::from(i64::from(counter))),
        ScalarValue::Boolean(flag) => Some(Json::Bool(*flag)),
        ScalarValue::Null => Some(Json::Null),
        ScalarValue::Bytes(bytes) => {
            let text = Json::String(BASE64_STANDARD.encode(bytes));
            Some(Json::Object(Map::from_iter([(BYTES.to_owned(), text)])))
        }
        ScalarValue::Unknown { .. } => None,
    }
}

/// A timestamp, in milliseconds since 1970.
pub(super) fn show_time(ms: i64) -> Json {
    iso_ms(ms).map_or_else(|| Json::from(ms), Json::String)
}

/// JavaScript has one number type, so a float of 45000 is shown as 45000, not as 45000.0.
#[expect(clippy::cast_possible_truncation, reason = "checked to be integral and below 2^53")]
fn show_float(number: f64) -> Option<Json> {
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        Some(Json::from(number as i64))
    } else {
        serde_json::Number::from_f64(number).map(Json::Number)
    }
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{ActorId, AutoCommit, Automerge, ROOT, ReadDoc};
    use serde_json::json;

    use super::*;

    /// Encodes the root key `value` with this limit. Returns the JSON, the number of omitted values, and whether it is cut.
    fn encoded(doc: &mut AutoCommit, room: usize) -> (Option<Json>, usize, bool) {
        let doc = Automerge::load(&doc.save()).unwrap();
        let (value, object) = doc.get(ROOT, "value").unwrap().unwrap();
        let mut encoder = Encoder::new(Snapshot::now(&doc), room);
        let json = encoder.value(&value, &object);
        (json, encoder.omitted(), encoder.is_cut())
    }

    #[test]
    fn scalars_have_their_documented_form() {
        for (scalar, json) in [
            (ScalarValue::Str("text".into()), json!("text")),
            (ScalarValue::Int(-5), json!(-5)),
            (ScalarValue::Uint(u64::MAX), json!(u64::MAX)),
            (ScalarValue::F64(45_000.0), json!(45_000)),
            (ScalarValue::F64(0.5), json!(0.5)),
            (ScalarValue::Boolean(true), json!(true)),
            (ScalarValue::Null, json!(null)),
            (ScalarValue::Timestamp(1_795_357_260_020), json!("2026-11-22T14:21:00.020Z")),
            (ScalarValue::Timestamp(i64::MAX), json!(i64::MAX)),
            (ScalarValue::Bytes(vec![0xfb, 0xff]), json!({ "$bytes": "+/8=" })),
        ] {
            let mut doc = AutoCommit::new();
            doc.put(ROOT, "value", scalar).unwrap();
            assert_eq!(encoded(&mut doc, 100), (Some(json), 0, false));
        }
        for scalar in [f64::NAN, f64::INFINITY] {
            let mut doc = AutoCommit::new();
            doc.put(ROOT, "value", scalar).unwrap();
            assert_eq!(encoded(&mut doc, 100), (Some(json!(null)), 1, false), "{scalar}");
        }
    }

    #[test]
    fn counters_show_their_sum() {
        let mut doc = AutoCommit::new();
        let map = doc.put_object(ROOT, "value", ObjType::Map).unwrap();
        let list = doc.put_object(&map, "list", ObjType::List).unwrap();
        doc.put(&map, "votes", ScalarValue::counter(5)).unwrap();
        doc.insert(&list, 0, ScalarValue::counter(1)).unwrap();
        doc.commit();
        doc.increment(&map, "votes", 2).unwrap();
        doc.increment(&list, 0, 3).unwrap();
        assert_eq!(encoded(&mut doc, 100).0, Some(json!({ "votes": 7, "list": [4] })));
    }

    #[test]
    fn maps_lists_and_texts_nest() {
        let mut doc = AutoCommit::new();
        let map = doc.put_object(ROOT, "value", ObjType::Map).unwrap();
        let list = doc.put_object(&map, "list", ObjType::List).unwrap();
        let text = doc.insert_object(&list, 0, ObjType::Text).unwrap();
        doc.splice_text(&text, 0, 0, "typed").unwrap();
        let inner = doc.insert_object(&list, 1, ObjType::Map).unwrap();
        doc.put(&inner, "a", 1).unwrap();
        doc.put_object(&map, "empty", ObjType::Map).unwrap();
        assert_eq!(encoded(&mut doc, 200), (Some(json!({ "list": ["typed", { "a": 1 }], "empty": {} })), 0, false));
    }

    #[test]
    fn values_beyond_the_size_limit_are_counted() {
        let mut doc = AutoCommit::new();
        let map = doc.put_object(ROOT, "value", ObjType::Map).unwrap();
        doc.put(&map, "a", "x".repeat(1_000)).unwrap();
        let text = doc.put_object(&map, "b", ObjType::Text).unwrap();
        doc.splice_text(&text, 0, 0, &"ü".repeat(70)).unwrap();
        doc.put(&map, "c", ScalarValue::Bytes(vec![0; 100])).unwrap();
        doc.put(&map, "d", 1).unwrap();
        assert_eq!(encoded(&mut doc, 100), (Some(json!({ "d": 1 })), 3, true));
        let list = doc.put_object(ROOT, "value", ObjType::List).unwrap();
        for index in 0..1_000 {
            doc.insert(&list, index, 7).unwrap();
        }
        assert_eq!(encoded(&mut doc, 40), (Some(json!([7, 7, 7, 7, 7])), 1, true), "cut short, and counted once");
    }

    #[test]
    fn values_beyond_the_depth_limit_are_counted() {
        let mut doc = AutoCommit::new();
        let mut list = doc.put_object(ROOT, "value", ObjType::List).unwrap();
        for _ in 0..2 * MAX_DEPTH {
            list = doc.insert_object(&list, 0, ObjType::List).unwrap();
        }
        let (json, omitted, is_cut) = encoded(&mut doc, 10_000);
        let depth = json.unwrap().to_string().matches('[').count();
        assert_eq!((depth, omitted, is_cut), (MAX_DEPTH, 1, true));
    }

    #[test]
    fn losing_values_inside_nested_values_are_counted() {
        let mut doc = AutoCommit::new().with_actor(ActorId::from([1u8]));
        let map = doc.put_object(ROOT, "value", ObjType::Map).unwrap();
        let list = doc.put_object(&map, "list", ObjType::List).unwrap();
        doc.insert(&list, 0, 0).unwrap();
        doc.commit();
        let mut other = doc.fork().with_actor(ActorId::from([2u8]));
        for (doc, value) in [(&mut doc, 1), (&mut other, 2)] {
            doc.put(&map, "a", value).unwrap();
            doc.put(&list, 0, value).unwrap();
        }
        doc.merge(&mut other).unwrap();
        let (json, omitted, is_cut) = encoded(&mut doc, 1_000);
        assert_eq!((json, omitted, is_cut), (Some(json!({ "a": 2, "list": [2] })), 2, false));
    }
}
