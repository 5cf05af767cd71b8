//! Flags of `migrate`.

use std::path::PathBuf;

use backup::StoreLocation;
use clap::Args;
use store::FileMode;

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
    /// Print the report as JSON (docs/operations.md)
    #[arg(long)]
    pub json: bool,
    /// Replace access records of the target that differ from those of the source
    #[arg(long)]
    pub replace_access: bool,
    /// Permissions of new files, in octal, as for the server
    #[arg(long, value_name = "MODE", env = "HAPPIERWORK_FILE_MODE", default_value_t = FileMode::PRIVATE)]
    pub file_mode: FileMode,
}
