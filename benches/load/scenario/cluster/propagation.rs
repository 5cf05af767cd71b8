//! One document with a writer at one server, and viewers at all servers: the latency of an edit to viewers at the same and
//! at other servers.

use std::time::Duration;

use super::servers::Servers;
use super::stage::{Cast, Stage};
use super::{NAME, hocuspocus};
use crate::Fallible;
use crate::client::Order;
use crate::contenders::Contender;
use crate::figures::Taken;
use crate::kind::Kind;
use crate::plan::Plan;
use crate::run::{Run, Subject, thousands};
use crate::server::Workplace;

/// Edits per second.
const RATE: u32 = 20;

/// Runs the case.
pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let (viewers, seconds) = if run.quick { (100, 2) } else { (1_000, 5) };
    let case = format!("{} viewers at all servers, {RATE} edits/s at one", thousands(viewers));
    let subject = Subject { scenario: NAME, case: &case, viewers: Some(viewers) };
    run.measure(subject, &Kind::SHARING, async |kind, place| match kind {
        Kind::Other(Contender::Hocuspocus) => {
            let servers = Servers::start(kind, &[], place).await?;
            hocuspocus::measure(servers, viewers, RATE, seconds).await
        }
        _ => measure(kind, &plan, place, viewers, seconds).await,
    });
    Ok(())
}

async fn measure(kind: Kind, plan: &Plan, place: &Workplace, viewers: u32, seconds: u32) -> Fallible<Taken> {
    let cast = Cast { plans: std::slice::from_ref(plan), writers: 1, viewers: viewers as usize };
    let mut stage = Stage::set(kind, cast, place).await?;
    let begun = stage.begin().await?;
    let (every, time) = (Duration::from_secs(1) / RATE, Duration::from_secs(seconds.into()));
    let order = Order::Paced { first: begun.at + every, every, edits: RATE * seconds };
    let (late, delivered) = stage.carry_out(|_| order.clone(), time).await;
    let mut figures = stage.end(&begun).await?;
    let converged = delivered && stage.agrees().await;
    figures.insert("converged".to_owned(), f64::from(u8::from(converged)));
    figures.insert("latest_edit_ms".to_owned(), late.as_secs_f64() * 1e3);
    let failure = stage.failure().is_some().then(|| stage.explain(&"not all went well"));
    Ok(Taken { figures, failure })
}
