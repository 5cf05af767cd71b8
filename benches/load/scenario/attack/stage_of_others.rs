//! The attacked clients: fifty clients of one user on ten documents. The hostile user may read one of the documents
//! and write to another.

use std::time::{Duration, Instant};

use tokio_util::task::LocalPoolHandle;

use super::attackers::{By, connections};
use super::visitor::{Visitor, Visits};
use crate::Fallible;
use crate::client::Order;
use crate::kind::Kind;
use crate::plan::Plan;
use crate::scenario::stage::{Cast, Stage};
use crate::server::Workplace;

/// Number of documents, each with one writer and four viewers.
pub const PLANS: usize = 10;
const VIEWERS: u32 = 4;
const CLIENTS: u64 = PLANS as u64 * (1 + VIEWERS as u64);
/// Interval between two edits of one writer.
const EVERY: Duration = Duration::from_millis(500);
/// Longest time until a document accepts a write after the attack.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server and its honest clients.
pub struct Others {
    pub stage: Stage,
    plans: Vec<Plan>,
    /// The visitor's thread.
    thread: LocalPoolHandle,
}

impl Others {
    /// Starts the server with authentication, and connects all clients.
    pub async fn gather(plans: &[Plan], place: &Workplace) -> Fallible<Self> {
        let cast = Cast { plans, writers: 1, viewers: VIEWERS, sleepers: None };
        let stage = Stage::set(Kind::WithUsers, &cast, place).await?;
        Ok(Self { stage, plans: plans.to_vec(), thread: LocalPoolHandle::new(1) })
    }

    /// The token of all clients.
    pub fn token(&self) -> &str {
        self.stage.server.address.path.split_once("token=").map_or("", |(_, token)| token)
    }

    /// Number of connections of all clients.
    pub fn connections(&self) -> u64 {
        CLIENTS + (connections(By::Viewer) + connections(By::Editor) + connections(By::Http)) as u64
    }

    /// Number of documents on the server's disk.
    pub fn documents(&self) -> std::io::Result<usize> {
        let mut count = 1;
        for entry in std::fs::read_dir(self.stage.server.folder.path().join("documents"))? {
            count += usize::from(entry?.path().extension().is_some_and(|extension| extension == "automerge"));
        }
        Ok(count)
    }

    /// Edits and visits for this number of seconds. Returns the results of the visits, and whether every viewer got
    /// every edit.
    pub async fn work(&self, phase: usize, seconds: u32, visitor: &mut Visitor) -> (Visits, bool) {
        self.stage.board.set_phase(phase);
        let begun = Instant::now();
        let time = Duration::from_secs(seconds.into());
        let edits = u32::try_from(time.as_millis() / EVERY.as_millis()).unwrap_or(u32::MAX);
        let order = |number: usize| {
            // The writers are staggered, so that edits are evenly distributed.
            let first = begun + EVERY.mul_f64(number as f64 / PLANS as f64);
            Order::Paced { first, every: EVERY, edits }
        };
        let mut guest = visitor.clone();
        let visits = self.thread.spawn_pinned(move || async move {
            let visits = guest.visit(time).await;
            (guest, visits)
        });
        let ((_, delivered), visits) = tokio::join!(self.stage.carry_out(order, time), visits);
        self.stage.board.set_phase(0);
        match visits {
            Ok((guest, visits)) => {
                *visitor = guest;
                (visits, delivered)
            }
            Err(_) => (Visits::default(), false),
        }
    }

    /// Number of documents that accept a write now.
    pub async fn writable(&self, visitor: &mut Visitor) -> usize {
        let mut writable = 0;
        for plan in &self.plans {
            match tokio::time::timeout(PATIENCE, visitor.edit(plan.id.as_str())).await {
                Ok(Ok(())) => writable += 1,
                Ok(Err(error)) => eprintln!("{} cannot be written: {error}", plan.id),
                Err(_) => eprintln!("{} cannot be written: no answer", plan.id),
            }
        }
        writable
    }
}
