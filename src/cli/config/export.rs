//! Flags of `export`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use store::FileMode;

use super::storage::DocumentChoice;

/// Flags of `export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = ExportFormat::Json)]
    pub format: ExportFormat,
    /// The document.
    #[command(flatten)]
    pub document: DocumentChoice,
    /// Output file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Permissions of a new output file, in octal, as for the server
    #[arg(long, value_name = "MODE", env = "HAPPIERWORK_FILE_MODE", default_value_t = FileMode::PRIVATE)]
    pub file_mode: FileMode,
}

/// The output format of `export`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A JSON array of positions
    Json,
    /// A table for spreadsheets
    Csv,
    /// An Excel workbook
    Xlsx,
}
