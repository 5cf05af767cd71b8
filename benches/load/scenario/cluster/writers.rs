//! Writers at different servers that edit one document as fast as possible. Appends exclude each other.

use std::time::Duration;

use super::NAME;
use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::Order;
use crate::figures::Taken;
use crate::kind::Kind;
use crate::plan::Plan;
use crate::run::{Run, Subject};
use crate::server::Workplace;

const WRITERS: usize = 4;
/// Largest number of unacknowledged edits of one writer.
const WINDOW: u32 = 100;

/// Runs the case.
pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let time = Duration::from_secs(if run.quick { 1 } else { 5 });
    let kinds: &[Kind] = if run.quick { &Kind::SHARED } else { &Kind::CLUSTERS };
    let subject = Subject { scenario: NAME, case: "4 writers flat out on one document", viewers: None };
    run.measure(subject, kinds, async |kind, place| measure(kind, &plan, place, time).await);
    Ok(())
}

async fn measure(kind: Kind, plan: &Plan, place: &Workplace, time: Duration) -> Fallible<Taken> {
    let cast = Cast { plans: std::slice::from_ref(plan), writers: WRITERS, viewers: 0 };
    let mut stage = Stage::set(kind, cast, place).await?;
    let begun = stage.begin().await?;
    let order = Order::FlatOut { until: begun.at + time, window: WINDOW };
    let (_, done) = stage.carry_out(|_| order.clone(), time).await;
    let mut figures = stage.end(&begun).await?;
    let converged = done && stage.agrees().await;
    figures.insert("converged".to_owned(), f64::from(u8::from(converged)));
    let failure = stage.failure().is_some().then(|| stage.explain(&"not all went well"));
    Ok(Taken { figures, failure })
}
