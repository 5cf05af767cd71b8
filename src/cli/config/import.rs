//! Flags of `import`.

use std::path::PathBuf;

use clap::Args;
use store::FileMode;

use super::storage::DocumentChoice;

/// Flags of `import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The legacy backend's data.json: a JSON array of positions. Or the folder of an automerge-repo server (not while it runs)
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The document; created if missing.
    #[command(flatten)]
    pub document: DocumentChoice,
    /// Name of a new document
    #[arg(long, value_name = "NAME", default_value = "Imported plan")]
    pub name: String,
    /// Total budget of a new document: in lakh, or with a unit, such as "20 crore"
    #[arg(long, value_name = "AMOUNT")]
    pub total_budget: Option<String>,
    /// Permissions of new files, in octal, as for the server
    #[arg(long, value_name = "MODE", env = "HAPPIERWORK_FILE_MODE", default_value_t = FileMode::PRIVATE)]
    pub file_mode: FileMode,
    /// Import the valid rows, and write the invalid ones to a new file next to FILE
    #[arg(long)]
    pub skip_odd: bool,
}
