//! Validation of the ids of new positions.
//!
//! An id is one segment of a URL (`/api/documents/{documentId}/positions/{positionId}`). Clients and proxies rewrite some
//! segments before the server sees them: `.` and `..` disappear, `%2e` counts as a dot, `\` becomes `/`, and an encoded
//! `/` is often decoded. A position with such an id could be created and then never be read, changed or deleted by its URL.
//!
//! All protocols that create positions on this server check the id. Positions that arrive by sync are not checked, because
//! another program chose their ids; they are shown as they are.

/// Most characters of the id of a new position.
pub const MAX_ID: usize = 200;

/// Why a text cannot be the id of a new position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPositionId {
    /// Empty, or only white space.
    #[error("must not be empty")]
    Empty,
    /// More than [`MAX_ID`] characters.
    #[error("must not be longer than {MAX_ID} characters")]
    TooLong,
    /// A line break, a tab, or another control character.
    #[error("must not hold control characters")]
    Control,
    /// `/` or `\`.
    #[error("must not hold / or \\, which separate the segments of a URL")]
    Separator,
    /// `.` or `..`, percent-encoded or not.
    #[error("must not be . or .. (or their encoded forms, such as %2e), which URLs do not keep")]
    DotSegment,
}

/// Checks the id of a new position.
///
/// # Errors
/// When a URL cannot carry the id, or it is empty or too long.
pub fn check_position_id(id: &str) -> Result<(), InvalidPositionId> {
    if id.trim().is_empty() {
        Err(InvalidPositionId::Empty)
    } else if id.chars().count() > MAX_ID {
        Err(InvalidPositionId::TooLong)
    } else if id.chars().any(char::is_control) {
        Err(InvalidPositionId::Control)
    } else if id.contains(['/', '\\']) {
        Err(InvalidPositionId::Separator)
    } else if is_dot_segment(id) {
        Err(InvalidPositionId::DotSegment)
    } else {
        Ok(())
    }
}

/// Whether URL parsers remove this segment from a path as a reference to the same or the parent folder.
fn is_dot_segment(text: &str) -> bool {
    let dots = text.to_ascii_lowercase().replace("%2e", ".");
    dots == "." || dots == ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_fit_into_urls_are_accepted() {
        for id in ["28f6d1a4b9c073", "a b", "ü%?#&=;", "...", ".a", "%2e%2e%2e", "%2f", "a.b", &"é".repeat(MAX_ID)] {
            assert_eq!(check_position_id(id), Ok(()), "{id:?}");
        }
    }

    #[test]
    fn ids_that_urls_lose_are_rejected() {
        use InvalidPositionId::{Control, DotSegment, Empty, Separator, TooLong};
        for (id, reason) in [
            ("", Empty),
            (" \u{a0}", Empty),
            (&*"x".repeat(MAX_ID + 1), TooLong),
            ("a\nb", Control),
            ("a\u{0}", Control),
            ("\u{85}b", Control),
            ("a/b", Separator),
            ("a\\b", Separator),
            (".", DotSegment),
            ("..", DotSegment),
            ("%2e", DotSegment),
            ("%2E", DotSegment),
            (".%2e", DotSegment),
            ("%2e.", DotSegment),
            ("%2E%2e", DotSegment),
        ] {
            assert_eq!(check_position_id(id), Err(reason), "{id:?}");
        }
    }
}
