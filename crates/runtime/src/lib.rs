//! Runs documents: one task for each, opened on demand, closed when idle.
//!
//! A document's task owns the document. It drains its bounded mailbox as one batch, applies it, appends the new changes in one
//! write and one fsync, and then publishes. While the disk works the next batch gathers, so load makes batches larger instead of
//! making latency pile up. No protocol is known here: connections translate.
//!
//! | module | what it does |
//! |---|---|
//! | [`hub`] | the registry of documents, their tasks, and who may do what |
//! | [`document`] | a plan in memory: the sync engine and its projections |
//! | [`document_log`] | a document and its log: shared by the server and the offline replica |
//! | [`memory_budget`] | bounds what large messages take, all connections together |
//! | [`metrics`] | what an operator can watch |
//! | [`byte_counter`] | a byte stream that counts what moves |
//! | [`clock`] | the time |

pub mod back_off;
pub mod byte_counter;
pub mod clock;
pub mod document;
pub mod document_log;
pub mod hub;
pub mod memory_budget;
pub mod metrics;
