//! What grows with the number of positions of a plan.

use super::lines;
use super::{Series, figure};
use crate::report::figures::{OURS, converged};
use crate::results::Results;

/// The lines, each with its figure.
const LINES: [(&str, &str); 9] = [
    ("import", "import_ms"),
    ("open: sync", "open_to_sync_ms"),
    ("open: export", "open_to_export_ms"),
    ("join", "join_ms"),
    ("edit", "edit_ms"),
    ("export", "export_ms"),
    ("history", "history_ms"),
    ("page again", "history_again_ms"),
    ("scenario", "scenario_ms"),
];

/// Position of a line, which selects its colour and its mark. `None` for other names.
pub fn place(name: &str) -> Option<usize> {
    LINES.iter().position(|(line, _)| *line == name)
}

/// A line for each operation, over the number of positions.
pub fn draw(title: &str, results: &Results) -> Option<String> {
    let series: Vec<Series<'_>> = LINES.iter().map(|(line, name)| of(results, line, name)).collect();
    let series: Vec<Series<'_>> = series.into_iter().filter(|series| !series.points.is_empty()).collect();
    lines::draw(title, "positions", &series)
}

fn of<'a>(results: &Results, line: &'a str, name: &str) -> Series<'a> {
    let of_scenario =
        results.measurements.iter().filter(|found| found.scenario == "large-plan" && found.server == OURS);
    let mut points: Vec<(f64, f64)> = of_scenario
        .filter(|measurement| converged(measurement))
        .filter_map(|measurement| Some((positions(&measurement.case)?, figure(measurement, name)?)))
        .filter(|(x, y)| *x > 0.0 && *y > 0.0)
        .collect();
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    Series { server: line, points }
}

/// Number of positions in a case's name.
fn positions(case: &str) -> Option<f64> {
    case.strip_suffix(" positions")?.replace(',', "").parse().ok()
}
