//! Reads a document at its current heads or at earlier ones, with one interface.

use automerge::iter::{ListRange, MapRange, Span};
use automerge::{Automerge, ChangeHash, ObjId, ObjType, Prop, ReadDoc, Value};
use serde_json::Value as Json;

use super::json_encoder::show_scalar;

/// A document at given heads.
#[derive(Clone, Copy)]
pub(super) struct Snapshot<'a> {
    doc: &'a Automerge,
    /// `None` for the current heads.
    heads: Option<&'a [ChangeHash]>,
}

impl<'a> Snapshot<'a> {
    /// The document at its current heads.
    pub(super) fn now(doc: &'a Automerge) -> Self {
        Self { doc, heads: None }
    }

    /// The document at these heads, all of which must be known.
    pub(super) fn at(doc: &'a Automerge, heads: &'a [ChangeHash]) -> Self {
        Self { doc, heads: Some(heads) }
    }

    /// All values under a key: the losing ones of a conflict, then the winner.
    pub(super) fn all(self, object: &ObjId, key: impl Into<Prop>) -> Vec<(Value<'a>, ObjId)> {
        match self.heads {
            None => self.doc.get_all(object, key),
            Some(heads) => self.doc.get_all_at(object, key, heads),
        }
        .unwrap_or_default()
    }

    /// The map under a key, if its value is one.
    pub(super) fn map(self, object: &ObjId, key: &str) -> Option<ObjId> {
        let (value, map) = self.all(object, key).pop()?;
        matches!(value, Value::Object(ObjType::Map)).then_some(map)
    }

    /// The keys of a map.
    pub(super) fn keys(self, object: &ObjId) -> Vec<String> {
        match self.heads {
            None => self.doc.keys(object).collect(),
            Some(heads) => self.doc.keys_at(object, heads).collect(),
        }
    }

    /// The entries of a map, with the winner of each key.
    pub(super) fn entries(self, object: &ObjId) -> MapRange<'a> {
        match self.heads {
            None => self.doc.map_range(object, ..),
            Some(heads) => self.doc.map_range_at(object, .., heads),
        }
    }

    /// The items of a list, with the winner at each index.
    pub(super) fn items(self, object: &ObjId) -> ListRange<'a> {
        match self.heads {
            None => self.doc.list_range(object, ..),
            Some(heads) => self.doc.list_range_at(object, .., heads),
        }
    }

    /// The content of a Text object.
    pub(super) fn text(self, object: &ObjId) -> String {
        match self.heads {
            None => self.doc.text(object),
            Some(heads) => self.doc.text_at(object, heads),
        }
        .unwrap_or_default()
    }

    /// The content of a Text object: parts with the same marks, and blocks. `None` if a block has more than `depth` levels: the library
    /// reads it recursively, and would overflow the stack.
    pub(super) fn spans(self, object: &ObjId, depth: usize) -> Option<impl Iterator<Item = Span> + use<'a>> {
        if !self.is_within(object, ObjType::Text, depth) {
            return None;
        }
        let spans = match self.heads {
            None => self.doc.spans(object),
            Some(heads) => self.doc.spans_at(object, heads),
        };
        Some(spans.ok().into_iter().flatten())
    }

    /// Whether the objects in this one are nested at most `depth` levels deep.
    fn is_within(self, object: &ObjId, kind: ObjType, depth: usize) -> bool {
        let fits = |value: Value<'_>, object: ObjId| match value {
            Value::Scalar(_) => true,
            Value::Object(kind) => depth > 0 && self.is_within(&object, kind, depth - 1),
        };
        match kind {
            ObjType::Map | ObjType::Table => self.entries(object).all(|entry| {
                let id = entry.id();
                fits(entry.value.into(), id)
            }),
            ObjType::List | ObjType::Text => self.items(object).all(|item| {
                let id = item.id();
                fits(item.value.into(), id)
            }),
        }
    }

    /// The length of a text or a list.
    pub(super) fn length(self, object: &ObjId) -> usize {
        match self.heads {
            None => self.doc.length(object),
            Some(heads) => self.doc.length_at(object, heads),
        }
    }

    /// A text or a scalar as JSON. `None` for maps and lists, and for values that JSON cannot represent.
    pub(super) fn show(self, value: &Value<'_>, object: &ObjId) -> Option<Json> {
        match value {
            Value::Object(ObjType::Text) => Some(Json::String(self.text(object))),
            Value::Object(_) => None,
            Value::Scalar(scalar) => show_scalar(scalar),
        }
    }
}
