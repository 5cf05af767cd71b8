//! Roles.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The rights of a user on the documents that they may see. Each role includes the rights of those before it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum, // in order
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads
    Viewer,
    /// Reads and changes
    Editor,
    /// Reads, changes, and decides about the document as a whole
    Owner,
}

impl Role {
    /// The role of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Editor, Self::Owner].into_iter().find(|role| role.as_str() == name)
    }

    /// Name of the role in tokens, files and flags.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn roles_are_ordered_and_have_one_spelling() {
        assert!(Role::Viewer < Role::Editor && Role::Editor < Role::Owner);
        for role in Role::value_variants() {
            let json = serde_json::to_string(role).expect("JSON");
            assert_eq!(json, format!("\"{role}\""));
            assert_eq!(serde_json::from_str::<Role>(&json).ok(), Some(*role));
            assert_eq!(Role::from_str(role.as_str(), false), Ok(*role));
        }
        for other in ["\"admin\"", "\"Owner\"", "\"\"", "null", "2", "[\"owner\"]"] {
            assert!(serde_json::from_str::<Role>(other).is_err(), "{other}");
        }
    }
}
