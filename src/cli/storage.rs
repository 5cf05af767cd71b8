//! The storage that a command works on: files that it has locked, or a database that servers may use meanwhile.

use backup::{OpenedStore, StorageError};
use store::FileMode;

use super::config::StorageArgs;

/// How often a change is retried after another process was faster.
pub(super) const MAX_ATTEMPTS: usize = 100;

/// Threads or timers are not available.
#[derive(Debug, thiserror::Error)]
#[error("the command could not be started: {0}")]
pub(super) struct RuntimeError(#[from] std::io::Error);

/// The runtime of a command. The drivers of databases need its timers and sockets.
///
/// # Errors
/// When the operating system refuses threads.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, RuntimeError> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// Opens all documents. Files are locked like by a server, so this fails while one is running.
///
/// # Errors
/// When the storage cannot be used, or is a database that holds nothing.
pub(super) async fn open_storage(args: &StorageArgs) -> Result<OpenedStore, StorageError> {
    match args.database.options() {
        Some(options) => OpenedStore::open_existing_database(&options).await,
        None => OpenedStore::open_files(&args.state, &args.documents, FileMode::PRIVATE, None),
    }
}
