//! People who have edited offline come back at once.

use std::sync::Arc;
use std::time::Instant;

use automerge::sync::State;
use futures_util::future::{join_all, try_join_all};
use tokio_util::task::LocalPoolHandle;

use super::stage::SETTLE;
use crate::Fallible;
use crate::client::ledger::Ledger;
use crate::client::{Order, Role, Writer};
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::{Board, Process};
use crate::plan::{Plan, rows, set_budget};
use crate::run::{Run, Subject};
use crate::server::{Server, Workplace};

const CLIENTS: usize = 10;
const EDITS: u32 = 500;

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let case = "10 clients with 500 offline edits each, small document";
    let subject = Subject { scenario: "reconnect", case, viewers: None };
    run.measure(subject, run.others_if_time(), async |kind, place| measure(kind, &plan, place).await);
    Ok(())
}

async fn measure(kind: Kind, plan: &Plan, place: &Workplace) -> Fallible<Figures> {
    let mut server = Server::start(kind, std::slice::from_ref(plan), place).await?;
    let board = Arc::new(Board::default());
    let ledger = Arc::new(Ledger::new(CLIENTS));
    let mut roles = Vec::new();
    for number in 0..CLIENTS {
        roles.push(offline(plan, &server, &ledger, &board, number)?);
    }
    let (cpu, own, begun) = (server.process().cpu()?, Process::this().cpu()?, Instant::now());
    let thread = LocalPoolHandle::new(1);
    let result = async {
        let writers = try_join_all(roles.into_iter().map(|role| Writer::start(&thread, role))).await?;
        let order = Order::Settle { totals: ledger.totals() };
        let settled = writers.iter().map(|writer| writer.order(order.clone(), kind.patience()));
        join_all(settled).await.into_iter().collect::<Fallible<Vec<_>>>()?;
        // They stay until it is measured.
        Fallible::Ok((writers, begun.elapsed()))
    };
    let (_writers, took) = match tokio::time::timeout(kind.patience() * 2, result).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => {
            let error = board.failure().map_or(error.to_string(), |failure| format!("{error}: {failure}"));
            return Err(server.explain(error).into());
        }
        Err(_) => return Err(server.explain(format!("no agreement after {:?}", kind.patience() * 2)).into()),
    };
    tokio::time::sleep(SETTLE).await;
    let figures = [
        ("all_agree_s", took.as_secs_f64()),
        ("server_cpu_s", (server.process().cpu()? - cpu).as_secs_f64()),
        ("generator_cpu_s", (Process::this().cpu()? - own).as_secs_f64()),
        ("peak_rss_mib", server.process().peak_rss_mib()?),
        ("converged", 1.0),
    ];
    Ok(figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect())
}

/// Somebody who had the document, edited it offline, and remembers what the server has.
fn offline(plan: &Plan, server: &Server, ledger: &Arc<Ledger>, board: &Arc<Board>, number: usize) -> Fallible<Role> {
    let mut doc = plan.open();
    let state = State { shared_heads: doc.get_heads(), ..State::new() };
    let rows = rows(&doc)?;
    let now = jiff::Timestamp::now().as_second();
    let mut covered = vec![0; CLIENTS];
    for edit in 0..EDITS {
        let row = &rows[(number * 31 + edit as usize) % rows.len()];
        let budget = 1_000 + i64::from(edit) * 64 + i64::try_from(number)?;
        let hash = set_budget(&mut doc, row, budget, now)?;
        covered[number] += 1;
        ledger.add(number, hash, covered.clone(), Instant::now());
    }
    Ok(Role {
        server: server.address.clone(),
        document: plan.id.clone(),
        doc,
        state,
        ledger: Arc::clone(ledger),
        number,
        name: format!("writer-{number:05}"),
        board: Arc::clone(board),
        viewers: 0,
    })
}
