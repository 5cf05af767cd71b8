//! The Django backend's protocol.

pub mod frames;
mod import;
mod import_report;
mod when;

pub use import::{ImportError, ImportedRow, ImportedRows, import, read_rows};
pub use import_report::{ImportReport, RefusedRow, RowProblem};
pub use when::{format_when, parse_when};
