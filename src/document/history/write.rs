//! What a change has done to one register: a field of a position, a setting of the plan, or a position as such.
//!
//! A document may have a million changes, so these are small, and texts that occur again and again are kept once.

use std::collections::HashMap;
use std::sync::Arc;

use automerge::ScalarValue;
use serde_json::Value as Json;

use super::super::position::{
    BUDGET, CREATED_AT, CURRENCY, DEPARTMENT, DESIGNATION, LOCATION, NAME, TOTAL_BUDGET, UNIT, UPDATED_AT, UPDATED_BY,
    show_scalar,
};
use crate::format::MAX_TEXT;

/// A position's number that stands for the plan.
pub(super) const PLAN: u32 = u32::MAX;
/// No write.
pub(super) const NOTHING: u32 = u32::MAX;
/// What follows from an operation on something else: a field that is gone with the position that it was of.
pub(super) const NO_OPERATION: u32 = u32::MAX;

/// Characters of a text that are shown: all that an edit through this server may write.
const SHOWN: usize = MAX_TEXT;

/// The registers that a history tells of: those of a position, then those of the plan.
const NAMES: [&str; 11] =
    [DESIGNATION, DEPARTMENT, BUDGET, LOCATION, CREATED_AT, UPDATED_AT, UPDATED_BY, NAME, CURRENCY, UNIT, TOTAL_BUDGET];
/// How many of them are a position's.
const OF_POSITION: usize = 7;

/// A field whose history can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(u8);

impl Field {
    /// The position itself: that it is there.
    pub(super) const ROW: Self = Self(NAMES.len() as u8);
    /// The designation.
    pub(super) const DESIGNATION: Self = Self(0);

    /// The field of this name; None: positions and plans have no such field.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::find(0..NAMES.len(), name)
    }

    /// Its name, as JSON names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.get(usize::from(self.0)).copied().unwrap_or_default()
    }

    /// The names of all of them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.into_iter()
    }

    pub(super) fn of_position(name: &str) -> Option<Self> {
        Self::find(0..OF_POSITION, name)
    }

    pub(super) fn of_plan(name: &str) -> Option<Self> {
        Self::find(OF_POSITION..NAMES.len(), name)
    }

    fn find(among: std::ops::Range<usize>, name: &str) -> Option<Self> {
        let at = among.clone().find(|at| NAMES[*at] == name)?;
        u8::try_from(at).ok().map(Self)
    }

    /// Its place in a set of fields.
    pub(super) fn bit(self) -> u16 {
        1 << self.0
    }
}

/// What a register holds after a write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Left {
    /// Nothing.
    Gone,
    /// A position is there.
    Made,
    /// What JSON does not show: bytes, a map, a list, not a number.
    Unshown,
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    /// A text; `cut`: it is longer than what is kept of it. `spliced`: what it holds later is not what it held when it was
    /// made, and has to be read from the document.
    Text {
        word: u32,
        cut: bool,
        spliced: bool,
    },
    /// The text of an earlier write was changed in its place: read from the document.
    Splice,
    /// A counter, which is read from the document. The number of the object that it is a key of.
    Counter(u32),
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
            ScalarValue::Int(number) | ScalarValue::Timestamp(number) => Left::Int(*number),
            ScalarValue::Uint(number) => Left::Uint(*number),
            ScalarValue::F64(number) => Left::Float(*number),
            ScalarValue::Boolean(flag) => Left::Bool(*flag),
            ScalarValue::Null => Left::Null,
            // Whoever finds a counter knows where it stands.
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
        _ => ScalarValue::Null,
    };
    show_scalar(&scalar).unwrap_or(Json::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_known_by_their_names() {
        for name in Field::names() {
            assert_eq!(Field::named(name).map(Field::name), Some(name));
            assert_ne!(Field::of_position(name).is_some(), Field::of_plan(name).is_some(), "{name}");
        }
        for name in ["", "documentId", "positions", "Budget"] {
            assert_eq!(Field::named(name), None, "{name}");
        }
    }

    #[test]
    fn every_field_has_a_bit_of_its_own() {
        let fields = Field::names().filter_map(Field::named).chain([Field::ROW]);
        let bits: u16 = fields.map(Field::bit).sum();
        assert_eq!(bits, (1 << 12) - 1);
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
