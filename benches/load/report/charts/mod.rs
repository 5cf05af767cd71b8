//! Charts as small handwritten SVG files, legible on light and dark backgrounds.

mod bars;
pub mod growth;
mod lines;
pub mod scale;
pub mod svg;

use super::figures::{converged, figure};
use super::number::thousands;
use super::servers;
use crate::results::{Measurement, Results};

/// A chart.
pub struct Chart {
    /// File name.
    pub file: &'static str,
    pub title: &'static str,
    /// Draws the chart, if it has any points.
    pub draw: fn(&Results) -> Option<String>,
}

const CPU: &str = "CPU per delivered edit against viewers, µs";
const LATENCY: &str = "p99 latency against viewers, ms";
const FLAT_OUT: &str = "Edits per second, 4 writers flat out, by viewers";
const CLUSTER: &str = "p99 latency of viewers, edits at one of the servers, ms";
const LARGE: &str = "Time against the number of positions, ms";
const HISTORY: &str = "CPU per delivered edit against the length of the history (changes), µs";

/// All charts, in the order of the page.
pub const ALL: &[Chart] = &[
    Chart { file: "cpu.svg", title: CPU, draw: |results| against_viewers(results, CPU, "cpu_us_per_delivered_edit") },
    Chart { file: "latency.svg", title: LATENCY, draw: |results| against_viewers(results, LATENCY, "p99_ms") },
    Chart { file: "flat-out.svg", title: FLAT_OUT, draw: flat_out },
    Chart { file: "history.svg", title: HISTORY, draw: history },
    Chart { file: "large-plan.svg", title: LARGE, draw: |results| growth::draw(LARGE, results) },
    Chart { file: "cluster.svg", title: CLUSTER, draw: cluster },
];

/// A server's values: (x, y).
pub struct Series<'a> {
    pub server: &'a str,
    pub points: Vec<(f64, f64)>,
}

/// One writer at a steady rate, with the small document.
fn against_viewers(results: &Results, title: &str, name: &str) -> Option<String> {
    let series = series(results, |measurement| {
        let drawn = measurement.case.contains(" edits/s") && measurement.case.ends_with("small document");
        let point = (measurement.viewers?.into(), figure(measurement, name)?);
        (measurement.scenario == "fan-out" && drawn).then_some(point)
    });
    lines::draw(title, "viewers", &series)
}

fn flat_out(results: &Results) -> Option<String> {
    let series = series(results, |measurement| {
        let drawn = measurement.case.contains("flat out") && measurement.case.ends_with("small document");
        let point = (measurement.viewers?.into(), figure(measurement, "edits_per_s")?);
        (measurement.scenario == "fan-out" && drawn).then_some(point)
    });
    bars::draw(FLAT_OUT, |viewers| format!("{} viewers", thousands(viewers)), &series)
}

/// Two points of each server: viewers at the server where edits are made, and at the others.
fn cluster(results: &Results) -> Option<String> {
    let point = |x: f64, name: &'static str| {
        move |measurement: &Measurement| {
            let drawn = measurement.scenario == "cluster" && measurement.case.contains("viewers at all servers");
            drawn.then_some((x, figure(measurement, name)?))
        }
    };
    let mut all = series(results, point(SAME, "same_server_p99_ms"));
    for Series { server, points } in series(results, point(OTHER, "other_servers_p99_ms")) {
        match all.iter_mut().find(|series| series.server == server) {
            Some(series) => series.points.extend(points),
            None => all.push(Series { server, points }),
        }
    }
    let group = |x: f64| if x == SAME { "at the server of the writer" } else { "at the other servers" }.to_owned();
    bars::draw(CLUSTER, group, &all)
}

const SAME: f64 = 1.0;
const OTHER: f64 = 2.0;

fn history(results: &Results) -> Option<String> {
    let series = series(results, |measurement| {
        let point = (changes(&measurement.case)?, figure(measurement, "cpu_us_per_delivered_edit")?);
        (measurement.scenario == "history").then_some(point)
    });
    lines::draw(HISTORY, "changes", &series)
}

/// Number of changes in a case's name.
fn changes(case: &str) -> Option<f64> {
    let number = case.split_once(" changes")?.0.rsplit(' ').next()?;
    number.replace(',', "").parse().ok()
}

/// The points of each server that has any, sorted by x.
fn series<'a>(results: &'a Results, point: impl Fn(&Measurement) -> Option<(f64, f64)>) -> Vec<Series<'a>> {
    let of = |server: &'a str| {
        let own = results.measurements.iter().filter(|measurement| measurement.server == server);
        let mut points: Vec<_> = own
            .filter(|measurement| converged(measurement))
            .filter_map(&point)
            .filter(|(x, y)| *x > 0.0 && *y > 0.0)
            .collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        Series { server, points }
    };
    servers::of(results).into_iter().map(of).filter(|series| !series.points.is_empty()).collect()
}
