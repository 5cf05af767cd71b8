//! The change feed: what changes in a document, or in all documents, as server-sent events or by long polling.
//!
//! | module | holds |
//! |---|---|
//! | [`document`] | `/api/documents/{documentId}/changes` |
//! | [`all`] | `/api/changes` |
//! | [`events`] | the events, and the interface of the two sources of them |
//! | [`answer`] | an answer from a source: a page of events, or a stream |
//! | [`subscription`] | limits and authentication of a request that waits |
//!
//! A source reads small portions on demand, when the client has taken the events before. So a client that does not read costs one
//! portion and the place that it has reached.

pub mod all;
mod answer;
pub mod document;
pub mod events;
mod subscription;
