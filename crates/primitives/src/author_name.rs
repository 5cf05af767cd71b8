//! The rule for names of authors: what a change carries as `updatedBy`.
//!
//! It holds wherever a name comes from outside: `?author=` of the API, a legacy login, `lastUpdated` of an imported row,
//! the options of a replica, accounts and tokens. Documents that arrive by sync are not checked: their names are shown
//! as they are.

use super::text::is_blank;

/// Unicode characters that the name of an author may have.
pub const MAX_NAME: usize = 200;

/// Why a text cannot be the name of an author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthorName {
    /// Nothing that a person could see.
    #[error("must not be empty")]
    Empty,
    /// More than [`MAX_NAME`] characters.
    #[error("must not be longer than {MAX_NAME} characters")]
    TooLong,
    /// A line break, a tab, or another control character.
    #[error("must not hold control characters")]
    Control,
}

/// Checks the name of an author. Returns it without the white space around it.
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
    fn names_are_accepted_as_on_the_page() {
        let rules: Value = serde_json::from_str(include_str!("../../../tests/fixtures/texts.json")).unwrap();
        for case in rules["names"].as_array().unwrap() {
            let times = usize::try_from(case["repeat"].as_u64().unwrap_or(1)).unwrap();
            let name = case["name"].as_str().unwrap().repeat(times);
            assert_eq!(check_author_name(&name).is_ok(), case["isAccepted"], "{name:?}");
        }
    }

    #[test]
    fn white_space_around_a_name_is_removed() {
        assert_eq!(check_author_name(" Anita Rao\n"), Ok("Anita Rao"));
        assert_eq!(check_author_name("\u{200b}"), Err(InvalidAuthorName::Empty));
        assert_eq!(check_author_name("a\nb"), Err(InvalidAuthorName::Control));
        assert_eq!(check_author_name(&"é".repeat(MAX_NAME + 1)), Err(InvalidAuthorName::TooLong));
    }
}
