//! Webhooks: the changes of documents, sent to HTTP servers of others as signed messages (Standard Webhooks).
//!
//! | module | holds |
//! |---|---|
//! | [`definition`] | a webhook: where its messages go, and about which documents |
//! | [`progress`] | what was delivered, and how failures are counted |
//! | [`folder`] | both, as files |
//! | [`secret`], [`retry`], [`address`] | signatures; when a failed delivery is repeated; which addresses are allowed |
//! | [`client`] | sends one message |
//! | [`message`] | makes one message |
//! | [`delivery`] | the task of one webhook |
//! | [`service`] | starts and stops the tasks |
//!
//! `super::api::webhooks` has the endpoints.
//!
//! A message is delivered at least once, and the messages about a document in order. What a message is about is durable
//! before it is sent for the first time, so a repetition after a crash has the same id and the same changes.

mod address;
mod client;
mod definition;
mod delivery;
mod folder;
mod message;
mod progress;
mod retry;
mod secret;
mod service;

pub use client::{Sender, send_test};
pub use definition::{DEFAULT_DEBOUNCE, InvalidWebhook, MAX_DEBOUNCE, NewWebhook, Webhook};
pub use folder::{FolderError, WebhookFolder};
pub use progress::Progress;
pub use service::Webhooks;
