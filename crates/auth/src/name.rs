//! What users and accounts may be called.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

pub use primitives::MAX_NAME;
use primitives::check_author_name;
use serde::{Deserialize, Serialize};

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_NAME} characters, and no control characters")]
pub struct InvalidName;

/// Whether this may be the name of a user: it is the author of their changes.
pub(super) fn is_user_name(text: &str) -> bool {
    check_author_name(text) == Ok(text)
}

/// What a person types at the login, such as an e-mail address. Spaces around it and the case of ASCII letters make no difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// The account that somebody means by this.
    ///
    /// # Errors
    /// When no account can be called so.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        if is_user_name(text) { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(InvalidName) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl TryFrom<String> for AccountName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::new(&text)
    }
}

impl From<AccountName> for String {
    fn from(name: AccountName) -> Self {
        name.as_str().to_owned()
    }
}

impl Borrow<str> for AccountName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_around_a_name_and_the_case_of_its_ascii_letters_make_no_difference() {
        for typed in ["cfo@example.com", " CFO@Example.com\n", "Cfo@example.COM "] {
            assert_eq!(AccountName::new(typed).map(|name| name.as_str().to_owned()), Ok("cfo@example.com".to_owned()));
        }
        assert_ne!(AccountName::new("ÉVA"), AccountName::new("éva"));
    }

    #[test]
    fn names_are_neither_empty_nor_too_long_nor_more_than_a_line() {
        for bad in ["", " ", "a\nb", "a\u{7f}", "\u{85}a\u{85}b", &"é".repeat(201)] {
            assert_eq!(AccountName::new(bad), Err(InvalidName), "{bad:?}");
        }
        assert!(AccountName::new(&"é".repeat(200)).is_ok());
        assert!(is_user_name("Jane Doe") && !is_user_name(" Jane") && !is_user_name("Jane\u{a0}"));
    }
}
