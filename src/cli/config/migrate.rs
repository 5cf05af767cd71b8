//! Flags of `migrate`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use store::FileMode;
use store::sql::{DatabaseUrl, InvalidDatabaseUrl};

/// Name of the default document's file in a folder that names both.
const STATE: &str = "state.automerge";
/// Name of the folder of all other documents in a folder that names both.
const DOCUMENTS: &str = "documents";

/// Flags of `migrate`.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Source: postgres://…, mysql://…, sqlite:FILE, files:STATE,DOCUMENTS (file of the default document and folder of all
    /// others), or files:DIR for state.automerge and documents in DIR
    #[arg(long, value_name = "STORE", env = "HAPPIERWORK_MIGRATE_FROM", hide_env_values = true)]
    pub from: StoreLocation,
    /// Target, named in the same way; created if missing
    #[arg(long, value_name = "STORE", env = "HAPPIERWORK_MIGRATE_TO", hide_env_values = true)]
    pub to: StoreLocation,
    /// Folder of accounts that belongs to the files: the server's --auth. Accounts move between it and the database
    #[arg(long, value_name = "DIR")]
    pub accounts: Option<PathBuf>,
    /// Only print what would be moved
    #[arg(long)]
    pub dry_run: bool,
    /// Replace access records of the target that differ from those of the source
    #[arg(long)]
    pub replace_access: bool,
    /// Permissions of new files, in octal, as for the server
    #[arg(long, value_name = "MODE", env = "HAPPIERWORK_FILE_MODE", default_value_t = FileMode::PRIVATE)]
    pub file_mode: FileMode,
}

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
