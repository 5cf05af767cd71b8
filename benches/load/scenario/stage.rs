//! A server with writers and viewers, ready to begin.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::task::LocalPoolHandle;

use crate::Fallible;
use crate::client::ledger::Ledger;
use crate::client::{Audience, Crowd, Order, Role, Writer};
use crate::measure::{Board, Process};
use crate::plan::Plan;
use crate::server::{Kind, Server, Workplace};

/// How long clients may take to join, and edits to arrive.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Edits that are made before anything is measured, one after the other.
const WARM_UP: u32 = 5;
/// What a server may still be busy with when all have what they wait for: answers of viewers.
const SETTLE: Duration = Duration::from_millis(150);

/// One document, its writers and viewers.
pub struct Stage {
    pub server: Server,
    pub board: Arc<Board>,
    pub ledger: Arc<Ledger>,
    pub writers: Vec<Writer>,
    pub viewers: u32,
    _crowd: Crowd,
    /// Writers end with it.
    _thread: LocalPoolHandle,
}

/// What was used while something was measured.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// By the server.
    pub server: Duration,
    /// By the load generator.
    pub generator: Duration,
    /// Time passed.
    pub wall: Duration,
}

/// The beginning of a measurement.
pub struct Begun {
    server: Duration,
    generator: Duration,
    at: Instant,
}

impl Stage {
    /// Starts the server, lets writers and viewers join, and makes some edits.
    pub async fn set(kind: Kind, plan: &Plan, place: &Workplace, writers: usize, viewers: u32) -> Fallible<Self> {
        let server = Server::start(kind, plan, place).await?;
        let board = Arc::new(Board::default());
        let ledger = Arc::new(Ledger::new(writers));
        let pool = LocalPoolHandle::new(1);
        let mut started = Vec::new();
        for number in 0..writers {
            let role = Role {
                server: server.address.clone(),
                document: plan.id.clone(),
                doc: plan.open()?,
                ledger: Arc::clone(&ledger),
                number,
                name: format!("writer-{number}"),
                board: Arc::clone(&board),
                viewers,
            };
            started.push(Writer::start(&pool, role).await.map_err(|error| board.failure().map_or(error, Into::into))?);
        }
        let audience = Audience { document: plan.id.clone(), ledger: Arc::clone(&ledger), viewers };
        let crowd = Crowd::gather(&server.address, vec![audience], &board);
        if !board.until_ready(viewers.into(), PATIENCE).await {
            let why = board.failure().unwrap_or_default();
            return Err(format!("{} of {viewers} viewers have joined; {why}", board.ready()).into());
        }
        let stage = Self { server, board, ledger, writers: started, viewers, _crowd: crowd, _thread: pool };
        for _ in 0..WARM_UP {
            stage.writers[0]
                .order(Order::Paced { first: Instant::now(), every: Duration::ZERO, edits: 1 }, PATIENCE)
                .await?;
            stage.until_all_delivered(PATIENCE).await?;
        }
        tokio::time::sleep(SETTLE).await;
        Ok(stage)
    }

    /// Edits made by all writers.
    pub fn edits(&self) -> u64 {
        self.ledger.totals().iter().map(|edits| u64::from(*edits)).sum()
    }

    /// Waits until every viewer has every edit that was made.
    pub async fn until_all_delivered(&self, limit: Duration) -> Fallible<()> {
        let wanted = self.edits() * u64::from(self.viewers);
        if self.board.until_delivered(wanted, limit).await {
            return Ok(());
        }
        let delivered = self.board.noted().delivered;
        Err(match self.board.failure() {
            Some(failure) => failure.into(),
            None => format!("{delivered} of {wanted} edits were delivered in {limit:?}").into(),
        })
    }

    /// Whether every writer and the server have the same document, with all edits in it.
    pub async fn agrees(&self) -> bool {
        let totals = self.ledger.totals();
        for writer in &self.writers {
            if writer.order(Order::Settle { totals: totals.clone() }, PATIENCE).await.is_err() {
                return false;
            }
        }
        self.board.failure().is_none()
    }

    /// Begins a measurement.
    pub fn begin(&self) -> Fallible<Begun> {
        let (server, generator) = (self.server.process().cpu()?, Process::this().cpu()?);
        Ok(Begun { server, generator, at: Instant::now() })
    }

    /// Ends it, once the server has read what viewers answered.
    pub async fn end(&self, begun: Begun) -> Fallible<Used> {
        let wall = begun.at.elapsed();
        tokio::time::sleep(SETTLE).await;
        Ok(Used {
            server: self.server.process().cpu()?.saturating_sub(begun.server),
            generator: Process::this().cpu()?.saturating_sub(begun.generator),
            wall,
        })
    }
}
