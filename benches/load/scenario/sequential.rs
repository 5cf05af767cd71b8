//! One writer who waits for each edit to be acknowledged. Here that means on disk, so the disk is measured too.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::Order;
use crate::figures::Figures;
use crate::measure::Latencies;
use crate::plan::Plan;
use crate::run::{Run, Subject};
use crate::server::{Kind, Workplace};

const DURATION: Duration = Duration::from_secs(3);
/// As long as an edit in the log.
const APPEND: [u8; 200] = [0x55; 200];
const APPENDS: usize = 100;

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let case = "1 writer, each edit after the acknowledgement of the last";
    let subject = Subject { scenario: "sequential", case, viewers: None };
    run.measure(subject, &Kind::WITH_DOCUMENTS, async |kind, place| measure(kind, &plan, place).await);
    Ok(())
}

async fn measure(kind: Kind, plan: &Plan, place: &Workplace) -> Fallible<Figures> {
    let cast = Cast { plans: std::slice::from_ref(plan), writers: 1, viewers: 0, sleepers: None };
    let mut stage = Stage::set(kind, &cast, place).await?;
    let mut syncs = fdatasync(stage.server.folder.path())?;
    let begun = stage.begin()?;
    let order = Order::FlatOut { until: begun.at + DURATION, window: 1 };
    let (_, done) = stage.carry_out(|_| order.clone(), DURATION).await;
    let mut figures = stage.end(&begun).await?;
    let converged = done && stage.agrees().await;
    if stage.board.failure().is_some() {
        return Err(stage.explain(&"not all went well").into());
    }
    // Before and after: a disk has moods.
    syncs.0.extend(fdatasync(stage.server.folder.path())?.0);
    let sync_us = syncs.percentile_ms(0.5) * 1e3;
    if let Some(rate) = figures.get("edits_per_s").copied() {
        figures.insert("edits_per_fdatasync".to_owned(), rate * sync_us / 1e6);
    }
    figures.insert("fdatasync_us".to_owned(), sync_us);
    figures.insert("converged".to_owned(), f64::from(u8::from(converged)));
    Ok(figures)
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
