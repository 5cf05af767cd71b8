//! A replica on a failing disk.

use std::io::ErrorKind;

use plan::fields::BUDGET;
use plan::{Budget, Position};
use store::faults::{FaultyDisk, Op};

use super::*;

/// The replica's file is on a disk that fails on command, and its folder on a real disk.
struct Home {
    real: tempfile::TempDir,
    disk: FaultyDisk,
    id: DocumentId,
}

impl Home {
    fn new() -> Self {
        let real = tempfile::tempdir().unwrap();
        let disk = FaultyDisk::new(&[real.path().to_str().unwrap()]);
        Self { real, disk, id: new_document_id() }
    }

    async fn open(&self) -> Replica {
        let options = ReplicaOptions::new(self.real.path().join("plan.automerge"), self.id.clone(), "ceo");
        Replica::start_on(Arc::new(self.disk.clone()), options).await.unwrap()
    }
}

fn add(id: &str) -> Edit {
    Edit::Add(NewPosition::new(id, "Engineer").with(BUDGET, Budget::Int(1)))
}

fn rows(replica: &Replica) -> Vec<String> {
    let id = |position: &Position| position.id.to_string();
    let mut ids: Vec<String> = read_view(replica.view()).rows().map(|row| id(&row.position)).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn failed_edit_is_invisible_and_can_be_retried() {
    let home = Home::new();
    let replica = home.open().await;
    replica.edit(add("a")).await.unwrap();
    let heads = replica.heads();
    for op in [Op::Write, Op::Sync] {
        home.disk.fail(op, 0, ErrorKind::StorageFull);
        assert!(matches!(replica.edit(add("b")).await, Err(EditFailed::NotStored(_))), "{op:?}");
        assert_eq!((rows(&replica), replica.heads()), (vec!["a".to_owned()], heads.clone()), "{op:?}");
    }
    replica.edit(add("b")).await.unwrap();
    assert_eq!(rows(&replica), ["a", "b"]);
    replica.close().await.unwrap();
    assert_eq!(rows(&home.open().await), ["a", "b"]);
}

#[tokio::test]
async fn replica_recovers_from_a_broken_disk() {
    let home = Home::new();
    let replica = home.open().await;
    replica.edit(add("a")).await.unwrap();
    for op in [Op::Write, Op::Sync, Op::Create, Op::Rename] {
        home.disk.fail_always(op, ErrorKind::Other);
    }
    for _ in 0..3 {
        assert!(matches!(replica.edit(add("b")).await, Err(EditFailed::NotStored(_))));
    }
    // A rejected edit needs no disk.
    assert!(matches!(replica.edit(add("a")).await, Err(EditFailed::Refused(_))));
    home.disk.heal();
    replica.edit(add("b")).await.unwrap();
    replica.close().await.unwrap();
    assert_eq!(rows(&home.open().await), ["a", "b"]);
}

#[tokio::test]
async fn acknowledged_edits_survive_a_power_cut() {
    let mut home = Home::new();
    let replica = home.open().await;
    for number in 0..20 {
        replica.edit(add(&format!("{number:02}"))).await.unwrap();
    }
    // The crash loses everything unsynced.
    home.disk = home.disk.crash(|_| 0);
    assert_eq!(rows(&home.open().await), rows(&replica));
}

#[tokio::test]
async fn long_log_is_compacted() {
    let home = Home::new();
    let replica = home.open().await;
    let file = home.real.path().join("plan.automerge");
    let (mut largest, mut compacted) = (0, false);
    for number in 0..1_500 {
        replica.edit(add(&number.to_string())).await.unwrap();
        let length = home.disk.content(&file).unwrap().len();
        compacted |= length < largest;
        largest = largest.max(length);
    }
    assert!(compacted, "{largest} bytes");
    replica.close().await.unwrap();
    assert_eq!(rows(&home.open().await).len(), 1_500);
}

#[tokio::test]
async fn invalid_author_names_are_rejected() {
    let home = Home::new();
    for name in ["", "\u{200b}", "a\nb", &"x".repeat(201)] {
        let options = ReplicaOptions::new(home.real.path().join("plan.automerge"), home.id.clone(), name);
        assert!(matches!(Replica::open(options).await, Err(ReplicaError::Author(_))), "{name:?}");
    }
    assert!(!home.real.path().join("plan.automerge").exists());
}
