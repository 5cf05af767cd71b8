//! Offloading by how long the last run took.

use std::time::Instant;

use super::{LONG, block_in_place, heavily};

/// Decides for repeated work, by how long its last run took, whether to offload the next run.
#[derive(Debug, Default)]
pub struct Habit {
    /// Whether the last run took longer than [`LONG`].
    long: bool,
}

impl Habit {
    /// Runs `work`: with a low priority if it is `known` to be long, on this worker after a hand-over if the last run was
    /// long, and in place otherwise.
    pub fn run<T: Send>(&mut self, known: bool, work: impl FnOnce() -> T + Send) -> T {
        let started = Instant::now();
        let result = match (known, self.long) {
            (true, _) => heavily(work),
            (false, true) => block_in_place(work),
            (false, false) => work(),
        };
        self.long = started.elapsed() > LONG;
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
            Habit::default().run(true, move || {
                started.send(()).expect("the other task waits");
                there.recv().expect("the other task has run meanwhile");
            });
        });
        long_work.await.expect("ended");
    }
}
