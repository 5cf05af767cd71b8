//! All figures by scenario: a row for each case and server, and notes below.

use std::fmt::Write;

use super::figures::{OURS, Ratio, converged, figure, is_ratio, ratio};
use super::number::{Unit, short};
use crate::results::{Measurement, Results};

/// Columns with a name of their own, in this order.
const COLUMNS: [(&str, &str); 7] = [
    ("p50_ms", "p50"),
    ("p99_ms", "p99"),
    ("max_ms", "max"),
    ("cpu_us_per_delivered_edit", CPU),
    ("cpu_us_per_message", "CPU per message"),
    ("edits_per_s", "edits/s"),
    ("rss_mib", "RSS"),
];
const CPU: &str = "CPU per delivered edit";

/// Figures that others are computed from, or that are shown elsewhere.
const UNTOLD: [&str; 11] = [
    "bytes_per_message",
    "converged",
    "delivered_edits_per_s",
    "delivered_percent",
    "edits",
    "edits_per_fdatasync",
    "generator_cpu_s",
    "latest_edit_ms",
    "messages_per_delivered_edit",
    "peak_rss_mib",
    "server_cpu_percent",
];

/// Names of the scenarios, in the order of the run.
pub fn scenarios(results: &Results) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for measurement in &results.measurements {
        if !names.contains(&measurement.scenario.as_str()) {
            names.push(&measurement.scenario);
        }
    }
    names
}

/// A scenario's table.
pub fn table(results: &Results, scenario: &str) -> String {
    let rows: Vec<&Measurement> =
        results.measurements.iter().filter(|measurement| measurement.scenario == scenario).collect();
    let columns = columns(results, &rows);
    let mut notes = Vec::new();
    let mut table = String::from("| case | server |");
    for column in &columns {
        let _ = write!(table, " {} |", column.title());
    }
    let _ = write!(table, "\n|---|---|{}\n", "--:|".repeat(columns.len()));
    let mut last = "";
    for row in &rows {
        let case = if row.case == last { "" } else { &row.case };
        last = &row.case;
        let mark = mark(row, &mut notes);
        let _ = write!(table, "| {} | {}{mark} |", escaped(case), escaped(&row.server));
        for column in &columns {
            let _ = write!(table, " {} |", column.cell(results, row));
        }
        table.push('\n');
    }
    for (number, note) in notes.iter().enumerate() {
        let (gap, number) = (if number == 0 { "\n" } else { "" }, number + 1);
        let _ = writeln!(table, "{gap}{number}. {}", escaped(note));
    }
    table
}

enum Column<'a> {
    Named(&'static str, &'static str),
    Other(&'a str),
    /// CPU per delivered edit, in multiples of this server's.
    CpuTo(&'static str),
}

/// Omits empty columns.
fn columns<'a>(results: &Results, rows: &[&'a Measurement]) -> Vec<Column<'a>> {
    let named = COLUMNS.iter().map(|(name, title)| Column::Named(name, title));
    let ratios = ["floor", OURS].into_iter().map(Column::CpuTo);
    // With a price per delivery, the other prices are omitted.
    let priced = rows.iter().any(|row| row.viewers.is_some() && row.figures.contains_key("cpu_us_per_delivered_edit"));
    let mut others: Vec<&str> = rows.iter().flat_map(|row| row.figures.keys().map(String::as_str)).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|name| {
        let told = COLUMNS.iter().any(|(column, _)| column == name) || UNTOLD.contains(name) || is_ratio(name);
        let of_price = priced && ["cpu_us_per_edit", "server_cpu_s"].contains(name);
        !(told || of_price)
    });
    named
        .chain(ratios)
        .chain(others.into_iter().map(Column::Other))
        .filter(|column| rows.iter().any(|row| !column.cell(results, row).is_empty()))
        .collect()
}

impl Column<'_> {
    fn title(&self) -> String {
        match self {
            Self::Named(_, title) => (*title).to_owned(),
            Self::Other(name) => spelled(name),
            Self::CpuTo(server) => format!("CPU ÷ {server}"),
        }
    }

    fn cell(&self, results: &Results, row: &Measurement) -> String {
        let cell = match self {
            Self::Named("edits_per_s", _) => figure(row, "edits_per_s").map(short),
            Self::Named(name, _) => shown(row, name),
            Self::Other(name) => shown(row, name),
            Self::CpuTo(server) if row.server == *server => None,
            Self::CpuTo(server) => ratio(results, row, "cpu_us_per_delivered_edit", server).map(Ratio::show),
        };
        cell.unwrap_or_default()
    }
}

fn shown(row: &Measurement, name: &str) -> Option<String> {
    figure(row, name).map(|figure| Unit::of(name).show(figure))
}

/// Numbers of a row's notes. Equal notes share a number.
fn mark(row: &Measurement, notes: &mut Vec<String>) -> String {
    let mut told = String::new();
    if !converged(row) {
        told.push_str(" **did not converge**");
        if let Some(percent) = figure(row, "delivered_percent").filter(|percent| *percent < 100.0) {
            let _ = write!(told, ", {} % delivered", short(percent));
        }
    }
    let mut own: Vec<String> = row
        .note
        .iter()
        .flat_map(|note| note.split("; "))
        .map(str::trim)
        .filter(|note| !note.is_empty())
        .map(str::to_owned)
        .collect();
    if let (Some(generator), Some(server)) = (figure(row, "generator_cpu_s"), figure(row, "server_cpu_s"))
        && generator > server
        && !own.iter().any(|note| note.contains("the load generator"))
    {
        own.push(format!("the load generator used {} times the server's CPU", short(generator / server)));
    }
    for note in own {
        let number = notes.iter().position(|other| *other == note).unwrap_or_else(|| {
            notes.push(note);
            notes.len() - 1
        });
        let _ = write!(told, " ({})", number + 1);
    }
    told
}

/// A figure's name in words, without its unit.
fn spelled(name: &str) -> String {
    let name = name.strip_suffix("_per_s").map_or_else(|| name.to_owned(), |counted| format!("{counted}/s"));
    let words = name.split('_').filter(|word| !["ms", "us", "s", "kib", "mib"].contains(word));
    let words = words.map(|word| match word {
        "cpu" => "CPU",
        "rss" => "RSS",
        word => word,
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Escapes text within a cell or a list.
fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
