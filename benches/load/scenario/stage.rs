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
    crowd: Option<Crowd>,
    /// Writers end with it.
    thread: LocalPoolHandle,
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
        let server = Server::start(kind, std::slice::from_ref(plan), place).await?;
        let mut stage = Self {
            server,
            board: Arc::new(Board::default()),
            ledger: Arc::new(Ledger::new(writers)),
            writers: Vec::new(),
            viewers,
            crowd: None,
            thread: LocalPoolHandle::new(1),
        };
        stage.fill(plan, writers).await.map_err(|error| stage.explain(&error))?;
        Ok(stage)
    }

    async fn fill(&mut self, plan: &Plan, writers: usize) -> Fallible<()> {
        let (patience, viewers) = (self.server.address.kind.patience(), self.viewers);
        for number in 0..writers {
            let role = Role {
                server: self.server.address.clone(),
                document: plan.id.clone(),
                doc: plan.open()?,
                ledger: Arc::clone(&self.ledger),
                number,
                name: format!("writer-{number}"),
                board: Arc::clone(&self.board),
                viewers,
            };
            self.writers.push(Writer::start(&self.thread, role).await?);
        }
        let audience = Audience { document: plan.id.clone(), ledger: Arc::clone(&self.ledger), viewers };
        self.crowd = Some(Crowd::gather(&self.server.address, vec![audience], &self.board));
        if !self.board.until_ready(viewers.into(), patience).await {
            return Err(format!("{} of {viewers} viewers joined in {patience:?}", self.board.ready()).into());
        }
        for _ in 0..WARM_UP {
            let order = Order::Paced { first: Instant::now(), every: Duration::ZERO, edits: 1 };
            self.writers[0].order(order, patience).await?;
            self.until_all_delivered(patience).await?;
        }
        tokio::time::sleep(SETTLE).await;
        Ok(())
    }

    /// An error, with what is behind it: a client that failed, a server that has ended.
    pub fn explain(&mut self, error: &dyn std::fmt::Display) -> String {
        let error = self.board.failure().map_or(error.to_string(), |failure| format!("{error}: {failure}"));
        self.server.explain(error)
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
        Err(format!("{delivered} of {wanted} edits were delivered in {limit:?}").into())
    }

    /// Whether every writer and the server have the same document, with all edits in it.
    pub async fn agrees(&self) -> bool {
        let totals = self.ledger.totals();
        for writer in &self.writers {
            let limit = self.server.address.kind.patience();
            if writer.order(Order::Settle { totals: totals.clone() }, limit).await.is_err() {
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
