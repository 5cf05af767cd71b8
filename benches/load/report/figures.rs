//! Finding figures, and the ratios between servers.

use super::number::Unit;
use super::servers;
use crate::results::{Measurement, Results};

/// The server that all this is about.
pub const OURS: &str = "happierwork";

/// A measurement's figure, if it is a number: what was divided by nothing is not.
pub fn figure(measurement: &Measurement, name: &str) -> Option<f64> {
    measurement.figures.get(name).copied().filter(|figure| figure.is_finite())
}

/// Whether all had the same at the end. Who does not say so was not asked.
pub fn converged(measurement: &Measurement) -> bool {
    measurement.figures.get("converged").is_none_or(|converged| *converged == 1.0)
}

/// The same case with another server.
pub fn sibling<'a>(results: &'a Results, of: &Measurement, server: &str) -> Option<&'a Measurement> {
    let mut all = results.measurements.iter();
    all.find(|other| other.server == server && other.scenario == of.scenario && other.case == of.case)
}

/// What of a figure is compared, and how the comparison's name begins: `cpu_to_floor` is how many times the floor's
/// CPU per delivered edit it was, in the median of the runs.
const COMPARED: [(&str, &str); 5] = [
    ("cpu_us_per_delivered_edit", "cpu_to_"),
    ("cpu_us_per_message", "message_cpu_to_"),
    ("edits_per_s", "edits_to_"),
    ("p50_ms", "p50_to_"),
    ("p99_ms", "p99_to_"),
];

/// Whether this figure is such a comparison.
pub fn is_ratio(name: &str) -> bool {
    let servers = COMPARED.iter().filter_map(|(_, prefix)| name.strip_prefix(prefix));
    servers.into_iter().any(servers::is_known)
}

/// How many times another server's figure this is.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    pub times: f64,
    /// It is of the medians, not the median of what single runs had.
    pub of_medians: bool,
}

/// How many times another server's figure this is. Comparisons made within runs come first, in either direction. None if
/// one of the two did not converge.
pub fn ratio(results: &Results, of: &Measurement, name: &str, to: &str) -> Option<Ratio> {
    let other = sibling(results, of, to)?;
    if !converged(of) || !converged(other) {
        return None;
    }
    let prefix = COMPARED.iter().find(|(figure, _)| *figure == name).map(|(_, prefix)| *prefix);
    let within = |one: &Measurement, to: &str| prefix.and_then(|prefix| figure(one, &format!("{prefix}{to}")));
    let within = within(of, to).or_else(|| within(other, &of.server).map(|inverse| 1.0 / inverse));
    let times = within.or_else(|| Some(figure(of, name)? / figure(other, name)?))?;
    times.is_finite().then_some(Ratio { times, of_medians: within.is_none() && results.runs > 1 })
}

impl Ratio {
    /// The other way round.
    pub fn inverse(self) -> Self {
        Self { times: 1.0 / self.times, ..self }
    }

    /// For people.
    pub fn show(self) -> String {
        format!("{}{}", if self.of_medians { "≈ " } else { "" }, Unit::Times.show(self.times))
    }
}
