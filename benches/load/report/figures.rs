//! Finds figures, and computes ratios between servers.

use super::number::Unit;
use super::servers;
use crate::results::{Measurement, Results};

/// The server under test.
pub const OURS: &str = "happierwork";

/// A measurement's figure, if it is finite: a division by zero yields no figure.
pub fn figure(measurement: &Measurement, name: &str) -> Option<f64> {
    measurement.figures.get(name).copied().filter(|figure| figure.is_finite())
}

/// Whether all clients had the same document at the end. `true` if the scenario did not check that.
pub fn converged(measurement: &Measurement) -> bool {
    measurement.figures.get("converged").is_none_or(|converged| *converged == 1.0)
}

/// The same case with another server.
pub fn sibling<'a>(results: &'a Results, of: &Measurement, server: &str) -> Option<&'a Measurement> {
    let mut all = results.measurements.iter();
    all.find(|other| other.server == server && other.scenario == of.scenario && other.case == of.case)
}

/// The compared figure, and the prefix of the comparison's name: `cpu_to_floor` is the CPU per delivered edit in
/// multiples of the floor's, as the median over the runs.
const COMPARED: [(&str, &str); 5] = [
    ("cpu_us_per_delivered_edit", "cpu_to_"),
    ("cpu_us_per_message", "message_cpu_to_"),
    ("edits_per_s", "edits_to_"),
    ("p50_ms", "p50_to_"),
    ("p99_ms", "p99_to_"),
];

/// Whether this figure is a comparison.
pub fn is_ratio(name: &str) -> bool {
    let servers = COMPARED.iter().filter_map(|(_, prefix)| name.strip_prefix(prefix));
    servers.into_iter().any(servers::is_known)
}

/// Ratio of this figure to another server's.
#[derive(Debug, Clone, Copy)]
pub struct Ratio {
    pub times: f64,
    /// The ratio is one of medians, not the median of the ratios of single runs.
    pub of_medians: bool,
}

/// Ratio of this figure to another server's. Prefers comparisons within runs, in either direction. `None` if one of
/// the two did not converge.
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
    /// The inverse ratio.
    pub fn inverse(self) -> Self {
        Self { times: 1.0 / self.times, ..self }
    }

    /// Formats the ratio for readers.
    pub fn show(self) -> String {
        format!("{}{}", if self.of_medians { "≈ " } else { "" }, Unit::Times.show(self.times))
    }
}
