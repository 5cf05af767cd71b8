//! What is read from a file before it is compared with the document.

use axum::http::StatusCode;
use plan::NewContent;

use super::row::ImportedRow;
use crate::server::Problem;

/// Most rows of a file.
pub const MAX_ROWS: usize = 100_000;

/// The content of a file.
#[derive(Debug, Default)]
pub struct ImportFile {
    /// The settings, for a new document. Without positions.
    pub content: NewContent,
    /// The rows: the line on which each begins, from 1, its content, and its problems.
    pub rows: Vec<(usize, ImportedRow, Vec<String>)>,
}

/// Why a file cannot be read at all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// It is not UTF-8.
    #[error("the file is not UTF-8: byte {0} is invalid")]
    NotUtf8(usize),
    /// It is not JSON.
    #[error("the file is not JSON with positions: {0}")]
    NotJson(String),
    /// It is JSON without positions.
    #[error("the file must be an array of positions, or an object with such an array as `positions`")]
    NoPositions,
    /// It is not CSV.
    #[error("the file is not CSV: {0}")]
    NotCsv(String),
    /// The names of its columns cannot be used.
    #[error("{0}")]
    Columns(String),
    /// A setting is invalid.
    #[error("document.{key}: {reason}")]
    Setting {
        /// The setting.
        key: String,
        /// The reason.
        reason: String,
    },
    /// It has too many rows.
    #[error("the file has {0} positions; up to {MAX_ROWS} can be imported at once")]
    TooManyRows(usize),
}

impl From<FileError> for Problem {
    fn from(error: FileError) -> Self {
        let detail = format!("{error}. Nothing was imported");
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self::new(status, "invalid-file", "The file cannot be imported", detail)
    }
}
