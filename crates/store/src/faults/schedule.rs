//! Scheduled faults and pauses of calls.

use std::io;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::{DiskFault, Op};

/// A fault that will make calls fail.
pub(super) struct ScheduledFault {
    pub(super) target: FaultTarget,
    /// Number of matching calls that succeed first.
    pub(super) skip: usize,
    pub(super) kind: io::ErrorKind,
    pub(super) effect: Effect,
    /// Whether the fault ends after one failed call.
    pub(super) once: bool,
}

/// The calls that a fault applies to.
#[derive(Clone, Copy)]
pub(super) enum FaultTarget {
    Any,
    Op(Op),
    AffectedBy(DiskFault),
}

impl FaultTarget {
    pub(super) fn matches(self, op: Op) -> bool {
        match self {
            Self::Any => true,
            Self::Op(wanted) => wanted == op,
            Self::AffectedBy(fault) => fault.affects(op),
        }
    }
}

/// How much of a failed call takes effect.
#[derive(Clone, Copy)]
pub(super) enum Effect {
    None,
    /// This number of bytes of a write.
    Bytes(usize),
    /// Half of the bytes of a write.
    Half,
    Full,
}

/// A pause of the next call of `op`.
pub(super) struct Pause {
    pub(super) op: Op,
    reached: oneshot::Sender<()>,
    released: mpsc::Receiver<()>,
}

/// A call that is paused until this value is dropped.
pub struct PausedCall {
    reached: oneshot::Receiver<()>,
    _release: mpsc::Sender<()>,
}

pub(super) fn pause(op: Op) -> (Pause, PausedCall) {
    let (reached, is_reached) = oneshot::channel();
    let (release, released) = mpsc::channel();
    (Pause { op, reached, released }, PausedCall { reached: is_reached, _release: release })
}

impl Pause {
    /// Reports that the call was made, and blocks until it is released.
    pub(super) fn wait(self) {
        // The test need not wait for the call, and may have released it already.
        let _ = self.reached.send(());
        let _ = self.released.recv();
    }
}

impl PausedCall {
    /// Waits until the call is made.
    ///
    /// # Panics
    /// When the disk is dropped before.
    pub async fn reached(&mut self) {
        (&mut self.reached).await.expect("the disk exists");
    }
}
