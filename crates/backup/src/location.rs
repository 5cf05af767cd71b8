//! Where a store is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use store::sql::{DatabaseUrl, InvalidDatabaseUrl};

/// Name of the default document's file in a folder that names both.
pub const STATE: &str = "state.automerge";
/// Name of the folder of all other documents in a folder that names both.
pub const DOCUMENTS: &str = "documents";

/// Where a store is. Shows no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreLocation {
    /// In a database.
    Database(DatabaseUrl),
    /// In files.
    Files {
        /// File of the default document.
        state: PathBuf,
        /// Folder of all other documents.
        documents: PathBuf,
    },
}

/// Why a text names no store. Contains no part of the text, which may hold a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStoreLocation {
    /// Not files, and not a database.
    #[error("{0}; files are given as files:STATE,DOCUMENTS or files:DIR")]
    Database(InvalidDatabaseUrl),
    /// A path is missing.
    #[error("give the file of the default document and the folder of all others: files:STATE,DOCUMENTS")]
    NoPath,
}

impl StoreLocation {
    /// The argument that names these files.
    #[must_use]
    pub fn files(state: &Path, documents: &Path) -> Self {
        Self::Files { state: state.to_owned(), documents: documents.to_owned() }
    }
}

impl FromStr for StoreLocation {
    type Err = InvalidStoreLocation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some(files) = text.strip_prefix("files:") else {
            return text.parse().map(Self::Database).map_err(InvalidStoreLocation::Database);
        };
        match files.split_once(',') {
            Some(("", _) | (_, "")) => Err(InvalidStoreLocation::NoPath),
            Some((state, documents)) => Ok(Self::files(Path::new(state), Path::new(documents))),
            None if files.is_empty() || Path::new(files).is_file() => Err(InvalidStoreLocation::NoPath),
            None => Ok(Self::files(&Path::new(files).join(STATE), &Path::new(files).join(DOCUMENTS))),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(url) => write!(f, "{url}"),
            Self::Files { state, documents } => write!(f, "files:{},{}", state.display(), documents.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_one_folder_or_two_paths() {
        let files = |state: &str, documents: &str| Ok(StoreLocation::files(Path::new(state), Path::new(documents)));
        assert_eq!("files:/srv/plan".parse(), files("/srv/plan/state.automerge", "/srv/plan/documents"));
        assert_eq!("files:a.automerge,/srv/d".parse(), files("a.automerge", "/srv/d"));
        for text in ["files:", "files:,d", "files:a,", concat!("files:", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
            assert_eq!(text.parse::<StoreLocation>(), Err(InvalidStoreLocation::NoPath), "{text}");
        }
    }

    #[test]
    fn passwords_of_locations_are_shown_nowhere() {
        let location: StoreLocation = "postgres://me:hunter2@db/plan".parse().expect("valid");
        assert_eq!(location.to_string(), "postgres://me@db:5432/plan");
        let error = "redis://me:hunter2@db/plan".parse::<StoreLocation>().expect_err("invalid");
        assert!(!format!("{error} {location:?}").contains("hunter2"));
    }
}
