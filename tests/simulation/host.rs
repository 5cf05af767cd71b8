//! What a connection needs of the server at its other end.

use runtime::hub::Hub;
use tokio::task::JoinHandle;

pub trait Host {
    fn hub(&self) -> &Hub;

    /// Runs a task of the server.
    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T>;
}
