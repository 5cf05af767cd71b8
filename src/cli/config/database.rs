//! Flags of the database in which documents are kept in place of files.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use backup::StoreLocation;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use store::sql::{DatabaseOptions, DatabaseUrl, ServerUrl};

/// Variable that hosting platforms set to the URL of a database.
const PLATFORM_VARIABLE: &str = "DATABASE_URL";

/// Flags of the database.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Database")]
pub struct DatabaseArgs {
    /// Keep all documents in this database, which any number of servers may share: postgres://…, mysql://… or sqlite:FILE
    /// [default: DATABASE_URL, if it is set; else files]
    #[arg(long, value_name = "URL", env = "HAPPIERWORK_DATABASE", hide_env_values = true)]
    pub database: Option<DatabaseUrl>,
    /// Direct PostgreSQL connection for notifications, if --database goes through a pooler in transaction mode
    #[arg(long, value_name = "URL", env = "HAPPIERWORK_DATABASE_LISTEN", hide_env_values = true, value_parser = listen_url)]
    pub database_listen: Option<ServerUrl>,
    /// Keep trying for this many seconds at the start if the database cannot be reached
    #[arg(long, value_name = "SECONDS", env = "HAPPIERWORK_DATABASE_WAIT", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub database_wait: u64,
}

impl DatabaseArgs {
    /// How to open the database; `None` if documents are kept in files.
    #[must_use]
    pub fn options(&self) -> Option<DatabaseOptions> {
        let url = self.database.clone()?;
        Some(DatabaseOptions {
            url,
            listen: self.database_listen.clone(),
            wait: Duration::from_secs(self.database_wait),
        })
    }

    /// Takes the database from the variable of hosting platforms, if neither a database nor files are given, and rejects a
    /// database together with files.
    ///
    /// # Errors
    /// If both are given, or the variable holds no URL of a database.
    pub(super) fn resolve(&mut self, matches: &ArgMatches) -> Result<(), String> {
        let is_given =
            |name: &&&str| matches.contains_id(name) && matches.value_source(name) != Some(ValueSource::DefaultValue);
        let files = ["state", "documents"].iter().find(is_given);
        match (&self.database, files) {
            (Some(_), Some(flag)) => {
                let path = |name| matches.get_one::<PathBuf>(name).cloned().unwrap_or_default();
                Err(format!(
                    "--database and --{flag} cannot be used together: all documents are kept in one place. To move the \
                     documents of these files into a database, run `happierwork migrate --from {} --to URL`",
                    StoreLocation::files(&path("state"), &path("documents"))
                ))
            }
            (Some(_), None) | (None, Some(_)) => Ok(()),
            (None, None) => {
                self.database = platform_database()?;
                Ok(())
            }
        }
    }
}

/// The database in the variable of hosting platforms.
///
/// # Errors
/// If the variable holds no URL of a database.
pub(super) fn platform_database() -> Result<Option<DatabaseUrl>, String> {
    let url = std::env::var(PLATFORM_VARIABLE).ok().filter(|url| !url.is_empty());
    let parse = |url: String| DatabaseUrl::from_str(&url).map_err(|error| format!("{PLATFORM_VARIABLE}: {error}"));
    url.map(parse).transpose()
}

fn listen_url(text: &str) -> Result<ServerUrl, String> {
    match DatabaseUrl::from_str(text).map_err(|error| error.to_string())? {
        DatabaseUrl::Postgres(url) => Ok(url),
        _ => Err("only PostgreSQL has notifications: postgres://…".to_owned()),
    }
}
