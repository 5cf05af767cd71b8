//! Many documents at once, each with a writer at one server and a viewer at the next.

use std::time::Duration;

use super::NAME;
use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::Order;
use crate::figures::Taken;
use crate::kind::Kind;
use crate::plan::Plan;
use crate::run::{Run, Subject, thousands};
use crate::server::Workplace;

/// Interval between two edits of one document.
const EVERY: Duration = Duration::from_millis(2_500);

/// Runs the case.
pub fn run(run: &mut Run) -> Fallible<()> {
    let (documents, edits) = if run.quick { (100, 1) } else { (1_000, 2) };
    let plans = run.many_small(documents)?;
    let rate = documents as f64 / EVERY.as_secs_f64();
    let case = format!(
        "{} documents, {rate} edits/s over all, a writer and a viewer at another server each",
        thousands(documents as u64)
    );
    let subject = Subject { scenario: NAME, case: &case, viewers: None };
    let kinds: &[Kind] = if run.quick { &Kind::SHARED } else { &Kind::CLUSTERS };
    run.measure(subject, kinds, async |kind, place| measure(kind, &plans, place, edits).await);
    Ok(())
}

async fn measure(kind: Kind, plans: &[Plan], place: &Workplace, edits: u32) -> Fallible<Taken> {
    let mut stage = Stage::set(kind, Cast { plans, writers: 1, viewers: 1 }, place).await?;
    let begun = stage.begin().await?;
    let order = |number: usize| {
        // The writers are staggered, so that edits are evenly distributed.
        let turn = EVERY.mul_f64(number as f64 / plans.len() as f64);
        Order::Paced { first: begun.at + turn, every: EVERY, edits }
    };
    let (late, delivered) = stage.carry_out(order, EVERY * edits).await;
    let mut figures = stage.end(&begun).await?;
    let converged = delivered && stage.agrees().await;
    figures.insert("converged".to_owned(), f64::from(u8::from(converged)));
    figures.insert("latest_edit_ms".to_owned(), late.as_secs_f64() * 1e3);
    let failure = stage.failure().is_some().then(|| stage.explain(&"not all went well"));
    Ok(Taken { figures, failure })
}
