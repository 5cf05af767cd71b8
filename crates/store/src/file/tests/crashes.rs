//! Power cuts: whatever happens, what was acknowledged is there afterwards.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::*;
use crate::StoreError;
use crate::faults::Op;

#[tokio::test]
async fn a_power_cut_at_any_step_of_a_compaction_leaves_the_old_or_the_new() {
    for choice in 0..4 {
        for step in 0.. {
            let disk = disk();
            let (store, mut author) = (open_on(&disk).expect("opens"), Author::new());
            let old = [author.edit(), author.edit()].concat();
            store.append(&default_id(), old.clone()).await.expect("appends");
            let snapshot = author.save();
            disk.break_after(step);
            let compacted = store.compact(&default_id(), snapshot.clone()).await;
            let crashed = disk.crash(|n| match choice {
                0 => 0,
                1 => n,
                2 => n / 2,
                _ => n.min(1),
            });
            let found = stored(&open_on(&crashed).expect("opens"), &default_id()).await;
            assert!(found == old || found == snapshot, "choice {choice}, step {step}");
            if compacted.is_ok() {
                assert_eq!(found, snapshot);
                break;
            }
        }
    }
}

/// What happens to a store, one thing after the other.
#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Compact,
    Recover,
    Close,
    Fail(Op, usize, usize),
    Heal,
    /// The process ends, and another one is started; the power stays on.
    Restart,
    Crash(Vec<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    // Not `Create`: if even the mark that a file is not safely on disk cannot be made, a restart without a power cut
    // in between has no way to know. Failing creations are covered step by step elsewhere.
    let op = prop_oneof![
        Just(Op::Open),
        Just(Op::Read),
        Just(Op::Write),
        Just(Op::Sync),
        Just(Op::Truncate),
        Just(Op::Rename),
        Just(Op::Remove),
        Just(Op::SyncDir),
    ];
    prop_oneof![
        8 => (1usize..4).prop_map(Step::Append),
        2 => Just(Step::Compact),
        2 => Just(Step::Recover),
        1 => Just(Step::Close),
        5 => (op, 0usize..4, 0usize..40).prop_map(|(op, skip, short)| Step::Fail(op, skip, short)),
        2 => Just(Step::Heal),
        2 => Just(Step::Restart),
        2 => prop::collection::vec(0usize..500, 12).prop_map(Step::Crash),
    ]
}

/// A store and what it has promised: the number of acknowledged edits, and how many more a crash may bring to light
/// because an append of them failed.
struct World {
    disk: FaultyDisk,
    store: Option<FileStore>,
    id: DocumentId,
    author: Author,
    acknowledged: usize,
}

impl World {
    fn store(&self) -> &FileStore {
        self.store.as_ref().expect("open")
    }

    /// Goes back to what the store knows to be durable, as the hub does after an error.
    async fn reload(&mut self) {
        self.disk.heal();
        let bytes = stored(self.store(), &self.id).await;
        let found = Author::edits_in(&bytes);
        // More than that: an append that failed may have reached the disk, and a crash brought it to light.
        assert!(found >= self.acknowledged, "{found} edits are left of {} acknowledged", self.acknowledged);
        self.acknowledged = found;
        self.author = if bytes.is_empty() { Author::new() } else { Author::from_bytes(&bytes) };
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Append(edits) => {
                let chunks: Vec<u8> = (0..edits).flat_map(|_| self.author.edit()).collect();
                match self.store().append(&self.id, chunks).await {
                    Ok(_) => self.acknowledged += edits,
                    Err(_) => self.reload().await,
                }
            }
            Step::Compact => {
                let snapshot = self.author.save();
                let compacted = self.store().compact(&self.id, snapshot).await;
                assert!(
                    self.acknowledged == 0 || !matches!(compacted, Err(StoreError::Snapshot { .. })),
                    "{compacted:?}"
                );
            }
            Step::Recover => {
                if self.acknowledged > 0 {
                    let copy = self.author.save();
                    let _ = self.store().recover(&self.id, copy).await;
                }
            }
            Step::Close => self.store().close(&self.id).await,
            Step::Fail(Op::Write, 0, short) => self.disk.short_write(short, ErrorKind::StorageFull),
            Step::Fail(op, skip, _) => self.disk.fail(op, skip, ErrorKind::Other),
            Step::Heal => self.disk.heal(),
            Step::Restart => {
                self.disk.heal();
                self.store = None;
                self.store = Some(open_on(&self.disk).expect("opens after a restart"));
                self.reload().await;
            }
            Step::Crash(choices) => {
                let mut choices = choices.into_iter().cycle();
                let crashed = self.disk.crash(|n| choices.next().unwrap_or(0) % (n + 1));
                self.store = None;
                self.disk = crashed;
                self.store = Some(open_on(&self.disk).expect("opens after a crash"));
                self.reload().await;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_fails_and_whenever_the_power_goes_what_was_acknowledged_is_there(
        default in any::<bool>(),
        steps in prop::collection::vec(step(), 1..30),
        last in prop::collection::vec(0usize..500, 12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let disk = disk();
            let store = Some(open_on(&disk).expect("opens"));
            let id = if default { default_id() } else { id(2) };
            let mut world = World { disk, store, id, author: Author::new(), acknowledged: 0 };
            for step in steps {
                world.take(step).await;
            }
            world.take(Step::Crash(last)).await;
            world.take(Step::Append(1)).await;
            world.take(Step::Crash(vec![0])).await;
        });
    }
}
