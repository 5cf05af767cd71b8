//! Data from and for other programs: the import of a legacy `data.json`, and the export to a spreadsheet. Pure.

pub mod csv;
pub mod formula_guard;
mod import;
mod import_report;

pub use import::{ImportError, ImportedRow, ImportedRows, import, read_rows};
pub use import_report::{ImportReport, RefusedRow, RowProblem};
