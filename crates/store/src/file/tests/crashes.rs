//! Power cuts: acknowledged changes survive them, in combination with any other failures.

use std::io::ErrorKind;

use proptest::prelude::*;

use super::*;
use crate::faults::Op;
use crate::{Position, StoreError};

#[tokio::test]
async fn power_cut_during_compaction_leaves_the_old_or_new_file() {
    for choice in 0..4 {
        for step in 0.. {
            let disk = disk();
            let (store, mut editor) = (open_on(&disk).expect("opens"), TestEditor::new());
            let old = [editor.edit(), editor.edit()].concat();
            store.append_chunks(&default_id(), old.clone()).await.expect("appends");
            let snapshot = editor.save();
            disk.fail_all_after(step);
            let compacted = store.compact(&default_id(), Position::START, snapshot.clone()).await;
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

/// One step of a random schedule.
#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Compact,
    Recover,
    Close,
    Fail(Op, usize, usize),
    Heal,
    /// The process ends and another one starts, without a power cut.
    Restart,
    Crash(Vec<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    // Not `Create`: if creating the "unsynced" marker fails too, a restart without a power cut cannot know that the file is
    // not durable. Other tests cover failures of `Create`.
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

/// A store, and the number of edits that it has acknowledged.
struct CrashTest {
    disk: FaultyDisk,
    store: Option<FileStore>,
    id: DocumentId,
    editor: TestEditor,
    acknowledged: usize,
}

impl CrashTest {
    fn store(&self) -> &FileStore {
        self.store.as_ref().expect("open")
    }

    /// Continues from the durable content, as the hub does after an error.
    async fn reload(&mut self) {
        self.disk.heal();
        let bytes = stored(self.store(), &self.id).await;
        let found = TestEditor::count_edits(&bytes);
        // More edits may be stored: those of a failed append may have reached the disk.
        assert!(found >= self.acknowledged, "{found} edits are left of {} acknowledged", self.acknowledged);
        self.acknowledged = found;
        self.editor = if bytes.is_empty() { TestEditor::new() } else { TestEditor::from_bytes(&bytes) };
    }

    async fn run_step(&mut self, step: Step) {
        match step {
            Step::Append(edits) => {
                let chunks: Vec<u8> = (0..edits).flat_map(|_| self.editor.edit()).collect();
                match self.store().append_chunks(&self.id, chunks).await {
                    Ok(_) => self.acknowledged += edits,
                    Err(_) => self.reload().await,
                }
            }
            Step::Compact => {
                let snapshot = self.editor.save();
                let compacted = self.store().compact(&self.id, Position::START, snapshot).await;
                assert!(
                    self.acknowledged == 0 || !matches!(compacted, Err(StoreError::InvalidSnapshot { .. })),
                    "{compacted:?}"
                );
            }
            Step::Recover => {
                if self.acknowledged > 0 {
                    let copy = self.editor.save();
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
    fn acknowledged_edits_survive_random_failures_and_crashes(
        default in any::<bool>(),
        steps in prop::collection::vec(step(), 1..30),
        last in prop::collection::vec(0usize..500, 12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let disk = disk();
            let store = Some(open_on(&disk).expect("opens"));
            let id = if default { default_id() } else { id(2) };
            let mut test = CrashTest { disk, store, id, editor: TestEditor::new(), acknowledged: 0 };
            for step in steps {
                test.run_step(step).await;
            }
            test.run_step(Step::Crash(last)).await;
            test.run_step(Step::Append(1)).await;
            test.run_step(Step::Crash(vec![0])).await;
        });
    }
}
