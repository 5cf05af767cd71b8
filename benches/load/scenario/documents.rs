//! Many documents at once, each with one writer and one viewer.

use std::time::Duration;

use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::Order;
use crate::figures::Figures;
use crate::kind::Kind;
use crate::plan::Plan;
use crate::run::{Run, Subject, thousands};
use crate::server::Workplace;

/// Interval between two edits of one document.
const EVERY: Duration = Duration::from_millis(2_500);

pub fn run(run: &mut Run) -> Fallible<()> {
    let edits = if run.quick { 1 } else { 2 };
    // The other servers cannot handle a thousand documents.
    for documents in if run.quick { &[100][..] } else { &[100, 1_000] } {
        let plans = run.many_small(*documents)?;
        let rate = *documents as f64 / EVERY.as_secs_f64();
        let case = format!(
            "{} documents, {rate} edits/s over all, one writer and one viewer each",
            thousands(*documents as u64)
        );
        let subject = Subject { scenario: "documents", case: &case, viewers: None };
        run.measure(subject, run.others_if_time(), async |kind, place| measure(kind, &plans, place, edits).await);
    }
    Ok(())
}

async fn measure(kind: Kind, plans: &[Plan], place: &Workplace, edits: u32) -> Fallible<Figures> {
    let cast = Cast { plans, writers: 1, viewers: 1, sleepers: None };
    let mut stage = Stage::set(kind, &cast, place).await?;
    stage.board.set_phase(1);
    let begun = stage.begin()?;
    let order = |number: usize| {
        // The writers are staggered, so that edits are evenly distributed.
        let turn = EVERY.mul_f64(number as f64 / plans.len() as f64);
        Order::Paced { first: begun.at + turn, every: EVERY, edits }
    };
    let (late, delivered) = stage.carry_out(order, EVERY * edits).await;
    let mut figures = stage.end(&begun).await?;
    let converged = delivered && stage.agrees().await;
    if stage.board.failure().is_some() {
        return Err(stage.explain(&"not all went well").into());
    }
    stage.board.latencies(1).describe(&mut figures);
    figures.insert("converged".to_owned(), f64::from(u8::from(converged)));
    figures.insert("latest_edit_ms".to_owned(), late.as_secs_f64() * 1e3);
    Ok(figures)
}
