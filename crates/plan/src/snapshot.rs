//! A document at some heads.

use automerge::iter::{ListRange, MapRange};
use automerge::{Automerge, ChangeHash, ObjId, ObjType, Prop, ReadDoc, Value};
use serde_json::Value as Json;

use super::json_encoder::show_scalar;

/// A document at some heads: as it is, or as it was.
#[derive(Clone, Copy)]
pub(super) struct Snapshot<'a> {
    doc: &'a Automerge,
    /// None: as it is.
    heads: Option<&'a [ChangeHash]>,
}

impl<'a> Snapshot<'a> {
    /// As it is.
    pub(super) fn now(doc: &'a Automerge) -> Self {
        Self { doc, heads: None }
    }

    /// As it was when it had these heads, all of which must be known.
    pub(super) fn at(doc: &'a Automerge, heads: &'a [ChangeHash]) -> Self {
        Self { doc, heads: Some(heads) }
    }

    /// What stands under a key, the winner last.
    pub(super) fn all(self, object: &ObjId, key: impl Into<Prop>) -> Vec<(Value<'a>, ObjId)> {
        match self.heads {
            None => self.doc.get_all(object, key),
            Some(heads) => self.doc.get_all_at(object, key, heads),
        }
        .unwrap_or_default()
    }

    /// The keys of a map.
    pub(super) fn keys(self, object: &ObjId) -> Vec<String> {
        match self.heads {
            None => self.doc.keys(object).collect(),
            Some(heads) => self.doc.keys_at(object, heads).collect(),
        }
    }

    /// What a map holds: of each key the winner.
    pub(super) fn entries(self, object: &ObjId) -> MapRange<'a> {
        match self.heads {
            None => self.doc.map_range(object, ..),
            Some(heads) => self.doc.map_range_at(object, .., heads),
        }
    }

    /// What a list holds: in each place the winner.
    pub(super) fn items(self, object: &ObjId) -> ListRange<'a> {
        match self.heads {
            None => self.doc.list_range(object, ..),
            Some(heads) => self.doc.list_range_at(object, .., heads),
        }
    }

    /// The content of a text.
    pub(super) fn text(self, object: &ObjId) -> String {
        match self.heads {
            None => self.doc.text(object),
            Some(heads) => self.doc.text_at(object, heads),
        }
        .unwrap_or_default()
    }

    /// The length of a text or a list.
    pub(super) fn length(self, object: &ObjId) -> usize {
        match self.heads {
            None => self.doc.length(object),
            Some(heads) => self.doc.length_at(object, heads),
        }
    }

    /// A text or a scalar as JSON; `None` for maps and lists, and for what JSON does not hold.
    pub(super) fn show(self, value: &Value<'_>, object: &ObjId) -> Option<Json> {
        match value {
            Value::Object(ObjType::Text) => Some(Json::String(self.text(object))),
            Value::Object(_) => None,
            Value::Scalar(scalar) => show_scalar(scalar),
        }
    }
}
