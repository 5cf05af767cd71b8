//! The legacy protocol: many viewers, and one client that adds rows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep_until;

use super::stage::SETTLE;
use crate::Fallible;
use crate::client::ledger::Ledger;
use crate::client::{Audience, Crowd, IN_ORDER, Language, Socket};
use crate::figures::Figures;
use crate::kind::{Address, Kind};
use crate::measure::{Board, Process};
use crate::plan::Plan;
use crate::run::{Run, Subject, thousands};
use crate::server::{Server, Workplace};

const RATE: u32 = 20;
/// Rows that are added before the measurement.
const WARM_UP: u32 = 5;

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let seconds = if run.quick { 2 } else { 3 };
    for viewers in [100, 1_000] {
        let case = format!("{} legacy sockets, 20 rows added/s, small document", thousands(viewers));
        let subject = Subject { scenario: "legacy", case: &case, viewers: Some(viewers) };
        run.measure(subject, &Kind::OURS, async |_, place| measure(&plan, place, viewers, RATE * seconds).await);
    }
    Ok(())
}

async fn measure(plan: &Plan, place: &Workplace, viewers: u32, rows: u32) -> Fallible<Figures> {
    let mut server = Server::start(Kind::Happierwork, std::slice::from_ref(plan), place).await?;
    let address = Address { path: "/ws/dashboard/", ..server.address.clone() };
    let (board, ledger) = (Arc::new(Board::default()), Arc::new(Ledger::new(1)));
    let mut adder =
        Adder { socket: Socket::connect([127, 0, 0, 1].into(), address.socket, address.path).await?, added: 0 };
    let audience = Audience { language: Language::Legacy, ledger: Arc::clone(&ledger), viewers, sleepers: None };
    let _crowd = Crowd::gather(&address, vec![audience], &board, IN_ORDER);
    let patience = Kind::Happierwork.patience();
    let why = |what: &str| format!("{what}; {}", board.failure().unwrap_or_default());
    if !board.until_ready(viewers.into(), patience).await {
        return Err(server.explain(why("not all joined")).into());
    }
    let every = Duration::from_secs(1) / RATE;
    adder.add(WARM_UP, every, &ledger).await?;
    if !board.until_delivered(u64::from(WARM_UP * viewers), patience).await {
        return Err(server.explain(why("not all saw the first rows")).into());
    }
    tokio::time::sleep(SETTLE).await;

    board.set_phase(1);
    let (before, cpu, own, begun) = (board.noted(), server.process().cpu()?, Process::this().cpu()?, Instant::now());
    let late = adder.add(rows, every, &ledger).await?;
    let converged = board.until_delivered(u64::from((WARM_UP + rows) * viewers), patience).await;
    let wall = begun.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let used = (server.process().cpu()? - cpu).as_secs_f64();
    let noted = board.noted();
    let delivered = (noted.delivered - before.delivered) as f64;
    let mut figures = Figures::new();
    board.latencies(1).describe(&mut figures);
    for (name, figure) in [
        ("rows_per_s", f64::from(rows) / wall),
        ("cpu_us_per_delivered_edit", used * 1e6 / delivered),
        ("cpu_us_per_message", used * 1e6 / (noted.messages - before.messages) as f64),
        ("server_cpu_s", used),
        ("generator_cpu_s", (Process::this().cpu()? - own).as_secs_f64()),
        ("latest_edit_ms", late.as_secs_f64() * 1e3),
        ("rss_mib", server.process().rss_mib()?),
        ("converged", f64::from(u8::from(converged))),
    ] {
        figures.insert(name.to_owned(), figure);
    }
    Ok(figures)
}

/// The client that adds rows.
struct Adder {
    socket: Socket,
    added: u32,
}

impl Adder {
    /// Adds rows on schedule, and reads incoming frames meanwhile. Returns the largest delay.
    async fn add(&mut self, rows: u32, every: Duration, ledger: &Ledger) -> Fallible<Duration> {
        let begun = Instant::now();
        let mut late = Duration::ZERO;
        for row in 1..=rows {
            let due = begun + every * row;
            loop {
                tokio::select! {
                    biased;
                    () = sleep_until(due.into()) => break,
                    turn = self.socket.turn() => {
                        turn?;
                        while self.socket.inbox.next(&mut self.socket.outbox)?.is_some() {}
                    }
                }
            }
            late = late.max(due.elapsed());
            ledger.add_bare(0, Instant::now());
            self.socket.outbox.text(&format!(r#"["add","load-{}","Finance","5","Pune"]"#, self.added));
            self.added += 1;
            self.socket.write_now()?;
        }
        Ok(late)
    }
}
