//! The rule for author names, which changes carry as `updatedBy`.
//!
//! It applies to names from `?author=` of the API, legacy logins, `lastUpdated` of imported rows, options of a replica,
//! accounts and tokens. Documents that arrive by sync are not checked: their names are shown unchanged.

use super::text::is_blank;

/// Most Unicode characters of an author name.
pub const MAX_NAME: usize = 200;

/// Why a text is not a valid author name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorName {
    /// No visible character.
    #[error("must not be empty")]
    Empty,
    /// More than [`MAX_NAME`] characters.
    #[error("must not be longer than {MAX_NAME} characters")]
    TooLong,
    /// A line break, a tab, or another control character.
    #[error("must not hold control characters")]
    Control,
}

/// Checks an author name, and returns it without surrounding white space.
///
/// # Errors
/// When the name is blank, longer than [`MAX_NAME`] characters, or holds control characters.
pub fn check_author_name(text: &str) -> Result<&str, InvalidAuthorName> {
    let name = text.trim();
    if is_blank(name) {
        Err(InvalidAuthorName::Empty)
    } else if name.chars().count() > MAX_NAME {
        Err(InvalidAuthorName::TooLong)
    } else if name.chars().any(char::is_control) {
        Err(InvalidAuthorName::Control)
    } else {
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn names_follow_the_rules_of_the_dashboard() {
        let rules: Value = serde_json::from_str(include_str!("../../../tests/fixtures/texts.json")).unwrap();
        for case in rules["names"].as_array().unwrap() {
            let times = usize::try_from(case["repeat"].as_u64().unwrap_or(1)).unwrap();
            let name = case["name"].as_str().unwrap().repeat(times);
            assert_eq!(check_author_name(&name).is_ok(), case["isAccepted"], "{name:?}");
        }
    }

    #[test]
    fn surrounding_white_space_is_removed() {
        assert_eq!(check_author_name(" Anita Rao\n"), Ok("Anita Rao"));
        assert_eq!(check_author_name("\u{200b}"), Err(InvalidAuthorName::Empty));
        assert_eq!(check_author_name("a\nb"), Err(InvalidAuthorName::Control));
        assert_eq!(check_author_name(&"é".repeat(MAX_NAME + 1)), Err(InvalidAuthorName::TooLong));
    }
}
