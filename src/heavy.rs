//! What takes long runs where it holds up nobody else: a thread that serves many connections and documents hands them
//! over to another one first.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// What took so long the last time is taken for long the next time. (Handing over costs some ten microseconds.)
const LONG: Duration = Duration::from_millis(1);

/// Whether there is another thread to hand over to: not on a runtime of one thread.
#[must_use]
pub fn can_hand_over() -> bool {
    matches!(Handle::try_current().map(|handle| handle.runtime_flavor()), Ok(RuntimeFlavor::MultiThread))
}

/// Runs `work`, which is known to take long.
pub fn heavily<T>(work: impl FnOnce() -> T) -> T {
    if can_hand_over() { block_in_place(work) } else { work() }
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

/// Something that waits for a device, mostly for less than it takes to hand over to another thread and to be handed
/// back. So it waits where it is, as long as the device was quick the last time, and nothing else does the same: however
/// long the device takes, it holds up one thread at the most, and only once.
#[derive(Debug, Default)]
pub struct Brief {
    slow: AtomicBool,
    under_way: AtomicBool,
}

impl Brief {
    /// Runs `work`.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let here = !self.slow.load(Ordering::Relaxed) && !self.under_way.swap(true, Ordering::Acquire);
        let started = Instant::now();
        let result = if here { work() } else { heavily(work) };
        self.slow.store(started.elapsed() > LONG, Ordering::Relaxed);
        if here {
            self.under_way.store(false, Ordering::Release);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_was_slow_once_waits_where_it_holds_up_nobody() {
        let brief = std::sync::Arc::new(Brief::default());
        assert_eq!(brief.run(|| 7), 7);
        brief.run(|| std::thread::sleep(LONG * 2));
        let (here, there) = std::sync::mpsc::channel();
        let again = tokio::spawn(async move {
            tokio::spawn(async move { here.send(()).expect("somebody waits") });
            brief.run(|| there.recv().expect("the other has run meanwhile"));
        });
        again.await.expect("ended");
    }

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
