//! Start time of a server with a long history.

use std::time::Instant;

use crate::Fallible;
use crate::client::Http;
use crate::figures::Figures;
use crate::kind::Kind;
use crate::plan::{Plan, SMALL};
use crate::run::{Run, Subject, thousands};
use crate::server::{Server, Workplace};

/// Changes in the file.
pub const HISTORY: usize = 100_000;

pub fn run(run: &mut Run) -> Fallible<()> {
    let history = if run.quick { HISTORY / 10 } else { HISTORY };
    let plan = run.plan(SMALL, history)?;
    let case = format!("a document of {} changes", thousands(history as u64));
    let subject = Subject { scenario: "cold-start", case: &case, viewers: None };
    run.measure(subject, &Kind::OURS, async |kind, place| measure(kind, &plan, place).await);
    Ok(())
}

async fn measure(kind: Kind, plan: &Plan, place: &Workplace) -> Fallible<Figures> {
    let mut server = Server::start(kind, std::slice::from_ref(plan), place).await?;
    server.kill()?;
    let begun = Instant::now();
    server.restart()?;
    server.until_ready().await?;
    let ready = begun.elapsed();
    let answer = Http::connect(server.address.socket).await?.get("/api/documents/default/positions", None).await?;
    let view = begun.elapsed();
    if answer.status != 200 {
        return Err(format!("{} for the positions", answer.status).into());
    }
    let figures = [
        ("ready_ms", ready.as_secs_f64() * 1e3),
        ("first_view_ms", view.as_secs_f64() * 1e3),
        ("file_kib", plan.bytes.len() as f64 / 1024.0),
        ("server_cpu_s", server.process().cpu()?.as_secs_f64()),
        ("rss_mib", server.process().rss_mib()?),
        ("peak_rss_mib", server.process().peak_rss_mib()?),
    ];
    Ok(figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect())
}
