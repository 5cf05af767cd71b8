//! Names of users and accounts.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

pub use primitives::MAX_NAME;
use primitives::check_author_name;
use serde::{Deserialize, Serialize};

/// Why a text is not a valid name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to {MAX_NAME} characters, and no control characters")]
pub struct InvalidName;

/// Whether this is a valid user name. It is recorded as the author of the user's changes.
pub(super) fn is_user_name(text: &str) -> bool {
    check_author_name(text) == Ok(text)
}

/// The name that a person types to log in, such as an e-mail address. Surrounding spaces and the case of ASCII letters
/// do not matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// Normalizes a typed name.
    ///
    /// # Errors
    /// When the name is invalid.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        if is_user_name(text) { Ok(Self(text.to_ascii_lowercase().into())) } else { Err(InvalidName) }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a shared string.
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
    fn spaces_and_ascii_case_do_not_matter() {
        for typed in ["cfo@example.com", " CFO@Example.com\n", "Cfo@example.COM "] {
            assert_eq!(AccountName::new(typed).map(|name| name.as_str().to_owned()), Ok("cfo@example.com".to_owned()));
        }
        assert_ne!(AccountName::new("ÉVA"), AccountName::new("éva"));
    }

    #[test]
    fn empty_long_and_multiline_names_are_rejected() {
        for bad in ["", " ", "a\nb", "a\u{7f}", "\u{85}a\u{85}b", &"é".repeat(201)] {
            assert_eq!(AccountName::new(bad), Err(InvalidName), "{bad:?}");
        }
        assert!(AccountName::new(&"é".repeat(200)).is_ok());
        assert!(is_user_name("Jane Doe") && !is_user_name(" Jane") && !is_user_name("Jane\u{a0}"));
    }
}
