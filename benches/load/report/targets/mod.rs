//! The targets and the measured results.

mod list;

use std::fmt::Write;

pub use list::ALL;

use super::figures::{OURS, Ratio, converged, figure, ratio, sibling};
use super::number::Unit;
use crate::results::{Measurement, Results};

/// A row of the table.
pub struct Target {
    pub what: &'static str,
    pub goal: Goal,
    pub parts: &'static [Part],
}

/// The target in words.
pub enum Goal {
    Words(&'static str),
    /// Words with computed numbers.
    Made(fn() -> String),
}

/// One value of a row.
pub struct Part {
    /// Label before the value.
    pub label: &'static str,
    pub source: Source,
    pub unit: Unit,
    pub bound: Bound,
}

/// Selects cases by their names.
pub struct Cases {
    pub scenario: &'static str,
    /// Texts that the case's name must contain as whole words.
    pub say: &'static [&'static str],
}

/// Source of a value.
pub enum Source {
    /// A figure of our server.
    Figure(&'static Cases, &'static str),
    /// Figure of a server with this name, which is ours in another arrangement.
    Of { server: &'static str, cases: &'static Cases, figure: &'static str },
    /// Ratio of one figure of our server to another.
    Growth { from: (&'static Cases, &'static str), to: (&'static Cases, &'static str) },
    /// Our figure divided by another server's.
    Over { figure: &'static str, server: &'static str, cases: &'static Cases },
    /// Another server's figure divided by ours.
    Under { figure: &'static str, server: &'static str, cases: &'static Cases },
}

/// Condition on a value.
pub enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Below(f64),
    /// Below a computed number.
    BelowMade(fn() -> f64),
    /// Any value: shown only to explain the others.
    Any,
    /// The target applies only if this condition holds; otherwise it is undecided.
    Premise(f64),
}

/// A measured value.
enum Value {
    Figure(f64),
    Ratio(Ratio),
    /// Clients ended with different documents, or the case failed.
    Diverged,
    /// The server for comparison failed in the same way.
    OtherDiverged,
}

/// The table.
pub fn table(results: &Results) -> String {
    let mut table = String::from("| | target | measured | met |\n|---|---|---|---|\n");
    for Target { what, goal, parts } in ALL {
        let values: Vec<Option<Value>> = parts.iter().map(|part| part.source.value(results)).collect();
        let (measured, met) = (measured(parts, &values), verdict(parts, &values));
        let goal = match goal {
            Goal::Words(words) => (*words).to_owned(),
            Goal::Made(words) => words(),
        };
        let _ = writeln!(table, "| {what} | {goal} | {measured} | {met} |");
    }
    table
}

/// The values with their labels. A part without any measurement is mentioned once.
fn measured(parts: &[Part], values: &[Option<Value>]) -> String {
    if values.iter().all(Option::is_none) {
        return "not measured".to_owned();
    }
    let show = |(part, value): (&Part, &Option<Value>)| {
        let value = match value {
            Some(Value::Figure(figure)) => part.unit.show(*figure),
            Some(Value::Ratio(ratio)) => ratio.show(),
            // The same text for every kind of part.
            Some(Value::Diverged) => return Unit::Agreement.show(0.0),
            Some(Value::OtherDiverged) => "(it did not converge)".to_owned(),
            None => "not measured".to_owned(),
        };
        if part.label.is_empty() { value } else { format!("{} {value}", part.label) }
    };
    let mut shown: Vec<String> = parts.iter().zip(values).map(show).collect();
    shown.dedup();
    shown.join("; ")
}

/// Whether all required values were measured and meet the target.
fn verdict(parts: &[Part], values: &[Option<Value>]) -> &'static str {
    let holds = |(part, value): (&Part, &Option<Value>)| {
        let figure = match value.as_ref()? {
            Value::Figure(figure) => *figure,
            Value::Ratio(ratio) => ratio.times,
            Value::Diverged => return Some(false),
            Value::OtherDiverged => return None,
        };
        Some(match part.bound {
            Bound::AtMost(most) | Bound::Premise(most) => figure <= most,
            Bound::AtLeast(least) => figure >= least,
            Bound::Below(limit) => figure < limit,
            Bound::BelowMade(limit) => figure < limit(),
            Bound::Any => true,
        })
    };
    let (premises, goals): (Vec<_>, Vec<_>) =
        parts.iter().zip(values).partition(|(part, _)| matches!(part.bound, Bound::Premise(_)));
    let goals: Vec<Option<bool>> = goals.into_iter().map(holds).collect();
    let meant = premises.into_iter().map(holds).all(|holds| holds == Some(true));
    match (goals.contains(&Some(false)), goals.contains(&None)) {
        (true, _) if meant => "no",
        (false, false) => "yes",
        _ => "–",
    }
}

impl Source {
    fn value(&self, results: &Results) -> Option<Value> {
        match self {
            Self::Figure(cases, name) => value(cases.measurement(results, OURS)?, name),
            Self::Of { server, cases, figure } => value(cases.measurement(results, server)?, figure),
            Self::Growth { from, to } => {
                let values = [from, to].map(|(cases, name)| value(cases.measurement(results, OURS)?, name));
                match values {
                    [Some(Value::Figure(from)), Some(Value::Figure(to))] => {
                        Some(Value::Ratio(Ratio { times: to / from, of_medians: results.runs > 1 }))
                    }
                    [None, _] | [_, None] => None,
                    _ => Some(Value::Diverged),
                }
            }
            Self::Over { figure, server, cases } => against(results, cases, figure, server, |ratio| ratio),
            Self::Under { figure, server, cases } => against(results, cases, figure, server, Ratio::inverse),
        }
    }
}

/// Ratio of our figure to another server's.
fn against(results: &Results, cases: &Cases, name: &str, server: &str, turn: fn(Ratio) -> Ratio) -> Option<Value> {
    let ours = cases.measurement(results, OURS)?;
    let theirs = sibling(results, ours, server)?;
    if !converged(ours) {
        return Some(Value::Diverged);
    }
    if !converged(theirs) {
        return Some(Value::OtherDiverged);
    }
    ratio(results, ours, name, server).map(|ratio| Value::Ratio(turn(ratio)))
}

fn value(measurement: &Measurement, name: &str) -> Option<Value> {
    if converged(measurement) { figure(measurement, name).map(Value::Figure) } else { Some(Value::Diverged) }
}

impl Cases {
    fn measurement<'a>(&self, results: &'a Results, server: &str) -> Option<&'a Measurement> {
        let mut all = results.measurements.iter();
        all.find(|measurement| {
            let of_case = measurement.scenario == self.scenario && measurement.server == server;
            of_case && self.say.iter().all(|words| says(&measurement.case, words))
        })
    }
}

/// Whether a name contains these whole words: `100 viewers` is not in `1,100 viewers`.
fn says(name: &str, words: &str) -> bool {
    name.match_indices(words).any(|(at, _)| {
        let part = |c: char| c.is_alphanumeric() || c == ',' || c == '.';
        let before = name[..at].chars().next_back();
        let after = name[at + words.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(char::is_alphanumeric)
    })
}
