//! Writes JSON values into a document: the inverse of the module `json_encoder`, as far as JSON tells the types apart. A timestamp
//! stays the text that it is in JSON.

use automerge::transaction::{Transactable, Transaction};
use automerge::{AutomergeError, ObjId, ObjType, ScalarValue};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value as Json;

/// The key of the object that represents bytes.
const BYTES: &str = "$bytes";

/// Sets a key of a map.
///
/// # Errors
/// When the Automerge library fails.
pub(super) fn put_json(tx: &mut Transaction<'_>, map: &ObjId, key: &str, value: &Json) -> Result<(), AutomergeError> {
    match Decoded::of(value) {
        Decoded::Scalar(scalar) => tx.put(map, key, scalar),
        Decoded::Object(kind) => {
            let object = tx.put_object(map, key, kind)?;
            fill(tx, &object, value)
        }
    }
}

fn insert_json(tx: &mut Transaction<'_>, list: &ObjId, index: usize, value: &Json) -> Result<(), AutomergeError> {
    match Decoded::of(value) {
        Decoded::Scalar(scalar) => tx.insert(list, index, scalar),
        Decoded::Object(kind) => {
            let object = tx.insert_object(list, index, kind)?;
            fill(tx, &object, value)
        }
    }
}

/// Fills a new object.
fn fill(tx: &mut Transaction<'_>, object: &ObjId, value: &Json) -> Result<(), AutomergeError> {
    match value {
        Json::String(text) => tx.splice_text(object, 0, 0, text),
        Json::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| insert_json(tx, object, index, item))
        }
        Json::Object(members) => members.iter().try_for_each(|(key, value)| put_json(tx, object, key, value)),
        _ => Ok(()),
    }
}

/// A JSON value as Automerge has it.
enum Decoded {
    Scalar(ScalarValue),
    /// An object, to be filled from the value.
    Object(ObjType),
}

impl Decoded {
    fn of(value: &Json) -> Self {
        let scalar = match value {
            Json::Null => ScalarValue::Null,
            Json::Bool(flag) => ScalarValue::Boolean(*flag),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(number), _) => ScalarValue::Int(number),
                (None, Some(number)) => ScalarValue::Uint(number),
                (None, None) => ScalarValue::F64(number.as_f64().unwrap_or_default()),
            },
            Json::String(_) => return Self::Object(ObjType::Text),
            Json::Array(_) => return Self::Object(ObjType::List),
            Json::Object(members) => match members.get(BYTES).and_then(Json::as_str) {
                Some(text) if members.len() == 1 => match BASE64_STANDARD.decode(text) {
                    Ok(bytes) => ScalarValue::Bytes(bytes),
                    Err(_) => return Self::Object(ObjType::Map),
                },
                _ => return Self::Object(ObjType::Map),
            },
        };
        Self::Scalar(scalar)
    }
}

#[cfg(test)]
mod tests {
    use automerge::{Automerge, ROOT, ReadDoc};
    use serde_json::json;

    use super::*;
    use crate::json_encoder::Encoder;
    use crate::snapshot::Snapshot;

    #[test]
    fn encoder_shows_what_was_written() {
        let written = json!({
            "text": "é\n", "number": -5, "large": u64::MAX, "ratio": 0.5, "flag": true, "nothing": null,
            "bytes": { "$bytes": "AQI=" }, "no bytes": { "$bytes": "?" }, "map": { "": { "a": [] } }, "list": [1, "two", [3], { "four": 4 }],
        });
        let mut doc = Automerge::new();
        let mut tx = doc.transaction();
        put_json(&mut tx, &ROOT, "value", &written).unwrap();
        tx.commit();
        let (value, object) = doc.get(ROOT, "value").unwrap().unwrap();
        let mut encoder = Encoder::new(Snapshot::now(&doc), 10_000);
        assert_eq!((encoder.value(&value, &object), encoder.omitted()), (Some(written), 0));
        let (_, map) = doc.get(ROOT, "value").unwrap().unwrap();
        let bytes = doc.get(&map, "bytes").unwrap().unwrap().0;
        assert_eq!(bytes.as_bytes(), Some(&[1, 2][..]));
    }
}
