//! Initial documents and messages of the targets.

use std::sync::LazyLock;

use automerge::sync::{self, SyncDoc};
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjType, ROOT};

fn plan() -> AutoCommit {
    let mut doc = AutoCommit::new().with_actor(ActorId::from([2_u8; 16]));
    let positions = doc.put_object(ROOT, "positions", ObjType::Map).expect("a map");
    for row in 0..3_i64 {
        let position = doc.put_object(&positions, format!("p{row}"), ObjType::Map).expect("a map");
        let designation = doc.put_object(&position, "designation", ObjType::Text).expect("a map");
        doc.splice_text(&designation, 0, 0, "Designer").expect("a text");
        doc.put(&position, "budget", row * 10).expect("a map");
        doc.commit();
    }
    doc
}

/// A log of changes; a snapshot; a snapshot with changes after it.
pub static FILES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let mut doc = plan();
    let log = doc.get_changes(&[]).iter().flat_map(|change| change.raw_bytes().to_vec()).collect();
    let snapshot = doc.save();
    let heads = doc.get_heads();
    doc.put(ROOT, "note", "a note that is long enough to be worth compressing ".repeat(10)).expect("a map");
    doc.commit();
    let later: Vec<u8> = doc.get_changes(&heads).iter_mut().flat_map(|change| change.bytes().to_vec()).collect();
    [log, snapshot.clone(), [snapshot, later].concat()]
});

/// A greeting, and the message of a peer with edits of its own: as changes and as a whole document.
pub static MESSAGES: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let mut empty = AutoCommit::new();
    let hello = empty.sync().generate_sync_message(&mut sync::State::new()).expect("a greeting").encode();
    let with_edits = |v2: bool| {
        let mut doc = plan();
        let mut server = plan();
        for edit in 0..4_i64 {
            doc.put(ROOT, "value", edit).expect("a map");
            doc.commit();
        }
        let (mut ours, mut theirs) = (sync::State::new(), sync::State::new());
        let mut hello = server.sync().generate_sync_message(&mut theirs).expect("a greeting");
        if !v2 {
            hello.flags = None;
        }
        doc.sync().receive_sync_message(&mut ours, hello).expect("a greeting");
        doc.sync().generate_sync_message(&mut ours).expect("changes").encode()
    };
    [hello, with_edits(false), with_edits(true)]
});
