//! Flags of `webhook`.

use auth::Documents;
use clap::{Args, Subcommand};

use super::StorageArgs;
use crate::server::{DEFAULT_DEBOUNCE, MAX_DEBOUNCE};

/// Flags of `webhook`.
#[derive(Debug, Args)]
pub struct WebhookArgs {
    /// The subcommand
    #[command(subcommand)]
    pub command: WebhookCommand,
}

/// The subcommands of `webhook`.
#[derive(Debug, Subcommand)]
pub enum WebhookCommand {
    /// Add a webhook; prints its id and its secret
    Add(WebhookAddArgs),
    /// List webhooks with their state
    List(StorageArgs),
    /// Send a test message
    Test(WebhookChoice),
    /// Enable a webhook that was switched off after repeated failures
    Enable(WebhookChoice),
    /// Remove a webhook
    Remove(WebhookChoice),
}

/// Flags of `webhook add`.
#[derive(Debug, Args)]
pub struct WebhookAddArgs {
    /// Where messages are sent: an https:// URL
    #[arg(value_name = "URL")]
    pub url: String,
    /// Documents that messages are about: ids separated by commas, `default`, or `*` for all
    #[arg(long, value_name = "LIST", default_value = "*")]
    pub only: Documents,
    /// Seconds between a change and its message, in which further changes join the message
    #[arg(long, value_name = "SECONDS", default_value_t = DEFAULT_DEBOUNCE,
          value_parser = clap::value_parser!(u64).range(0..=MAX_DEBOUNCE))]
    pub debounce: u64,
    /// Allow messages to private addresses and without TLS, such as to a program on this computer
    #[arg(long)]
    pub allow_private: bool,
    /// Where documents are kept
    #[command(flatten)]
    pub storage: StorageArgs,
}

/// Flags that name a webhook.
#[derive(Debug, Args)]
pub struct WebhookChoice {
    /// Id of the webhook
    #[arg(value_name = "ID")]
    pub id: String,
    /// Where documents are kept
    #[command(flatten)]
    pub storage: StorageArgs,
}

impl WebhookCommand {
    /// Where documents are kept.
    pub(super) fn storage_mut(&mut self) -> &mut StorageArgs {
        match self {
            Self::Add(args) => &mut args.storage,
            Self::List(storage) => storage,
            Self::Test(choice) | Self::Enable(choice) | Self::Remove(choice) => &mut choice.storage,
        }
    }
}
