//! [`Write`]: the effect of a change on one register (a field of a position, a setting of the plan, or a position itself).
//!
//! A document may have a million changes, so writes are small, and repeated texts are interned.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::ScalarValue;
use automerge_chunks::operations::Scalar;
use primitives::MAX_TEXT;
use serde_json::Value as Json;

use crate::fields::{DESIGNATION, FIELDS, FieldId};
use crate::json_encoder::show_scalar;
use crate::position::{
    CREATED_AT, CURRENCY, DEPARTMENT_BUDGETS, NAME, TOTAL_BUDGET, UNIT, UPDATED_AT, UPDATED_BY, YEAR_START,
};

/// The position number of the plan.
pub(super) const PLAN: u32 = u32::MAX;
/// No write.
pub(super) const NOTHING: u32 = u32::MAX;
/// Instead of an operation number: the write follows from an operation on another object, such as the deletion of the position.
pub(super) const NO_OPERATION: u32 = u32::MAX;

/// Characters of a text that are kept: as many as an edit through this server may write.
const SHOWN: usize = MAX_TEXT;

/// The keys of the schema besides [`FIELDS`]: of a position, then of the plan.
const OTHER_KEYS: [&str; 9] =
    [CREATED_AT, UPDATED_AT, UPDATED_BY, NAME, CURRENCY, UNIT, TOTAL_BUDGET, YEAR_START, DEPARTMENT_BUDGETS];
/// How many keys the schema has. Their numbers come first: those of [`FIELDS`], then those of [`OTHER_KEYS`].
const SCHEMA_KEYS: usize = FIELDS.len() + OTHER_KEYS.len();
/// Most field names of a history. Writes to other fields are only counted.
const MAX_NAMES: usize = 10_000;

/// The number of a field of a position, or of a root key of the document. See [`FieldNames`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FieldNumber(u16);

impl FieldNumber {
    /// The existence of the position.
    pub(super) const ROW: Self = Self(SCHEMA_KEYS as u16);
    /// The designation.
    pub(super) const DESIGNATION: Self = Self(DESIGNATION.index() as u16);

    /// The field's bit in a set of fields. Fields with high numbers, which are those beyond the schema, share the last bit.
    pub(super) fn bit(self) -> u32 {
        1 << self.0.min(31)
    }
}

fn schema_keys() -> impl Iterator<Item = &'static str> {
    FieldId::all().map(FieldId::key).chain(OTHER_KEYS)
}

/// The names of the fields that a document has, or ever had.
pub(super) struct FieldNames {
    names: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, FieldNumber>,
}

impl Default for FieldNames {
    fn default() -> Self {
        let mut names = Self { names: Vec::new(), numbers: HashMap::new() };
        for name in schema_keys() {
            names.add(name);
        }
        // `FieldNumber::ROW` has no name.
        names.names.push(Arc::from(""));
        names
    }
}

impl FieldNames {
    /// The number of a field, which is added if it is new. `None` if there are too many fields.
    pub(super) fn field(&mut self, name: &str) -> Option<FieldNumber> {
        self.known(name).or_else(|| (self.names.len() < MAX_NAMES).then(|| self.add(name)))
    }

    /// The number of a field of the schema, or of a field that was ever written.
    pub(super) fn known(&self, name: &str) -> Option<FieldNumber> {
        self.numbers.get(name).copied()
    }

    /// The key of a field.
    pub(super) fn name(&self, field: FieldNumber) -> Arc<str> {
        self.names.get(usize::from(field.0)).cloned().unwrap_or_else(|| Arc::from(""))
    }

    fn add(&mut self, name: &str) -> FieldNumber {
        let field = FieldNumber(u16::try_from(self.names.len()).unwrap_or(u16::MAX));
        let name: Arc<str> = Arc::from(name);
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, field);
        field
    }
}

/// The value of a register after a write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NewValue {
    /// No value.
    Gone,
    /// The position exists.
    Made,
    /// A value that JSON cannot represent, such as NaN.
    Unshown,
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A timestamp, in milliseconds.
    Time(i64),
    /// A text. `cut`: it is longer than what is kept. `spliced`: it was edited in place later, so later values are read from the
    /// document.
    Text {
        word: u32,
        cut: bool,
        spliced: bool,
    },
    /// The text of an earlier write was edited in place. It is read from the document.
    Splice,
    /// A counter, which is read from the document. The number of its [`Place`](super::ledger::Place).
    Counter(u32),
    /// A map, a list or bytes, which are read from the document. The number of its place.
    Nested(u32),
    /// The content of the map or list of an earlier write changed. The number of its place.
    Inside(u32),
    /// Values were deleted. Mostly none is left, but writing the winner of a conflict again makes the library delete the others.
    /// The remaining value is read from the document. The number of its place.
    Cleared(u32),
}

/// The write of a change to a register. A change has at most one for each register.
#[derive(Debug, Clone, Copy)]
pub(super) struct Write {
    /// The number of the position, or [`PLAN`].
    pub position: u32,
    /// The number of the last operation on the register, relative to the change, or [`NO_OPERATION`].
    pub operation: u32,
    /// The write of the value before (in a conflict, of the winner), or [`NOTHING`].
    pub before: u32,
    pub field: FieldNumber,
    /// The register had a value before.
    pub had: bool,
    pub new_value: NewValue,
}

impl Write {
    /// The register, by which the writes of a change are sorted.
    pub(super) fn register(&self) -> (u32, FieldNumber) {
        (self.position, self.field)
    }
}

/// Interned texts.
#[derive(Default)]
pub(super) struct InternedTexts {
    numbers: HashMap<Arc<str>, u32>,
    words: Vec<Arc<str>>,
}

impl InternedTexts {
    pub(super) fn text(&mut self, text: &str) -> NewValue {
        let (text, cut) = cut(text);
        NewValue::Text { word: self.number(text), cut, spliced: false }
    }

    pub(super) fn scalar(&mut self, value: Scalar<'_>) -> NewValue {
        match value {
            Scalar::Text(text) => self.text(text),
            Scalar::Int(number) => NewValue::Int(number),
            Scalar::Timestamp(ms) => NewValue::Time(ms),
            Scalar::Uint(number) => NewValue::Uint(number),
            Scalar::Float(number) => NewValue::Float(number),
            Scalar::Boolean(flag) => NewValue::Bool(flag),
            Scalar::Null => NewValue::Null,
            // These are read from the document.
            Scalar::Counter | Scalar::Bytes | Scalar::Unknown => NewValue::Unshown,
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

/// The part of a text that is kept, and whether the text is longer.
pub(super) fn cut(text: &str) -> (&str, bool) {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

/// A number, boolean or null as JSON, in the form of the view.
pub(super) fn show(new_value: NewValue) -> Json {
    let scalar = match new_value {
        NewValue::Bool(flag) => ScalarValue::Boolean(flag),
        NewValue::Int(number) => ScalarValue::Int(number),
        NewValue::Uint(number) => ScalarValue::Uint(number),
        NewValue::Float(number) => ScalarValue::F64(number),
        NewValue::Time(ms) => ScalarValue::Timestamp(ms),
        _ => ScalarValue::Null,
    };
    show_scalar(&scalar).unwrap_or(Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_numbers_are_found_by_name() {
        let mut names = FieldNames::default();
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
        let bits: u64 = (0..31).map(|number| u64::from(FieldNumber(number).bit())).sum();
        assert_eq!(bits, (1 << 31) - 1);
        assert_eq!([31, 32, u16::MAX].map(|number| FieldNumber(number).bit()), [1 << 31; 3]);
        const { assert!(FieldNumber::ROW.0 < 31, "no key of the schema shares its bit") };
    }

    #[test]
    fn a_write_is_small() {
        assert!(size_of::<Write>() <= 32, "{}", size_of::<Write>());
    }

    #[test]
    fn long_texts_are_truncated() {
        let text = "ü".repeat(SHOWN);
        assert_eq!(cut(&text), (text.as_str(), false));
        assert_eq!(cut(&format!("{text}x")), (text.as_str(), true));
    }
}
