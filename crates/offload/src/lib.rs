//! Long work runs where it delays nothing else: a worker thread hands its connections and documents over to another worker
//! first, and the work itself runs on a thread with a lower priority. When all processors are busy, small edits therefore come
//! before large messages, exports, and password hashes.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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

/// How much lower the priority of long work is: among busy threads it gets about a tenth of what the others get.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Runs `work`, which is known to take long: hands over to another worker, and runs it with a low priority.
pub fn heavily<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if can_hand_over() { block_in_place(|| with_low_priority(work)) } else { work() }
}

/// Waits for `work`, which needs no processor but a device, or is urgent: hands over to another worker.
pub fn handed_over<T>(work: impl FnOnce() -> T) -> T {
    if can_hand_over() { block_in_place(work) } else { work() }
}

/// Runs `work` on a thread of its own with a low priority, and waits for it. Blocks: call it on threads that may be blocked.
///
/// A priority belongs to a thread and cannot be raised again without privileges, so threads that are used again must keep
/// theirs.
pub fn with_low_priority<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let runtime = Handle::try_current().ok();
    let work = Mutex::new(Some(work));
    let take = || work.lock().unwrap_or_else(PoisonError::into_inner).take();
    let run = || {
        lower_priority();
        let _context = runtime.as_ref().map(Handle::enter);
        take().map(|work| work())
    };
    let done = thread::scope(|scope| {
        let thread = thread::Builder::new().name("long-work".to_owned()).spawn_scoped(scope, run).ok()?;
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    });
    match (done, take()) {
        (Some(done), _) => done,
        // The system has no thread to spare.
        (None, Some(work)) => work(),
        (None, None) => unreachable!("the work was taken by a thread that ended without a result"),
    }
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux this is the calling thread alone. Without the permission (a sandbox may forbid it), all have one priority.
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// Elsewhere a priority belongs to the whole process.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

/// Something done again and again, of which the last time tells how long it takes.
#[derive(Debug, Default)]
pub struct Habit {
    long: bool,
}

impl Habit {
    /// Runs `work`: as long work if it is `known` to be, handed over if it took long the last time.
    pub fn run<T: Send>(&mut self, known: bool, work: impl FnOnce() -> T + Send) -> T {
        let started = Instant::now();
        let result = match (known, self.long) {
            (true, _) => heavily(work),
            (false, true) => handed_over(work),
            (false, false) => work(),
        };
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
        let result = if here { self.run_here(work) } else { handed_over(work) };
        self.slow.store(started.elapsed() > LONG, Ordering::Relaxed);
        if here {
            self.under_way.store(false, Ordering::Release);
        }
        result
    }

    fn run_here<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(watch) = self.watch.get_or_init(|| Watch::begin(&Handle::try_current().ok()?)) else {
            return handed_over(work);
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
    async fn next_task_runs_elsewhere_while_one_waits() {
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
            Habit::default().run(true, move || {
                started.send(()).expect("somebody waits");
                there.recv().expect("the other has run meanwhile");
            });
        });
        heavy.await.expect("ended");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn long_work_has_a_low_priority_and_its_caller_keeps_its_own() {
        let priority = || rustix::process::getpriority_process(None).expect("readable");
        let before = priority();
        assert_eq!(with_low_priority(priority), (before.max(NICE)));
        assert_eq!(priority(), before);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn panic_of_long_work_reaches_its_caller() {
        let caught = std::panic::catch_unwind(|| heavily(|| panic!("on purpose")));
        assert_eq!(caught.expect_err("panicked").downcast_ref(), Some(&"on purpose"));
        assert!(heavily(|| Handle::try_current().is_ok()), "and it has a runtime");
    }

    #[tokio::test]
    async fn on_one_thread_it_runs_where_it_is() {
        assert_eq!(heavily(|| 7), 7);
    }
}
