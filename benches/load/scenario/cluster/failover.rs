//! One of three servers is killed under load. Its clients connect to the others at once, and keep their state.
//!
//! No acknowledged edit may be lost. The writer of the killed server would restore edits that the database has lost, so it stays
//! away until the database was read.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use automerge::Automerge;
use automerge::sync::State;
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::LocalPoolHandle;

use super::NAME;
use super::servers::Servers;
use crate::Fallible;
use crate::client::answers::Answers;
use crate::client::ledger::Ledger;
use crate::client::{Audience, Crowd, Hello, IN_ORDER, Language, Order, Role, Socket, Viewer, Writer, source};
use crate::figures::Figures;
use crate::kind::{Address, Kind};
use crate::measure::Board;
use crate::plan::Plan;
use crate::run::{Run, Subject, thousands};

/// Interval between the edits of one writer. There is one at each server.
const EVERY: Duration = Duration::from_millis(50);
/// Time under load before the server is killed.
const BEFORE: Duration = Duration::from_secs(2);
/// Time for the clients to be in sync again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the case.
pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.small()?;
    let viewers: u32 = if run.quick { 30 } else { 300 };
    let case = format!("one of 3 servers is killed, {} viewers, 60 edits/s by a writer at each", thousands(viewers));
    let subject = Subject { scenario: NAME, case: &case, viewers: Some(viewers) };
    run.measure(subject, &Kind::SHARED, async |kind, place| {
        let mut servers = Servers::start(kind, std::slice::from_ref(&plan), place).await?;
        match measure(&mut servers, &plan, viewers / u32::from(kind.servers())).await {
            Ok(figures) => Ok(figures),
            Err(error) => Err(servers.explain(error).into()),
        }
    });
    Ok(())
}

/// Clients of the killed server have the highest numbers.
struct Clients {
    plan: Plan,
    ledger: Arc<Ledger>,
    board: Arc<Board>,
    /// The killed server, and another one.
    servers: [Address; 2],
}

/// Number of the writer at the killed server, which is the last one.
const LAST: usize = 2;

async fn measure(servers: &mut Servers, plan: &Plan, viewers: u32) -> Fallible<Figures> {
    let (ledger, board) = (Arc::new(Ledger::new(servers.all.len())), Arc::new(Board::default()));
    let language = Language::Repo { document: plan.id.clone(), hello: Hello::Nothing };
    let mut crowds = Vec::new();
    let (mut writers, thread) = (Vec::new(), LocalPoolHandle::new(1));
    let addresses: Vec<Address> = servers.all.iter().map(|server| server.address.clone()).collect();
    let clients = |number: usize| Clients {
        plan: plan.clone(),
        ledger: Arc::clone(&ledger),
        board: Arc::clone(&board),
        servers: [LAST, number].map(|number| addresses[number].clone()),
    };
    for (number, address) in addresses.iter().enumerate().take(LAST) {
        let (ledger, language) = (Arc::clone(&ledger), language.clone());
        let audience = Audience { language, ledger, viewers, sleepers: None };
        let first = number * viewers as usize;
        crowds.push(Crowd::gather_from(first, address, vec![audience], &board, IN_ORDER));
        writers.push(Writer::start(&thread, clients(number).role(number, address, plan.open())).await?);
    }
    // The clients of the killed server.
    let (joined, mut joining) = mpsc::unbounded_channel();
    let moved = LocalPoolHandle::new(1);
    let (synced, mut in_sync) = mpsc::unbounded_channel();
    for number in 0..viewers as usize {
        let (clients, joined, synced) = (clients(number % LAST), joined.clone(), synced.clone());
        let number = LAST * viewers as usize + number;
        moved.spawn_pinned(move || async move {
            let board = Arc::clone(&clients.board);
            if let Err(error) = clients.view(number, joined, synced).await {
                board.note_failure(format!("viewer {number}: {error}"));
            }
        });
    }
    drop(synced);
    let role = clients(0).role(LAST, &addresses[LAST], plan.open());
    let first_life = moved.spawn_pinned(move || async move {
        Writer::edit_until_lost(role, EVERY, || {
            let _ = joined.send(());
        })
        .await
    });
    let all_joined = async {
        for _ in 0..=viewers {
            joining.recv().await.ok_or("a client of the server to be killed has failed")?;
        }
        Fallible::Ok(())
    };
    timeout(PATIENCE, all_joined).await.map_err(|_| "not all clients have joined")??;
    if !board.until_ready(u64::from(viewers) * (LAST as u64 + 1), PATIENCE).await {
        return Err(format!("{} viewers joined: {:?}", board.ready(), board.failure()).into());
    }

    // The other writers edit throughout.
    let edits = u32::try_from((BEFORE + PATIENCE / 3).as_millis() / EVERY.as_millis())?;
    let order = Order::Paced { first: Instant::now(), every: EVERY, edits };
    let orders = writers.iter().map(|writer| writer.order(order.clone(), 3 * PATIENCE));
    let editing = join_all(orders);
    let killing = async {
        tokio::time::sleep(BEFORE).await;
        servers.all[LAST].kill()?;
        let killed = Instant::now();
        let (doc, acknowledged) = first_life.await.map_err(|error| error.to_string())??;
        let stored = servers.postgres.as_ref().ok_or("there is no database")?.read(&plan.id).await?;
        let stored = ledger.covered(&Automerge::load(&stored)?.get_heads())[LAST];
        let lost = acknowledged.saturating_sub(stored);
        let role = clients(0).role(LAST, &addresses[0], doc);
        let returned = Writer::start(&thread, role).await?;
        let writer = killed.elapsed();
        let mut last = killed;
        let all = async {
            for _ in 0..viewers {
                last = last.max(in_sync.recv().await.ok_or("a client is not in sync again")?);
            }
            Fallible::Ok(())
        };
        timeout(PATIENCE, all).await.map_err(|_| "not all clients are in sync again")??;
        let last = last.saturating_duration_since(killed);
        Fallible::Ok((returned, writer.max(last), last, acknowledged, lost))
    };
    let (reports, killing) = tokio::join!(editing, killing);
    let (returned, all, viewers_after, acknowledged, lost) = killing?;
    let finished = reports.iter().all(Result::is_ok);
    let order = Order::Settle { totals: ledger.totals() };
    let settled = writers.iter().chain([&returned]).map(|writer| writer.order(order.clone(), PATIENCE));
    let converged = finished && join_all(settled).await.iter().all(Result::is_ok) && board.failure().is_none();
    let figures = [
        ("all_in_sync_s", all.as_secs_f64()),
        ("viewers_in_sync_s", viewers_after.as_secs_f64()),
        ("acknowledged_edits_of_the_killed_server", f64::from(acknowledged)),
        ("acknowledged_edits_lost", f64::from(lost)),
        ("converged", f64::from(u8::from(converged))),
    ];
    Ok(figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect())
}

impl Clients {
    fn role(&self, number: usize, server: &Address, doc: Automerge) -> Role {
        Role {
            server: server.clone(),
            document: self.plan.id.clone(),
            doc,
            state: State::new(),
            ledger: Arc::clone(&self.ledger),
            number,
            name: format!("writer-{number:05}"),
            board: Arc::clone(&self.board),
            viewers: 0,
        }
    }

    /// Views until the server is lost, then at the other one. Reports when it has all edits that were made before it connected
    /// there, except those of the killed server's writer, which may be unavailable at that time.
    async fn view(
        self,
        number: usize,
        joined: mpsc::UnboundedSender<()>,
        synced: mpsc::UnboundedSender<Instant>,
    ) -> Fallible<()> {
        let answers = Rc::new(RefCell::new(Answers::new(Arc::clone(&self.ledger))));
        let [killed, other] = &self.servers;
        let mut first = self.join(number, killed, Hello::Nothing, &answers).await?;
        let _ = joined.send(());
        // Ends when the server does.
        let _ = first.run(None).await;
        let mut second = self.join(number, other, first.hello_again(), &answers).await?;
        let mut wanted = self.ledger.totals();
        wanted[LAST] = 0;
        second.run_until(&wanted).await?;
        let _ = synced.send(Instant::now());
        second.run(None).await
    }

    async fn join(
        &self,
        number: usize,
        server: &Address,
        hello: Hello,
        answers: &Rc<RefCell<Answers>>,
    ) -> Fallible<Viewer> {
        let language = Language::Repo { document: self.plan.id.clone(), hello };
        let socket = Socket::connect(source(number), server.socket, server.path).await?;
        let (name, board) = (format!("viewer-{number:05}"), Arc::clone(&self.board));
        Viewer::join(socket, &name, &language, Rc::clone(answers), board, false).await
    }
}
