//! Processes the figures of a case.

use std::collections::BTreeMap;

use crate::results::Measurement;

/// Figures of one case by name.
pub type Figures = BTreeMap<String, f64>;

/// Result of measuring a case once.
pub struct Taken {
    pub figures: Figures,
    /// The failure, if the figures describe what was reached until then.
    pub failure: Option<String>,
}

impl From<Figures> for Taken {
    fn from(figures: Figures) -> Self {
        Self { figures, failure: None }
    }
}

/// Largest delay of an edit in a run that has kept its rate.
const LATE_MS: f64 = 20.0;
/// Figures that are compared with the floor, and the names of the comparisons.
const COMPARED: [(&str, &str); 3] =
    [("cpu_us_per_delivered_edit", "cpu_to_floor"), ("p50_ms", "p50_to_floor"), ("p99_ms", "p99_to_floor")];

/// Adds the ratios of these figures to those of the floor.
pub fn compare_with(floor: &Figures, figures: &mut Figures) {
    for (name, ratio) in COMPARED {
        if let (Some(ours), Some(theirs)) = (figures.get(name), floor.get(name)) {
            figures.insert(ratio.to_owned(), ours / theirs);
        }
    }
}

/// The median of each figure. `converged` is the minimum: one failure counts.
pub fn medians(runs: &[Figures]) -> Figures {
    let mut all: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for (name, figure) in runs.iter().flatten() {
        all.entry(name).or_default().push(*figure);
    }
    let median = |(name, mut figures): (&str, Vec<f64>)| {
        figures.sort_by(f64::total_cmp);
        let index = if name == "converged" { 0 } else { figures.len() / 2 };
        (name.to_owned(), figures[index])
    };
    all.into_iter().map(median).collect()
}

/// Notes for the readers of these figures.
pub fn remarks(figures: &Figures) -> Vec<String> {
    let mut remarks = Vec::new();
    if let (Some(generator), Some(server)) = (figures.get("generator_cpu_s"), figures.get("server_cpu_s"))
        && generator > server
    {
        remarks.push(format!("the load generator used {:.1} times the server's CPU", generator / server));
    }
    if let Some(late) = figures.get("latest_edit_ms").filter(|late| **late > LATE_MS) {
        remarks.push(format!("the pace was not kept: an edit was {late:.0} ms late"));
    }
    remarks
}

/// Prints a measurement to standard error.
pub fn show(measurement: &Measurement) {
    let figures: Vec<String> =
        measurement.figures.iter().map(|(name, figure)| format!("{name} {}", short(*figure))).collect();
    eprintln!("{:12} {}: {}", measurement.server, measurement.case, figures.join(", "));
    if let Some(note) = &measurement.note {
        eprintln!("{:12} note: {note}", "");
    }
}

/// Formats a number with at least three digits.
fn short(figure: f64) -> String {
    match figure.abs() {
        0.0 => "0".to_owned(),
        ..1.0 => format!("{figure:.3}"),
        ..10.0 => format!("{figure:.2}"),
        ..100.0 => format!("{figure:.1}"),
        _ => format!("{figure:.0}"),
    }
}
