//! One run of the load generator: its options and its measurements so far.

use std::collections::BTreeMap;

use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::Fallible;
use crate::figures::{Figures, Taken, compare_with, medians, remarks, show};
use crate::kind::Kind;
use crate::plan::{LARGE, Plan, SMALL};
use crate::results::Measurement;
use crate::server::Workplace;

/// Time limit of a case, in multiples of [`Kind::patience`].
const PATIENCE: u32 = 4;

/// One run.
pub struct Run {
    /// Whether this is the short form.
    pub quick: bool,
    /// How many times each case is measured.
    pub runs: u32,
    /// Duration of the soak test.
    pub minutes: u32,
    /// Names of the servers; empty for all.
    pub servers: Vec<String>,
    /// Names of the hostile user's attacks; empty for all.
    pub attacks: Vec<String>,
    /// The measurements.
    pub measurements: Vec<Measurement>,
    /// Servers that are not installed here.
    missing: Vec<Kind>,
    place: Workplace,
    runtime: Runtime,
    plans: BTreeMap<(usize, usize), Plan>,
    copies: Vec<Plan>,
}

/// The names of a case.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    pub scenario: &'a str,
    pub case: &'a str,
    pub viewers: Option<u32>,
}

impl Run {
    pub fn new(place: Workplace, quick: bool, runs: u32, minutes: u32, servers: Vec<String>) -> Fallible<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async { place.clean_up_on_signals() })?;
        let mut missing = Vec::new();
        for kind in crate::kinds() {
            if let Err(why) = kind.installed() {
                eprintln!("left out: {why}");
                missing.push(kind);
            }
        }
        Ok(Self {
            quick,
            runs,
            minutes,
            servers,
            attacks: Vec::new(),
            measurements: Vec::new(),
            missing,
            place,
            runtime,
            plans: BTreeMap::new(),
            copies: Vec::new(),
        })
    }

    /// A document with this number of positions and of changes after they were added. Made once.
    pub fn plan(&mut self, positions: usize, history: usize) -> Fallible<Plan> {
        if let Some(plan) = self.plans.get(&(positions, history)) {
            return Ok(plan.clone());
        }
        let plan = match history {
            0 => Plan::new(positions)?,
            _ => self.plan(positions, 0)?.with_history(history)?,
        };
        self.plans.insert((positions, history), plan.clone());
        Ok(plan)
    }

    /// Runs work that is not a case, without a time limit.
    pub fn alone<T>(&self, work: impl AsyncFnOnce(&Workplace) -> Fallible<T>) -> Fallible<T> {
        self.runtime.block_on(work(&self.place))
    }

    /// The servers of a case that measures others only if there is time.
    pub fn others_if_time(&self) -> &'static [Kind] {
        if self.quick { &Kind::OURS } else { &Kind::WITH_DOCUMENTS }
    }

    /// The document with 100 positions.
    pub fn small(&mut self) -> Fallible<Plan> {
        self.plan(SMALL, 0)
    }

    /// This number of documents with 100 positions each.
    pub fn many_small(&mut self, count: usize) -> Fallible<Vec<Plan>> {
        let small = self.small()?;
        while self.copies.len() < count {
            self.copies.push(small.copy()?);
        }
        Ok(self.copies[..count].to_vec())
    }

    /// The document with 5,000 positions.
    pub fn large(&mut self) -> Fallible<Plan> {
        self.plan(LARGE, 0)
    }

    /// Measures a case with several servers, alternating, as many times as requested. A failed case is reported, and
    /// the run continues. Comparisons with the floor are made within one round.
    pub fn measure<T: Into<Taken>>(
        &mut self,
        subject: Subject<'_>,
        kinds: &[Kind],
        measure: impl AsyncFn(Kind, &Workplace) -> Fallible<T>,
    ) {
        self.measure_times(self.runs, PATIENCE, subject, kinds, measure);
    }

    /// Like [`measure`](Self::measure), once, for slow cases.
    pub fn measure_once<T: Into<Taken>>(
        &mut self,
        subject: Subject<'_>,
        kinds: &[Kind],
        measure: impl AsyncFn(Kind, &Workplace) -> Fallible<T>,
    ) {
        self.measure_times(1, 3 * PATIENCE, subject, kinds, measure);
    }

    fn measure_times<T: Into<Taken>>(
        &mut self,
        runs: u32,
        patience: u32,
        subject: Subject<'_>,
        kinds: &[Kind],
        measure: impl AsyncFn(Kind, &Workplace) -> Fallible<T>,
    ) {
        let kinds: Vec<Kind> = kinds.iter().copied().filter(|kind| self.wants(*kind)).collect();
        let mut taken: Vec<Vec<Figures>> = vec![Vec::new(); kinds.len()];
        let mut failures: Vec<Vec<String>> = vec![Vec::new(); kinds.len()];
        for round in 0..runs {
            let mut turn: Vec<Option<Figures>> = Vec::new();
            for (index, kind) in kinds.iter().enumerate() {
                // The other servers are only for orientation: one measurement is enough.
                if round > 0 && matches!(kind, Kind::Other(_)) {
                    turn.push(None);
                    continue;
                }
                let limit = kind.patience() * patience;
                let measured = async { timeout(limit, measure(*kind, &self.place)).await };
                let measured = self.runtime.block_on(measured);
                match measured.unwrap_or_else(|_| Err(format!("not done after {limit:?}").into())) {
                    Ok(measured) => {
                        let Taken { figures, failure } = measured.into();
                        failures[index].extend(failure);
                        turn.push(Some(figures));
                    }
                    Err(error) => {
                        failures[index].push(error.to_string());
                        turn.push(None);
                    }
                }
            }
            let floor = kinds.iter().position(|kind| *kind == Kind::Floor).and_then(|index| turn[index].clone());
            for (index, figures) in turn.into_iter().enumerate() {
                let Some(mut figures) = figures else { continue };
                if let Some(floor) = floor.as_ref().filter(|_| kinds[index] != Kind::Floor) {
                    compare_with(floor, &mut figures);
                }
                taken[index].push(figures);
            }
        }
        for (index, kind) in kinds.into_iter().enumerate() {
            let mut figures = medians(&taken[index]);
            let mut notes = remarks(&figures);
            if !failures[index].is_empty() {
                figures.insert("converged".to_owned(), 0.0);
                let (failed, first) = (failures[index].len(), &failures[index][0]);
                let runs = if matches!(kind, Kind::Other(_)) { 1 } else { runs };
                notes.push(format!("failed in {failed} of {runs} runs: {first}"));
            }
            let measurement = Measurement {
                scenario: subject.scenario.to_owned(),
                server: kind.name().to_owned(),
                case: subject.case.to_owned(),
                viewers: subject.viewers,
                figures,
                note: if notes.is_empty() { None } else { Some(notes.join("; ")) },
            };
            show(&measurement);
            self.measurements.push(measurement);
        }
    }

    fn wants(&self, kind: Kind) -> bool {
        let asked_for = self.servers.is_empty() || self.servers.iter().any(|name| name == kind.name());
        asked_for && !self.missing.contains(&kind)
    }
}

/// A number with commas.
pub fn thousands(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
