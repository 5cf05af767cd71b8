//! The services of a server that a connection needs.

use runtime::hub::Hub;
use tokio::task::JoinHandle;

pub trait Host {
    fn hub(&self) -> &Hub;

    /// Runs a task of the server.
    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T>;
}
