//! The export as an Excel workbook: a row per position, with numbers as numbers and times as dates.
//!
//! The columns are those of the CSV export. A column that people have added to the plan has its title as header instead of its key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plan::{FieldId, FieldKind, Month, Plan, Position, Row, View, csv};
use primitives::iso_ms;
use rust_xlsxwriter::{Format, Workbook, Worksheet, XlsxError};
use serde_json::Value as Json;

use super::csv_table::{ExtraColumns, extra_cells, omitted_in_root, omitted_in_row};

/// Most positions of a sheet: Excel's rows without the header.
pub const MAX_ROWS: usize = 1_048_575;
/// Most characters of a cell, in UTF-16 code units. Longer texts are cut, and count as omitted.
const MAX_CELL: usize = 32_767;
/// Approximate memory of a cell while the workbook is made, in bytes.
const CELL_BYTES: u64 = 120;
const SHEET: &str = "Positions";
const HEADER_WIDTH: f64 = 16.0;
const DATE: &str = "yyyy-mm-dd";
const MONTH: &str = "yyyy-mm";
const TIME: &str = "yyyy-mm-dd hh:mm:ss";
/// The day number of 1970-01-01 in Excel.
const EPOCH: f64 = 25_569.0;
/// The first day that Excel numbers correctly, 1900-03-01, and the day after the last one, in milliseconds since 1970.
const DATES: std::ops::Range<i64> = -2_203_891_200_000..253_402_300_800_000;
const MS_PER_DAY: i64 = 86_400_000;

/// The content of a workbook, taken from a view that need not be locked while the workbook is made.
pub struct XlsxContent {
    rows: Vec<Arc<Row>>,
    columns: Option<Arc<BTreeMap<String, Json>>>,
    omitted: usize,
}

/// The positions of a document as a workbook.
pub struct XlsxTable {
    /// Content of the file.
    pub xlsx: Vec<u8>,
    /// Number of values of the document that the file does not contain. The document's settings do not count.
    pub omitted: usize,
}

impl XlsxContent {
    /// Takes the positions of a view.
    #[must_use]
    pub fn from_view(view: &View) -> Self {
        let Plan { columns, .. } = view.plan();
        Self { rows: view.rows().cloned().collect(), columns: columns.clone(), omitted: omitted_in_root(view) }
    }

    /// Number of positions.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.rows.len()
    }

    /// Estimated memory while the workbook is made, in bytes.
    #[must_use]
    pub fn memory_estimate(&self) -> u64 {
        let cell = |row: &Arc<Row>| csv::columns().count() + extra_cells(row).count();
        let text = |row: &Arc<Row>| row.form(plan::Form::Csv).len();
        let rows = self.rows.iter().map(|row| cell(row) as u64 * CELL_BYTES + text(row) as u64);
        rows.sum()
    }

    /// Makes the workbook. Slow if there are many positions.
    ///
    /// # Errors
    /// When there are more than [`MAX_ROWS`] positions.
    pub fn write(self) -> Result<XlsxTable, XlsxError> {
        let extra = ExtraColumns::of(self.rows.iter().map(AsRef::as_ref));
        let columns: Vec<Column<'_>> = csv::columns().map(Column::standard).chain(self.extra_columns(&extra)).collect();
        let formats = Formats::new();
        let mut workbook = Workbook::new();
        let sheet = workbook.add_worksheet();
        sheet.set_name(SHEET)?;
        sheet.set_freeze_panes(1, 0)?;
        let mut out = Cells { sheet, formats: &formats, omitted: self.omitted };
        for (index, column) in columns.iter().enumerate() {
            let index = u16::try_from(index).map_err(|_| XlsxError::RowColumnLimitError)?;
            out.sheet.set_column_width(index, HEADER_WIDTH)?;
            let header = out.fitting(&column.header).to_owned();
            out.sheet.write_string_with_format(0, index, header, &formats.header)?;
        }
        for (number, row) in self.rows.iter().enumerate() {
            let line = u32::try_from(number + 1).map_err(|_| XlsxError::RowColumnLimitError)?;
            out.omitted += omitted_in_row(row) + extra.dropped_in(row);
            let cells: BTreeMap<&str, &Json> = extra_cells(row).collect();
            for (index, column) in columns.iter().enumerate() {
                let index = u16::try_from(index).map_err(|_| XlsxError::RowColumnLimitError)?;
                out.write(line, index, column, &row.position, &cells)?;
            }
        }
        let omitted = out.omitted;
        Ok(XlsxTable { xlsx: workbook.save_to_buffer()?, omitted })
    }

    /// The columns for content beyond the schema. A header that another column has is the key.
    fn extra_columns<'a>(&'a self, extra: &'a ExtraColumns<'a>) -> Vec<Column<'a>> {
        let entry = |key: &str| self.columns.as_ref().and_then(|columns| columns.get(key));
        let title = |key: &str| entry(key)?.get("title")?.as_str().filter(|title| !title.trim().is_empty());
        let mut taken: BTreeSet<String> = csv::columns().map(str::to_owned).collect();
        taken.extend(extra.headers().map(str::to_owned));
        let column = |(key, header): (&'a str, &'a str)| {
            let is_date = entry(key).and_then(|entry| entry.get("type")?.as_str()) == Some("date");
            let title = title(key).filter(|title| taken.insert((*title).to_owned()));
            Column { header: title.unwrap_or(header).to_owned(), content: ColumnContent::Extra { key, is_date } }
        };
        extra.keys_with_headers().map(column).collect()
    }
}

/// A column of the sheet.
struct Column<'a> {
    header: String,
    content: ColumnContent<'a>,
}

/// What the cells of a column hold.
enum ColumnContent<'a> {
    Id,
    Field(FieldId),
    UpdatedBy,
    UpdatedAt,
    CreatedAt,
    Extra {
        key: &'a str,
        /// Whether its values are dates such as `2027-06-15`.
        is_date: bool,
    },
}

impl Column<'_> {
    /// A column that every export has.
    fn standard(name: &'static str) -> Self {
        use plan::position::{CREATED_AT, UPDATED_AT, UPDATED_BY};
        let content = match name {
            UPDATED_BY => ColumnContent::UpdatedBy,
            UPDATED_AT => ColumnContent::UpdatedAt,
            CREATED_AT => ColumnContent::CreatedAt,
            name => FieldId::from_key(name).map_or(ColumnContent::Id, ColumnContent::Field),
        };
        Self { header: name.to_owned(), content }
    }
}

struct Formats {
    header: Format,
    date: Format,
    month: Format,
    time: Format,
}

impl Formats {
    fn new() -> Self {
        let dates = |format: &str| Format::new().set_num_format(format);
        Self { header: Format::new().set_bold(), date: dates(DATE), month: dates(MONTH), time: dates(TIME) }
    }
}

/// Writes the cells, and counts what they cannot hold.
struct Cells<'a> {
    sheet: &'a mut Worksheet,
    formats: &'a Formats,
    omitted: usize,
}

impl Cells<'_> {
    fn write(
        &mut self,
        row: u32,
        column: u16,
        Column { content, .. }: &Column<'_>,
        position: &Position,
        extra: &BTreeMap<&str, &Json>,
    ) -> Result<(), XlsxError> {
        match content {
            ColumnContent::Id => self.text(row, column, &position.id),
            ColumnContent::UpdatedBy => self.text(row, column, position.updated_by.as_deref().unwrap_or_default()),
            ColumnContent::UpdatedAt => self.time(row, column, position.updated_at),
            ColumnContent::CreatedAt => self.time(row, column, position.created_at),
            ColumnContent::Field(field) => self.field(row, column, *field, position),
            ColumnContent::Extra { key, is_date } => {
                let Some(value) = extra.get(key) else { return Ok(()) };
                match value.as_str().filter(|_| *is_date).and_then(day) {
                    Some(day) => self.date(row, column, day, &self.formats.date),
                    None => self.value(row, column, value),
                }
            }
        }
    }

    fn field(&mut self, row: u32, column: u16, field: FieldId, position: &Position) -> Result<(), XlsxError> {
        let amount = if field.kind() == FieldKind::Amount { position.amount(field) } else { None };
        let month = if field.kind() == FieldKind::Month { position.month(field) } else { None };
        match (amount, month.and_then(first_day), &position.fields[field]) {
            (Some(amount), ..) => self.number(row, column, amount.as_f64()),
            (_, Some(day), _) => self.date(row, column, day, &self.formats.month),
            // A value of another type than the field's is exported as it is.
            (.., Some(value)) => self.value(row, column, value),
            (.., None) => Ok(()),
        }
    }

    fn value(&mut self, row: u32, column: u16, value: &Json) -> Result<(), XlsxError> {
        match value {
            Json::Null => Ok(()),
            Json::Bool(flag) => self.sheet.write_boolean(row, column, *flag).map(drop),
            Json::Number(number) => match number.as_f64().filter(|_| !is_rounded(number)) {
                Some(number) => self.number(row, column, number),
                None => self.text(row, column, &number.to_string()),
            },
            value => self.text(row, column, &csv::cell_text(value)),
        }
    }

    fn number(&mut self, row: u32, column: u16, number: f64) -> Result<(), XlsxError> {
        self.sheet.write_number(row, column, number).map(drop)
    }

    fn text(&mut self, row: u32, column: u16, text: &str) -> Result<(), XlsxError> {
        if text.is_empty() {
            return Ok(());
        }
        let text = self.fitting(text).to_owned();
        self.sheet.write_string(row, column, text).map(drop)
    }

    /// The start of a text that fits into a cell.
    fn fitting<'a>(&mut self, text: &'a str) -> &'a str {
        let mut units = 0;
        let cut = text.char_indices().find(|(_, letter)| {
            units += letter.len_utf16();
            units > MAX_CELL
        });
        match cut {
            None => text,
            Some((at, _)) => {
                self.omitted += 1;
                &text[..at]
            }
        }
    }

    /// A time in milliseconds since 1970.
    fn time(&mut self, row: u32, column: u16, ms: Option<i64>) -> Result<(), XlsxError> {
        match ms {
            None => Ok(()),
            Some(ms) if DATES.contains(&ms) => {
                #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
                let days = EPOCH + ms as f64 / MS_PER_DAY as f64;
                self.sheet.write_number_with_format(row, column, days, &self.formats.time).map(drop)
            }
            Some(ms) => self.text(row, column, &iso_ms(ms).unwrap_or_else(|| ms.to_string())),
        }
    }

    /// A day, as its number since 1970.
    fn date(&mut self, row: u32, column: u16, day: i64, format: &Format) -> Result<(), XlsxError> {
        #[expect(clippy::cast_precision_loss, reason = "a few million")]
        let number = EPOCH + day as f64;
        self.sheet.write_number_with_format(row, column, number, format).map(drop)
    }
}

/// Whether a cell, which holds a float, would hold another number.
fn is_rounded(number: &serde_json::Number) -> bool {
    let magnitude = number.as_u64().or(number.as_i64().map(i64::unsigned_abs));
    magnitude.is_some_and(|magnitude| magnitude > 1 << f64::MANTISSA_DIGITS)
}

/// The number of a day such as `2027-06-15` since 1970, if Excel can show it.
fn day(text: &str) -> Option<i64> {
    let date: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == "2027-06-15".len())?;
    let day = i64::from(date.since(jiff::civil::date(1970, 1, 1)).ok()?.get_days());
    DATES.contains(&(day * MS_PER_DAY)).then_some(day)
}

fn first_day(month: Month) -> Option<i64> {
    day(&format!("{month}-01"))
}
