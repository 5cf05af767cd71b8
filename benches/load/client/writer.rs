//! Writers: real documents, edited on order. [`super::desk`] is where they work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use automerge::Automerge;
use automerge::sync::State;
use primitives::DocumentId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::LocalPoolHandle;

use super::desk::Desk;
use super::ledger::{Covered, Ledger};
use crate::Fallible;
use crate::kind::Address;
use crate::measure::Board;

/// What a writer is to do.
#[derive(Debug, Clone)]
pub enum Order {
    /// Edit at exact moments, and see all of it acknowledged.
    Paced { first: Instant, every: Duration, edits: u32 },
    /// Edit as fast as can be with so many unacknowledged edits, and see all of it acknowledged.
    FlatOut { until: Instant, window: u32 },
    /// Wait until writer and server agree, and have all of these edits.
    Settle { totals: Covered },
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// How late the latest of them was.
    pub late: Duration,
}

/// A writer on its own connection.
pub struct Writer {
    orders: mpsc::UnboundedSender<(Order, oneshot::Sender<Report>)>,
}

/// Who a writer is.
pub struct Role {
    /// Where it connects.
    pub server: Address,
    /// What it edits.
    pub document: DocumentId,
    /// As it is when the writer connects. Edits that were made offline are in the ledger.
    pub doc: Automerge,
    /// What is known of the server: a writer that comes back knows what it shared with it.
    pub state: State,
    /// Where it enters its edits.
    pub ledger: Arc<Ledger>,
    /// Its number among the writers of the document.
    pub number: usize,
    /// Unique among the clients of the server.
    pub name: String,
    /// Whose notes tell how far the viewers of the floor are.
    pub board: Arc<Board>,
    /// How many viewers there will be.
    pub viewers: u32,
}

impl Writer {
    /// Connects; ends when server and writer have the same document.
    pub async fn start(pool: &LocalPoolHandle, role: Role) -> Fallible<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        pool.spawn_pinned(move || async move {
            let board = Arc::clone(&role.board);
            let name = role.name.clone();
            let result: Fallible<()> = async {
                let mut desk = Desk::open(role).await?;
                let _ = ready.send(());
                desk.work(inbox).await
            }
            .await;
            if let Err(error) = result {
                board.note_failure(format!("{name}: {error}"));
            }
        });
        started.await.map_err(|_| "a writer could not join")?;
        Ok(Self { orders })
    }

    /// Gives an order, and waits until it is carried out.
    pub async fn order(&self, order: Order, limit: Duration) -> Fallible<Report> {
        let (reply, report) = oneshot::channel();
        self.orders.send((order, reply)).map_err(|_| "the writer has failed")?;
        Ok(timeout(limit, report).await.map_err(|_| "the writer is not done in time")??)
    }
}
