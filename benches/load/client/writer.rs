//! Writers: real documents that are edited on command. [`super::desk`] runs them.

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

/// A command for a writer.
#[derive(Debug, Clone)]
pub enum Order {
    /// Edit on schedule, and wait until all edits are acknowledged.
    Paced { first: Instant, every: Duration, edits: u32 },
    /// Edit as fast as possible with this number of unacknowledged edits, and wait until all are acknowledged.
    FlatOut { until: Instant, window: u32 },
    /// Wait until writer and server agree and have all of these edits.
    Settle { totals: Covered },
}

/// Result of a command.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    /// Largest delay of an edit.
    pub late: Duration,
}

/// A writer on its own connection.
pub struct Writer {
    orders: mpsc::UnboundedSender<(Order, oneshot::Sender<Report>)>,
}

/// Identity of a writer.
pub struct Role {
    /// Address of the server.
    pub server: Address,
    /// The document to edit.
    pub document: DocumentId,
    /// State of the document when the writer connects. The ledger contains its offline edits.
    pub doc: Automerge,
    /// Sync state of the server: a returning writer knows what both have.
    pub state: State,
    /// Ledger for the writer's edits.
    pub ledger: Arc<Ledger>,
    /// Number of the writer within the document.
    pub number: usize,
    /// Unique among the clients of the server.
    pub name: String,
    /// Board with the progress of the floor's viewers.
    pub board: Arc<Board>,
    /// Number of viewers.
    pub viewers: u32,
}

impl Writer {
    /// Connects, and syncs until server and writer have the same document.
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

    /// Connects, and edits on schedule until the server is lost. Calls `joined` once connected. Returns the document and the
    /// number of edits that the server has acknowledged. Does not note the loss as a failure.
    pub async fn edit_until_lost(role: Role, every: Duration, joined: impl FnOnce()) -> Fallible<(Automerge, u32)> {
        let desk = Desk::open(role).await?;
        joined();
        desk.edit_until_lost(every).await
    }

    /// Sends a command, and waits until it is completed.
    pub async fn order(&self, order: Order, limit: Duration) -> Fallible<Report> {
        let (reply, report) = oneshot::channel();
        self.orders.send((order, reply)).map_err(|_| "the writer has failed")?;
        Ok(timeout(limit, report).await.map_err(|_| "the writer is not done in time")??)
    }
}
