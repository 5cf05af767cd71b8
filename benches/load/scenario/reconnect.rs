//! Clients with offline edits reconnect at the same time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{join_all, try_join_all};
use tokio::time::timeout;
use tokio_util::task::LocalPoolHandle;

use super::stage::SETTLE;
use crate::Fallible;
use crate::client::ledger::Ledger;
use crate::client::newcomer::Newcomer;
use crate::client::returning::{Offline, edit_offline, returning_state};
use crate::client::{Order, Role, Writer};
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::{Board, Process};
use crate::plan::Plan;
use crate::run::{Run, Subject};
use crate::server::{Server, Workplace};

const CLIENTS: usize = 10;
const EDITS: u32 = 500;

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let case = "10 clients with 500 offline edits each, small document";
    let subject = Subject { scenario: "reconnect", case, viewers: None };
    run.measure(subject, run.others_if_time(), async |kind, place| prepared(kind, &plan, place).await);
    if !run.quick {
        let case = "the same, with the time that Automerge takes in the clients";
        let subject = Subject { scenario: "reconnect", case, viewers: None };
        run.measure(subject, &Kind::WITH_DOCUMENTS, async |kind, place| live(kind, &plan, place).await);
    }
    Ok(())
}

/// Clients whose own work was done in advance, so that only the server is measured.
async fn prepared(kind: Kind, plan: &Plan, place: &Workplace) -> Fallible<Figures> {
    let ledger = Arc::new(Ledger::new(CLIENTS));
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        clients.push(Offline::edit(plan, &ledger, number, EDITS)?);
    }
    let server = Server::start(kind, std::slice::from_ref(plan), place).await?;
    let (address, plan) = (server.address.clone(), plan.clone());
    let measured = Measured::begin(server)?;
    let (to, of) = (address.clone(), plan.clone());
    let all = LocalPoolHandle::new(1).spawn_pinned(move || async move {
        let sockets = try_join_all(clients.into_iter().map(|client| client.come_back(&to, &of))).await?;
        Fallible::Ok((sockets, Instant::now()))
    });
    let done = async { all.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string()) };
    let (mut measured, (_sockets, end)) = measured.wait(kind, done).await?;
    let figures = measured.end(end).await?;
    // The heads show that all servers have all edits. For our server, also check that it relays them.
    if kind != Kind::Happierwork {
        return Ok(figures);
    }
    let doc = Newcomer::connect(&address, CLIENTS).await?.fetch_any(&plan.id).await?;
    if ledger.covered(&doc.get_heads()) != ledger.totals() {
        return Err("the server's document lacks edits".into());
    }
    Ok(figures)
}

/// Clients with real documents.
async fn live(kind: Kind, plan: &Plan, place: &Workplace) -> Fallible<Figures> {
    let server = Server::start(kind, std::slice::from_ref(plan), place).await?;
    let (board, ledger) = (Arc::new(Board::default()), Arc::new(Ledger::new(CLIENTS)));
    let mut roles = Vec::new();
    for number in 0..CLIENTS {
        roles.push(offline(plan, &server, &ledger, &board, number)?);
    }
    let measured = Measured::begin(server)?;
    let thread = LocalPoolHandle::new(1);
    let done = async {
        let writers = try_join_all(roles.into_iter().map(|role| Writer::start(&thread, role))).await;
        let writers = writers.map_err(|error| board.failure().unwrap_or(error.to_string()))?;
        let order = Order::Settle { totals: ledger.totals() };
        let settled = writers.iter().map(|writer| writer.order(order.clone(), kind.patience() * 2));
        for settled in join_all(settled).await {
            settled.map_err(|error| board.failure().unwrap_or(error.to_string()))?;
        }
        Ok((writers, Instant::now()))
    };
    let (mut measured, (_writers, end)) = measured.wait(kind, done).await?;
    measured.end(end).await
}

/// A server, and its resource use when the clients reconnected.
struct Measured {
    server: Server,
    cpu: Duration,
    own: Duration,
    begun: Instant,
}

impl Measured {
    fn begin(server: Server) -> Fallible<Self> {
        let (cpu, own) = (server.process().cpu()?, Process::this().cpu()?);
        Ok(Self { server, cpu, own, begun: Instant::now() })
    }

    /// Waits until all have finished. The result must be kept until resource use is measured.
    async fn wait<T>(mut self, kind: Kind, done: impl Future<Output = Result<T, String>>) -> Fallible<(Self, T)> {
        let limit = kind.patience() * 2;
        match timeout(limit, done).await {
            Ok(Ok(done)) => Ok((self, done)),
            Ok(Err(error)) => Err(self.server.explain(error).into()),
            Err(_) => Err(self.server.explain(format!("not all agreed within {limit:?}")).into()),
        }
    }

    async fn end(&mut self, end: Instant) -> Fallible<Figures> {
        tokio::time::sleep(SETTLE).await;
        let figures = [
            ("all_agree_s", (end - self.begun).as_secs_f64()),
            ("server_cpu_s", self.server.process().cpu()?.saturating_sub(self.cpu).as_secs_f64()),
            ("generator_cpu_s", Process::this().cpu()?.saturating_sub(self.own).as_secs_f64()),
            ("peak_rss_mib", self.server.process().peak_rss_mib()?),
            ("converged", 1.0),
        ];
        Ok(figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect())
    }
}

/// A client that had the document, edited it offline, and remembers what the server has.
fn offline(plan: &Plan, server: &Server, ledger: &Arc<Ledger>, board: &Arc<Board>, number: usize) -> Fallible<Role> {
    let mut doc = plan.open();
    edit_offline(&mut doc, ledger, number, EDITS)?;
    Ok(Role {
        server: server.address.clone(),
        document: plan.id.clone(),
        doc,
        state: returning_state(&plan.heads),
        ledger: Arc::clone(ledger),
        number,
        name: format!("writer-{number:05}"),
        board: Arc::clone(board),
        viewers: 0,
    })
}
