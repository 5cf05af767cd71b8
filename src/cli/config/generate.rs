//! Flags of `generate`.

use std::path::PathBuf;

use clap::Args;

/// Flags of `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Folder for the files; created if missing
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}
