//! The order of the list of positions, and [`ListCursor`]: a place in it, at which the next page begins.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::position::Position;

/// Order of rows: the newest first, then by id. Rows without a creation time come last.
pub(super) type OrderKey = (bool, Reverse<i64>, Arc<str>);

pub(super) fn order_key(position: &Position) -> OrderKey {
    key(position.created_at, &position.id)
}

fn key(created_at: Option<i64>, id: &Arc<str>) -> OrderKey {
    (created_at.is_none(), Reverse(created_at.unwrap_or_default()), Arc::clone(id))
}

/// Longest id of a position, in bytes, that a cursor holds. Ids of positions that arrive by sync may be longer.
const MAX_ID_BYTES: usize = 1_000;

/// The place after a position in the list.
///
/// It holds the sort key of that position, not its index. So positions that are created or deleted meanwhile neither repeat nor skip
/// others, and the position itself may be gone. Displays as opaque text for URLs, and parses from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListCursor {
    created_at: Option<i64>,
    id: Arc<str>,
}

/// The text is not a cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be the `next` of an earlier page of this list")]
pub struct InvalidListCursor;

impl ListCursor {
    /// The place after a position. `None` if its id is too long for a URL; the page must then go on to another position.
    #[must_use]
    pub fn after(position: &Position) -> Option<Self> {
        let is_short = position.id.len() <= MAX_ID_BYTES;
        is_short.then(|| Self { created_at: position.created_at, id: Arc::clone(&position.id) })
    }

    /// Whether a position comes after this place.
    #[must_use]
    pub fn precedes(&self, position: &Position) -> bool {
        self.order_key() < order_key(position)
    }

    pub(super) fn order_key(&self) -> OrderKey {
        key(self.created_at, &self.id)
    }
}

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let created_at = self.created_at.map(|ms| ms.to_string()).unwrap_or_default();
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(format!("{created_at}.{}", self.id)))
    }
}

impl FromStr for ListCursor {
    type Err = InvalidListCursor;

    fn from_str(text: &str) -> Result<Self, InvalidListCursor> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidListCursor)?;
        let text = String::from_utf8(bytes).map_err(|_| InvalidListCursor)?;
        let (created_at, id) = text.split_once('.').ok_or(InvalidListCursor)?;
        let created_at = match created_at {
            "" => None,
            ms => Some(ms.parse().map_err(|_| InvalidListCursor)?),
        };
        if id.len() > MAX_ID_BYTES {
            return Err(InvalidListCursor);
        }
        Ok(Self { created_at, id: id.into() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(id: &str, created_at: Option<i64>) -> Position {
        Position { created_at, ..Position::new(id) }
    }

    #[test]
    fn cursor_is_between_its_position_and_the_next() {
        let all = [position("b", Some(2)), position("a", Some(1)), position("b", Some(1)), position("", None)];
        for (index, one) in all.iter().enumerate() {
            let cursor = ListCursor::after(one).unwrap();
            for (other, position) in all.iter().enumerate() {
                assert_eq!(cursor.precedes(position), other > index, "{index} {other}");
            }
        }
    }

    #[test]
    fn long_id_has_no_cursor() {
        assert!(ListCursor::after(&position(&"x".repeat(MAX_ID_BYTES), None)).is_some());
        assert_eq!(ListCursor::after(&position(&"x".repeat(MAX_ID_BYTES + 1), None)), None);
    }

    #[test]
    fn other_texts_are_no_cursors() {
        let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let long = encoded(&format!("1.{}", "x".repeat(MAX_ID_BYTES + 1)));
        for text in ["", "a", "!", "====", &encoded("1"), &encoded("x.a"), &encoded("1x.a"), &long] {
            assert_eq!(text.parse::<ListCursor>(), Err(InvalidListCursor), "{text}");
        }
    }

    proptest! {
        #[test]
        fn cursor_parses_from_its_text(id in "(?s).{0,40}", created_at in any::<Option<i64>>()) {
            let cursor = ListCursor { created_at, id: id.into() };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
    }
}
