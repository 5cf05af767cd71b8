//! The CSV export: a line per position, with a column for each field that other programs have added.

use std::collections::{BTreeMap, BTreeSet};

use plan::{Extra, Form, Row, View, csv};
use serde_json::Value as Json;

/// Maximum number of columns for fields beyond the schema. The values of further fields count as omitted.
const MAX_COLUMNS: usize = 200;
/// Column for the value in the place of a position that is not a map.
const VALUE: &str = "value";
/// Prefix of the column of an added field that has the name of a standard column.
const PREFIX: &str = "extra.";

/// The positions of a document as CSV.
#[derive(Debug, PartialEq)]
pub struct CsvTable {
    /// Content of the file.
    pub csv: Vec<u8>,
    /// Number of values of the document that the file does not contain. The document's settings do not count.
    pub omitted: usize,
}

/// The columns for fields beyond the schema, in the order of their names.
pub(super) struct ExtraColumns<'a> {
    names: BTreeSet<&'a str>,
    /// For each name, its header: distinct from those of all other columns.
    headers: Vec<String>,
    /// Fields without a column.
    dropped: BTreeSet<&'a str>,
}

impl<'a> ExtraColumns<'a> {
    /// The columns that these rows need.
    pub(super) fn of(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut names: BTreeSet<&str> = rows.flat_map(extra_cells).map(|(name, _)| name).collect();
        let dropped: BTreeSet<&str> = names.iter().skip(MAX_COLUMNS).copied().collect();
        names.retain(|name| !dropped.contains(name));
        let headers = column_names(&names);
        Self { names, headers, dropped }
    }

    /// The headers.
    pub(super) fn headers(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().map(String::as_str)
    }

    /// The name of each field, with its header.
    pub(super) fn keys_with_headers(&self) -> impl Iterator<Item = (&'a str, &str)> {
        self.names.iter().copied().zip(self.headers())
    }

    /// Number of values of a row without a column.
    pub(super) fn dropped_in(&self, row: &Row) -> usize {
        if self.dropped.is_empty() {
            return 0;
        }
        extra_cells(row).filter(|(name, _)| self.dropped.contains(name)).count()
    }
}

impl CsvTable {
    /// Renders the positions of a view.
    #[must_use]
    pub fn from_view(view: &View) -> Self {
        let columns = ExtraColumns::of(view.rows().map(AsRef::as_ref));
        let mut out = csv::header(columns.headers());
        let mut omitted = omitted_in_root(view);
        if columns.names.is_empty() {
            view.join(Form::Csv, b"", &mut out);
        }
        for row in view.rows() {
            omitted += omitted_in_row(row);
            if columns.names.is_empty() {
                continue;
            }
            omitted += columns.dropped_in(row);
            let cells: BTreeMap<&str, &Json> = extra_cells(row).collect();
            let line = row.form(Form::Csv);
            out.extend_from_slice(line.strip_suffix(csv::LINE_END).unwrap_or(line));
            for name in &columns.names {
                out.push(b',');
                if let Some(value) = cells.get(name) {
                    csv::write_cell(&mut out, &csv::cell_text(value));
                }
            }
            out.extend_from_slice(csv::LINE_END);
        }
        Self { csv: out, omitted }
    }
}

/// The column names of added fields, all distinct from each other and from the standard columns.
fn column_names(names: &BTreeSet<&str>) -> Vec<String> {
    let column_name = |name: &&str| {
        let mut column = (*name).to_owned();
        while csv::is_column(&column) || (column != **name && names.contains(column.as_str())) {
            column.insert_str(0, PREFIX);
        }
        column
    };
    names.iter().map(column_name).collect()
}

/// Name and value of each field of a row beyond the schema.
pub(super) fn extra_cells(row: &Row) -> impl Iterator<Item = (&str, &Json)> {
    let extra = row.position.extra.as_deref();
    let fields = extra.into_iter().flat_map(|extra| &extra.fields).map(|(name, value)| (name.as_str(), value));
    fields.chain(extra.and_then(|extra| extra.value.as_ref()).map(|value| (VALUE, value)))
}

/// Number of values of a row that no cell contains: those that lost against a concurrent write, and those that JSON cannot
/// represent.
pub(super) fn omitted_in_row(row: &Row) -> usize {
    let losing: usize = row.position.conflicts.values().map(Vec::len).sum();
    losing + row.position.extra.as_deref().map_or(0, |extra: &Extra| extra.losing() + extra.omitted)
}

/// Number of values of the root that a table does not contain: root keys beyond the settings.
pub(super) fn omitted_in_root(view: &View) -> usize {
    view.extra().map_or(0, |extra| extra.fields.len() + extra.losing() + extra.omitted)
}

/// Number of values of a document that its JSON export does not contain.
#[must_use]
pub fn omitted_in_json(view: &View) -> usize {
    let rows = view.rows().filter_map(|row| row.position.extra.as_deref());
    view.extra().into_iter().chain(rows).map(|extra| extra.omitted).sum()
}

#[cfg(test)]
mod tests {
    use automerge::transaction::Transactable;
    use automerge::{ActorId, AutoCommit, Automerge, ObjId, ObjType, ROOT};

    use super::*;
    use crate::server::renderings::JSON_AND_CSV;

    /// Number of standard columns: the id, the fields, `updatedBy`, `updatedAt`, `createdAt`.
    const COLUMNS: usize = plan::FIELDS.len() + 4;

    fn plan() -> (AutoCommit, ObjId) {
        let mut doc = AutoCommit::new().with_actor(ActorId::from([1u8]));
        let positions = doc.put_object(ROOT, "positions", ObjType::Map).unwrap();
        (doc, positions)
    }

    fn row(doc: &mut AutoCommit, positions: &ObjId, id: &str) -> ObjId {
        let row = doc.put_object(positions, id, ObjType::Map).unwrap();
        doc.put(&row, "designation", id).unwrap();
        row
    }

    /// The cells of the export as another implementation reads them, and the number of omitted values.
    fn read(doc: &mut AutoCommit) -> (Vec<Vec<String>>, usize) {
        let doc = Automerge::load(&doc.save()).unwrap();
        let table = CsvTable::from_view(&View::new(&doc, JSON_AND_CSV));
        let text = String::from_utf8(table.csv).unwrap();
        let text = text.strip_prefix('\u{feff}').unwrap();
        let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let cells = reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
        (cells, table.omitted)
    }

    #[test]
    fn unknown_fields_have_columns_in_order() {
        let (mut doc, positions) = plan();
        let one = row(&mut doc, &positions, "a");
        doc.put(&one, "budget", "twelve").unwrap();
        doc.put(&one, "headcount", 3).unwrap();
        let skills = doc.put_object(&one, "skills", ObjType::List).unwrap();
        doc.insert(&skills, 0, "Rust").unwrap();
        row(&mut doc, &positions, "b");
        let other = row(&mut doc, &positions, "c");
        doc.put(&other, "notes", "=1+1").unwrap();
        doc.put(&other, "id", "mine").unwrap();
        doc.put(&positions, "d", 5).unwrap();
        let (cells, omitted) = read(&mut doc);
        assert_eq!(cells[0][COLUMNS..], ["headcount", "extra.id", "notes", "skills", "value"]);
        assert_eq!(
            (cells[1][3].as_str(), &cells[1][COLUMNS..]),
            ("twelve", &["3", "", "", "[\"Rust\"]", ""].map(str::to_owned)[..])
        );
        assert_eq!(cells[2][COLUMNS..], ["", "", "", "", ""]);
        assert_eq!(cells[3][COLUMNS..], ["", "mine", "'=1+1", "", ""]);
        assert_eq!((cells[4][0].as_str(), cells[4][COLUMNS + 4].as_str()), ("d", "5"));
        assert_eq!(omitted, 0);
    }

    #[test]
    fn values_without_a_cell_are_counted() {
        let (mut doc, positions) = plan();
        let one = row(&mut doc, &positions, "a");
        doc.put(ROOT, "scenario", "frozen").unwrap();
        doc.put(&one, "ratio", f64::NAN).unwrap();
        doc.commit();
        let mut other = doc.fork().with_actor(ActorId::from([2u8]));
        for (doc, value) in [(&mut doc, 1), (&mut other, 2)] {
            doc.put(&one, "budget", value).unwrap();
            doc.put(&one, "headcount", value).unwrap();
        }
        doc.merge(&mut other).unwrap();
        let (cells, omitted) = read(&mut doc);
        assert_eq!(cells[0][COLUMNS..], ["headcount", "ratio"]);
        assert_eq!((cells[1][3].as_str(), &cells[1][COLUMNS..]), ("2", &["2", ""].map(str::to_owned)[..]));
        assert_eq!(omitted, 4, "the scenario, the ratio, a budget, a headcount");
    }

    #[test]
    fn columns_are_bounded_and_further_fields_counted() {
        let (mut doc, positions) = plan();
        let one = row(&mut doc, &positions, "a");
        for column in 0..MAX_COLUMNS + 3 {
            doc.put(&one, format!("c{column:04}"), 1).unwrap();
        }
        let (cells, omitted) = read(&mut doc);
        assert_eq!((cells[1].len(), omitted), (COLUMNS + MAX_COLUMNS, 3));
    }
}
