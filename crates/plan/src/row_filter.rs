//! [`RowFilter`]: selects positions by the texts of their fields.

use serde_json::Value as Json;

use super::FieldId;
use super::group_names::Folder;
use super::position::Position;

/// Texts that fields must have. Spellings that differ only in case, width, spacing or invisible characters are equal, as in groups.
/// An empty text selects the positions whose field is empty or not set.
#[derive(Default)]
pub struct RowFilter {
    wanted: Vec<(FieldId, String)>,
    folder: Folder,
}

impl RowFilter {
    /// Requires a text in a field.
    #[must_use]
    pub fn with(mut self, field: FieldId, text: &str) -> Self {
        let folded = self.folder.fold(text);
        self.wanted.push((field, folded));
        self
    }

    /// Whether it selects all positions.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether it selects a position. Takes `&mut self` to remember folded texts.
    pub fn selects(&mut self, position: &Position) -> bool {
        let Self { wanted, folder } = self;
        wanted.iter().all(|(field, wanted)| match &position.fields[*field] {
            None | Some(Json::Null) => wanted.is_empty(),
            Some(Json::String(text)) => folder.fold(text) == *wanted,
            // Another program has written a value that is no text.
            Some(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::{DEPARTMENT, STATUS};

    fn position(department: Option<Json>) -> Position {
        let mut position = Position::new("p");
        position.fields[DEPARTMENT] = department;
        position
    }

    fn is_selected(wanted: &str, department: Option<Json>) -> bool {
        RowFilter::default().with(DEPARTMENT, wanted).selects(&position(department))
    }

    #[test]
    fn spellings_of_a_group_are_equal() {
        for spelling in ["Data Science", " data  science ", "DATA SCIENCE", "Ｄａｔａ Science"] {
            assert!(is_selected("data science", Some(spelling.into())), "{spelling}");
            assert!(is_selected(spelling, Some("Data Science".into())), "{spelling}");
        }
        for other in [Some("Data".into()), Some("".into()), None, Some(5.into()), Some(Json::Null)] {
            assert!(!is_selected("data science", other.clone()), "{other:?}");
        }
    }

    #[test]
    fn empty_text_selects_what_is_not_set() {
        for empty in [None, Some(Json::Null), Some("".into()), Some("  ".into())] {
            assert!(is_selected("", empty.clone()), "{empty:?}");
        }
        assert!(!is_selected("", Some("HR".into())) && !is_selected("", Some(0.into())));
    }

    #[test]
    fn all_texts_must_match() {
        let mut filter = RowFilter::default().with(DEPARTMENT, "hr").with(STATUS, "approved");
        let mut position = position(Some("HR".into()));
        assert!(!filter.selects(&position));
        position.fields[STATUS] = Some("approved".into());
        assert!(filter.selects(&position) && RowFilter::default().is_empty() && !filter.is_empty());
    }
}
