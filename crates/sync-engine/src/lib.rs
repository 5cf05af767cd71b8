//! Syncs one Automerge document with many peers.
//!
//! An [`Engine`] holds a document in memory and a sync state for each peer. It has no clock, socket, disk, task or randomness:
//! times, ids and actors are arguments. Its owner processes every batch in three steps:
//!
//! 1. [`Engine::apply`] applies sync messages and local edits in memory, and returns the new changes as chunks ([`Applied`]).
//! 2. The owner appends the chunks to its log, and waits until they are durable.
//! 3. [`Engine::publish`] updates the sync states and generates the messages that are due to peers ([`Published`]).
//!
//! No effect of a batch is visible before step 3. If step 2 fails, [`Engine::reload`] reads the document again from the log. If
//! another process has appended to the log meanwhile, [`Engine::absorb`] takes over its changes before the owner tries step 2 again.
//!
//! | type | what it is for |
//! |---|---|
//! | [`Engine`] | the document with its peers |
//! | [`Schema`] | defines the content: local edits, and values that peers must not alter |
//! | [`MessageLimits`] | limits of messages and documents |
//! | [`BadMessage`] | why a message is rejected |
//! | [`Peers`] | the sync states; peers in the same state share messages and cached results |
//! | [`Authors`] | the authenticated user who contributed each change |
//!
//! ```
//! use automerge::sync::{State, SyncDoc};
//! use automerge::{ActorId, AutoCommit, Automerge, ROOT, ReadDoc, transaction::Transactable};
//! use sync_engine::{Engine, Item, MessageLimits, NoEdits, PeerKey};
//!
//! // A client has a document that the engine lacks.
//! let mut client = AutoCommit::new();
//! client.put(ROOT, "name", "Growth 2027")?;
//! let mut state = State::new();
//! let mut engine = Engine::new(Automerge::new(), ActorId::from([1u8]), NoEdits, MessageLimits::default());
//! let peer = PeerKey(1);
//! engine.join(peer, Vec::new());
//!
//! loop {
//!     let Some(message) = client.sync().generate_sync_message(&mut state) else { break };
//!     let mut applied = engine.apply(vec![Item::Sync { peer, bytes: message.encode().into() }]);
//!     // Append `applied.chunks` to the log here, and wait for the disk.
//!     for delivery in engine.publish(&mut applied, |_| true).deliveries {
//!         client.sync().receive_sync_message(&mut state, automerge::sync::Message::decode(&delivery.message)?)?;
//!     }
//! }
//! assert_eq!(engine.heads(), client.get_heads());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(clippy::disallowed_methods, clippy::disallowed_types, reason = "pure: see clippy.toml")]

mod absorb;
mod apply;
mod bad_message;
mod batch;
mod causal_order;
mod engine;
mod envelope;
mod generate;
mod incoming;
mod local_changes;
mod lost;
mod message_limits;
mod missing_document;
mod orphans;
mod peers;
mod provenance;
mod quota;
mod receive;
mod schema;
#[cfg(test)]
mod test_messages;
mod validation;

pub use absorb::{LogEntry, MustReload, changes_of_log};
pub use bad_message::BadMessage;
pub use batch::{Applied, Item, Outcome, Prepared, Published};
pub use engine::{Engine, LoadError, PeerRole, load_log};
pub use envelope::{carries_chunks, envelope_size, names_heads, without_chunks};
pub use incoming::{Incoming, Part, decode_file, decode_message};
pub use lost::LostChanges;
pub use message_limits::{
    DOCUMENT_ACTOR_CHANGES, DOCUMENT_BYTES, DOCUMENT_CHANGES, DOCUMENT_OPERATIONS, MessageLimits,
};
pub use missing_document::reply_without_document;
pub use orphans::MAX_ORPHANS;
pub use peers::{Delivery, PeerKey, Peers};
pub use provenance::{Arrival, Authors, Contributor, Merge, Provenance, Relatives, Surface, is_written_as};
pub use quota::DocumentFull;
pub use schema::{ActorOwner, EditRefused, NoEdits, Schema};
