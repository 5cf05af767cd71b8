//! One document with few writers and many viewers: cost and latency of delivering an edit to all of them.

use std::time::Duration;

use super::cold_start::HISTORY;
use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::Order;
use crate::figures::Taken;
use crate::kind::Kind;
use crate::plan::{Plan, SMALL};
use crate::run::{Run, Subject, thousands};
use crate::server::Workplace;

/// Largest number of unacknowledged edits of one writer.
const WINDOW: u32 = 100;

#[derive(Debug, Clone, Copy)]
enum Load {
    /// One writer at a steady rate of edits per second.
    Paced(u32),
    /// Writers that edit as fast as possible.
    FlatOut(usize),
}

#[derive(Debug, Clone, Copy)]
struct Case {
    viewers: u32,
    load: Load,
    large: bool,
    quick: bool,
    /// Whether the other servers are measured as well.
    others: bool,
}

const CASES: &[Case] = &[
    Case { viewers: 10, load: Load::Paced(20), large: false, quick: false, others: true },
    Case { viewers: 100, load: Load::Paced(20), large: false, quick: true, others: true },
    Case { viewers: 1_000, load: Load::Paced(20), large: false, quick: true, others: true },
    Case { viewers: 5_000, load: Load::Paced(5), large: false, quick: false, others: false },
    Case { viewers: 1_000, load: Load::Paced(20), large: true, quick: false, others: false },
    Case { viewers: 10, load: Load::FlatOut(4), large: false, quick: false, others: false },
    Case { viewers: 100, load: Load::FlatOut(4), large: false, quick: true, others: true },
    Case { viewers: 1_000, load: Load::FlatOut(4), large: false, quick: false, others: false },
    Case { viewers: 100, load: Load::FlatOut(4), large: true, quick: false, others: false },
];

/// Runs all cases.
pub fn run(run: &mut Run) -> Fallible<()> {
    let quick = run.quick;
    for case in CASES.iter().filter(|case| !quick || case.quick) {
        let plan = if case.large { run.large()? } else { run.small()? };
        let seconds = 3;
        let subject = Subject { scenario: "fan-out", case: &case.name(), viewers: Some(case.viewers) };
        let others = case.others && (!quick || case.others_in_quick());
        let kinds: &[Kind] = if others { &Kind::ALL } else { &Kind::WITH_FLOOR };
        run.measure(subject, kinds, async |kind, place| {
            case.measure(kind, &plan, place, Duration::from_secs(seconds)).await
        });
    }
    Ok(())
}

/// The cost of authentication: the same load with and without it.
pub fn users(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    for viewers in if run.quick { &[100][..] } else { &[100, 1_000] } {
        let load = Case { viewers: *viewers, load: Load::Paced(20), large: false, quick: true, others: false };
        let subject = Subject { scenario: "users", case: &load.name(), viewers: Some(*viewers) };
        run.measure(subject, &Kind::USERS, async |kind, place| {
            load.measure(kind, &plan, place, Duration::from_secs(3)).await
        });
    }
    Ok(())
}

/// The same load on documents with increasingly long histories.
pub fn history(run: &mut Run) -> Fallible<()> {
    let seconds = if run.quick { 2 } else { 3 };
    for history in if run.quick { &[1_000, 10_000][..] } else { &[1_000, 10_000, HISTORY] } {
        let plan = run.plan(SMALL, *history)?;
        let load = Case { viewers: 100, load: Load::Paced(20), large: false, quick: true, others: false };
        let case = format!("{} changes, {}", thousands(*history as u64), load.name());
        let subject = Subject { scenario: "history", case: &case, viewers: Some(load.viewers) };
        run.measure(subject, &Kind::OURS, async |kind, place| {
            load.measure(kind, &plan, place, Duration::from_secs(seconds)).await
        });
    }
    Ok(())
}

impl Case {
    /// Loads that the other servers can handle in a short time.
    fn others_in_quick(&self) -> bool {
        self.viewers == 100 && matches!(self.load, Load::Paced(_))
    }

    fn name(&self) -> String {
        let size = if self.large { "large" } else { "small" };
        let load = match self.load {
            Load::Paced(rate) => format!("{rate} edits/s"),
            Load::FlatOut(writers) => format!("{writers} writers flat out"),
        };
        format!("{} viewers, {load}, {size} document", thousands(self.viewers))
    }

    async fn measure(&self, kind: Kind, plan: &Plan, place: &Workplace, duration: Duration) -> Fallible<Taken> {
        let writers = match self.load {
            Load::Paced(_) => 1,
            Load::FlatOut(writers) => writers,
        };
        let plans = std::slice::from_ref(plan);
        let cast = Cast { plans, writers, viewers: self.viewers, sleepers: None };
        let mut stage = Stage::set(kind, &cast, place).await?;
        stage.board.set_phase(1);
        let begun = stage.begin()?;
        let order = match self.load {
            Load::Paced(rate) => {
                let every = Duration::from_secs(1) / rate;
                Order::Paced { first: begun.at + every, every, edits: rate * u32::try_from(duration.as_secs())? }
            }
            Load::FlatOut(_) => Order::FlatOut { until: begun.at + duration, window: WINDOW },
        };
        // A server that does not finish in time is measured as well, and marked as not converged.
        let (late, delivered) = stage.carry_out(|_| order.clone(), duration).await;
        let mut figures = stage.end(&begun).await?;
        let converged = delivered && stage.agrees().await;
        stage.board.latencies(1).describe(&mut figures);
        figures.insert("converged".to_owned(), f64::from(u8::from(converged)));
        if let Load::Paced(_) = self.load {
            figures.insert("latest_edit_ms".to_owned(), late.as_secs_f64() * 1e3);
        }
        // Figures of an incomplete run are kept.
        let failure = stage.board.failure().is_some().then(|| {
            let seconds = begun.at.elapsed().as_secs_f32();
            stage.explain(&format!("not all went well within {seconds:.0} s"))
        });
        Ok(Taken { figures, failure })
    }
}
