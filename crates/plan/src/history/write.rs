//! What a change has done to one register: a field of a position, a setting of the plan, or a position as such.
//!
//! A document may have a million changes, so these are small, and texts that occur again and again are kept once.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::ScalarValue;
use primitives::MAX_TEXT;
use serde_json::Value as Json;

use crate::fields::{DESIGNATION, FIELDS, FieldId};
use crate::json_encoder::show_scalar;
use crate::position::{CREATED_AT, CURRENCY, NAME, TOTAL_BUDGET, UNIT, UPDATED_AT, UPDATED_BY};

/// A position's number that stands for the plan.
pub(super) const PLAN: u32 = u32::MAX;
/// No write.
pub(super) const NOTHING: u32 = u32::MAX;
/// What follows from an operation on something else: a field that is gone with the position that it was of.
pub(super) const NO_OPERATION: u32 = u32::MAX;

/// Characters of a text that are shown: all that an edit through this server may write.
const SHOWN: usize = MAX_TEXT;

/// The keys of the schema besides [`FIELDS`]: of a position, then of the plan.
const OTHER_KEYS: [&str; 7] = [CREATED_AT, UPDATED_AT, UPDATED_BY, NAME, CURRENCY, UNIT, TOTAL_BUDGET];
/// How many keys the schema has. Their numbers come first: those of [`FIELDS`], then those of [`OTHER_KEYS`].
const SCHEMA_KEYS: usize = FIELDS.len() + OTHER_KEYS.len();
/// Fields beyond the schema that a history tells apart. What is done to others is counted.
const MAX_NAMES: usize = 10_000;

/// The number of a field: of a position, or of the root of the document. See [`Names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Field(u16);

impl Field {
    /// The position itself: that it is there.
    pub(super) const ROW: Self = Self(SCHEMA_KEYS as u16);
    /// The designation.
    pub(super) const DESIGNATION: Self = Self(DESIGNATION.index() as u16);

    /// The field's bit in a set of fields. Fields with high numbers, which are those beyond the schema, share the last bit.
    pub(super) fn bit(self) -> u16 {
        1 << self.0.min(15)
    }
}

fn schema_keys() -> impl Iterator<Item = &'static str> {
    FieldId::all().map(FieldId::key).chain(OTHER_KEYS)
}

/// The names of the fields that a document has, or ever had.
pub(super) struct Names {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, Field>,
}

impl Default for Names {
    fn default() -> Self {
        let mut names = Self { names: Vec::new(), numbers: HashMap::new() };
        for name in schema_keys() {
            names.add(name);
        }
        // No field has the number of the position itself.
        names.names.push(Arc::from(""));
        names
    }
}

impl Names {
    /// The number of a field, known or not. `None`: there are more fields than a history tells apart.
    pub(super) fn field(&mut self, name: &str) -> Option<Field> {
        self.known(name).or_else(|| (self.names.len() < MAX_NAMES).then(|| self.add(name)))
    }

    /// The number of a field that something was ever done to, or that is one of the schema.
    pub(super) fn known(&self, name: &str) -> Option<Field> {
        self.numbers.get(name).copied()
    }

    /// The name of a field, as JSON names it.
    pub(super) fn name(&self, field: Field) -> Arc<str> {
        self.names.get(usize::from(field.0)).cloned().unwrap_or_else(|| Arc::from(""))
    }

    fn add(&mut self, name: &str) -> Field {
        let field = Field(u16::try_from(self.names.len()).unwrap_or(u16::MAX));
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, field);
        field
    }
}

/// What a register holds after a write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Left {
    /// Nothing.
    Gone,
    /// A position is there.
    Made,
    /// What JSON does not show: not a number.
    Unshown,
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A timestamp, in milliseconds.
    Time(i64),
    /// A text; `cut`: it is longer than what is kept of it. `spliced`: what it holds later is not what it held when it was
    /// made, and has to be read from the document.
    Text {
        word: u32,
        cut: bool,
        spliced: bool,
    },
    /// The text of an earlier write was changed in its place: read from the document.
    Splice,
    /// A counter, which is read from the document. The number of the [`Place`](super::ledger::Place) where it stands.
    Counter(u32),
    /// A map, a list or bytes, which are read from the document. The number of the place.
    Nested(u32),
    /// Something inside of the map or list of an earlier write was changed. The number of the place.
    Inside(u32),
    /// Values were deleted. Mostly nothing is left; but who writes one of several values again that stand there makes the
    /// library delete the others. What is left is read from the document. The number as above.
    Cleared(u32),
}

/// One write. Of a change's writes each register has one, the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    /// The number of the position, or [`PLAN`].
    pub position: u32,
    /// Which operation of the change it was, or [`NO_OPERATION`].
    pub operation: u32,
    /// The write that it took the place of: of several that was the one that was shown. Or [`NOTHING`].
    pub before: u32,
    pub field: Field,
    /// Something stood there before.
    pub had: bool,
    pub left: Left,
}

impl Write {
    /// Which register it was: what a change's writes are sorted by.
    pub(super) fn register(&self) -> (u32, Field) {
        (self.position, self.field)
    }
}

/// Texts by number.
#[derive(Default)]
pub(super) struct Words {
    numbers: HashMap<Arc<str>, u32>,
    words: Vec<Arc<str>>,
}

impl Words {
    pub(super) fn text(&mut self, text: &str) -> Left {
        let (text, cut) = cut(text);
        Left::Text { word: self.number(text), cut, spliced: false }
    }

    pub(super) fn scalar(&mut self, value: &ScalarValue) -> Left {
        match value {
            ScalarValue::Str(text) => self.text(text),
            ScalarValue::Int(number) => Left::Int(*number),
            ScalarValue::Timestamp(ms) => Left::Time(*ms),
            ScalarValue::Uint(number) => Left::Uint(*number),
            ScalarValue::F64(number) => Left::Float(*number),
            ScalarValue::Boolean(flag) => Left::Bool(*flag),
            ScalarValue::Null => Left::Null,
            // These are read from the place where they stand.
            ScalarValue::Counter(_) | ScalarValue::Bytes(_) | ScalarValue::Unknown { .. } => Left::Unshown,
        }
    }

    pub(super) fn word(&self, number: u32) -> Option<&Arc<str>> {
        self.words.get(number as usize)
    }

    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = u32::try_from(self.words.len()).unwrap_or(u32::MAX);
        let word: Arc<str> = Arc::from(text);
        self.words.push(Arc::clone(&word));
        self.numbers.insert(word, number);
        number
    }
}

/// What is shown of a text, and whether that is not all.
pub(super) fn cut(text: &str) -> (&str, bool) {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

/// A number, a truth value or nothing, as the view shows it.
pub(super) fn show(left: Left) -> Json {
    let scalar = match left {
        Left::Bool(flag) => ScalarValue::Boolean(flag),
        Left::Int(number) => ScalarValue::Int(number),
        Left::Uint(number) => ScalarValue::Uint(number),
        Left::Float(number) => ScalarValue::F64(number),
        Left::Time(ms) => ScalarValue::Timestamp(ms),
        _ => ScalarValue::Null,
    };
    show_scalar(&scalar).unwrap_or(Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_known_by_their_names() {
        let mut names = Names::default();
        for name in schema_keys() {
            assert_eq!(names.known(name).map(|field| names.name(field)).as_deref(), Some(name));
        }
        for name in ["", "headcount"] {
            assert_eq!(names.known(name), None, "{name}");
        }
        let headcount = names.field("headcount").unwrap();
        assert_eq!((names.known("headcount"), &*names.name(headcount)), (Some(headcount), "headcount"));
        for number in 0..2 * MAX_NAMES {
            let _ = names.field(&number.to_string());
        }
        assert_eq!((names.names.len(), names.field("one more")), (MAX_NAMES, None));
    }

    #[test]
    fn fields_with_low_numbers_have_their_own_bit() {
        let bits: u32 = (0..15).map(|number| u32::from(Field(number).bit())).sum();
        assert_eq!(bits, (1 << 15) - 1);
        assert_eq!([15, 16, u16::MAX].map(|number| Field(number).bit()), [1 << 15; 3]);
    }

    #[test]
    fn a_write_is_small() {
        assert!(size_of::<Write>() <= 32, "{}", size_of::<Write>());
    }

    #[test]
    fn of_long_texts_the_beginning_is_kept() {
        let text = "ü".repeat(SHOWN);
        assert_eq!(cut(&text), (text.as_str(), false));
        assert_eq!(cut(&format!("{text}x")), (text.as_str(), true));
    }
}
