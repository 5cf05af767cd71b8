//! Memory of a connection and of an open document.

use std::sync::Arc;
use std::time::Duration;

use crate::Fallible;
use crate::client::ledger::Ledger;
use crate::client::newcomer::Newcomer;
use crate::client::{Audience, Crowd, Hello, IN_ORDER, Language};
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::Board;
use crate::plan::Plan;
use crate::run::{Run, Subject, thousands};
use crate::server::{Server, Workplace};

const CONNECTIONS: u32 = 1_000;
const DOCUMENTS: usize = 1_000;
const FEWER_DOCUMENTS: usize = 200;
/// Time for a server to release temporary memory.
const SETTLE: Duration = Duration::from_secs(2);

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let connections = Subject { scenario: "memory", case: "1,000 idle connections, small document", viewers: None };
    run.measure_once(connections, &Kind::OURS, async |kind, place| per_connection(kind, &plan, place).await);
    let count = if run.quick { FEWER_DOCUMENTS } else { DOCUMENTS };
    let mut plans = run.many_small(count)?;
    plans.insert(0, plan);
    let case = format!("{} open small documents, one connection", thousands(count as u64));
    let documents = Subject { scenario: "memory", case: &case, viewers: None };
    run.measure_once(documents, &Kind::OURS, async |kind, place| per_document(kind, &plans, place).await);
    Ok(())
}

async fn per_connection(kind: Kind, plan: &Plan, place: &Workplace) -> Fallible<Figures> {
    let server = Server::start(kind, std::slice::from_ref(plan), place).await?;
    tokio::time::sleep(SETTLE).await;
    let before = server.process().rss_mib()?;
    let board = Arc::new(Board::default());
    let language = Language::Repo { document: plan.id.clone(), hello: Hello::Nothing };
    let audience = Audience { language, ledger: Arc::new(Ledger::new(0)), viewers: CONNECTIONS, sleepers: None };
    let _crowd = Crowd::gather(&server.address, vec![audience], &board, IN_ORDER);
    if !board.until_ready(CONNECTIONS.into(), kind.patience()).await {
        return Err(board.failure().unwrap_or_default().into());
    }
    tokio::time::sleep(SETTLE).await;
    let after = server.process().rss_mib()?;
    Ok(figures(&server, before, after, "kib_per_connection", f64::from(CONNECTIONS))?)
}

async fn per_document(kind: Kind, plans: &[Plan], place: &Workplace) -> Fallible<Figures> {
    let server = Server::start(kind, plans, place).await?;
    let mut newcomer = Newcomer::connect(&server.address, 0).await?;
    let (default, others) = plans.split_first().ok_or("no documents")?;
    newcomer.fetch(&default.id, &default.heads).await?;
    tokio::time::sleep(SETTLE).await;
    let before = server.process().rss_mib()?;
    for plan in others {
        newcomer.fetch(&plan.id, &plan.heads).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let after = server.process().rss_mib()?;
    Ok(figures(&server, before, after, "kib_per_document", others.len() as f64)?)
}

fn figures(server: &Server, before: f64, after: f64, each: &str, count: f64) -> std::io::Result<Figures> {
    let figures = [
        ("rss_before_mib", before),
        ("rss_mib", after),
        ("peak_rss_mib", server.process().peak_rss_mib()?),
        (each, (after - before) * 1024.0 / count),
    ];
    Ok(figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect())
}
