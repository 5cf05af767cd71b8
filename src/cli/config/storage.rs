//! Flags of commands that work on documents: in files, or in a database.

use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use primitives::DocumentId;
use store::sql::{DatabaseOptions, DatabaseUrl};

use super::database::platform_database;

/// Flags that name a database.
#[derive(Debug, Clone, Args)]
pub struct DatabaseChoice {
    /// The server's --database [default: DATABASE_URL, if it is set; else files]
    #[arg(long, value_name = "URL", env = "HAPPIERWORK_DATABASE", hide_env_values = true)]
    pub database: Option<DatabaseUrl>,
    /// Keep trying for this many seconds if the database cannot be reached
    #[arg(long, value_name = "SECONDS", env = "HAPPIERWORK_DATABASE_WAIT", default_value_t = 0,
          value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub database_wait: u64,
}

impl DatabaseChoice {
    /// How to open the database; `None` if documents are kept in files.
    #[must_use]
    pub fn options(&self) -> Option<DatabaseOptions> {
        let url = self.database.clone()?;
        Some(DatabaseOptions { url, listen: None, wait: Duration::from_secs(self.database_wait) })
    }

    /// Decides between the database and the files in the arguments `files`: a flag wins over a variable. Without either, takes
    /// the database from the variable of hosting platforms.
    ///
    /// # Errors
    /// If both are flags or both are variables, or the variable holds no URL of a database.
    pub(super) fn resolve(&mut self, matches: &ArgMatches, files: &[&str]) -> Result<(), String> {
        let database = precedence(matches, "database");
        let named = files.iter().max_by_key(|name| precedence(matches, name)).copied();
        let files = named.map_or(0, |name| precedence(matches, name));
        if files == 0 && database == 0 {
            self.database = platform_database()?;
        } else if files > database {
            self.database = None;
        } else if files == database {
            let name = named.unwrap_or_default();
            let name = if name == "document_file" { "FILE".to_owned() } else { format!("--{name}") };
            return Err(format!("--database and {name} name two places: give only one of them"));
        }
        Ok(())
    }
}

/// How strongly an argument was given: as a flag, by a variable, or not at all.
fn precedence(matches: &ArgMatches, name: &str) -> u8 {
    match matches.value_source(name) {
        Some(ValueSource::CommandLine) => 2,
        Some(ValueSource::EnvVariable) => 1,
        _ => 0,
    }
}

/// Flags that name where documents are kept: in a database or in files.
#[derive(Debug, Clone, Args)]
pub struct StorageArgs {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseChoice,
    /// File of the default document
    #[arg(long, value_name = "FILE", env = "HAPPIERWORK_STATE", default_value = "state.automerge")]
    pub state: PathBuf,
    /// Folder of all other documents
    #[arg(long, value_name = "DIR", env = "HAPPIERWORK_DOCUMENTS", default_value = "documents")]
    pub documents: PathBuf,
}

impl StorageArgs {
    pub(super) fn resolve(&mut self, matches: &ArgMatches) -> Result<(), String> {
        self.database.resolve(matches, &["state", "documents"])
    }
}

/// Flags that name one document.
#[derive(Debug, Clone, Args)]
pub struct DocumentChoice {
    /// Where documents are kept.
    #[command(flatten)]
    pub storage: StorageArgs,
    /// Id of the document [default: the default document]
    #[arg(long, value_name = "ID")]
    pub document: Option<DocumentId>,
}

impl DocumentChoice {
    /// The file of the document, if documents are kept in files.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        match &self.document {
            Some(id) => self.storage.documents.join(format!("{id}.automerge")),
            None => self.storage.state.clone(),
        }
    }
}
