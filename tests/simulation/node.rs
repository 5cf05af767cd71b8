//! One server of several: the real hub on the real SQL store, on its own runtime. It can crash and freeze. A frozen node
//! does not run, and finds the clock advanced afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use auth::Role;
use automerge::ActorId;
use happierwork::legacy::RENDERINGS;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use runtime::document_log::ActorSource;
use runtime::hub::{APPLY_BUDGET, Hub, HubSettings};
use runtime::metrics::Metrics;
use store::Store;
use store::sql::{Jitter, SqlOptions, SqlStore};
use sync_engine::MessageLimits;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio::time::{advance, sleep};

use super::broken::{Broken, BrokenStore};
use super::engine::SimulatedEngine;
use super::host::Host;
use super::network::{Life, Network};
use super::rows;

/// How long a call tries to reach the database.
const PATIENCE: Duration = Duration::from_secs(8);
/// Pause between attempts to start.
const AGAIN: Duration = Duration::from_millis(300);

pub struct Node {
    pub life: Life,
    /// `None` until the node has loaded what it needs to serve clients.
    hub: Option<Hub>,
    store: Option<Arc<dyn Store>>,
    starting: Option<JoinHandle<(Hub, Arc<dyn Store>)>>,
    /// How long it has been frozen.
    frozen: Option<Duration>,
    runtime: Runtime,
}

impl Node {
    /// Starts the process. An unused document is unloaded after `idle_after`.
    pub fn start(network: &Network, life: Life, idle_after: Duration, broken: Broken) -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let starting = runtime.spawn(start(network.clone(), life, idle_after, broken));
        Self { life, hub: None, store: None, starting: Some(starting), frozen: None, runtime }
    }

    /// Advances its clock.
    pub fn pass(&mut self, time: Duration) {
        if let Some(frozen) = &mut self.frozen {
            *frozen += time;
            return;
        }
        self.runtime.block_on(async { sleep(time).await });
        if self.starting.as_ref().is_some_and(JoinHandle::is_finished)
            && let Some(starting) = self.starting.take()
        {
            let (hub, store) = self.runtime.block_on(starting).expect("a node that starts");
            (self.hub, self.store) = (Some(hub), Some(store));
        }
    }

    pub fn freeze(&mut self) {
        self.frozen.get_or_insert(Duration::ZERO);
    }

    pub fn thaw(&mut self) {
        if let Some(frozen) = self.frozen.take() {
            self.runtime.block_on(async { advance(frozen).await });
        }
    }

    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Whether it serves clients.
    pub fn is_up(&self) -> bool {
        self.hub.is_some()
    }

    /// Its store. The node must be up.
    pub fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().expect("a node that is up")
    }

    /// The result of a finished task.
    pub fn result<T>(&self, task: JoinHandle<T>) -> T {
        self.runtime.block_on(task).expect("a task that does not panic")
    }
}

impl Host for Node {
    fn hub(&self) -> &Hub {
        self.hub.as_ref().expect("a node that is up")
    }

    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.spawn(work)
    }
}

async fn start(network: Network, life: Life, idle_after: Duration, broken: Broken) -> (Hub, Arc<dyn Store>) {
    let dice = Mutex::new(StdRng::seed_from_u64(life.number << 8 | life.node as u64));
    let jitter = Jitter::new(move || dice.lock().random());
    let options = SqlOptions { patience: PATIENCE, jitter, ..SqlOptions::default() };
    let store = loop {
        let engine = SimulatedEngine::new(network.clone(), life, broken);
        match SqlStore::open(engine, options.clone()).await {
            Ok(store) => break Arc::new(store),
            Err(_) => sleep(AGAIN).await,
        }
    };
    let store: Arc<dyn Store> = Arc::new(BrokenStore::new(store, broken));
    let hub = Hub::new(Arc::clone(&store), settings(life, idle_after), Arc::new(Metrics::new()));
    while hub.load_access().await.is_err() {
        sleep(AGAIN).await;
    }
    hub.follow_news();
    (hub, store)
}

fn settings(life: Life, idle_after: Duration) -> HubSettings {
    let count = AtomicU64::new(0);
    let actors = ActorSource::new(move || {
        let count = count.fetch_add(1, Ordering::Relaxed);
        let bytes = [life.node as u64, life.number, count].map(u64::to_be_bytes).concat();
        ActorId::from(bytes)
    });
    HubSettings {
        renderings: RENDERINGS,
        rows: rows::tell,
        legacy_presence: None,
        limits: MessageLimits::default(),
        apply_budget: APPLY_BUDGET,
        idle_after,
        max_pending: 10,
        max_pending_per_connection: 10,
        new_documents_per_minute: 0,
        new_documents_at_once: 0,
        message_memory: 0,
        actors,
        default_document: None,
        may_create: Some(Role::Editor),
    }
}
