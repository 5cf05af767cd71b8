//! Commands on a database, also while servers use it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use store::sql::{self, Database, DatabaseOpenError, DatabaseOptions, DatabaseUrl};

/// How long a command tries to reach a database.
const WAIT: Duration = Duration::from_secs(10);

/// Runs a command that waits for a database.
pub(super) fn block_on<T, E: From<std::io::Error>>(command: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    // The drivers need a thread beside the one that waits for them.
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(command)
}

/// Opens a database, and creates or migrates its tables.
pub(super) async fn open_database(url: &DatabaseUrl) -> Result<Arc<dyn Database>, DatabaseOpenError> {
    sql::open(&DatabaseOptions { url: url.clone(), listen: None, wait: WAIT }).await
}
