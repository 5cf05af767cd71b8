//! Flags of `document`.

use clap::{Args, Subcommand};
use primitives::DocumentId;

use super::StorageArgs;

/// Flags of `document`.
#[derive(Debug, Args)]
pub struct DocumentArgs {
    /// The subcommand
    #[command(subcommand)]
    pub command: DocumentCommand,
}

/// The subcommands of `document`.
#[derive(Debug, Subcommand)]
pub enum DocumentCommand {
    /// List documents with id, name, owner and state; also while a server is running
    List {
        /// Print a JSON array (docs/operations.md)
        #[arg(long)]
        json: bool,
        /// Where documents are kept
        #[command(flatten)]
        storage: StorageArgs,
    },
    /// Delete a document; clients cannot bring it back
    Delete {
        /// Document id
        #[arg(value_name = "ID")]
        id: DocumentId,
        /// Remove the content immediately, instead of after --keep-deleted
        #[arg(long)]
        now: bool,
        /// Where documents are kept
        #[command(flatten)]
        storage: StorageArgs,
    },
    /// Make a document the default one, which legacy clients use. Servers on a database must be started again
    Default {
        /// Document id
        #[arg(value_name = "ID")]
        id: DocumentId,
        /// Where documents are kept
        #[command(flatten)]
        storage: StorageArgs,
    },
    /// Restore a deleted document whose content is still stored
    Restore {
        /// Document id
        #[arg(value_name = "ID")]
        id: DocumentId,
        /// Where documents are kept
        #[command(flatten)]
        storage: StorageArgs,
    },
}

impl DocumentCommand {
    /// Where documents are kept.
    pub(super) fn storage_mut(&mut self) -> &mut StorageArgs {
        match self {
            Self::List { storage, .. }
            | Self::Delete { storage, .. }
            | Self::Default { storage, .. }
            | Self::Restore { storage, .. } => storage,
        }
    }
}
