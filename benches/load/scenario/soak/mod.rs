//! Clients come and go for a long time: detects resources that grow.
//!
//! A document's memory grows with its history. To exclude that, each document is edited for two minutes, and is
//! unloaded later.

mod chart;
mod churn;
mod page;
mod samples;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use automerge::sync::State;
use churn::Churn;
use futures_util::future::try_join_all;
use samples::Sample;
use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::task::LocalPoolHandle;

use crate::Fallible;
use crate::client::ledger::Ledger;
use crate::client::{Audience, Crowd, Hello, IN_ORDER, Language, Order, Role, Writer};
use crate::kind::Kind;
use crate::measure::Board;
use crate::plan::Plan;
use crate::run::Run;
use crate::server::{Server, Workplace};

/// Time for which one document is edited.
const ERA: Duration = Duration::from_secs(120);
const QUICK_ERA: Duration = Duration::from_secs(20);
const WRITERS: usize = 2;
const VIEWERS: u32 = 20;
/// Interval between two edits of one writer.
const EVERY: Duration = Duration::from_millis(200);
/// Interval between two samples.
const SAMPLE: Duration = Duration::from_secs(10);
/// Documents that visitors open.
const LOOKED_AT: usize = 100;
/// The server unloads documents much sooner than by default.
const IDLE_AFTER: &str = "20";

/// Parameters and results of a soak test.
pub struct Soak {
    pub minutes: u32,
    pub samples: Vec<Sample>,
    pub visits: u64,
    pub documents: u64,
    pub edits: u64,
}

pub fn run(run: &mut Run) -> Fallible<()> {
    let (minutes, era) = if run.quick { (1, QUICK_ERA) } else { (run.minutes, ERA) };
    let eras = (u64::from(minutes) * 60 / era.as_secs()).max(1) as usize;
    let plans = run.many_small(eras + LOOKED_AT)?;
    let soak = run.alone(async |place| soak(minutes, era, &plans, place).await)?;
    let folder = if run.quick { crate::target().join("bench") } else { crate::docs() };
    page::write(&soak, &folder)?;
    Ok(())
}

async fn soak(minutes: u32, era: Duration, plans: &[Plan], place: &Workplace) -> Fallible<Soak> {
    let mut server = Server::start_with(Kind::Happierwork, plans, place, &["--idle-after", IDLE_AFTER]).await?;
    let (looked_at, edited) = plans.split_at(LOOKED_AT);
    let churn = Churn::begin(&server.address, looked_at.iter().map(|plan| plan.id.clone()).collect());
    let mut watch = Watch { begun: Instant::now(), samples: Vec::new(), edits: 0 };
    for plan in edited {
        let lived = live(&server, plan, era, &mut watch).await;
        if let Some(failure) = lived.err().map(|error| error.to_string()).or_else(|| churn.failure()) {
            return Err(server.explain(format!("after {:?}: {failure}", watch.begun.elapsed())).into());
        }
    }
    let Watch { samples, edits, .. } = watch;
    Ok(Soak { minutes, samples, visits: churn.visits(), documents: churn.documents(), edits })
}

/// The samples so far.
struct Watch {
    begun: Instant,
    samples: Vec<Sample>,
    edits: u64,
}

/// Edits and views one document for its time.
async fn live(server: &Server, plan: &Plan, era: Duration, watch: &mut Watch) -> Fallible<()> {
    let patience = Kind::Happierwork.patience();
    let board = Arc::new(Board::default());
    let ledger = Arc::new(Ledger::new(WRITERS));
    let thread = LocalPoolHandle::new(1);
    let role = |number| Role {
        server: server.address.clone(),
        document: plan.id.clone(),
        doc: plan.open(),
        state: State::new(),
        ledger: Arc::clone(&ledger),
        number,
        name: format!("writer-{number}-{}", plan.id),
        board: Arc::clone(&board),
        viewers: VIEWERS,
    };
    let writers = try_join_all((0..WRITERS).map(|number| Writer::start(&thread, role(number)))).await?;
    let language = Language::Repo { document: plan.id.clone(), hello: Hello::Nothing };
    let audience = Audience { language, ledger: Arc::clone(&ledger), viewers: VIEWERS, sleepers: None };
    let _crowd = Crowd::gather(&server.address, vec![audience], &board, IN_ORDER);
    if !board.until_ready(VIEWERS.into(), patience).await {
        return Err(board.failure().unwrap_or_else(|| "not all viewers could join".to_owned()).into());
    }
    let edits = u32::try_from(era.as_millis() / EVERY.as_millis())?;
    let order = Order::Paced { first: Instant::now() + EVERY, every: EVERY, edits };
    let editing = try_join_all(writers.iter().map(|writer| writer.order(order.clone(), era + patience)));
    let mut editing = std::pin::pin!(editing);
    let mut ticks = interval_at(tokio::time::Instant::now() + SAMPLE, SAMPLE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut phase = 1;
    board.set_phase(phase);
    loop {
        tokio::select! {
            done = &mut editing => break drop(done?),
            _ = ticks.tick() => {
                board.set_phase(phase + 1);
                watch.take_sample(server, &mut board.latencies(phase)).await?;
                phase += 1;
            }
        }
    }
    let all: u64 = ledger.totals().into_iter().map(u64::from).sum();
    watch.edits += all;
    if !board.until_delivered(all * u64::from(VIEWERS), patience).await {
        return Err(board.failure().unwrap_or_else(|| "not all edits were delivered".to_owned()).into());
    }
    Ok(())
}

impl Watch {
    async fn take_sample(&mut self, server: &Server, latencies: &mut crate::measure::Latencies) -> Fallible<()> {
        let socket: SocketAddr = server.address.socket;
        let minute = self.begun.elapsed().as_secs_f64() / 60.0;
        let sample = Sample::take(minute, server.process(), socket, server.folder.path(), latencies).await?;
        eprintln!("{sample}");
        self.samples.push(sample);
        Ok(())
    }
}
