//! One Automerge document and its peers: changes in, sync messages out.
//!
//! Pure: no clock, socket, disk, task or randomness; times, ids and actors are arguments. The owner of an [`Engine`] works in
//! three steps:
//!
//! 1. [`Engine::apply`] takes a batch of sync messages and local edits, and returns the chunks to be made durable;
//! 2. the owner appends them to the log and waits for the disk;
//! 3. [`Engine::publish`] moves the peers' states and generates the messages that are due to them.
//!
//! No effect of a batch is visible before step 3. When step 2 fails, [`Engine::reload`] reads again what is durable.
//!
//! Peers in the same state share one message: states are interned, and messages and acknowledgements are computed once for each
//! state. What a document is about is a [`Schema`]: the engine calls it for local edits and gives no meaning to content.
//!
//! ```
//! use automerge::sync::{State, SyncDoc};
//! use automerge::{ActorId, AutoCommit, Automerge, ROOT, ReadDoc, transaction::Transactable};
//! use sync_engine::{Engine, Item, MessageLimits, NoEdits, PeerKey};
//!
//! // A client has a document that the server lacks.
//! let mut client = AutoCommit::new();
//! client.put(ROOT, "name", "Growth 2027")?;
//! let mut state = State::new();
//! let mut engine = Engine::new(Automerge::new(), ActorId::from([1u8]), NoEdits, MessageLimits::default());
//! let peer = PeerKey(1);
//! engine.join(peer, Vec::new());
//!
//! while let Some(message) = client.sync().generate_sync_message(&mut state) {
//!     let mut applied = engine.apply(vec![Item::Sync { peer, bytes: message.encode().into() }]);
//!     // Here the owner appends `applied.chunks` to the log, and waits for the disk.
//!     for delivery in engine.publish(&mut applied, |_| true).deliveries {
//!         client.sync().receive_sync_message(&mut state, automerge::sync::Message::decode(&delivery.message)?)?;
//!     }
//! }
//! assert_eq!(engine.heads(), client.get_heads());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]

mod apply;
mod bad_message;
mod batch;
mod causal_order;
mod engine;
mod envelope;
mod generate;
mod incoming;
mod message_limits;
mod missing_document;
mod peers;
mod provenance;
mod quota;
mod receive;
mod schema;
mod validation;

pub use apply::MAX_ORPHANS;
pub use bad_message::BadMessage;
pub use batch::{Applied, Item, Outcome, Prepared, Published};
pub use engine::{Engine, LoadError, Standing, load_log};
pub use envelope::{carries_chunks, listed, names_heads, without_chunks};
pub use incoming::{Incoming, Part, take_apart};
pub use message_limits::{
    DOCUMENT_ACTOR_CHANGES, DOCUMENT_BYTES, DOCUMENT_CHANGES, DOCUMENT_OPERATIONS, MessageLimits,
};
pub use missing_document::answer_of_none;
pub use peers::{Delivery, PeerKey, Peers};
pub use provenance::{Authors, Bringer, Brought, Surface};
pub use quota::DocumentFull;
pub use schema::{EditRefused, NoEdits, Schema};
