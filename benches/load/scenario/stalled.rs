//! Some viewers stop reading: measures whether others are disturbed, how much memory the server uses for them, and
//! whether they catch up.

use std::time::Duration;

use tokio::sync::watch;

use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::{Order, Sleepers};
use crate::figures::Figures;
use crate::kind::Kind;
use crate::plan::Plan;
use crate::run::{Run, Subject};
use crate::server::Workplace;

const VIEWERS: u32 = 1_000;
const STALLED: u32 = 100;
const RATE: u32 = 20;

/// Phases of the board.
const BEFORE: usize = 1;
const DURING: usize = 2;

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    // Shorter than two missed pings, after which the server would close a viewer.
    let (before, during) = if run.quick { (2, 10) } else { (4, 30) };
    let case = format!("1,000 viewers of which 100 do not read for {during} s, 20 edits/s, small document");
    let subject = Subject { scenario: "stalled", case: &case, viewers: Some(VIEWERS) };
    run.measure_once(subject, &Kind::OURS, async |kind, place| measure(kind, &plan, place, before, during).await);
    Ok(())
}

async fn measure(kind: Kind, plan: &Plan, place: &Workplace, before: u32, during: u32) -> Fallible<Figures> {
    let (sleep, asleep) = watch::channel(false);
    let sleepers = Some(Sleepers { count: STALLED, asleep });
    let cast = Cast { plans: std::slice::from_ref(plan), writers: 1, viewers: VIEWERS, sleepers };
    let mut stage = Stage::set(kind, &cast, place).await?;
    let mut figures = Figures::new();

    stage.board.set_phase(BEFORE);
    let all_well = edit(&stage, before).await && stage.until_all_delivered(kind.patience()).await.is_ok();
    if !all_well {
        return Err(stage.explain(&"not all edits arrived before viewers stalled").into());
    }
    let rss = stage.server.process().rss_mib()?;
    stage.board.set_phase(DURING);
    sleep.send_replace(true);
    let edited = edit(&stage, during).await;
    let grown = stage.server.process().rss_mib()? - rss;
    sleep.send_replace(false);
    let woken = std::time::Instant::now();
    let converged = edited && stage.until_all_delivered(kind.patience()).await.is_ok() && stage.agrees().await;
    let caught_up = woken.elapsed();
    if stage.board.failure().is_some() {
        return Err(stage.explain(&"not all went well").into());
    }
    for (phase, name) in [(BEFORE, "before"), (DURING, "during")] {
        let mut latencies = stage.board.latencies(phase);
        for (part, percentile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            figures.insert(format!("{part}_{name}_ms"), latencies.percentile_ms(percentile));
        }
    }
    if let (Some(before), Some(during)) = (figures.get("p99_before_ms"), figures.get("p99_during_ms")) {
        figures.insert("p99_during_to_before".to_owned(), during / before);
    }
    figures.insert("rss_before_mib".to_owned(), rss);
    figures.insert("rss_growth_mib".to_owned(), grown);
    figures.insert("peak_rss_mib".to_owned(), stage.server.process().peak_rss_mib()?);
    figures.insert("caught_up_ms".to_owned(), caught_up.as_secs_f64() * 1e3);
    figures.insert("converged".to_owned(), f64::from(u8::from(converged)));
    Ok(figures)
}

/// Edits for this number of seconds. `false` if not all edits were acknowledged.
async fn edit(stage: &Stage, seconds: u32) -> bool {
    let every = Duration::from_secs(1) / RATE;
    let first = std::time::Instant::now() + every;
    let order = Order::Paced { first, every, edits: RATE * seconds };
    let limit = every * RATE * seconds + Kind::Happierwork.patience();
    stage.writers[0].order(order, limit).await.is_ok()
}
