//! Offloading by how long the last run took.

use std::time::Instant;

use super::{LONG, block_in_place, run_cpu_bound};

/// Offloads repeated work if its last run took long.
#[derive(Debug, Default)]
pub struct AdaptiveOffload {
    /// Whether the last run took longer than [`LONG`].
    last_was_long: bool,
}

impl AdaptiveOffload {
    /// Runs `work`. If the caller knows that the work is long (`known_long`), it runs with a low priority. Otherwise, if the
    /// last run was long, the worker hands its tasks over first; else `work` runs in place.
    pub fn run<T: Send>(&mut self, known_long: bool, work: impl FnOnce() -> T + Send) -> T {
        let started = Instant::now();
        let result = match (known_long, self.last_was_long) {
            (true, _) => run_cpu_bound(work),
            (false, true) => block_in_place(work),
            (false, false) => work(),
        };
        self.last_was_long = started.elapsed() > LONG;
        result
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// The runtime has one worker, so the other task runs only if the worker hands it over.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn other_tasks_run_during_long_work() {
        let (here, there) = channel();
        let (started, begin) = tokio::sync::oneshot::channel();
        let long_work = tokio::spawn(async move {
            tokio::spawn(async move {
                let _ = begin.await;
                here.send(()).expect("the long work waits");
            });
            AdaptiveOffload::default().run(true, move || {
                started.send(()).expect("the other task waits");
                there.recv().expect("the other task has run meanwhile");
            });
        });
        long_work.await.expect("ended");
    }
}
