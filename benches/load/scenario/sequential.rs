//! One writer that waits for the acknowledgement of each edit. Our server acknowledges once the edit is on disk, so
//! the disk is measured as well.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_util::task::LocalPoolHandle;

use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::Order;
use crate::client::script::{Player, Script};
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::{Latencies, Process};
use crate::plan::Plan;
use crate::run::{Run, Subject};
use crate::server::{Server, Workplace};

/// Edits and the disk are measured alternately, because the speed of a disk varies.
const TURNS: u32 = 5;
const EDITS_PER_TURN: u32 = 400;
/// Edits before the measurement.
const WARM_UP: u32 = 50;
/// Duration of one round of a writer whose own work is included.
const TURN: Duration = Duration::from_millis(600);
/// Size of an edit in the log.
const APPEND: [u8; 200] = [0x55; 200];
const APPENDS: usize = 40;

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let case = "1 writer, each edit after the acknowledgement of the last";
    let subject = Subject { scenario: "sequential", case, viewers: None };
    run.measure(subject, run.others_if_time(), async |kind, place| prepared(kind, &plan, place).await);
    let case = "the same, with the time that Automerge takes in the writer";
    let subject = Subject { scenario: "sequential", case, viewers: None };
    run.measure(subject, &Kind::OURS, async |kind, place| live(kind, &plan, place).await);
    Ok(())
}

/// Edits that were prepared, so that only the server is measured.
async fn prepared(kind: Kind, plan: &Plan, place: &Workplace) -> Fallible<Figures> {
    let script = Script::write(plan, WARM_UP + TURNS * EDITS_PER_TURN)?;
    let mut server = Server::start(kind, std::slice::from_ref(plan), place).await?;
    let (address, folder, process) = (server.address.clone(), server.folder.path().to_owned(), server.process());
    let plan = plan.clone();
    // On a dedicated thread: waking another thread would be a part of every edit.
    let turns = LocalPoolHandle::new(1).spawn_pinned(move || async move {
        let mut player = Player::start(&address, &plan, script).await?;
        player.play(WARM_UP).await?;
        let mut turns = Turns::default();
        for _ in 0..TURNS {
            turns.syncs.0.extend(fdatasync(&folder)?.0);
            let (cpu, own) = (process.cpu()?, Process::this().cpu()?);
            turns.editing += player.play(EDITS_PER_TURN).await?;
            turns.cpu += process.cpu()?.saturating_sub(cpu);
            turns.own += Process::this().cpu()?.saturating_sub(own);
            turns.edits += u64::from(EDITS_PER_TURN);
        }
        Fallible::Ok(turns)
    });
    match turns.await? {
        // The server's heads have acknowledged every edit, including the last one.
        Ok(turns) => Ok(turns.figures(true)),
        Err(error) => Err(server.explain(error).into()),
    }
}

/// Edits of a real writer.
async fn live(kind: Kind, plan: &Plan, place: &Workplace) -> Fallible<Figures> {
    let cast = Cast { plans: std::slice::from_ref(plan), writers: 1, viewers: 0, sleepers: None };
    let mut stage = Stage::set(kind, &cast, place).await?;
    let mut turns = Turns::default();
    let mut done = true;
    for _ in 0..TURNS {
        turns.syncs.0.extend(fdatasync(stage.server.folder.path())?.0);
        let (made, cpu, own) = (stage.edits(), stage.server.process().cpu()?, Process::this().cpu()?);
        let begun = Instant::now();
        let order = Order::FlatOut { until: begun + TURN, window: 1 };
        done &= stage.carry_out(|_| order.clone(), TURN).await.1;
        turns.editing += begun.elapsed();
        turns.edits += stage.edits() - made;
        turns.cpu += stage.server.process().cpu()?.saturating_sub(cpu);
        turns.own += Process::this().cpu()?.saturating_sub(own);
    }
    let converged = done && stage.agrees().await;
    if stage.board.failure().is_some() {
        return Err(stage.explain(&"not all went well").into());
    }
    Ok(turns.figures(converged))
}

#[derive(Default)]
struct Turns {
    syncs: Latencies,
    editing: Duration,
    edits: u64,
    cpu: Duration,
    own: Duration,
}

impl Turns {
    fn figures(mut self, converged: bool) -> Figures {
        let (edits, sync) = (self.edits as f64, self.syncs.percentile_ms(0.5) * 1e3);
        let rate = edits / self.editing.as_secs_f64();
        let figures = [
            ("edits", edits),
            ("edits_per_s", rate),
            ("fdatasync_us", sync),
            ("fdatasync_p10_us", self.syncs.percentile_ms(0.1) * 1e3),
            ("edits_per_fdatasync", rate * sync / 1e6),
            ("cpu_us_per_edit", self.cpu.as_secs_f64() * 1e6 / edits),
            ("generator_cpu_us_per_edit", self.own.as_secs_f64() * 1e6 / edits),
            ("converged", f64::from(u8::from(converged))),
        ];
        figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect()
    }
}

/// Measures appending the size of an edit to a file with an fsync.
fn fdatasync(folder: &Path) -> io::Result<Latencies> {
    let mut file = File::create(folder.join("fdatasync"))?;
    let mut times = Latencies::default();
    for _ in 0..APPENDS {
        let begun = Instant::now();
        file.write_all(&APPEND)?;
        file.sync_data()?;
        times.0.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(times)
}
