//! Blocking waits that are usually shorter than a hand-over to another worker.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::{LONG, block_in_place};

/// Runs short blocking waits for a device on the worker thread itself, without a hand-over.
///
/// A run happens in place if the last run was short and no other run is in progress. Otherwise the worker hands its tasks
/// over first.
///
/// The waiting worker may be the one that polls the I/O driver. Tokio parks its other workers while one polls, and does
/// not wake them for a single ready task. So a watchdog thread notices waits that take longer than 10 ms and wakes
/// another worker.
#[derive(Default)]
pub struct ShortWait {
    /// Whether the last run took longer than [`LONG`].
    last_was_slow: AtomicBool,
    /// Whether a run is waiting in place.
    waiting: AtomicBool,
    /// Started by the first run; `None` if the runtime has no other worker.
    watchdog: OnceLock<Option<Watchdog>>,
}

impl ShortWait {
    /// Runs `work`, which blocks, and returns its result.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let in_place = !self.last_was_slow.load(Ordering::Relaxed) && !self.waiting.swap(true, Ordering::Acquire);
        let started = Instant::now();
        let result = if in_place { self.run_in_place(work) } else { block_in_place(work) };
        self.last_was_slow.store(started.elapsed() > LONG, Ordering::Relaxed);
        if in_place {
            self.waiting.store(false, Ordering::Release);
        }
        result
    }

    fn run_in_place<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(watchdog) = self.watchdog.get_or_init(|| Watchdog::start(&Handle::try_current().ok()?)) else {
            return block_in_place(work);
        };
        // No other worker can steal the task in this worker's "run next" slot. The empty task pushes it into the queue.
        tokio::spawn(async {});
        let _guard = watchdog.guard();
        work()
    }
}

/// Interval at which the watchdog looks, and so the longest time until it notices a wait.
const TICK: Duration = Duration::from_millis(10);
/// Ticks without a wait after which the watchdog sleeps.
const IDLE_TICKS: u32 = 100;

/// A thread that wakes another worker if a wait in place takes long.
struct Watchdog {
    state: Arc<WatchdogState>,
    thread: Thread,
}

#[derive(Default)]
struct WatchdogState {
    /// Begins and ends of waits so far: odd during a wait.
    steps: AtomicU64,
    /// Whether the thread sleeps until the next step.
    sleeping: AtomicBool,
    stopped: AtomicBool,
}

/// Marks a wait in progress until it is dropped.
struct WaitGuard<'a>(&'a Watchdog);

impl Watchdog {
    /// Starts the thread. `None` if there is no other worker to wake, or no thread.
    fn start(runtime: &Handle) -> Option<Self> {
        if runtime.metrics().num_workers() < 2 {
            return None;
        }
        let state = Arc::new(WatchdogState::default());
        let (shared, runtime) = (Arc::clone(&state), runtime.clone());
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(move || shared.watch(&runtime)).ok()?;
        Some(Self { state, thread: thread.thread().clone() })
    }

    fn guard(&self) -> WaitGuard<'_> {
        self.step();
        WaitGuard(self)
    }

    fn step(&self) {
        self.state.steps.fetch_add(1, Ordering::SeqCst);
        if self.state.sleeping.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        self.0.step();
    }
}

impl WatchdogState {
    fn watch(&self, runtime: &Handle) {
        let (mut before, mut idle) = (0, 0);
        while !self.stopped.load(Ordering::SeqCst) {
            let steps = self.steps.load(Ordering::SeqCst);
            if steps != before {
                (before, idle) = (steps, 0);
            } else if steps % 2 == 1 {
                // The worker that runs this task polls the I/O driver afterwards.
                runtime.spawn(async {});
            } else {
                idle += 1;
            }
            if idle < IDLE_TICKS {
                thread::park_timeout(TICK);
            } else {
                self.sleep(steps);
                idle = 0;
            }
        }
    }

    /// Sleeps until the next step.
    fn sleep(&self, steps: u64) {
        self.sleeping.store(true, Ordering::SeqCst);
        // A step after this store sees `sleeping`; the loop sees a step before it.
        while self.sleeping.load(Ordering::SeqCst)
            && self.steps.load(Ordering::SeqCst) == steps
            && !self.stopped.load(Ordering::SeqCst)
        {
            thread::park();
        }
        self.sleeping.store(false, Ordering::SeqCst);
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::sync::mpsc::channel;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// Longer than anything in these tests takes.
    const TIMEOUT: Duration = Duration::from_secs(20);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn slow_run_moves_the_next_run_off_the_worker() {
        let wait = ShortWait::default();
        let runs_in_place = || wait.waiting.load(Ordering::Relaxed);
        assert!(wait.run(runs_in_place));
        wait.run(|| thread::sleep(LONG * 2));
        assert!(!wait.run(runs_in_place));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn single_worker_never_waits_in_place() {
        wait_for_another_task().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn next_task_runs_elsewhere_during_a_wait() {
        wait_for_another_task().await;
    }

    async fn wait_for_another_task() {
        let waits = tokio::spawn(async {
            let (here, there) = channel();
            tokio::spawn(async move { here.send(()).expect("the wait is in progress") });
            ShortWait::default().run(|| there.recv_timeout(TIMEOUT).expect("the other task has run meanwhile"));
        });
        waits.await.expect("ended");
    }

    #[test]
    fn socket_is_polled_during_a_wait() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let ((mut one, mut one_in), (mut two, mut two_in)) = runtime.block_on(async { (sockets(), sockets()) });
        let (here, there) = channel();
        let (waiting, waits) = channel();
        let first = runtime.spawn(async move {
            one_in.read_u8().await.expect("received");
            ShortWait::default().run(|| {
                waiting.send(()).expect("the test waits");
                there.recv_timeout(TIMEOUT).expect("the other socket was read meanwhile");
            });
        });
        runtime.spawn(async move {
            two_in.read_u8().await.expect("received");
            here.send(()).expect("the wait is in progress");
        });
        one.write_all(&[7]).expect("sent");
        waits.recv_timeout(TIMEOUT).expect("the first socket was read");
        two.write_all(&[7]).expect("sent");
        runtime.block_on(first).expect("ended");
    }

    fn sockets() -> (UnixStream, tokio::net::UnixStream) {
        let (one, other) = UnixStream::pair().expect("sockets");
        other.set_nonblocking(true).expect("set");
        (one, tokio::net::UnixStream::from_std(other).expect("a socket"))
    }
}
