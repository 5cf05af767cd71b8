//! What takes long runs where it holds up nobody else: a thread that serves many connections and documents hands them
//! over to another one first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
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
/// back. So it waits where it is, as long as the device was quick the last time, and nothing else does the same.
///
/// The thread that waits may be the one that looks for what comes in on all sockets: tokio's others sleep while one does that,
/// and it does not wake them for a single thing that it has found to run. So somebody watches whether it comes back.
#[derive(Default)]
pub struct Brief {
    slow: AtomicBool,
    under_way: AtomicBool,
    watch: OnceLock<Option<Watch>>,
}

impl Brief {
    /// Runs `work`.
    pub fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        let here = !self.slow.load(Ordering::Relaxed) && !self.under_way.swap(true, Ordering::Acquire);
        let started = Instant::now();
        let result = if here { self.run_here(work) } else { heavily(work) };
        self.slow.store(started.elapsed() > LONG, Ordering::Relaxed);
        if here {
            self.under_way.store(false, Ordering::Release);
        }
        result
    }

    fn run_here<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(watch) = self.watch.get_or_init(|| Watch::begin(&Handle::try_current().ok()?)) else {
            return heavily(work);
        };
        // What a thread is to run next is kept where no other thread takes it from. This takes its place.
        tokio::spawn(async {});
        let _waits = watch.over();
        work()
    }
}

/// How long it takes until somebody who waits is noticed.
const TICK: Duration = Duration::from_millis(10);
/// Ticks without anybody after which the watch sleeps.
const QUIET: u32 = 100;

/// Looks whether those who wait come back, and wakes another thread if not.
struct Watch {
    watched: Arc<Watched>,
    thread: Thread,
}

#[derive(Default)]
struct Watched {
    /// How often somebody has begun or ceased to wait: odd while somebody waits.
    steps: AtomicU64,
    sleeps: AtomicBool,
    over: AtomicBool,
}

/// Somebody waits, until this is dropped.
struct Waits<'a>(&'a Watch);

impl Watch {
    /// None: there is no other thread to wake.
    fn begin(runtime: &Handle) -> Option<Self> {
        if runtime.metrics().num_workers() < 2 {
            return None;
        }
        let watched = Arc::new(Watched::default());
        let (keeps, runtime) = (Arc::clone(&watched), runtime.clone());
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(move || keeps.watch(&runtime)).ok()?;
        Some(Self { watched, thread: thread.thread().clone() })
    }

    fn over(&self) -> Waits<'_> {
        self.step();
        Waits(self)
    }

    fn step(&self) {
        self.watched.steps.fetch_add(1, Ordering::SeqCst);
        if self.watched.sleeps.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.step();
    }
}

impl Watched {
    fn watch(&self, runtime: &Handle) {
        let (mut before, mut quiet) = (0, 0);
        while !self.over.load(Ordering::SeqCst) {
            let steps = self.steps.load(Ordering::SeqCst);
            if steps != before {
                (before, quiet) = (steps, 0);
            } else if steps % 2 == 1 {
                // Whoever runs this looks for what comes in when it is done.
                runtime.spawn(async {});
            } else {
                quiet += 1;
            }
            if quiet < QUIET {
                thread::park_timeout(TICK);
            } else {
                self.sleep(steps);
                quiet = 0;
            }
        }
    }

    /// Sleeps until the next step.
    fn sleep(&self, steps: u64) {
        self.sleeps.store(true, Ordering::SeqCst);
        // A step that was not seen before this sees it.
        while self.sleeps.load(Ordering::SeqCst)
            && self.steps.load(Ordering::SeqCst) == steps
            && !self.over.load(Ordering::SeqCst)
        {
            thread::park();
        }
        self.sleeps.store(false, Ordering::SeqCst);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watched.over.store(true, Ordering::SeqCst);
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

    /// Longer than anything here takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_slow_the_last_time_is_handed_over() {
        let brief = Brief::default();
        let waits_here = || brief.under_way.load(Ordering::Relaxed);
        assert!(brief.run(waits_here));
        brief.run(|| thread::sleep(LONG * 2));
        assert!(!brief.run(waits_here));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn where_there_is_no_other_thread_nothing_waits_where_it_is() {
        let waits = tokio::spawn(async {
            let (here, there) = channel();
            tokio::spawn(async move { here.send(()).expect("somebody waits") });
            Brief::default().run(|| there.recv_timeout(PATIENCE).expect("the other has run meanwhile"));
        });
        waits.await.expect("ended");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_to_run_next_is_run_by_another_thread_while_one_waits() {
        let waits = tokio::spawn(async {
            let (here, there) = channel();
            tokio::spawn(async move { here.send(()).expect("somebody waits") });
            Brief::default().run(|| there.recv_timeout(PATIENCE).expect("the other has run meanwhile"));
        });
        waits.await.expect("ended");
    }

    #[test]
    fn what_comes_in_on_a_socket_is_seen_while_one_waits() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let ((mut one, mut one_in), (mut two, mut two_in)) = runtime.block_on(async { (sockets(), sockets()) });
        let (here, there) = channel();
        let (waiting, waits) = channel();
        let first = runtime.spawn(async move {
            one_in.read_u8().await.expect("comes in");
            Brief::default().run(|| {
                waiting.send(()).expect("somebody waits");
                there.recv_timeout(PATIENCE).expect("the other has come in meanwhile");
            });
        });
        runtime.spawn(async move {
            two_in.read_u8().await.expect("comes in");
            here.send(()).expect("somebody waits");
        });
        one.write_all(&[7]).expect("sent");
        waits.recv_timeout(PATIENCE).expect("it has come in");
        two.write_all(&[7]).expect("sent");
        runtime.block_on(first).expect("ended");
    }

    fn sockets() -> (UnixStream, tokio::net::UnixStream) {
        let (one, other) = UnixStream::pair().expect("sockets");
        other.set_nonblocking(true).expect("set");
        (one, tokio::net::UnixStream::from_std(other).expect("a socket"))
    }

    /// With one worker, somebody else gets on only if it is handed over to.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_get_on_while_something_heavy_runs() {
        let (here, there) = channel();
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
