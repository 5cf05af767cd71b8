//! A simulated disk for tests. It fails on command, and loses unsynced data in a crash.
//!
//! It models the worst behaviour of real disks. After a failed sync, the unsynced bytes can still be read, but no later sync
//! makes them durable. A crash keeps any part of the unsynced bytes, possibly as zeros. Creations, renames and removals are
//! durable only after a sync of the folder.

mod disk;
mod schedule;
mod state;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
pub use schedule::PausedCall;
use schedule::{Effect, FaultTarget, ScheduledFault};
use state::{SimulatedFile, State};

/// An operation of a disk that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named like the methods of `Disk` and `DiskFile`")]
pub enum Op {
    Open,
    Create,
    Read,
    Write,
    Sync,
    Truncate,
    Rename,
    Remove,
    CreateDir,
    SyncDir,
    List,
    Lock,
    Stat,
    LockFile,
}

/// A way in which a disk fails, for tests that inject it at every call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// One call fails without effect.
    FailOnce,
    /// One call takes effect but reports a failure.
    FailOnceAfterEffect,
    /// One write writes only the first half of its bytes.
    ShortWrite,
    /// One call finds the disk full.
    FullOnce,
    /// From one call on, the disk is full.
    FullFromThen,
    /// From one call on, every call fails.
    FailFromThen,
}

impl DiskFault {
    /// All faults.
    pub const ALL: [Self; 6] = [
        Self::FailOnce,
        Self::FailOnceAfterEffect,
        Self::ShortWrite,
        Self::FullOnce,
        Self::FullFromThen,
        Self::FailFromThen,
    ];

    /// Whether calls of `op` can fail with this fault.
    #[must_use]
    pub fn affects(self, op: Op) -> bool {
        match self {
            Self::FailOnce | Self::FailFromThen => true,
            Self::FailOnceAfterEffect => {
                !matches!(op, Op::Open | Op::Read | Op::List | Op::Lock | Op::Stat | Op::LockFile)
            }
            Self::ShortWrite => op == Op::Write,
            Self::FullFromThen => matches!(op, Op::Create | Op::Write | Op::Rename | Op::CreateDir | Op::Lock),
            // Some file systems allocate space only when they sync.
            Self::FullOnce => Self::FullFromThen.affects(op) || op == Op::Sync,
        }
    }
}

/// The simulated disk. Clones share its state.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

impl FaultyDisk {
    /// A disk with these folders, without files and faults.
    #[must_use]
    pub fn new(folders: &[&str]) -> Self {
        let disk = Self::default();
        disk.state().folders = folders.iter().map(PathBuf::from).collect();
        disk
    }

    /// Makes one call of `op` fail, after `skip` calls of it that succeed.
    pub fn fail(&self, op: Op, skip: usize, kind: io::ErrorKind) {
        self.schedule(ScheduledFault { target: FaultTarget::Op(op), skip, kind, effect: Effect::None, once: true });
    }

    /// Makes the next write fail after it has written `bytes` bytes.
    pub fn short_write(&self, bytes: usize, kind: io::ErrorKind) {
        let (target, effect) = (FaultTarget::Op(Op::Write), Effect::Bytes(bytes));
        self.schedule(ScheduledFault { target, skip: 0, kind, effect, once: true });
    }

    /// Makes one call of any operation fail, after `skip` calls that succeed.
    pub fn fail_any(&self, skip: usize, kind: io::ErrorKind) {
        self.schedule(ScheduledFault { target: FaultTarget::Any, skip, kind, effect: Effect::None, once: true });
    }

    /// Makes every call of `op` fail until [`heal`](Self::heal).
    pub fn fail_always(&self, op: Op, kind: io::ErrorKind) {
        let target = FaultTarget::Op(op);
        self.schedule(ScheduledFault { target, skip: 0, kind, effect: Effect::None, once: false });
    }

    /// Makes every call fail, after `skip` calls that succeed, as before a power cut.
    pub fn fail_all_after(&self, skip: usize) {
        self.inject(DiskFault::FailFromThen, skip);
    }

    /// Injects a fault, after `skip` calls that it [`affects`](DiskFault::affects) and that succeed.
    pub fn inject(&self, fault: DiskFault, skip: usize) {
        let (kind, effect, once) = match fault {
            DiskFault::FailOnce => (io::ErrorKind::Other, Effect::None, true),
            DiskFault::FailOnceAfterEffect => (io::ErrorKind::Other, Effect::Full, true),
            DiskFault::ShortWrite => (io::ErrorKind::Other, Effect::Half, true),
            DiskFault::FullOnce => (io::ErrorKind::StorageFull, Effect::None, true),
            DiskFault::FullFromThen => (io::ErrorKind::StorageFull, Effect::Half, false),
            DiskFault::FailFromThen => (io::ErrorKind::Other, Effect::None, false),
        };
        self.schedule(ScheduledFault { target: FaultTarget::AffectedBy(fault), skip, kind, effect, once });
    }

    fn schedule(&self, fault: ScheduledFault) {
        self.state().faults.push(fault);
    }

    /// Pauses the next call of `op` until the returned value is dropped.
    #[must_use]
    pub fn pause(&self, op: Op) -> PausedCall {
        let (pause, paused) = schedule::pause(op);
        self.state().pauses.push(pause);
        paused
    }

    /// Removes all faults, also those that have not happened yet.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// From now on, syncs report success without effect. A crash then loses the most recent writes and name changes, but a new
    /// name is never durable without the content that its file had at that time.
    pub fn ignore_syncs(&self) {
        self.state().ignores_syncs = true;
    }

    /// All calls so far, including failed ones.
    #[must_use]
    pub fn calls(&self) -> Vec<Op> {
        self.state().calls.clone()
    }

    /// The calls that failed.
    #[must_use]
    pub fn failed_calls(&self) -> Vec<Op> {
        self.state().failed_calls.clone()
    }

    /// Number of open file handles.
    #[must_use]
    pub fn open_handles(&self) -> usize {
        self.state().open_handles
    }

    /// Content of a file. `None` if the file does not exist.
    #[must_use]
    pub fn content(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        state.names.get(path.as_ref()).map(|&file| state.files[file].bytes.clone())
    }

    /// Durably creates or replaces a file.
    pub fn put(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let mut state = self.state();
        let file = state.files.len();
        state.files.push(SimulatedFile::durable(bytes.to_vec()));
        state.names.insert(path.as_ref().to_owned(), file);
        state.durable_names.insert(path.as_ref().to_owned(), file);
    }

    /// Paths of all files.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// The disk after a power cut. Where the outcome is undetermined, `choose(n)` selects it by a number from 0 to `n`.
    #[must_use]
    pub fn crash(&self, mut choose: impl FnMut(usize) -> usize) -> Self {
        let state = self.state().after_crash(&mut choose);
        Self { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Locks the state for a call of `op`, after the pause that is scheduled for it.
    fn state_for(&self, op: Op) -> MutexGuard<'_, State> {
        let mut state = self.state();
        let pause = state.pauses.iter().position(|pause| pause.op == op).map(|at| state.pauses.remove(at));
        let Some(pause) = pause else { return state };
        drop(state);
        pause.wait();
        self.state()
    }
}
