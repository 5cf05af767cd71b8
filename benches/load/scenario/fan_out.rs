//! One document, few writers, many viewers: what does it cost that everybody sees an edit, and how soon do they?

use std::time::{Duration, Instant};

use super::stage::Stage;
use crate::Fallible;
use crate::client::Order;
use crate::figures::Figures;
use crate::plan::Plan;
use crate::run::{Run, Subject, thousands};
use crate::server::{Kind, Workplace};

/// Unacknowledged edits of one writer.
const WINDOW: u32 = 100;

#[derive(Debug, Clone, Copy)]
enum Load {
    /// One writer, edits per second.
    Paced(u32),
    /// Writers that edit as fast as they can.
    FlatOut(usize),
}

#[derive(Debug, Clone, Copy)]
struct Case {
    viewers: u32,
    load: Load,
    large: bool,
    quick: bool,
    /// Whether the other servers are measured too.
    others: bool,
}

const CASES: &[Case] = &[
    Case { viewers: 10, load: Load::Paced(20), large: false, quick: false, others: true },
    Case { viewers: 100, load: Load::Paced(20), large: false, quick: true, others: true },
    Case { viewers: 1_000, load: Load::Paced(20), large: false, quick: true, others: true },
    Case { viewers: 5_000, load: Load::Paced(5), large: false, quick: false, others: false },
    Case { viewers: 1_000, load: Load::Paced(20), large: true, quick: false, others: false },
    Case { viewers: 10, load: Load::FlatOut(4), large: false, quick: false, others: true },
    Case { viewers: 100, load: Load::FlatOut(4), large: false, quick: true, others: true },
    Case { viewers: 1_000, load: Load::FlatOut(4), large: false, quick: false, others: false },
    Case { viewers: 100, load: Load::FlatOut(4), large: true, quick: false, others: false },
];

/// Runs all cases.
pub fn run(run: &mut Run) -> Fallible<()> {
    let (small, large) = (run.small()?, run.large()?);
    let quick = run.quick;
    for case in CASES.iter().filter(|case| !quick || case.quick) {
        let plan = if case.large { &large } else { &small };
        let seconds = if run.quick { 3 } else { 4 };
        let subject = Subject { scenario: "fan-out", case: &case.name(), viewers: Some(case.viewers) };
        let kinds: &[Kind] = if case.others { &Kind::ALL } else { &Kind::WITH_FLOOR };
        run.measure(subject, kinds, async |kind, place| {
            case.measure(kind, plan, place, Duration::from_secs(seconds)).await
        });
    }
    Ok(())
}

impl Case {
    fn name(&self) -> String {
        let size = if self.large { "large" } else { "small" };
        let load = match self.load {
            Load::Paced(rate) => format!("{rate} edits/s"),
            Load::FlatOut(writers) => format!("{writers} writers flat out"),
        };
        format!("{} viewers, {load}, {size} document", thousands(self.viewers))
    }

    async fn measure(&self, kind: Kind, plan: &Plan, place: &Workplace, duration: Duration) -> Fallible<Figures> {
        let writers = match self.load {
            Load::Paced(_) => 1,
            Load::FlatOut(writers) => writers,
        };
        let mut stage = Stage::set(kind, plan, place, writers, self.viewers).await?;
        let (edits_before, noted_before) = (stage.edits(), stage.board.noted());
        stage.board.set_phase(1);
        let begun = stage.begin()?;
        let started = Instant::now();
        let order = match self.load {
            Load::Paced(rate) => {
                let every = Duration::from_secs(1) / rate;
                Order::Paced { first: started + every, every, edits: rate * u32::try_from(duration.as_secs())? }
            }
            Load::FlatOut(_) => Order::FlatOut { until: started + duration, window: WINDOW },
        };
        // Who does not get there in time is measured all the same, and said not to have converged.
        let limit = kind.patience();
        let orders = stage.writers.iter().map(|writer| writer.order(order.clone(), duration + limit));
        let reports: Vec<_> = futures_util::future::join_all(orders).await;
        let in_time = reports.iter().all(Result::is_ok);
        let late = reports.into_iter().flatten().map(|report| report.late).max().unwrap_or_default();
        let delivered = in_time && stage.until_all_delivered(limit).await.is_ok();
        let used = stage.end(begun).await?;
        let converged = delivered && stage.agrees().await;
        if stage.board.failure().is_some() {
            let seconds = started.elapsed().as_secs_f32();
            return Err(stage.explain(&format!("not all went well within {seconds:.0} s")).into());
        }

        let noted = stage.board.noted();
        let edits = stage.edits() - edits_before;
        let (delivered, messages) = (noted.delivered - noted_before.delivered, noted.messages - noted_before.messages);
        let bytes = noted.bytes - noted_before.bytes;
        let mut figures = Figures::new();
        stage.board.latencies(1).describe(&mut figures);
        let micros = used.server.as_secs_f64() * 1e6;
        for (name, figure) in [
            ("edits", edits as f64),
            ("delivered_percent", delivered as f64 / (edits * u64::from(self.viewers)) as f64 * 100.0),
            ("edits_per_s", edits as f64 / used.wall.as_secs_f64()),
            ("delivered_edits_per_s", delivered as f64 / used.wall.as_secs_f64()),
            ("cpu_us_per_delivered_edit", micros / delivered as f64),
            ("cpu_us_per_message", micros / messages as f64),
            ("edits_per_message", delivered as f64 / messages as f64),
            ("bytes_per_message", bytes as f64 / messages as f64),
            ("server_cpu_s", used.server.as_secs_f64()),
            ("generator_cpu_s", used.generator.as_secs_f64()),
            ("server_cpu_percent", used.server.as_secs_f64() / used.wall.as_secs_f64() * 100.0),
            ("rss_mib", stage.server.process().rss_mib()?),
            ("peak_rss_mib", stage.server.process().peak_rss_mib()?),
            ("converged", f64::from(u8::from(converged))),
        ] {
            figures.insert(name.to_owned(), figure);
        }
        if let Load::Paced(_) = self.load {
            figures.insert("latest_edit_ms".to_owned(), late.as_secs_f64() * 1e3);
        }
        Ok(figures)
    }
}
