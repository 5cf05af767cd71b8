//! What takes long runs where it holds up nobody else: a thread that serves many connections and documents hands them
//! over to another one first.

use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// What took so long the last time is taken for long the next time. (Handing over costs some microseconds.)
const LONG: Duration = Duration::from_micros(500);

/// Runs `work`, which is known to take long. On a runtime of one thread there is nobody to hand over to.
pub fn heavily<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(work),
        _ => work(),
    }
}

/// Something done again and again, of which the last time tells how long it takes.
#[derive(Debug, Default)]
pub struct Habit {
    long: bool,
}

impl Habit {
    /// Runs `work`, heavily if it is `known` to take long, or did the last time.
    pub fn run<T>(&mut self, known: bool, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = if known || self.long { heavily(work) } else { work() };
        self.long = started.elapsed() > LONG;
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With one worker, somebody else gets on only if it is handed over to.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_get_on_while_something_heavy_runs() {
        let (here, there) = std::sync::mpsc::channel();
        let (started, begin) = tokio::sync::oneshot::channel();
        let heavy = tokio::spawn(async move {
            tokio::spawn(async move {
                let _ = begin.await;
                here.send(()).expect("somebody waits");
            });
            Habit::default().run(true, || {
                started.send(()).expect("somebody waits");
                there.recv().expect("the other has run meanwhile");
            });
        });
        heavy.await.expect("ended");
    }

    #[tokio::test]
    async fn on_one_thread_it_runs_where_it_is() {
        assert_eq!(heavily(|| 7), 7);
    }
}
