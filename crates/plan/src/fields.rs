//! The editable fields of a position.
//!
//! [`FIELDS`] is the only place where they are listed. The view, edits, preconditions, JSON API, its OpenAPI description,
//! history and CSV export derive from this table: to add a field, add one entry. The constants name the fields that other code
//! refers to individually.
//!
//! Values are kept in a [`FieldMap`], an array with one slot for each field:
//!
//! ```
//! use plan::fields::{BUDGET, DEPARTMENT};
//! use plan::{Budget, NewPosition};
//!
//! let position = NewPosition::new("p1", "Data engineer").with(DEPARTMENT, "Data").with(BUDGET, Budget::Int(30));
//! assert_eq!(position.fields[DEPARTMENT].as_text(), Some("Data"));
//! ```

use std::fmt;
use std::ops::{Index, IndexMut};

use primitives::{MAX_TEXT, is_blank};

use super::{Budget, Month};

/// A field that users edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldDefinition {
    /// Key in the document, the JSON API, the CSV header and the history. Must never change: documents are stored with it.
    pub key: &'static str,
    /// Type of the value.
    pub kind: FieldKind,
    /// What the field means, as a sentence for the API description.
    pub description: &'static str,
    /// Example value for the API description, in JSON.
    pub example: &'static str,
}

/// The type of a field's value, and which values an edit may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text of at most [`MAX_TEXT`] characters.
    Text {
        /// A blank text is rejected.
        required: bool,
    },
    /// A [`Budget`] in units of the plan, or unknown.
    Amount,
    /// One of these texts, or not set.
    Choice(&'static [&'static str]),
    /// A [`Month`], or not set.
    Month,
}

impl FieldKind {
    /// Whether the document and the JSON API lack the field while it is not set. Plans that do not use such fields look as if the
    /// table did not have them.
    #[must_use]
    pub const fn is_optional(self) -> bool {
        matches!(self, Self::Choice(_) | Self::Month)
    }
}

/// The editable fields, in the order of the JSON API and of the CSV columns.
pub const FIELDS: &[FieldDefinition] = &[
    FieldDefinition {
        key: "designation",
        kind: FieldKind::Text { required: true },
        description: "What the person does.",
        example: r#""UI developer""#,
    },
    FieldDefinition {
        key: "department",
        kind: FieldKind::Text { required: false },
        description: "Any text, such as Engineering, HR, Sales, Product or Other.",
        example: r#""Engineering""#,
    },
    FieldDefinition {
        key: "budget",
        kind: FieldKind::Amount,
        description: "A number, in units of the plan.",
        example: "11.5",
    },
    FieldDefinition {
        key: "location",
        kind: FieldKind::Text { required: false },
        description: "Where the person works.",
        example: r#""Ahmedabad""#,
    },
    FieldDefinition {
        key: "status",
        kind: FieldKind::Choice(&["proposed", "approved", "open", "filled"]),
        description: "How far the position is.",
        example: r#""approved""#,
    },
    FieldDefinition {
        key: "start",
        kind: FieldKind::Month,
        description: "First month in which the position costs money.",
        example: r#""2027-06""#,
    },
    FieldDefinition {
        key: "end",
        kind: FieldKind::Month,
        description: "Last month in which the position costs money.",
        example: r#""2028-03""#,
    },
];

/// The field that names a position in change messages and in the history.
pub const DESIGNATION: FieldId = FieldId::of("designation");
/// The department.
pub const DEPARTMENT: FieldId = FieldId::of("department");
/// The budget, in units of the plan.
pub const BUDGET: FieldId = FieldId::of("budget");
/// The place of work.
pub const LOCATION: FieldId = FieldId::of("location");
/// How far the position is.
pub const STATUS: FieldId = FieldId::of("status");
/// The first month of the position.
pub const START: FieldId = FieldId::of("start");
/// The last month of the position.
pub const END: FieldId = FieldId::of("end");

/// An index into [`FIELDS`]. Displays as the field's key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldId(u8);

impl FieldId {
    /// Looks up a field at compile time; an unknown key fails the build.
    const fn of(key: &str) -> Self {
        let mut index = 0;
        while index < FIELDS.len() {
            if is_same(FIELDS[index].key, key) {
                return Self::at(index);
            }
            index += 1;
        }
        panic!("FIELDS has no field with this key")
    }

    #[expect(clippy::cast_possible_truncation, reason = "checked by the assertion")]
    const fn at(index: usize) -> Self {
        assert!(index < FIELDS.len() && index <= u8::MAX as usize, "not an index into FIELDS");
        Self(index as u8)
    }

    /// All fields, in table order.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator + Clone {
        (0..FIELDS.len()).map(Self::at)
    }

    /// The field with this key.
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        FIELDS.iter().position(|definition| definition.key == key).map(Self::at)
    }

    /// Position in [`FIELDS`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The field's entry in the table.
    #[must_use]
    pub const fn definition(self) -> &'static FieldDefinition {
        &FIELDS[self.index()]
    }

    /// Key in the document, the JSON API, the CSV header and the history.
    #[must_use]
    pub const fn key(self) -> &'static str {
        self.definition().key
    }

    /// Type of the value.
    #[must_use]
    pub const fn kind(self) -> FieldKind {
        self.definition().kind
    }

    /// Whether a new position must have a value for this field.
    #[must_use]
    pub const fn is_required(self) -> bool {
        matches!(self.kind(), FieldKind::Text { required: true })
    }
}

impl fmt::Display for FieldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

impl fmt::Debug for FieldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// A value for each field, in table order. An array: no allocation of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FieldMap<T>([T; FIELDS.len()]);

impl<T> FieldMap<T> {
    /// Makes the value of each field with `value`.
    pub fn from_fn(mut value: impl FnMut(FieldId) -> T) -> Self {
        Self(std::array::from_fn(|index| value(FieldId::at(index))))
    }

    /// The fields with their values, in table order.
    pub fn iter(&self) -> impl Iterator<Item = (FieldId, &T)> {
        FieldId::all().zip(&self.0)
    }
}

impl<T: Default> Default for FieldMap<T> {
    fn default() -> Self {
        Self::from_fn(|_| T::default())
    }
}

impl<T> Index<FieldId> for FieldMap<T> {
    type Output = T;

    fn index(&self, field: FieldId) -> &T {
        &self.0[field.index()]
    }
}

impl<T> IndexMut<FieldId> for FieldMap<T> {
    fn index_mut(&mut self, field: FieldId) -> &mut T {
        &mut self.0[field.index()]
    }
}

impl<T: fmt::Debug> fmt::Debug for FieldMap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// A value that an edit sets.
#[derive(Debug, Clone, PartialEq)]
pub enum FieldValue {
    /// For fields of kind [`FieldKind::Text`], [`FieldKind::Choice`] and [`FieldKind::Month`]. An empty text unsets a field of the
    /// last two kinds.
    Text(String),
    /// For fields of kind [`FieldKind::Amount`].
    Amount(Budget),
    /// No value: removes a field of any kind but [`FieldKind::Text`] from the document. An amount is unknown then.
    Unset,
}

impl FieldValue {
    /// The value of a field that a new position does not set.
    #[must_use]
    pub const fn empty(kind: FieldKind) -> Self {
        match kind {
            FieldKind::Text { .. } => Self::Text(String::new()),
            FieldKind::Amount | FieldKind::Choice(_) | FieldKind::Month => Self::Unset,
        }
    }

    /// The text, if the value is one.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Amount(_) | Self::Unset => None,
        }
    }

    /// The amount, if the value is a known one.
    #[must_use]
    pub fn as_amount(&self) -> Option<Budget> {
        match self {
            Self::Amount(amount) => Some(*amount),
            Self::Text(_) | Self::Unset => None,
        }
    }

    /// Whether setting a field of this kind to the value removes it from the document.
    #[must_use]
    pub fn unsets(&self, kind: FieldKind) -> bool {
        match self {
            Self::Text(text) => kind.is_optional() && text.is_empty(),
            Self::Amount(_) => false,
            Self::Unset => true,
        }
    }

    /// Checks the value against the field's definition.
    ///
    /// # Errors
    /// The reason, when the field does not accept the value.
    pub fn check(&self, field: FieldId) -> Result<(), String> {
        match (field.kind(), self) {
            (FieldKind::Text { required: true }, Self::Text(text)) if is_blank(text) => {
                Err("must not be empty".to_owned())
            }
            (FieldKind::Text { .. }, Self::Text(text)) => check_length(text),
            (FieldKind::Text { .. }, Self::Amount(_) | Self::Unset) => Err("must be text".to_owned()),
            (FieldKind::Amount, Self::Text(_)) => Err("must be a number".to_owned()),
            (FieldKind::Amount, Self::Amount(_) | Self::Unset) => Ok(()),
            (kind, value) if value.unsets(kind) => Ok(()),
            (FieldKind::Choice(choices), Self::Text(text)) if choices.contains(&text.as_str()) => Ok(()),
            (FieldKind::Choice(choices), _) => Err(format!("must be one of {}, or null", choices.join(", "))),
            (FieldKind::Month, Self::Text(text)) if Month::parse(text).is_some() => Ok(()),
            (FieldKind::Month, _) => Err(MUST_BE_A_MONTH.to_owned()),
        }
    }
}

/// Why a value is rejected as a month.
pub const MUST_BE_A_MONTH: &str = "must be a month from 1900-01 to 9999-12, such as 2027-06, or null";

/// Rejects texts longer than [`MAX_TEXT`].
pub(super) fn check_length(text: &str) -> Result<(), String> {
    if text.chars().count() > MAX_TEXT {
        return Err(format!("must not be longer than {MAX_TEXT} characters"));
    }
    Ok(())
}

impl From<String> for FieldValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for FieldValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Budget> for FieldValue {
    fn from(amount: Budget) -> Self {
        Self::Amount(amount)
    }
}

impl From<Option<Budget>> for FieldValue {
    fn from(amount: Option<Budget>) -> Self {
        amount.map_or(Self::Unset, Self::Amount)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::position::PositionKey;

    #[test]
    fn keys_are_unique_and_not_reserved() {
        let keys: HashSet<&str> = FIELDS.iter().map(|definition| definition.key).collect();
        assert_eq!(keys.len(), FIELDS.len());
        for reserved in ["id", "createdAt", "updatedAt", "updatedBy", "conflicts", "value", "extra", "omitted"] {
            assert!(!keys.contains(reserved), "{reserved}");
        }
    }

    #[test]
    fn fields_are_found_by_key() {
        for field in FieldId::all() {
            assert_eq!(FieldId::from_key(field.key()), Some(field));
            assert_eq!(PositionKey::from_key(field.key()), Some(PositionKey::Field(field)));
        }
        assert_eq!(FieldId::from_key("headcount"), None);
    }

    #[test]
    fn examples_are_accepted_values() {
        for field in FieldId::all() {
            let example = serde_json::from_str(field.definition().example).unwrap();
            let value = match example {
                serde_json::Value::String(text) => FieldValue::from(text),
                number => Budget::from_json(&number).unwrap().into(),
            };
            assert_eq!(value.check(field), Ok(()), "{field}");
        }
    }

    #[test]
    fn values_of_the_wrong_kind_are_rejected() {
        assert_eq!(FieldValue::from("12").check(BUDGET), Err("must be a number".to_owned()));
        assert_eq!(FieldValue::from(Budget::Int(12)).check(LOCATION), Err("must be text".to_owned()));
        assert_eq!(FieldValue::Unset.check(LOCATION), Err("must be text".to_owned()));
        assert_eq!(FieldValue::Unset.check(BUDGET), Ok(()));
    }

    #[test]
    fn choices_and_months_are_exact_or_unset() {
        for (field, value) in [(STATUS, "open"), (STATUS, ""), (START, "2027-06"), (END, "9999-12"), (END, "")] {
            assert_eq!(FieldValue::from(value).check(field), Ok(()), "{field}: {value:?}");
        }
        assert_eq!(FieldValue::Unset.check(STATUS), Ok(()));
        for (field, value) in [
            (STATUS, FieldValue::from("Open")),
            (STATUS, "frozen".into()),
            (STATUS, " ".into()),
            (STATUS, Budget::Int(1).into()),
            (START, "June".into()),
            (START, "2027-6".into()),
            (START, " ".into()),
            (END, Budget::Int(2027).into()),
        ] {
            let reason = value.check(field).unwrap_err();
            let expected = if field == STATUS {
                "must be one of proposed, approved, open, filled, or null"
            } else {
                MUST_BE_A_MONTH
            };
            assert_eq!(reason, expected, "{field}: {value:?}");
        }
    }
}
