//! Those who are attacked: fifty clients of one user on ten documents, of which the hostile user may read one, and change
//! another.

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

/// Documents, each with one writer and four viewers.
pub const PLANS: usize = 10;
const VIEWERS: u32 = 4;
const CLIENTS: u64 = PLANS as u64 * (1 + VIEWERS as u64);
/// Between two edits of one writer.
const EVERY: Duration = Duration::from_millis(500);
/// How long a document may take to be written to when the attack is over.
const PATIENCE: Duration = Duration::from_secs(10);

/// The clients, and the server.
pub struct Others {
    pub stage: Stage,
    plans: Vec<Plan>,
    /// The visitor's thread.
    thread: LocalPoolHandle,
}

impl Others {
    /// Starts the server where users are known, and lets all clients join.
    pub async fn gather(plans: &[Plan], place: &Workplace) -> Fallible<Self> {
        let cast = Cast { plans, writers: 1, viewers: VIEWERS, sleepers: None };
        let stage = Stage::set(Kind::WithUsers, &cast, place).await?;
        Ok(Self { stage, plans: plans.to_vec(), thread: LocalPoolHandle::new(1) })
    }

    /// The token that all clients bring.
    pub fn token(&self) -> &str {
        self.stage.server.address.path.split_once("token=").map_or("", |(_, token)| token)
    }

    /// Connections when all are there.
    pub fn connections(&self) -> u64 {
        CLIENTS + (connections(By::Viewer) + connections(By::Editor) + connections(By::Http)) as u64
    }

    /// Documents that the server has on disk.
    pub fn documents(&self) -> std::io::Result<usize> {
        let mut count = 1;
        for entry in std::fs::read_dir(self.stage.server.folder.path().join("documents"))? {
            count += usize::from(entry?.path().extension().is_some_and(|extension| extension == "automerge"));
        }
        Ok(count)
    }

    /// Edits and visits for so many seconds. Returns what came of the visits, and whether every viewer got every edit.
    pub async fn work(&self, phase: usize, seconds: u32, visitor: &mut Visitor) -> (Visits, bool) {
        self.stage.board.set_phase(phase);
        let begun = Instant::now();
        let time = Duration::from_secs(seconds.into());
        let edits = u32::try_from(time.as_millis() / EVERY.as_millis()).unwrap_or(u32::MAX);
        let order = |number: usize| {
            // They take turns, so that edits come evenly.
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

    /// To how many documents something can be written now.
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
