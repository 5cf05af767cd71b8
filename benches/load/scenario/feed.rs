//! The change feed: what a subscriber costs beside viewers of the same document, and what some that stop reading cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::stage::{Cast, SETTLE, Stage};
use crate::Fallible;
use crate::client::{Followers, Order, Sleepers};
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::Board;
use crate::plan::Plan;
use crate::run::{Run, Subject, thousands};
use crate::server::Workplace;

const RATE: u32 = 20;
/// One in this number of subscribers stops reading.
const ONE_IN: u32 = 10;
/// Number of the first subscriber, above those of viewers.
const FIRST: usize = 10_000;
/// Phases of the boards.
const BEFORE: usize = 1;
const BESIDE: usize = 2;
const STALLED: usize = 3;

#[derive(Clone, Copy)]
struct Case {
    viewers: u32,
    subscribers: u32,
    /// Seconds of edits, with all subscribers, and while some do not read.
    seconds: u32,
    stalled: u32,
}

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    // Streams without progress are closed after a minute.
    let case = if run.quick {
        Case { viewers: 100, subscribers: 100, seconds: 2, stalled: 5 }
    } else {
        Case { viewers: 1_000, subscribers: 1_000, seconds: 4, stalled: 30 }
    };
    let name = format!(
        "{} subscribers beside {} viewers, 20 edits/s, one in {ONE_IN} does not read for {} s, small document",
        thousands(case.subscribers),
        thousands(case.viewers),
        case.stalled
    );
    let subject = Subject { scenario: "feed", case: &name, viewers: Some(case.subscribers) };
    run.measure_once(subject, &Kind::OURS, async |kind, place| case.measure(kind, &plan, place).await);
    Ok(())
}

impl Case {
    async fn measure(self, kind: Kind, plan: &Plan, place: &Workplace) -> Fallible<Figures> {
        let cast = Cast { plans: std::slice::from_ref(plan), writers: 1, viewers: self.viewers, sleepers: None };
        let mut stage = Stage::set(kind, &cast, place).await?;
        stage.board.set_phase(BEFORE);
        let begun = stage.begin()?;
        let well = edit(&stage, self.seconds).await;
        let alone = stage.end(&begun).await?;
        if !well {
            return Err(stage.explain(&"not all edits arrived before there were subscribers").into());
        }

        let (sleep, asleep) = watch::channel(false);
        let sleepers = Sleepers { count: self.subscribers / ONE_IN, asleep };
        let (board, ledger) = (Arc::new(Board::default()), Arc::clone(stage.ledger()));
        let address = stage.server.address.socket;
        let rss_alone = stage.server.process().rss_mib()?;
        let _followers = Followers::gather(FIRST, self.subscribers, address, &plan.id, (&ledger, &board), &sleepers);
        if !board.until_ready(self.subscribers.into(), kind.patience()).await {
            return Err(stage.explain(&board.failure().unwrap_or_else(|| "not all subscribed".to_owned())).into());
        }
        tokio::time::sleep(SETTLE).await;
        let from = stage.edits();
        let rss_idle = stage.server.process().rss_mib()?;
        let until_delivered = async |stage: &Stage| {
            let wanted = (stage.edits() - from) * u64::from(self.subscribers);
            board.until_delivered(wanted, kind.patience()).await
        };

        stage.board.set_phase(BESIDE);
        board.set_phase(BESIDE);
        let begun = stage.begin()?;
        let mut well = edit(&stage, self.seconds).await && until_delivered(&stage).await;
        let beside = stage.end(&begun).await?;
        let rss_busy = stage.server.process().rss_mib()?;

        stage.board.set_phase(STALLED);
        board.set_phase(STALLED);
        sleep.send_replace(true);
        well &= edit(&stage, self.stalled).await;
        let growth = stage.server.process().rss_mib()? - rss_busy;
        sleep.send_replace(false);
        let woken = Instant::now();
        well &= until_delivered(&stage).await;
        let caught_up = woken.elapsed();
        let delivered = (stage.edits() - from) * u64::from(self.subscribers);
        // Each edit once: another one would be missing in the ledger, or counted above.
        let converged = well && board.noted().delivered == delivered && stage.agrees().await;
        if let Some(failure) = board.failure() {
            return Err(stage.explain(&failure).into());
        }

        let mut figures = Figures::new();
        board.latencies(BESIDE).describe(&mut figures);
        let price = |figures: &Figures| figures.get("cpu_us_per_edit").copied().unwrap_or(f64::NAN);
        let each = f64::from(self.subscribers);
        for (name, figure) in [
            ("cpu_us_per_delivered_edit", (price(&beside) - price(&alone)) / each),
            ("kib_per_subscriber", (rss_idle - rss_alone) * 1024.0 / each),
            ("bytes_per_event", board.noted().bytes as f64 / delivered as f64),
            ("viewers_p99_alone_ms", stage.board.latencies(BEFORE).percentile_ms(0.99)),
            ("viewers_p99_beside_ms", stage.board.latencies(BESIDE).percentile_ms(0.99)),
            ("p99_while_some_stall_ms", board.latencies(STALLED).percentile_ms(0.99)),
            ("rss_growth_while_some_stall_mib", growth),
            ("caught_up_ms", caught_up.as_secs_f64() * 1e3),
            ("server_cpu_s", beside.get("server_cpu_s").copied().unwrap_or(f64::NAN)),
            ("generator_cpu_s", beside.get("generator_cpu_s").copied().unwrap_or(f64::NAN)),
            ("rss_mib", rss_busy),
            ("peak_rss_mib", stage.server.process().peak_rss_mib()?),
            ("converged", f64::from(u8::from(converged))),
        ] {
            figures.insert(name.to_owned(), figure);
        }
        Ok(figures)
    }
}

/// Edits for this number of seconds. `false` if not all edits were acknowledged and shown to all viewers.
async fn edit(stage: &Stage, seconds: u32) -> bool {
    let every = Duration::from_secs(1) / RATE;
    let order = Order::Paced { first: Instant::now() + every, every, edits: RATE * seconds };
    stage.carry_out(|_| order.clone(), every * RATE * seconds).await.1
}
