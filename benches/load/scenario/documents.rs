//! A thousand documents at once, each with one writer and one viewer: what does it cost that they are many?

use std::time::Duration;

use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::Order;
use crate::figures::Figures;
use crate::plan::{Plan, SMALL};
use crate::run::{Run, Subject};
use crate::server::{Kind, Workplace};

const DOCUMENTS: usize = 1_000;
/// Edits per second, over all documents.
const RATE: u32 = 400;
/// So each document has one every 2.5 seconds.
const EVERY: Duration = Duration::from_millis(2_500);

pub fn run(run: &mut Run) -> Fallible<()> {
    let plans = (0..DOCUMENTS).map(|_| Plan::new(SMALL, 0)).collect::<Fallible<Vec<_>>>()?;
    let edits = if run.quick { 1 } else { 2 };
    let case = "1,000 documents, 400 edits/s over all, one writer and one viewer each";
    let subject = Subject { scenario: "documents", case, viewers: None };
    run.measure(subject, &Kind::WITH_DOCUMENTS, async |kind, place| measure(kind, &plans, place, edits).await);
    Ok(())
}

async fn measure(kind: Kind, plans: &[Plan], place: &Workplace, edits: u32) -> Fallible<Figures> {
    let cast = Cast { plans, writers: 1, viewers: 1, sleepers: None };
    let mut stage = Stage::set(kind, &cast, place).await?;
    stage.board.set_phase(1);
    let begun = stage.begin()?;
    let order = |number: usize| {
        // They take turns, so that edits come evenly.
        let turn = Duration::from_secs(1) / RATE * u32::try_from(number).unwrap_or(0);
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
