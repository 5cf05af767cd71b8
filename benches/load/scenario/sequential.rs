//! One writer who waits for each edit to be acknowledged. Here that means on disk, so the disk is measured too.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::Order;
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::{Latencies, Process};
use crate::plan::Plan;
use crate::run::{Run, Subject};
use crate::server::Workplace;

/// Edits and the disk are measured in turns, as a disk has moods.
const TURNS: u32 = 5;
const TURN: Duration = Duration::from_millis(600);
/// As long as an edit in the log.
const APPEND: [u8; 200] = [0x55; 200];
const APPENDS: usize = 40;

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let case = "1 writer, each edit after the acknowledgement of the last";
    let subject = Subject { scenario: "sequential", case, viewers: None };
    run.measure(subject, run.others_if_time(), async |kind, place| measure(kind, &plan, place).await);
    Ok(())
}

async fn measure(kind: Kind, plan: &Plan, place: &Workplace) -> Fallible<Figures> {
    let cast = Cast { plans: std::slice::from_ref(plan), writers: 1, viewers: 0, sleepers: None };
    let mut stage = Stage::set(kind, &cast, place).await?;
    let mut syncs = Latencies::default();
    let (mut edits, mut editing) = (0, Duration::ZERO);
    let (mut cpu, mut own, mut done) = (Duration::ZERO, Duration::ZERO, true);
    for _ in 0..TURNS {
        syncs.0.extend(fdatasync(stage.server.folder.path())?.0);
        let (made, used, begun) = (stage.edits(), stage.server.process().cpu()?, Instant::now());
        let mine = Process::this().cpu()?;
        let order = Order::FlatOut { until: begun + TURN, window: 1 };
        done &= stage.carry_out(|_| order.clone(), TURN).await.1;
        editing += begun.elapsed();
        edits += stage.edits() - made;
        own += Process::this().cpu()?.saturating_sub(mine);
        cpu += stage.server.process().cpu()?.saturating_sub(used);
    }
    let converged = done && stage.agrees().await;
    if stage.board.failure().is_some() {
        return Err(stage.explain(&"not all went well").into());
    }
    let rate = edits as f64 / editing.as_secs_f64();
    let sync_us = syncs.percentile_ms(0.5) * 1e3;
    let figures = [
        ("edits", edits as f64),
        ("edits_per_s", rate),
        ("fdatasync_us", sync_us),
        ("fdatasync_p10_us", syncs.percentile_ms(0.1) * 1e3),
        ("edits_per_fdatasync", rate * sync_us / 1e6),
        ("cpu_us_per_edit", cpu.as_secs_f64() * 1e6 / edits as f64),
        ("generator_cpu_us_per_edit", own.as_secs_f64() * 1e6 / edits as f64),
        ("converged", f64::from(u8::from(converged))),
    ];
    Ok(figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect())
}

/// How long it takes to append as much as an edit to a file and to have it on disk.
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
