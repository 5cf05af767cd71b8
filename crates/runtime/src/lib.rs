//! Runs documents: one task each, opened on demand and closed when idle, with a commit pipeline, subscribers and authorization.
//!
//! The main types:
//!
//! | type | purpose |
//! |---|---|
//! | [`Hub`](hub::Hub) | all documents of a server: edits, subscriptions, sync messages, history, access rights |
//! | [`Requester`](hub::Requester) | the client on whose behalf the hub acts; decides its rights |
//! | [`SyncPeer`](hub::SyncPeer), [`Outbox`](hub::Outbox) | a connection as a peer of documents, and its queue of outgoing messages |
//! | [`Document`](document::Document) | one plan in memory: the sync engine and its projections (view, history) |
//! | [`DocumentLog`](document_log::DocumentLog) | makes batches durable, and recovers from failed writes; shared with the offline replica |
//! | [`MemoryBudget`](memory_budget::MemoryBudget) | bounds the memory of large messages, over all connections |
//! | [`Metrics`](metrics::Metrics) | counters, gauges and histograms for operators |
//!
//! # The path of a change
//!
//! 1. A connection passes a sync message to [`Hub::sync`](hub::Hub::sync), or a request calls [`Hub::edit`](hub::Hub::edit). The
//!    hub checks rights, quotas and limits, and decodes larger messages (`hub/sync.rs`).
//! 2. The command goes to the mailbox of the document's task, which the registry starts if necessary (`hub/registry.rs`).
//! 3. The task takes all queued commands as one batch (`hub/task/commit.rs`). It prepares and applies their items in memory.
//! 4. The new changes go to the log in one write and one fsync. The batch is not visible yet. The next batch gathers meanwhile,
//!    so load makes batches larger instead of adding latency.
//! 5. The task publishes the batch (`hub/task/publish.rs`): it updates the view and the history, sends sync messages to peers and
//!    row changes to watchers, and finally answers the senders.
//!
//! If a step fails, the task reloads the document from the log and rejects the batch or retries its items (`hub/task/recovery.rs`).
//!
//! The crate knows no wire protocol, and no sockets except for [`byte_counter`]: connections translate.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use plan::{Author, Edit, PlanPatch, Renderings, read_view};
//! use primitives::DocumentId;
//! use runtime::document_log::ActorSource;
//! use runtime::hub::{APPLY_BUDGET, Hub, HubSettings, Requester};
//! use runtime::metrics::Metrics;
//! use store::MemoryStore;
//! use sync_engine::MessageLimits;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = HubSettings {
//!     renderings: Renderings::default(),
//!     rows: |_| Vec::new(),
//!     legacy_presence: None,
//!     limits: MessageLimits::default(),
//!     apply_budget: APPLY_BUDGET,
//!     idle_after: Duration::from_secs(60),
//!     max_pending: 100,
//!     max_pending_per_connection: 10,
//!     new_documents_per_minute: 0,
//!     new_documents_at_once: 1,
//!     message_memory: 256 << 20,
//!     actors: ActorSource::default(),
//!     default_document: None,
//!     may_create: None,
//! };
//! let hub = Hub::new(Arc::new(MemoryStore::default()), settings, Arc::new(Metrics::new()));
//! hub.load_access().await?;
//!
//! // The edit is durable and published when this returns.
//! let (requester, id) = (Requester::server(), DocumentId::from_random([7; 16]));
//! let plan = PlanPatch { name: Some("Growth 2027".to_owned()), ..PlanPatch::default() };
//! let create = Edit::Create { id: id.clone(), plan, positions: Vec::new() };
//! hub.edit(&requester, &id, create, Author { name: "cfo".to_owned(), now: 1_790_000_000_000 }).await?;
//!
//! let view = hub.view(&requester, &id).await?.expect("the document exists");
//! assert_eq!(read_view(&view).plan().name.as_deref(), Some("Growth 2027"));
//! hub.stop().await;
//! # Ok(())
//! # }
//! ```

pub mod byte_counter;
pub mod clock;
pub mod document;
pub mod document_log;
pub mod hub;
pub mod memory_budget;
pub mod metrics;
mod retry_gate;
pub mod traces;
