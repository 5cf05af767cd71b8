//! State of the simulated disk, and what a crash leaves of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::Op;
use super::schedule::{Effect, Pause, ScheduledFault};

#[derive(Default)]
pub(super) struct State {
    /// All files, including removed ones. Names refer to them by index.
    pub(super) files: Vec<SimulatedFile>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    pub(super) durable_names: BTreeMap<PathBuf, usize>,
    /// Name changes that were not synced yet, in order.
    pub(super) pending: Vec<PendingChange>,
    pub(super) folders: BTreeSet<PathBuf>,
    /// Paths of locked lock files.
    pub(super) locks: BTreeSet<PathBuf>,
    /// Files that a handle has locked.
    pub(super) locked_files: BTreeSet<usize>,
    pub(super) open_handles: usize,
    pub(super) faults: Vec<ScheduledFault>,
    pub(super) pauses: Vec<Pause>,
    pub(super) calls: Vec<Op>,
    pub(super) failed_calls: Vec<Op>,
    pub(super) ignores_syncs: bool,
}

/// A change of a name in `folder` that was not synced yet.
pub(super) struct PendingChange {
    pub(super) folder: PathBuf,
    pub(super) change: NameChange,
    /// Only if the disk ignores syncs: the file that the name leads to, and its length at the time of the change.
    pub(super) required: Option<(usize, usize)>,
}

#[derive(Clone)]
pub(super) enum NameChange {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Default, Clone)]
pub(super) struct SimulatedFile {
    pub(super) bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Offset from which a failed sync has lost the bytes: no later sync makes them durable.
    lost_from: Option<usize>,
}

impl State {
    /// Records a call. If a fault applies, returns its error and how much of the call takes effect.
    pub(super) fn record_call(&mut self, op: Op) -> Result<(), (io::Error, Effect)> {
        self.calls.push(op);
        let mut failed = None;
        self.faults.retain_mut(|fault| {
            if failed.is_some() || !fault.target.matches(op) {
                return true;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                return true;
            }
            failed = Some((io::Error::from(fault.kind), fault.effect));
            !fault.once
        });
        failed.map_or(Ok(()), |failed| {
            self.failed_calls.push(op);
            Err(failed)
        })
    }

    /// Like [`record_call`](Self::record_call), for a call that has its full effect or none. `Err`: the call has no effect.
    /// `Ok`: it takes effect, and then returns the inner result.
    pub(super) fn record_atomic_call(&mut self, op: Op) -> io::Result<io::Result<()>> {
        match self.record_call(op) {
            Ok(()) => Ok(Ok(())),
            Err((error, Effect::Full)) => Ok(Err(error)),
            Err((error, _)) => Err(error),
        }
    }

    pub(super) fn change_name(&mut self, folder: &Path, change: NameChange) {
        change.apply(&mut self.names);
        let file = match &change {
            NameChange::Create(path, _) | NameChange::Rename(_, path) => self.names.get(path),
            NameChange::Remove(_) => None,
        };
        let required = file.filter(|_| self.ignores_syncs).map(|&file| (file, self.files[file].bytes.len()));
        self.pending.push(PendingChange { folder: folder.to_owned(), change, required });
    }

    /// Makes the name changes in a folder durable.
    pub(super) fn sync_names(&mut self, path: &Path) {
        let Self { pending, durable_names, .. } = self;
        pending.retain(|PendingChange { folder, change, .. }| {
            if folder == path {
                change.apply(durable_names);
            }
            folder != path
        });
    }

    /// The state after a crash. `choose(n)` selects an outcome from 0 to `n`.
    pub(super) fn after_crash(&self, choose: &mut impl FnMut(usize) -> usize) -> Self {
        let mut names = self.durable_names.clone();
        let survived = choose(self.pending.len());
        let mut required = vec![0; self.files.len()];
        for PendingChange { change, required: of_change, .. } in &self.pending[..survived] {
            change.apply(&mut names);
            if let Some((file, length)) = *of_change {
                required[file] = length.max(required[file]);
            }
        }
        let files =
            self.files.iter().zip(required).map(|(file, required)| file.after_crash(required, choose)).collect();
        let folders = self.folders.clone();
        Self { files, durable_names: names.clone(), names, folders, ..Self::default() }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Create(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl SimulatedFile {
    pub(super) fn durable(bytes: Vec<u8>) -> Self {
        Self { durable: bytes.clone(), bytes, lost_from: None }
    }

    /// Writes `bytes` at `offset`.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        self.bytes.resize(self.bytes.len().max(end), 0);
        self.bytes[start..end].copy_from_slice(bytes);
    }

    /// Makes all bytes durable, except those that an earlier failed sync has lost.
    pub(super) fn sync(&mut self) {
        self.durable = self.bytes[..self.syncable_len()].to_vec();
    }

    /// Loses the bytes that are not durable yet, although they can still be read.
    pub(super) fn fail_sync(&mut self) {
        // Without bytes to sync, nothing is lost.
        if self.syncable_len() > self.durable.len() {
            self.lost_from = Some(self.durable.len());
        }
    }

    fn syncable_len(&self) -> usize {
        self.lost_from.unwrap_or(self.bytes.len()).min(self.bytes.len())
    }

    pub(super) fn truncate(&mut self, len: u64) {
        self.bytes.truncate(len as usize);
        self.lost_from = self.lost_from.filter(|&lost| lost < self.bytes.len());
    }

    /// The file after a crash. At least its first `required` bytes have reached the disk.
    fn after_crash(&self, required: usize, choose: &mut impl FnMut(usize) -> usize) -> Self {
        if !self.bytes.starts_with(&self.durable) {
            // An unsynced truncation or overwrite.
            return Self::durable(if choose(1) == 0 { self.durable.clone() } else { self.bytes.clone() });
        }
        let durable = self.durable.len().max(required.min(self.bytes.len()));
        let kept = durable + choose(self.bytes.len() - durable);
        let mut bytes = self.bytes[..kept].to_vec();
        // The new length may be on disk without the content.
        let zeroed_from = bytes.len() - choose(kept - durable);
        bytes[zeroed_from..].fill(0);
        Self::durable(bytes)
    }
}
