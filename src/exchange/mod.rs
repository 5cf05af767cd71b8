//! Data from and for other programs: the import of a legacy `data.json`, and the export to a spreadsheet. Pure.

pub mod csv;
mod import;
mod odd;

pub use import::{ImportError, ImportedRow, import};
pub use odd::{OddRow, OddRows, Oddity};
