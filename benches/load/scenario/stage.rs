//! A running server with connected writers and viewers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use automerge::sync::State;
use futures_util::{StreamExt, stream};
use tokio::time::timeout;
use tokio_util::task::LocalPoolHandle;

use crate::Fallible;
use crate::client::ledger::Ledger;
use crate::client::{Audience, Crowd, Hello, IN_ORDER, Language, Order, Role, Sleepers, Writer};
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::{Board, Noted, Process};
use crate::plan::Plan;
use crate::server::{Server, Workplace};

/// Edits before the measurement, one after the other, in a document of their own.
const WARM_UP: u32 = 5;
/// Time for the server to process the last answers of viewers.
pub const SETTLE: Duration = Duration::from_millis(150);
/// Number of writers that join at the same time.
const JOINING: usize = 32;

/// Numbers of clients.
#[derive(Clone)]
pub struct Cast<'a> {
    pub plans: &'a [Plan],
    /// Number of writers per document.
    pub writers: usize,
    /// Number of viewers per document.
    pub viewers: u32,
    pub sleepers: Option<Sleepers>,
}

/// Documents, their writers and viewers.
pub struct Stage {
    pub server: Server,
    pub board: Arc<Board>,
    pub writers: Vec<Writer>,
    ledgers: Vec<Arc<Ledger>>,
    viewers: u32,
    crowd: Option<Crowd>,
    /// The writers' tasks end with it.
    thread: LocalPoolHandle,
}

/// State at the beginning of a measurement.
pub struct Begun {
    pub at: Instant,
    server: Duration,
    generator: Duration,
    edits: u64,
    noted: Noted,
}

impl Stage {
    /// Starts the server, lets writers and viewers join, and makes some edits.
    pub async fn set(kind: Kind, cast: &Cast<'_>, place: &Workplace) -> Fallible<Self> {
        let server = Server::start(kind, cast.plans, place).await?;
        let mut stage = Self {
            server,
            board: Arc::new(Board::default()),
            writers: Vec::new(),
            ledgers: cast.plans.iter().map(|_| Arc::new(Ledger::new(cast.writers))).collect(),
            viewers: cast.viewers,
            crowd: None,
            thread: LocalPoolHandle::new(1),
        };
        match stage.fill(cast).await {
            Ok(()) => Ok(stage),
            Err(error) => Err(stage.explain(&error).into()),
        }
    }

    async fn fill(&mut self, cast: &Cast<'_>) -> Fallible<()> {
        let address = &self.server.address;
        let patience = address.kind.patience();
        let documents = cast.plans.iter().zip(&self.ledgers);
        let mut roles = Vec::new();
        for (plan, ledger) in documents.clone() {
            for number in 0..cast.writers {
                roles.push(Role {
                    server: address.clone(),
                    document: plan.id.clone(),
                    doc: plan.open(),
                    state: State::new(),
                    ledger: Arc::clone(ledger),
                    number,
                    name: format!("writer-{:05}", roles.len()),
                    board: Arc::clone(&self.board),
                    viewers: cast.viewers,
                });
            }
        }
        let count = roles.len();
        let mut starting = stream::iter(roles).map(|role| Writer::start(&self.thread, role)).buffered(JOINING);
        let started = async {
            while let Some(writer) = starting.next().await {
                self.writers.push(writer?);
            }
            Fallible::Ok(())
        };
        if let Ok(started) = timeout(patience, started).await {
            started?;
        } else {
            return Err(format!("{} of {count} writers joined in {patience:?}", self.writers.len()).into());
        }
        let audience = documents.map(|(plan, ledger)| Audience {
            language: match address.kind {
                Kind::Floor => Language::Floor,
                _ => Language::Repo { document: plan.id.clone(), hello: Hello::Nothing },
            },
            ledger: Arc::clone(ledger),
            viewers: cast.viewers,
            sleepers: cast.sleepers.clone(),
        });
        self.crowd = Some(Crowd::gather(address, audience.collect(), &self.board, IN_ORDER));
        let wanted = u64::from(cast.viewers) * cast.plans.len() as u64;
        if !self.board.until_ready(wanted, patience).await {
            return Err(format!("{} of {wanted} viewers joined in {patience:?}", self.board.ready()).into());
        }
        for _ in 0..if cast.plans.len() == 1 { WARM_UP } else { 1 } {
            let order = Order::Paced { first: Instant::now(), every: Duration::ZERO, edits: 1 };
            let one_of_each = self.writers.iter().step_by(cast.writers.max(1));
            let edits = one_of_each.map(|writer| writer.order(order.clone(), patience));
            futures_util::future::try_join_all(edits).await?;
            self.until_all_delivered(patience).await?;
        }
        tokio::time::sleep(SETTLE).await;
        Ok(())
    }

    /// Adds the cause to an error: a client that failed, or a server that has ended.
    pub fn explain(&mut self, error: &dyn std::fmt::Display) -> String {
        let error = self.board.failure().map_or(error.to_string(), |failure| format!("{error}: {failure}"));
        self.server.explain(error)
    }

    /// The edits of the first document.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledgers[0]
    }

    /// Number of edits of all writers.
    pub fn edits(&self) -> u64 {
        self.ledgers.iter().flat_map(|ledger| ledger.totals()).map(u64::from).sum()
    }

    /// Waits until every viewer has every edit.
    pub async fn until_all_delivered(&self, limit: Duration) -> Fallible<()> {
        let wanted = self.edits() * u64::from(self.viewers);
        if self.board.until_delivered(wanted, limit).await {
            return Ok(());
        }
        let delivered = self.board.noted().delivered;
        Err(format!("{delivered} of {wanted} edits were delivered in {limit:?}").into())
    }

    /// Whether every writer and the server have the same document with all edits.
    pub async fn agrees(&self) -> bool {
        let limit = self.server.address.kind.patience();
        let each = self.writers.len() / self.ledgers.len().max(1);
        let documents = self.writers.chunks(each.max(1)).zip(&self.ledgers);
        let settle = documents.flat_map(|(writers, ledger)| {
            let order = Order::Settle { totals: ledger.totals() };
            writers.iter().map(move |writer| writer.order(order.clone(), limit))
        });
        let settled = futures_util::future::join_all(settle).await;
        settled.iter().all(Result::is_ok) && self.board.failure().is_none()
    }

    /// Gives each writer an order. Returns the largest delay of an edit, and whether all writers had finished and all
    /// viewers had all edits within the time plus a tolerance.
    pub async fn carry_out(&self, order: impl Fn(usize) -> Order, time: Duration) -> (Duration, bool) {
        let limit = time + self.server.address.kind.patience();
        let orders = self.writers.iter().enumerate().map(|(number, writer)| writer.order(order(number), limit));
        let reports = futures_util::future::join_all(orders).await;
        let in_time = reports.iter().all(Result::is_ok);
        let late = reports.into_iter().flatten().map(|report| report.late).max().unwrap_or_default();
        let patience = self.server.address.kind.patience();
        (late, in_time && self.until_all_delivered(patience).await.is_ok())
    }

    /// Begins a measurement.
    pub fn begin(&self) -> Fallible<Begun> {
        let (server, generator) = (self.server.process().cpu()?, Process::this().cpu()?);
        Ok(Begun { at: Instant::now(), server, generator, edits: self.edits(), noted: self.board.noted() })
    }

    /// Ends a measurement once the server has read the viewers' answers. Returns resource use and deliveries since
    /// its beginning.
    pub async fn end(&self, begun: &Begun) -> Fallible<Figures> {
        let wall = begun.at.elapsed().as_secs_f64();
        tokio::time::sleep(SETTLE).await;
        let server = self.server.process().cpu()?.saturating_sub(begun.server).as_secs_f64();
        let generator = Process::this().cpu()?.saturating_sub(begun.generator).as_secs_f64();
        let noted = self.board.noted();
        let edits = (self.edits() - begun.edits) as f64;
        let delivered = (noted.delivered - begun.noted.delivered) as f64;
        let messages = (noted.messages - begun.noted.messages) as f64;
        let bytes = (noted.bytes - begun.noted.bytes) as f64;
        let figures = [
            ("edits", edits),
            ("edits_per_s", edits / wall),
            ("delivered_edits_per_s", delivered / wall),
            ("delivered_percent", delivered / (edits * f64::from(self.viewers)) * 100.0),
            ("cpu_us_per_edit", server * 1e6 / edits),
            ("cpu_us_per_delivered_edit", server * 1e6 / delivered),
            ("cpu_us_per_message", server * 1e6 / messages),
            ("messages_per_delivered_edit", messages / delivered),
            ("bytes_per_message", bytes / messages),
            ("server_cpu_s", server),
            ("server_cpu_percent", server / wall * 100.0),
            ("generator_cpu_s", generator),
            ("rss_mib", self.server.process().rss_mib()?),
            ("peak_rss_mib", self.server.process().peak_rss_mib()?),
        ];
        let figures = figures.into_iter().filter(|(_, figure)| figure.is_finite());
        Ok(figures.map(|(name, figure)| (name.to_owned(), figure)).collect())
    }
}
