//! Any Automerge document as JSON, without loss of the current state.
//!
//! | Automerge | JSON |
//! |---|---|
//! | map, table | object. A key that begins with `$` gets another `$` in front |
//! | list | array |
//! | text, string | string |
//! | text with marks or blocks | `{"$spans": [{"text": "Bold", "marks": {"bold": true}}, {"block": {…}}]}` |
//! | integer, unsigned integer, float | number; a float without a fraction has one: `1.0` |
//! | integer beyond 2^53 | `{"$int": "9223372036854775807"}` |
//! | NaN, infinite | `{"$float": "NaN"}`, `"Infinity"`, `"-Infinity"` |
//! | counter | `{"$counter": 3}` |
//! | timestamp | `{"$date": "2026-11-22T14:21:00.020Z"}`; a year beyond four digits: its number of milliseconds |
//! | bytes | `{"$bytes": "<base64>"}` |
//! | scalar of an unknown type | `{"$unknown": <type>, "bytes": "<base64>"}` |
//! | values that lost against a concurrent write | in a map: `"$conflicts": {"<key>": [<losing>, …]}`; a list becomes `{"$list": […], "$conflicts": {"<index>": […]}}` |

use automerge::iter::Span;
use automerge::{ObjId, ObjType, ROOT, ScalarValue, Value, hydrate};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use primitives::iso_ms;
use serde::Serialize;
use serde_json::{Map, Value as Json, json};

use super::past::Past;
use super::snapshot::Snapshot;

/// Most levels of nested maps and lists.
pub const MAX_CONTENT_DEPTH: usize = 100;
/// The largest integer that JavaScript distinguishes from its neighbours.
const MAX_SAFE: u64 = (1 << 53) - 1;
const CONFLICTS: &str = "$conflicts";

/// Why a document is not shown as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// It is too large.
    #[error("the document has more than {0} bytes as JSON; export.automerge has all of it")]
    TooLarge(usize),
    /// It is nested too deep.
    #[error("the document is nested deeper than {MAX_CONTENT_DEPTH} levels; export.automerge has all of it")]
    TooDeep,
}

/// The content of a document at the heads of `past`, as JSON of at most `max` bytes. Slow for large documents.
///
/// # Errors
/// When the document is too large or too deep.
pub fn content(past: &Past, max: usize) -> Result<Vec<u8>, ContentError> {
    let mut writer = Writer { snapshot: past.snapshot(), out: Vec::new(), max };
    writer.map(&ROOT, MAX_CONTENT_DEPTH)?;
    Ok(writer.out)
}

struct Writer<'a> {
    snapshot: Snapshot<'a>,
    out: Vec<u8>,
    max: usize,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value<'_>, object: &ObjId, depth: usize) -> Result<(), ContentError> {
        match value {
            Value::Object(ObjType::Text) => self.text(object, depth),
            Value::Object(_) if depth == 0 => Err(ContentError::TooDeep),
            Value::Object(ObjType::Map | ObjType::Table) => self.map(object, depth - 1),
            Value::Object(ObjType::List) => self.list(object, depth - 1),
            Value::Scalar(scalar) => self.json(&scalar_json(scalar)),
        }
    }

    fn map(&mut self, object: &ObjId, depth: usize) -> Result<(), ContentError> {
        let mut conflicting = Vec::new();
        self.push(b"{")?;
        for (index, item) in self.snapshot.entries(object).enumerate() {
            if item.conflict {
                conflicting.push(item.key.to_string());
            }
            self.separate(index)?;
            self.json(&escaped(&item.key))?;
            self.push(b":")?;
            let id = item.id();
            self.value(&item.value.into(), &id, depth)?;
        }
        if !conflicting.is_empty() {
            self.push(b",")?;
            self.conflicts(object, conflicting.iter().map(|key| (escaped(key), key.as_str())), depth)?;
        }
        self.push(b"}")
    }

    fn list(&mut self, object: &ObjId, depth: usize) -> Result<(), ContentError> {
        let conflicting: Vec<usize> =
            self.snapshot.items(object).filter(|item| item.conflict).map(|item| item.index).collect();
        self.push(if conflicting.is_empty() { b"[" } else { b"{\"$list\":[" })?;
        for (index, item) in self.snapshot.items(object).enumerate() {
            self.separate(index)?;
            let id = item.id();
            self.value(&item.value.into(), &id, depth)?;
        }
        self.push(b"]")?;
        if !conflicting.is_empty() {
            self.push(b",")?;
            self.conflicts(object, conflicting.into_iter().map(|index| (index.to_string(), index)), depth)?;
            self.push(b"}")?;
        }
        Ok(())
    }

    /// Writes the losing values of these keys or indexes, each with its name.
    fn conflicts<P: Into<automerge::Prop>>(
        &mut self,
        object: &ObjId,
        props: impl Iterator<Item = (String, P)>,
        depth: usize,
    ) -> Result<(), ContentError> {
        self.json(CONFLICTS)?;
        self.push(b":{")?;
        for (index, (name, prop)) in props.enumerate() {
            self.separate(index)?;
            self.json(&name)?;
            self.push(b":[")?;
            let mut values = self.snapshot.all(object, prop);
            values.pop();
            for (index, (value, object)) in values.iter().enumerate() {
                self.separate(index)?;
                self.value(value, object, depth)?;
            }
            self.push(b"]")?;
        }
        self.push(b"}")
    }

    fn text(&mut self, object: &ObjId, depth: usize) -> Result<(), ContentError> {
        if self.snapshot.length(object) > self.max {
            return Err(ContentError::TooLarge(self.max));
        }
        let mut parts = Vec::new();
        let mut is_rich = false;
        for span in self.snapshot.spans(object, depth).ok_or(ContentError::TooDeep)? {
            parts.push(match span {
                Span::Block(block) => {
                    is_rich = true;
                    json!({ "block": map_json(&block) })
                }
                Span::Text { text, marks } => match marks.filter(|marks| marks.num_marks() > 0) {
                    None => json!({ "text": text }),
                    Some(marks) => {
                        is_rich = true;
                        let marks: Map<String, Json> =
                            marks.iter().map(|(name, value)| (name.to_owned(), scalar_json(value))).collect();
                        json!({ "text": text, "marks": marks })
                    }
                },
            });
        }
        if is_rich { self.json(&json!({ "$spans": parts })) } else { self.json(&self.snapshot.text(object)) }
    }

    fn json(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), ContentError> {
        // Writing JSON to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.out, value);
        self.push(b"")
    }

    fn separate(&mut self, index: usize) -> Result<(), ContentError> {
        if index > 0 { self.push(b",") } else { Ok(()) }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), ContentError> {
        self.out.extend_from_slice(bytes);
        if self.out.len() > self.max { Err(ContentError::TooLarge(self.max)) } else { Ok(()) }
    }
}

/// A key as the name of a member. Names that begin with one `$` belong to the encoding.
fn escaped(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 1);
    if key.starts_with('$') {
        name.push('$');
    }
    name.push_str(key);
    name
}

fn scalar_json(scalar: &ScalarValue) -> Json {
    let integer = |number: i64| match number.unsigned_abs() {
        0..=MAX_SAFE => Json::from(number),
        _ => json!({ "$int": number.to_string() }),
    };
    match scalar {
        ScalarValue::Null => Json::Null,
        ScalarValue::Boolean(flag) => Json::Bool(*flag),
        ScalarValue::Str(text) => Json::String(text.to_string()),
        ScalarValue::Int(number) => integer(*number),
        ScalarValue::Uint(number) if *number <= MAX_SAFE => Json::from(*number),
        ScalarValue::Uint(number) => json!({ "$int": number.to_string() }),
        ScalarValue::F64(number) => match serde_json::Number::from_f64(*number) {
            Some(number) => Json::Number(number),
            None if number.is_nan() => json!({ "$float": "NaN" }),
            None => json!({ "$float": if *number > 0.0 { "Infinity" } else { "-Infinity" } }),
        },
        ScalarValue::Counter(counter) => json!({ "$counter": integer(i64::from(counter)) }),
        ScalarValue::Timestamp(ms) => json!({ "$date": iso_ms(*ms).map_or_else(|| Json::from(*ms), Json::String) }),
        ScalarValue::Bytes(bytes) => json!({ "$bytes": BASE64_STANDARD.encode(bytes) }),
        ScalarValue::Unknown { type_code, bytes } => {
            json!({ "$unknown": type_code, "bytes": BASE64_STANDARD.encode(bytes) })
        }
    }
}

/// A block of a rich text. The library resolves its conflicts.
fn map_json(map: &hydrate::Map) -> Json {
    map.iter().map(|(key, member)| (escaped(key), hydrated_json(&member.value))).collect()
}

fn hydrated_json(value: &hydrate::Value) -> Json {
    match value {
        hydrate::Value::Scalar(scalar) => scalar_json(scalar),
        hydrate::Value::Map(map) => map_json(map),
        hydrate::Value::List(list) => list.iter().map(|item| hydrated_json(&item.value)).collect(),
        hydrate::Value::Text(text) => Json::String(text.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use automerge::marks::{ExpandMark, Mark};
    use automerge::transaction::Transactable;
    use automerge::{ActorId, AutoCommit, Automerge};

    use super::*;
    use crate::past::SharedCopy;

    fn shown_at(doc: &mut AutoCommit, heads: Vec<automerge::ChangeHash>, max: usize) -> Result<Json, ContentError> {
        let doc = Automerge::load(&doc.save()).unwrap();
        let past = SharedCopy::default().at(&doc, heads).unwrap();
        content(&past, max).map(|json| serde_json::from_slice(&json).unwrap())
    }

    fn shown(doc: &mut AutoCommit) -> Json {
        let heads = doc.get_heads();
        shown_at(doc, heads, 1_000_000).unwrap()
    }

    #[test]
    fn every_kind_of_value_has_its_own_form() {
        let mut doc = AutoCommit::new();
        for (key, value) in [
            ("int", ScalarValue::Int(-5)),
            ("large", ScalarValue::Int(i64::MIN)),
            ("uint", ScalarValue::Uint(u64::MAX)),
            ("float", ScalarValue::F64(1.0)),
            ("nan", ScalarValue::F64(f64::NAN)),
            ("less", ScalarValue::F64(f64::NEG_INFINITY)),
            ("counter", ScalarValue::counter(3)),
            ("date", ScalarValue::Timestamp(1_795_357_260_020)),
            ("far", ScalarValue::Timestamp(i64::MAX)),
            ("bytes", ScalarValue::Bytes(vec![1, 2])),
            ("string", ScalarValue::Str("a\"b".into())),
            ("null", ScalarValue::Null),
            ("flag", ScalarValue::Boolean(true)),
            ("$date", ScalarValue::Int(1)),
        ] {
            doc.put(ROOT, key, value).unwrap();
        }
        let list = doc.put_object(ROOT, "list", ObjType::List).unwrap();
        let text = doc.insert_object(&list, 0, ObjType::Text).unwrap();
        doc.splice_text(&text, 0, 0, "é").unwrap();
        doc.insert_object(&list, 1, ObjType::Map).unwrap();
        let expected = json!({
            "int": -5, "large": { "$int": "-9223372036854775808" }, "uint": { "$int": "18446744073709551615" }, "float": 1.0,
            "nan": { "$float": "NaN" }, "less": { "$float": "-Infinity" }, "counter": { "$counter": 3 },
            "date": { "$date": "2026-11-22T14:21:00.020Z" }, "far": { "$date": i64::MAX }, "bytes": { "$bytes": "AQI=" },
            "string": "a\"b", "null": null, "flag": true, "$$date": 1, "list": ["é", {}],
        });
        assert_eq!(shown(&mut doc), expected);
    }

    #[test]
    fn marks_and_blocks_are_spans() {
        let mut doc = AutoCommit::new();
        let text = doc.put_object(ROOT, "text", ObjType::Text).unwrap();
        doc.splice_text(&text, 0, 0, "plain bold").unwrap();
        doc.mark(&text, Mark::new("bold".to_owned(), true, 6, 10), ExpandMark::None).unwrap();
        let block = doc.split_block(&text, 0).unwrap();
        doc.put(&block, "type", "paragraph").unwrap();
        let spans = json!([
            { "block": { "type": "paragraph" } }, { "text": "plain " }, { "text": "bold", "marks": { "bold": true } },
        ]);
        assert_eq!(shown(&mut doc), json!({ "text": { "$spans": spans } }));
    }

    #[test]
    fn deep_block_is_not_read() {
        let mut doc = AutoCommit::new();
        let text = doc.put_object(ROOT, "text", ObjType::Text).unwrap();
        let mut map = doc.split_block(&text, 0).unwrap();
        let levels = 20_000;
        for level in 1..levels {
            map = doc.put_object(&map, "in", ObjType::Map).unwrap();
            if level == MAX_CONTENT_DEPTH - 1 {
                shown(&mut doc);
            }
        }
        let heads = doc.get_heads();
        assert_eq!(shown_at(&mut doc, heads, 1_000_000), Err(ContentError::TooDeep));
    }

    #[test]
    fn losing_values_are_shown_where_they_lost() {
        let mut doc = AutoCommit::new().with_actor(ActorId::from([1u8]));
        let list = doc.put_object(ROOT, "list", ObjType::List).unwrap();
        doc.insert(&list, 0, 0).unwrap();
        doc.commit();
        let mut other = doc.fork().with_actor(ActorId::from([2u8]));
        for (doc, value) in [(&mut doc, 1), (&mut other, 2)] {
            doc.put(ROOT, "$a", value).unwrap();
            doc.put(&list, 0, value).unwrap();
        }
        doc.merge(&mut other).unwrap();
        let list = json!({ "$list": [2], "$conflicts": { "0": [1] } });
        assert_eq!(shown(&mut doc), json!({ "$$a": 2, "list": list, "$conflicts": { "$$a": [1] } }));
    }

    #[test]
    fn earlier_heads_show_the_earlier_content() {
        let mut doc = AutoCommit::new();
        let text = doc.put_object(ROOT, "text", ObjType::Text).unwrap();
        doc.splice_text(&text, 0, 0, "one").unwrap();
        let heads = doc.get_heads();
        doc.splice_text(&text, 3, 0, " two").unwrap();
        doc.put(ROOT, "more", 1).unwrap();
        assert_eq!(shown_at(&mut doc, heads, 1_000).unwrap(), json!({ "text": "one" }));
        assert_eq!(shown(&mut doc), json!({ "text": "one two", "more": 1 }));
        assert_eq!(shown_at(&mut doc, Vec::new(), 1_000).unwrap(), json!({}));
    }

    #[test]
    fn size_and_depth_are_limited() {
        let mut doc = AutoCommit::new();
        let text = doc.put_object(ROOT, "text", ObjType::Text).unwrap();
        doc.splice_text(&text, 0, 0, &"x".repeat(200)).unwrap();
        let heads = doc.get_heads();
        assert_eq!(shown_at(&mut doc, heads, 200), Err(ContentError::TooLarge(200)));
        let mut object = ROOT;
        for _ in 0..MAX_CONTENT_DEPTH {
            object = doc.put_object(&object, "nested", ObjType::Map).unwrap();
        }
        assert!(shown(&mut doc).is_object());
        doc.put_object(&object, "nested", ObjType::List).unwrap();
        let heads = doc.get_heads();
        assert_eq!(shown_at(&mut doc, heads, 1_000_000), Err(ContentError::TooDeep));
    }
}
