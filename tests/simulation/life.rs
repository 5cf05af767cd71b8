//! One life of the server: the real hub over a simulated disk, on a separate runtime whose clock moves only on request.
//! A life ends with its runtime, so none of its tasks continues, as after a kill.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use automerge::ActorId;
use happierwork::legacy::RENDERINGS;
use primitives::DocumentId;
use runtime::document_log::ActorSource;
use runtime::hub::{APPLY_BUDGET, Hub, HubSettings};
use runtime::metrics::Metrics;
use store::faults::FaultyDisk;
use store::{FileStore, StateFile};
use sync_engine::MessageLimits;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::gated_store::{Busy, GatedStore, LATENCY};
use super::host::Host;
use super::mutants::Mutant;

/// The default document's file.
pub const STATE: &str = "/plan/state.automerge";
const DOCUMENTS: &str = "/plan/documents";
/// Checks without a call to the store after which none is expected.
const QUIET: u32 = 3;
/// Idle time after which an unused document is unloaded.
const IDLE: Duration = Duration::from_secs(5);

/// An empty disk.
pub fn empty_disk() -> FaultyDisk {
    FaultyDisk::new(&["/plan"])
}

pub struct Life {
    pub hub: Hub,
    gate: watch::Sender<bool>,
    busy: Busy,
    runtime: Runtime,
}

impl Life {
    /// Starts the server. `number` counts its lives, so that no actor is used twice.
    pub fn begin(disk: &FaultyDisk, id: &DocumentId, number: u64, mutant: Mutant) -> Result<Self, String> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let state = StateFile::open_on(Arc::new(disk.clone()), Path::new(STATE)).map_err(|error| error.to_string())?;
        let store = FileStore::open(state, id.clone(), DOCUMENTS).map_err(|error| error.to_string())?;
        let (store, gate, busy) = GatedStore::new(store, mutant);
        let count = AtomicU64::new(0);
        let actors = ActorSource::new(move || {
            let count = count.fetch_add(1, Ordering::Relaxed);
            ActorId::from([&number.to_be_bytes()[..], &count.to_be_bytes()].concat())
        });
        let settings = HubSettings {
            renderings: RENDERINGS,
            rows: mutant.rows(),
            legacy_presence: None,
            limits: MessageLimits::default(),
            apply_budget: APPLY_BUDGET,
            idle_after: IDLE,
            max_pending: 10,
            max_pending_per_connection: 10,
            new_documents_per_minute: 0,
            new_documents_at_once: 0,
            message_memory: 0,
            actors,
            default_document: None,
            may_create: None,
        };
        let hub = Hub::new(Arc::new(store), settings, Arc::new(Metrics::new()));
        Ok(Self { hub, gate, busy, runtime })
    }

    /// Closes or opens the gate for appends.
    pub fn gate(&self, open: bool) {
        self.gate.send_replace(open);
    }

    pub fn is_open(&self) -> bool {
        *self.gate.borrow()
    }

    /// Runs all tasks until each of them waits.
    pub fn settle(&self) {
        self.pass(LATENCY);
    }

    /// Advances the clock, and runs all resulting work to its end.
    pub fn pass(&self, time: Duration) {
        self.runtime.block_on(async {
            sleep(time).await;
            // The clock advances by itself only when no task can run, including threads that wait for the disk.
            let mut quiet = 0;
            while quiet < QUIET {
                sleep(LATENCY).await;
                quiet = if self.busy.is_idle() { quiet + 1 } else { 0 };
            }
        });
    }

    /// Runs `work`, which must not depend on the world, to its end, and then all other tasks that can run. (The order of
    /// steps during `work` would differ between runs if it waited for a thread.)
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        let result = self.runtime.block_on(work);
        self.settle();
        result
    }
}

impl Host for Life {
    fn hub(&self) -> &Hub {
        &self.hub
    }

    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.spawn(work)
    }
}
