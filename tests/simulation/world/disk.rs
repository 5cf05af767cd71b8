//! Disk faults and crashes.

use std::io::ErrorKind;
use std::path::Path;

use automerge::Automerge;
use rand::RngExt;
use store::check::check_content;
use store::faults::Op;
use store::{Damage, MissingContent};

use super::{Life, Mutant, Promises, STATE, Trouble, Violation, World};

impl World {
    pub(super) fn inject_disk_fault(&mut self) {
        let skip = self.rng.random_range(0..4);
        match self.rng.random_range(0..8) {
            0 => {
                self.log(|| "the next write will fail".to_owned());
                self.disk.fail(Op::Write, skip, ErrorKind::Other);
            }
            1 => {
                let bytes = self.rng.random_range(0..200);
                self.log(|| format!("the next write will end after {bytes} bytes"));
                self.disk.short_write(bytes, ErrorKind::StorageFull);
            }
            2 => {
                self.log(|| "the next sync will fail".to_owned());
                self.disk.fail(Op::Sync, skip, ErrorKind::Other);
            }
            3 => {
                self.log(|| "the disk is full".to_owned());
                self.disk.fail_always(Op::Write, ErrorKind::StorageFull);
            }
            4 => {
                self.log(|| "the disk does not answer".to_owned());
                self.life.gate(false);
            }
            5 => {
                let skip = self.rng.random_range(0..12);
                self.log(|| format!("after {skip} more calls, all calls fail until the crash"));
                self.disk.fail_all_after(skip);
                self.doomed = true;
            }
            6 => {
                self.log(|| "one call will fail".to_owned());
                self.disk.fail_any(skip * 3, ErrorKind::Other);
            }
            _ => {
                self.log(|| "the disk works again".to_owned());
                if !self.doomed {
                    self.disk.heal();
                }
                self.life.gate(true);
            }
        }
    }

    /// Crashes and restarts the server.
    pub(super) fn crash(&mut self) -> Result<(), Violation> {
        self.log(|| "a crash".to_owned());
        let rng = &mut self.rng;
        let disk = self.disk.crash(|most| rng.random_range(0..=most));
        self.pending.clear();
        self.observers.clear();
        self.intruder = None;
        for replica in &mut self.replicas {
            replica.link = None;
            replica.half_open = None;
        }
        self.disk = disk;
        self.doomed = false;
        self.truncate_like_an_operator();
        let life = Life::begin(&self.disk, &self.id, self.lives, self.mutant)
            .map_err(|error| format!("after a crash the server does not start: {error}"))?;
        self.life = life;
        self.lives += 1;
        if self.trouble == Trouble::LyingDisk {
            // A lying disk keeps no promises.
            self.promises = Promises::default();
        } else {
            self.check_promises("after a crash")?;
        }
        if self.trouble == Trouble::LyingDisk || self.mutant == Mutant::NoSync {
            self.disk.ignore_syncs();
        }
        Ok(())
    }

    /// Truncates a torn tail as `check` advises. A crash during the first edits of an empty plan leaves a file that looks
    /// like an interrupted copy, so the server does not start on it.
    pub(super) fn truncate_like_an_operator(&self) {
        let bytes = self.disk.content(STATE).unwrap_or_default();
        if let Err(Damage::Truncated { torn_tail, missing: MissingContent::Positions }) =
            check_content(Path::new(STATE), &bytes)
        {
            self.disk.put(STATE, &bytes[..usize::try_from(torn_tail.at).expect("a length in memory")]);
        }
    }

    /// Loads the document from the file.
    pub(super) fn stored(&self) -> Result<Automerge, Violation> {
        let bytes = self.disk.content(STATE).unwrap_or_default();
        Automerge::load(&bytes).map_err(|error| format!("the file cannot be read: {error}"))
    }

    pub(super) fn check_promises(&self, when: &str) -> Result<(), Violation> {
        match self.promises.broken_by(&self.stored()?) {
            Some(broken) => Err(format!("{when}: {broken}")),
            None => Ok(()),
        }
    }
}
