//! Several nodes on one database.

use std::sync::Arc;
use std::time::Duration;

use store::conformance::{TestEditor, id};
use store::sql::{Engine, SqlStore};
use store::{After, Appended, Batch, News, Position};
use tokio::time::timeout;

use crate::documents::{append, bytes};
use crate::place::Place;

/// A node with one document, which uses the store like the runtime.
pub struct Replica<E: Engine> {
    pub store: Arc<SqlStore<E>>,
    pub document: automerge::AutoCommit,
    pub at: Position,
    /// Appends that were answered with "behind".
    pub behind: usize,
}

impl<E: Engine> Replica<E> {
    pub fn new(store: Arc<SqlStore<E>>) -> Self {
        Self { store, document: automerge::AutoCommit::new(), at: Position::START, behind: 0 }
    }

    /// Reads the batches of others.
    pub async fn pull(&mut self) {
        match self.store.after(&id(1), self.at).await.expect("reads") {
            After::Same => {}
            After::Batches(batches) => {
                for (at, batch) in batches {
                    self.document.load_incremental(&batch.chunks).expect("loads");
                    self.at = at;
                }
            }
            After::Reload => {
                let stored = self.store.load(&id(1)).await.expect("loads").expect("stored");
                self.document.load_incremental(&stored.bytes).expect("loads");
                self.at = stored.position;
            }
        }
    }

    /// Makes an edit and appends it, with as many attempts as necessary.
    pub async fn edit(&mut self, key: String) {
        automerge::transaction::Transactable::put(&mut self.document, automerge::ROOT, key.as_str(), 1).expect("put");
        self.document.commit();
        let chunk = self.document.get_last_local_change().expect("a change").bytes().into_owned();
        let batch = Batch::changes(chunk, format!("{key}\n").into_bytes());
        loop {
            match self.store.append(&id(1), self.at, batch.clone()).await.expect("appends") {
                Appended::Stored { at, .. } => {
                    self.at = at;
                    return;
                }
                Appended::Behind => {
                    self.behind += 1;
                    self.pull().await;
                }
            }
        }
    }
}

/// The keys of the document, and its author lines, both sorted.
pub async fn keys_and_authors<E: Engine>(store: &SqlStore<E>) -> (Vec<String>, Vec<String>) {
    let stored = store.load(&id(1)).await.expect("loads and verifies").expect("stored");
    let document = automerge::AutoCommit::load(&stored.bytes).expect("loads");
    let keys = automerge::ReadDoc::keys(&document, automerge::ROOT).collect();
    let mut authors: Vec<String> =
        String::from_utf8(stored.authors).expect("text").lines().map(str::to_owned).collect();
    authors.sort();
    (keys, authors)
}

pub async fn writer_that_has_not_read_is_behind<P: Place>() {
    let place = P::new().await;
    let (store, other, mut author) = (place.open().await, place.open().await, TestEditor::new());
    let (one, two) = (author.edit(), author.edit());
    let (first, _) = append(&store, 1, Position::START, &one).await;
    let batch = Batch::changes(two.clone(), Vec::new());
    assert_eq!(other.append(&id(1), Position::START, batch.clone()).await.expect("answers"), Appended::Behind);
    let forged = Position { tip: store::Tip::from([9; 16]), ..first };
    assert_eq!(other.append(&id(1), forged, batch.clone()).await.expect("answers"), Appended::Behind);
    let ahead = Position { seq: 2, ..first };
    assert_eq!(other.append(&id(1), ahead, batch.clone()).await.expect("answers"), Appended::Behind);
    let After::Batches(batches) = other.after(&id(1), Position::START).await.expect("reads") else { panic!("a batch") };
    assert_eq!(batches, [(first, Batch::changes(one.clone(), Vec::new()))]);
    assert!(matches!(other.append(&id(1), first, batch).await.expect("answers"), Appended::Stored { .. }));
    assert_eq!(bytes(&store, 1).await, Some([one, two].concat()));
    assert_eq!(store.after(&id(1), forged).await.expect("reads"), After::Reload, "another history");
    let later = Position { seq: 9, ..first };
    assert_eq!(store.after(&id(1), later).await.expect("reads"), After::Reload, "the database has lost rows");
}

pub async fn writers_on_one_document_lose_nothing<P: Place>() {
    const WRITERS: usize = 4;
    const EDITS: usize = 25;
    let place = P::new().await;
    let mut tasks = Vec::new();
    for writer in 0..WRITERS {
        let mut replica = Replica::new(Arc::new(place.open().await));
        tasks.push(tokio::spawn(async move {
            for edit in 0..EDITS {
                replica.edit(format!("{writer} {edit:03}")).await;
            }
        }));
    }
    for task in tasks {
        task.await.expect("succeeds");
    }
    let store = place.open().await;
    let (keys, authors) = keys_and_authors(&store).await;
    assert_eq!(keys.len(), WRITERS * EDITS);
    assert_eq!(keys, authors);
    let at = store.positions(&[id(1)]).await.expect("reads")[0].1;
    assert_eq!(at.seq, (WRITERS * EDITS) as u64, "one row for each edit");
}

pub async fn compaction_runs_beside_appends<P: Place>() {
    const EDITS: usize = 60;
    let place = P::new().await;
    let mut writers = Vec::new();
    for writer in 0..2 {
        let mut replica = Replica::new(Arc::new(place.open().await));
        writers.push(tokio::spawn(async move {
            for edit in 0..EDITS {
                replica.edit(format!("{writer} {edit:03}")).await;
            }
        }));
    }
    let mut compactors = Vec::new();
    for _ in 0..2 {
        let mut replica = Replica::new(Arc::new(place.open().await));
        compactors.push(tokio::spawn(async move {
            let mut compactions = 0;
            while replica.at.seq < (2 * EDITS) as u64 {
                replica.pull().await;
                if replica.at.seq > 0 {
                    let snapshot = replica.document.save();
                    replica.store.compact(&id(1), replica.at, snapshot).await.expect("compacts");
                    compactions += 1;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            compactions
        }));
    }
    for writer in writers {
        writer.await.expect("succeeds");
    }
    for compactor in compactors {
        assert!(compactor.await.expect("succeeds") > 0);
    }
    let (keys, authors) = keys_and_authors(&place.open().await).await;
    assert_eq!(keys.len(), 2 * EDITS);
    assert_eq!(keys, authors, "every author line is stored once");
}

pub async fn access_changes_and_appends_run_beside_each_other<P: Place>() {
    const EDITS: usize = 30;
    let place = P::new().await;
    let mut replica = Replica::new(Arc::new(place.open().await));
    let writer = tokio::spawn(async move {
        for edit in 0..EDITS {
            replica.edit(format!("{edit:03}")).await;
        }
    });
    let mut changers = Vec::new();
    for changer in 0..2 {
        let store = place.open().await;
        changers.push(tokio::spawn(async move {
            for change in 0..10 {
                loop {
                    let version = store.load_access_of(&id(1)).await.expect("reads").map_or(0, |(version, _)| version);
                    let record = format!("{changer} {change}").into_bytes();
                    match store.change_access(&id(1), version, record).await.expect("stores") {
                        store::AccessChanged::Stored(_) => break,
                        store::AccessChanged::Behind => {}
                    }
                }
            }
        }));
    }
    writer.await.expect("succeeds");
    for changer in changers {
        changer.await.expect("succeeds");
    }
    let store = place.open().await;
    assert_eq!(store.load_access_of(&id(1)).await.expect("reads").map(|(version, _)| version), Some(20));
    let (revision, controls) = store.control_since(0).await.expect("reads");
    assert_eq!((revision, controls.len()), (20, 20), "revisions have no gap");
    assert_eq!(store.positions(&[id(1)]).await.expect("reads")[0].1.seq, 20 + EDITS as u64);
    let (keys, authors) = keys_and_authors(&store).await;
    assert_eq!((keys.len(), &keys), (EDITS, &authors));
}

pub async fn positions_tell_which_documents_moved<P: Place>() {
    let place = P::new().await;
    let (store, other) = (place.open().await, place.open().await);
    let ids: Vec<_> = (1..=20).map(id).collect();
    for document in 1..=20 {
        append(&store, document, Position::START, &TestEditor::new().edit()).await;
    }
    let before = store.positions(&ids).await.expect("reads");
    assert_eq!(before.len(), 20);
    let moved = before.iter().find(|(document, _)| *document == id(7)).expect("listed").1;
    let (at, _) = append(&other, 7, moved, &TestEditor::new().edit()).await;
    let after = store.positions(&ids).await.expect("reads");
    let changed: Vec<_> = after.iter().filter(|entry| !before.contains(entry)).collect();
    assert_eq!(changed, [&(id(7), at)]);
    let mut many = ids.clone();
    many.extend((0..2_000_u32).map(|number| {
        let mut bytes = [1; 16];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        primitives::DocumentId::from_random(bytes)
    }));
    assert_eq!(store.positions(&many).await.expect("reads").len(), 20, "unknown documents are left out");
}

pub async fn nodes_that_open_together_migrate_once<P: Place>() {
    let place = P::new().await;
    let stores = futures_util::future::join_all((0..6).map(|_| place.open())).await;
    let storage_ids: std::collections::HashSet<_> = stores.iter().map(SqlStore::storage_id).collect();
    assert_eq!(storage_ids.len(), 1);
}

pub async fn other_nodes_hear_of_an_append<P: Place>() {
    let place = P::new().await;
    let (store, other) = (place.open().await, place.open().await);
    let mut news = other.news();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (at, _) = append(&store, 1, Position::START, &TestEditor::new().edit()).await;
    let hear = async {
        loop {
            match futures_util::StreamExt::next(&mut news).await.expect("news") {
                News::Moved { id: document, at: heard, .. } if document == id(1) && heard == at => return,
                News::LookAtAll if other.positions(&[id(1)]).await.expect("reads") == [(id(1), at)] => return,
                _ => {}
            }
        }
    };
    timeout(Duration::from_secs(10), hear).await.expect("heard");
}

pub async fn dropped_append_does_no_harm<P: Place>() {
    let place = P::new().await;
    let mut replica = Replica::new(Arc::new(place.open().await));
    replica.edit("first".into()).await;
    for round in 0..40 {
        let at = replica.at;
        let mut copy = Replica { document: replica.document.fork(), at, behind: 0, store: Arc::clone(&replica.store) };
        // The future is dropped at some point of the call.
        let limit = Duration::from_micros(100 * round);
        let _ = timeout(limit, copy.edit(format!("dropped {round:03}"))).await;
        replica.pull().await;
        replica.edit(format!("kept {round:03}")).await;
    }
    let (keys, authors) = keys_and_authors(&replica.store).await;
    assert_eq!(keys, authors);
    assert_eq!(keys.iter().filter(|key| key.starts_with("kept")).count(), 40);
}
