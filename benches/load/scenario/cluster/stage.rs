//! Writers and viewers at the servers of a cluster.

use std::sync::Arc;
use std::time::{Duration, Instant};

use automerge::sync::State;
use futures_util::future::{join_all, try_join_all};
use futures_util::{StreamExt, stream};
use tokio::time::timeout;
use tokio_util::task::LocalPoolHandle;

use super::servers::{Appends, Servers};
use crate::Fallible;
use crate::client::ledger::Ledger;
use crate::client::{Audience, Crowd, Hello, IN_ORDER, Language, Order, Role, Writer};
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::{Board, Process};
use crate::plan::Plan;
use crate::scenario::stage::SETTLE;
use crate::server::Workplace;

/// Edits of each document before the measurement.
const WARM_UP: u32 = 2;
/// Number of writers that join at the same time.
const JOINING: usize = 32;

/// Clients of each document. The first writer of document n is at server n, the next one at the following server, and so on.
/// Viewers start at server n + 1.
#[derive(Clone, Copy)]
pub struct Cast<'a> {
    pub plans: &'a [Plan],
    pub writers: usize,
    pub viewers: usize,
}

/// Running servers with their clients.
pub struct Stage {
    pub servers: Servers,
    pub writers: Vec<Writer>,
    /// Progress of the viewers at the server of a document's first writer, and of all others.
    pub boards: [Arc<Board>; 2],
    ledgers: Vec<Arc<Ledger>>,
    /// Number of viewers of each document that use each board.
    viewers: Vec<[u64; 2]>,
    crowds: Vec<Crowd>,
    thread: LocalPoolHandle,
}

/// State at the beginning of a measurement.
pub struct Begun {
    pub at: Instant,
    servers: Duration,
    database: Duration,
    generator: Duration,
    edits: u64,
    delivered: u64,
    appends: Appends,
}

impl Stage {
    /// Starts the servers, lets writers and viewers join, and makes some edits.
    pub async fn set(kind: Kind, cast: Cast<'_>, place: &Workplace) -> Fallible<Self> {
        let servers = Servers::start(kind, cast.plans, place).await?;
        let mut stage = Self {
            servers,
            writers: Vec::new(),
            boards: Default::default(),
            ledgers: cast.plans.iter().map(|_| Arc::new(Ledger::new(cast.writers))).collect(),
            viewers: Vec::new(),
            crowds: Vec::new(),
            thread: LocalPoolHandle::new(1),
        };
        match stage.fill(cast, kind.patience()).await {
            Ok(()) => Ok(stage),
            Err(error) => Err(stage.explain(&error).into()),
        }
    }

    async fn fill(&mut self, cast: Cast<'_>, patience: Duration) -> Fallible<()> {
        let mut roles = Vec::new();
        for (place, (plan, ledger)) in cast.plans.iter().zip(&self.ledgers).enumerate() {
            for number in 0..cast.writers {
                roles.push(Role {
                    server: self.servers.address(place + number).clone(),
                    document: plan.id.clone(),
                    doc: plan.open(),
                    state: State::new(),
                    ledger: Arc::clone(ledger),
                    number,
                    name: format!("writer-{:05}", roles.len()),
                    board: Arc::clone(&self.boards[0]),
                    viewers: u32::try_from(cast.viewers)?,
                });
            }
        }
        let mut starting = stream::iter(roles).map(|role| Writer::start(&self.thread, role)).buffered(JOINING);
        let started = async {
            while let Some(writer) = starting.next().await {
                self.writers.push(writer?);
            }
            Fallible::Ok(())
        };
        timeout(patience, started).await.map_err(|_| format!("not all writers joined in {patience:?}"))??;
        drop(starting);
        self.gather(cast)?;
        for (board, wanted) in self.boards.iter().zip(self.wanted(|_| 1)) {
            if !board.until_ready(wanted, patience).await {
                return Err(format!("{} of {wanted} viewers joined in {patience:?}", board.ready()).into());
            }
        }
        for _ in 0..WARM_UP {
            let order = Order::Paced { first: Instant::now(), every: Duration::ZERO, edits: 1 };
            try_join_all(self.writers.iter().map(|writer| writer.order(order.clone(), patience))).await?;
            self.until_all_delivered(patience).await?;
        }
        tokio::time::sleep(SETTLE).await;
        Ok(())
    }

    /// Connects the viewers.
    fn gather(&mut self, cast: Cast<'_>) -> Fallible<()> {
        let count = self.servers.all.len();
        self.viewers = vec![[0; 2]; cast.plans.len()];
        let mut first = 0;
        for server in 0..count {
            let mut audiences = [Vec::new(), Vec::new()];
            for (place, (plan, ledger)) in cast.plans.iter().zip(&self.ledgers).enumerate() {
                let viewers = (0..cast.viewers).filter(|viewer| (place + 1 + viewer) % count == server).count();
                let board = usize::from(place % count != server);
                self.viewers[place][board] += viewers as u64;
                if viewers > 0 {
                    audiences[board].push(Audience {
                        language: Language::Repo { document: plan.id.clone(), hello: Hello::Nothing },
                        ledger: Arc::clone(ledger),
                        viewers: u32::try_from(viewers)?,
                        sleepers: None,
                    });
                }
            }
            for (audiences, board) in audiences.into_iter().zip(&self.boards) {
                let viewers: usize = audiences.iter().map(|audience| audience.viewers as usize).sum();
                if viewers > 0 {
                    let address = self.servers.address(server);
                    self.crowds.push(Crowd::gather_from(first, address, audiences, board, IN_ORDER));
                    first += viewers;
                }
            }
        }
        Ok(())
    }

    /// For each board, the sum over all viewers of a value of their document.
    fn wanted(&self, each: impl Fn(&Ledger) -> u64) -> [u64; 2] {
        let documents = self.viewers.iter().zip(&self.ledgers);
        documents.fold([0; 2], |[same, other], (viewers, ledger)| {
            let each = each(ledger);
            [same + viewers[0] * each, other + viewers[1] * each]
        })
    }

    /// Adds the cause to an error: a client that failed, or a server that has ended.
    pub fn explain(&mut self, error: &dyn std::fmt::Display) -> String {
        let error = self.failure().map_or(error.to_string(), |failure| format!("{error}: {failure}"));
        self.servers.explain(error)
    }

    /// The first failure of a client.
    pub fn failure(&self) -> Option<String> {
        self.boards.iter().find_map(|board| board.failure())
    }

    /// Number of edits of all writers.
    fn edits(&self) -> u64 {
        self.ledgers.iter().map(|ledger| edits_of(ledger)).sum()
    }

    /// Number of edits that viewers have received.
    fn delivered(&self) -> u64 {
        self.boards.iter().map(|board| board.noted().delivered).sum()
    }

    /// Waits until every viewer has every edit.
    async fn until_all_delivered(&self, limit: Duration) -> Fallible<()> {
        for (board, wanted) in self.boards.iter().zip(self.wanted(edits_of)) {
            if !board.until_delivered(wanted, limit).await {
                let delivered = board.noted().delivered;
                return Err(format!("{delivered} of {wanted} edits were delivered in {limit:?}").into());
            }
        }
        Ok(())
    }

    /// Gives each writer an order. Returns the largest delay of an edit, and whether all writers had finished and all viewers
    /// had all edits within the time plus a tolerance.
    pub async fn carry_out(&self, order: impl Fn(usize) -> Order, time: Duration) -> (Duration, bool) {
        let patience = self.servers.address(0).kind.patience();
        let limit = time + patience;
        let orders = self.writers.iter().enumerate().map(|(number, writer)| writer.order(order(number), limit));
        let reports = join_all(orders).await;
        let in_time = reports.iter().all(Result::is_ok);
        let late = reports.into_iter().flatten().map(|report| report.late).max().unwrap_or_default();
        (late, in_time && self.until_all_delivered(patience).await.is_ok())
    }

    /// Whether every writer and its server have the same document with all edits.
    pub async fn agrees(&self) -> bool {
        let limit = self.servers.address(0).kind.patience();
        let each = self.writers.len() / self.ledgers.len().max(1);
        let documents = self.writers.chunks(each.max(1)).zip(&self.ledgers);
        let settle = documents.flat_map(|(writers, ledger)| {
            let order = Order::Settle { totals: ledger.totals() };
            writers.iter().map(move |writer| writer.order(order.clone(), limit))
        });
        join_all(settle).await.iter().all(Result::is_ok) && self.failure().is_none()
    }

    /// Begins a measurement.
    pub async fn begin(&self) -> Fallible<Begun> {
        let appends = self.servers.appends().await?;
        self.boards.iter().for_each(|board| board.set_phase(1));
        let (servers, database) = (self.servers.cpu()?, self.servers.database_cpu()?);
        let generator = Process::this().cpu()?;
        let (edits, delivered) = (self.edits(), self.delivered());
        Ok(Begun { at: Instant::now(), servers, database, generator, edits, delivered, appends })
    }

    /// Ends a measurement. Returns its figures.
    pub async fn end(&self, begun: &Begun) -> Fallible<Figures> {
        let wall = begun.at.elapsed().as_secs_f64();
        tokio::time::sleep(SETTLE).await;
        let servers = self.servers.cpu()?.saturating_sub(begun.servers).as_secs_f64();
        let database = self.servers.database_cpu()?.saturating_sub(begun.database).as_secs_f64();
        let generator = Process::this().cpu()?.saturating_sub(begun.generator).as_secs_f64();
        let appends = self.servers.appends().await?.since(&begun.appends);
        let edits = (self.edits() - begun.edits) as f64;
        let delivered = (self.delivered() - begun.delivered) as f64;
        let mut figures: Figures = [
            ("edits", edits),
            ("edits_per_s", edits / wall),
            ("cpu_us_per_edit", servers * 1e6 / edits),
            ("cpu_us_per_delivered_edit", servers * 1e6 / delivered),
            ("append_p99_ms", appends.percentile_ms(0.99)),
            ("tries_per_append", appends.tries()),
            ("server_cpu_s", servers),
            ("generator_cpu_s", generator),
        ]
        .into_iter()
        .map(|(name, figure)| (name.to_owned(), figure))
        .collect();
        if self.servers.postgres.is_some() {
            figures.insert("database_cpu_us_per_edit".to_owned(), database * 1e6 / edits);
        }
        for (board, whose) in self.boards.iter().zip(["same_server", "other_servers"]) {
            let mut latencies = board.latencies(1);
            for (name, part) in [("p50_ms", 0.5), ("p99_ms", 0.99)] {
                figures.insert(format!("{whose}_{name}"), latencies.percentile_ms(part));
            }
        }
        if let (Some(p99), Some(append)) = (figures.get("other_servers_p99_ms"), figures.get("append_p99_ms")) {
            let beyond = p99 - append;
            figures.insert("other_servers_p99_beyond_append_ms".to_owned(), beyond);
        }
        figures.retain(|_, figure| figure.is_finite());
        Ok(figures)
    }
}

fn edits_of(ledger: &Ledger) -> u64 {
    ledger.totals().into_iter().map(u64::from).sum()
}
