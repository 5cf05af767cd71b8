//! Attackers next to fifty honest clients: measures whether these are disturbed, and how much memory the server uses.
//!
//! | module | holds |
//! |---|---|
//! | [`strangers`] | thousands of unauthenticated connections |
//! | [`hostile_user`] | the scenario of one authenticated hostile user |
//! | [`attackers`] | that user's attacks, one file for each family |
//! | [`process`] | controls that user's process |
//! | [`stage_of_others`] | the attacked clients |
//! | [`visitor`] | an honest user who reconnects regularly, and counts refused requests |
//! | [`bombs`], [`forge`] | handmade chunks |

pub mod attackers;
mod bombs;
mod forge;
pub mod hostile_user;
mod process;
mod stage_of_others;
pub mod strangers;
mod visitor;

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::Order;
use crate::figures::Figures;
use crate::kind::Kind;
use crate::plan::Plan;
use crate::run::{Run, Subject};
use crate::server::Workplace;

/// Number of honest viewers, next to one writer.
const VIEWERS: u32 = 50;
const RATE: u32 = 10;

/// Phases of the board.
const QUIET: usize = 1;
const ATTACKED: usize = 2;

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let (quiet, attack) = if run.quick { (3, 10) } else { (20, 60) };
    let case = format!("50 viewers, 10 edits/s, attacked for {attack} s");
    let subject = Subject { scenario: "attack", case: &case, viewers: Some(VIEWERS) };
    run.measure_once(subject, &Kind::OURS, async |kind, place| measure(kind, &plan, place, quiet, attack).await);
    Ok(())
}

async fn measure(kind: Kind, plan: &Plan, place: &Workplace, quiet: u32, attack: u32) -> Fallible<Figures> {
    let cast = Cast { plans: std::slice::from_ref(plan), writers: 1, viewers: VIEWERS, sleepers: None };
    let mut stage = Stage::set(kind, &cast, place).await?;
    let mut figures = Figures::new();
    stage.board.set_phase(QUIET);
    edit(&stage, quiet).await?;
    figures.insert("rss_before_mib".to_owned(), stage.server.process().rss_mib()?);

    // A separate process with a low priority: real attackers do not take processor time from the attacked machine.
    let attackers = Command::new("nice")
        .args(["-n", "15"])
        .arg(std::env::current_exe()?)
        .args(["attack", &stage.server.address.socket.port().to_string(), plan.id.as_str(), &attack.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    stage.board.set_phase(ATTACKED);
    let begun = Instant::now();
    let (edited, told) = tokio::join!(edit(&stage, attack), spawn_blocking(|| attackers.wait_with_output()));
    if let Err(error) = edited {
        return Err(stage.explain(&error).into());
    }
    sleep(Duration::from_secs(u64::from(attack)).saturating_sub(begun.elapsed())).await;
    let told = told??;
    if !told.status.success() {
        return Err(format!("the attackers gave up: {}", told.status).into());
    }
    for line in String::from_utf8(told.stdout)?.lines() {
        if let Some((name, count)) = line.split_once(' ') {
            figures.insert(name.to_owned(), count.parse()?);
        }
    }
    if !stage.agrees().await || stage.board.failure().is_some() {
        return Err(stage.explain(&"not all went well").into());
    }
    for (phase, name) in [(QUIET, "quiet"), (ATTACKED, "attacked")] {
        let mut latencies = stage.board.latencies(phase);
        for (part, percentile) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            figures.insert(format!("{part}_{name}_ms"), latencies.percentile_ms(percentile));
        }
    }
    figures.insert("p99_attacked_to_quiet".to_owned(), figures["p99_attacked_ms"] / figures["p99_quiet_ms"]);
    figures.insert("rss_mib".to_owned(), stage.server.process().rss_mib()?);
    figures.insert("peak_rss_mib".to_owned(), stage.server.process().peak_rss_mib()?);
    figures.insert("converged".to_owned(), 1.0);
    Ok(figures)
}

/// Edits for this number of seconds, and waits until all edits are acknowledged and delivered.
async fn edit(stage: &Stage, seconds: u32) -> Fallible<()> {
    let every = Duration::from_secs(1) / RATE;
    let order = Order::Paced { first: Instant::now() + every, every, edits: RATE * seconds };
    let patience = Kind::Happierwork.patience();
    stage.writers[0].order(order, every * RATE * seconds + patience).await?;
    stage.until_all_delivered(patience).await
}
