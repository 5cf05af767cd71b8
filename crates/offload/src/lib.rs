//! Runs long or blocking work without delaying the other tasks of a tokio runtime.
//!
//! A worker thread that computes or waits for a disk cannot poll its other tasks. This crate hands those tasks over to
//! another worker first. It also lowers the priority of long computations, so that small requests come first when all
//! processors are busy.
//!
//! | work | call |
//! |---|---|
//! | a long computation | [`run_cpu_bound`] |
//! | a wait for a device | [`block_in_place`] |
//! | a wait that is usually shorter than a thread switch | [`ShortWait`] |
//! | a repeated computation of unknown length | [`AdaptiveOffload`] |
//! | anything that blocks, from async code | [`run_blocking`] |
//! | a spawned task whose panic belongs to the caller | [`join`] |
//!
//! ```
//! # #[tokio::main]
//! # async fn main() {
//! // From a worker thread: other tasks move to another worker meanwhile.
//! let sum = offload::run_cpu_bound(|| (1..=1_000_u64).sum::<u64>());
//!
//! // From async code: awaits a thread of tokio's blocking pool.
//! let file = offload::run_blocking(move || std::fs::read_to_string("/no/such/file")).await;
//!
//! assert_eq!(sum, 500_500);
//! assert!(file.is_err());
//! # }
//! ```

mod adaptive;
mod short_wait;

use std::panic::resume_unwind;
use std::thread;
use std::time::Duration;

pub use adaptive::AdaptiveOffload;
use parking_lot::Mutex;
pub use short_wait::ShortWait;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinHandle;

/// Work that took longer than this is offloaded the next time. A hand-over to another worker costs about 10 µs.
const LONG: Duration = Duration::from_millis(1);

/// Niceness of long work on Linux: among busy threads it gets about a tenth of the processor time of the others.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Whether the current thread can hand its tasks over to another worker: only on a multi-threaded runtime.
#[must_use]
pub fn can_block_in_place() -> bool {
    matches!(Handle::try_current().map(|handle| handle.runtime_flavor()), Ok(RuntimeFlavor::MultiThread))
}

/// Runs a long computation: hands the worker's tasks over to another worker, and runs `work` with a low priority.
///
/// Runs `work` in place, with the caller's priority, outside of a multi-threaded runtime.
pub fn run_cpu_bound<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if can_block_in_place() { tokio::task::block_in_place(|| with_low_priority(work)) } else { work() }
}

/// Runs `work` that waits for a device, or that is urgent: hands the worker's tasks over to another worker first.
///
/// Unlike [`tokio::task::block_in_place`], this also works outside of a multi-threaded runtime: there it only runs `work`.
pub fn block_in_place<T>(work: impl FnOnce() -> T) -> T {
    if can_block_in_place() { tokio::task::block_in_place(work) } else { work() }
}

/// Runs `work` on a thread of tokio's blocking pool and returns its result. A panic of `work` resumes in the caller.
///
/// `work` runs to its end even if the returned future is dropped. When the runtime shuts down before `work` has begun, the
/// future stays pending: its task is dropped with the runtime.
///
/// # Panics
/// When `work` panics, or outside of a tokio runtime.
pub async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    join(tokio::task::spawn_blocking(work)).await
}

/// Waits for a spawned task and returns its result. A panic of the task resumes in the caller. When the runtime shuts down
/// first, the future stays pending: the caller's task is dropped with the runtime.
///
/// # Panics
/// When the task panics.
pub async fn join<T>(task: JoinHandle<T>) -> T {
    match task.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => std::future::pending().await,
    }
}

/// Runs `work` on a new thread with a low priority, and waits for it. Call it only on threads that may block.
///
/// A thread cannot raise its priority again without privileges, so `work` needs a thread of its own. If the system cannot
/// start one, `work` runs on the calling thread.
pub fn with_low_priority<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let runtime = Handle::try_current().ok();
    let work = Mutex::new(Some(work));
    let take = || work.lock().take();
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
        // The system could not start a thread.
        (None, Some(work)) => work(),
        (None, None) => unreachable!("the work was taken by a thread that ended without a result"),
    }
}

#[cfg(target_os = "linux")]
fn lower_priority() {
    // On Linux this affects the calling thread alone. A sandbox may forbid it; all threads have one priority then.
    if rustix::process::getpriority_process(None).is_ok_and(|now| now < NICE) {
        let _ = rustix::process::setpriority_process(None, NICE);
    }
}

/// Elsewhere a priority belongs to the whole process.
#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn low_priority_does_not_affect_the_caller() {
        let priority = || rustix::process::getpriority_process(None).expect("readable");
        let before = priority();
        assert_eq!(with_low_priority(priority), (before.max(NICE)));
        assert_eq!(priority(), before);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn panic_of_long_work_reaches_its_caller() {
        let caught = std::panic::catch_unwind(|| run_cpu_bound(|| panic!("on purpose")));
        assert_eq!(caught.expect_err("panicked").downcast_ref(), Some(&"on purpose"));
        assert!(run_cpu_bound(|| Handle::try_current().is_ok()), "the work has a runtime");
    }

    #[tokio::test]
    async fn panic_of_blocking_work_reaches_its_caller() {
        assert_eq!(run_blocking(|| 7).await, 7);
        let error = tokio::spawn(run_blocking(|| panic!("on purpose"))).await.expect_err("panicked");
        assert_eq!(error.into_panic().downcast_ref(), Some(&"on purpose"));
    }

    #[tokio::test]
    async fn single_threaded_runtime_runs_work_in_place() {
        assert_eq!(run_cpu_bound(|| 7), 7);
    }
}
