//! [`NewPosition`]: a position to be created, and the values of its row.

use automerge::ScalarValue;

use super::change::{Author, EditError, scalar};
use super::check_position_id;
use super::fields::{DESIGNATION, FieldId, FieldMap, FieldValue};
use super::position::{CREATED_AT, UPDATED_AT, UPDATED_BY};

/// A position to be created.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPosition {
    /// Key in the map of positions. Opaque; see [`check_position_id`].
    pub id: String,
    /// The value of each field.
    pub fields: FieldMap<FieldValue>,
    /// Milliseconds since 1970. `None` stands for the time of the edit.
    pub created_at: Option<i64>,
    /// The last edit. `None` stands for the author and the time of this edit.
    pub updated: Option<LastEdit>,
}

/// The last edit of a position that is copied from elsewhere. Unknown values stay absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastEdit {
    /// Name of the editor.
    pub by: Option<String>,
    /// Milliseconds since 1970.
    pub at: Option<i64>,
}

impl LastEdit {
    /// An edit by this person at this time, in milliseconds since 1970.
    #[must_use]
    pub fn new(by: String, at: i64) -> Self {
        Self { by: Some(by), at: Some(at) }
    }
}

impl NewPosition {
    /// A position with only an id and a designation. The other fields are empty, or unknown.
    #[must_use]
    pub fn new(id: impl Into<String>, designation: impl Into<String>) -> Self {
        let fields = FieldMap::from_fn(|field| FieldValue::empty(field.kind()));
        Self { id: id.into(), fields, created_at: None, updated: None }.with(DESIGNATION, designation.into())
    }

    /// Sets a field.
    #[must_use]
    pub fn with(mut self, field: FieldId, value: impl Into<FieldValue>) -> Self {
        self.fields[field] = value.into();
        self
    }

    /// Checks the id and the values.
    pub(super) fn validate(&self) -> Result<(), EditError> {
        check_position_id(&self.id).map_err(|error| EditError::Invalid { field: "id", reason: error.to_string() })?;
        self.fields.iter().try_for_each(|(field, value)| check_field(field, value))
    }

    /// The values of the row, by key.
    pub(super) fn values<'a>(&'a self, author: &'a Author) -> impl Iterator<Item = (&'static str, NewValue<'a>)> {
        let fields = self.fields.iter().filter_map(|(field, value)| {
            let value = match value {
                value if value.unsets(field.kind()) => return None,
                FieldValue::Text(text) => NewValue::Text(text),
                FieldValue::Amount(amount) => NewValue::Scalar(scalar(*amount)),
                FieldValue::Unset => return None,
            };
            Some((field.key(), value))
        });
        let (by, at) = match &self.updated {
            None => (Some(&author.name), Some(author.now)),
            Some(LastEdit { by, at }) => (by.as_ref(), *at),
        };
        let created = self.created_at.unwrap_or(author.now);
        let dates = [
            Some((CREATED_AT, NewValue::time(created))),
            at.map(|at| (UPDATED_AT, NewValue::time(at))),
            by.map(|by| (UPDATED_BY, NewValue::Text(by))),
        ];
        fields.chain(dates.into_iter().flatten())
    }

    /// The largest number of operations that the row may take: one for itself and for each value, and one for each character of a text.
    pub(super) fn operations(&self, author: &Author) -> usize {
        let of_value = |(_, value)| match value {
            NewValue::Text(text) => 1 + text.chars().count(),
            NewValue::Scalar(_) => 1,
        };
        1 + self.values(author).map(of_value).sum::<usize>()
    }
}

/// A value of a new row.
pub(super) enum NewValue<'a> {
    Text(&'a str),
    Scalar(ScalarValue),
}

impl NewValue<'_> {
    fn time(ms: i64) -> Self {
        Self::Scalar(ScalarValue::Timestamp(ms))
    }
}

/// Checks a value of a field.
pub(super) fn check_field(field: FieldId, value: &FieldValue) -> Result<(), EditError> {
    value.check(field).map_err(|reason| EditError::Invalid { field: field.key(), reason })
}
