//! Connections that are lost between a statement and its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use store::conformance::{TestEditor, id};
use store::sql::{DatabaseError, Engine, MySql, Postgres, SqlStore};
use store::{AccessChanged, Appended, Batch, Position};

use crate::concurrency::{Replica, keys_and_authors};
use crate::documents::append;
use crate::place::{MySqlPlace, Place, PostgresPlace, postgres_client};
use crate::proxy::Proxy;
use crate::servers;

/// A chunk with this text in it.
fn chunk_with(text: &str) -> Vec<u8> {
    let mut document = automerge::AutoCommit::new();
    automerge::transaction::Transactable::put(&mut document, automerge::ROOT, text, 1).expect("put");
    document.commit();
    document.get_last_local_change().expect("a change").bytes().into_owned()
}

/// An append whose answer was lost is recognized as stored.
async fn lost_answer_is_found<E: Engine>(store: &SqlStore<E>, proxy: &Proxy) {
    let (first, _) = append(store, 1, Position::START, &TestEditor::new().edit()).await;
    proxy.lose_answers_to(b"marked");
    let batch = Batch::changes(chunk_with("marked"), Vec::new());
    let stored = store.append(&id(1), first, batch.clone()).await.expect("finds out");
    assert!(matches!(stored, Appended::Stored { at, .. } if at == first.next(&batch)), "{stored:?}");
    assert!(proxy.cut() > 0, "an answer was lost");
    proxy.lose_nothing();
    let stored = store.load(&id(1)).await.expect("loads").expect("stored");
    assert_eq!((stored.position.seq, stored.position), (2, first.next(&batch)), "the batch is stored once");
}

/// An append whose outcome is unknown is behind if another node has appended meanwhile.
async fn lost_answer_after_another_append_is_behind<E: Engine>(
    store: &SqlStore<E>,
    other: &SqlStore<E>,
    proxy: &Proxy,
) {
    let (first, _) = append(store, 3, Position::START, &TestEditor::new().edit()).await;
    proxy.close();
    let batch = Batch::changes(chunk_with("marked"), Vec::new());
    let (document, copy) = (id(3), batch.clone());
    let appending = store.append(&document, first, copy);
    let others = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        append(other, 3, first, &chunk_with("of another node")).await;
        proxy.open();
    };
    let (outcome, ()) = futures_util::join!(appending, others);
    assert_eq!(outcome.expect("finds out"), Appended::Behind);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_finds_lost_answers() {
    let place = PostgresPlace::new().await;
    let other = place.open().await;
    let proxy = Proxy::new(servers::postgres().port).await;
    let store = place.open_at(proxy.port).await;
    lost_answer_is_found(&store, &proxy).await;
    lost_answer_after_another_append_is_behind(&store, &other, &proxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_finds_lost_answers() {
    let place = MySqlPlace::new().await;
    let other = place.open().await;
    let proxy = Proxy::new(servers::mariadb().port).await;
    let store = place.open_at(proxy.port).await;
    lost_answer_is_found(&store, &proxy).await;
    lost_answer_after_another_append_is_behind(&store, &other, &proxy).await;
}

/// A commit whose answer is lost: of a first append, an access record and an account.
async fn lost_commits_are_found<E: Engine>(store: &SqlStore<E>, proxy: &Proxy) {
    proxy.lose_answers_to(b"COMMIT");
    let opened = async {
        proxy.wait_for_cuts(3).await;
        proxy.lose_nothing();
    };
    let batch = Batch::changes(TestEditor::new().edit(), Vec::new());
    let document = id(5);
    let calls = async {
        let appended = store.append(&document, Position::START, batch.clone()).await.expect("finds out");
        assert!(matches!(appended, Appended::Stored { at, .. } if at.seq == 1), "{appended:?}");
    };
    let access = async {
        let changed = store.change_access(&id(6), 0, b"{}".to_vec()).await.expect("finds out");
        assert_eq!(changed, AccessChanged::Stored(1));
    };
    let removed = async {
        append(store, 7, Position::START, &TestEditor::new().edit()).await;
        store.remove(&id(7)).await.expect("finds out");
    };
    futures_util::join!(opened, calls, access, removed);
    let revision = store.control_since(0).await.expect("reads").0;
    assert_eq!(revision, 1, "one control for one change");
    assert_eq!(store.load(&document).await.expect("loads").expect("stored").position.seq, 1);
    assert!(store.load(&id(7)).await.expect("loads").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_finds_lost_commits() {
    let place = PostgresPlace::new().await;
    let proxy = Proxy::new(servers::postgres().port).await;
    lost_commits_are_found(&place.open_at(proxy.port).await, &proxy).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_finds_lost_commits() {
    let place = MySqlPlace::new().await;
    let proxy = Proxy::new(servers::mariadb().port).await;
    lost_commits_are_found(&place.open_at(proxy.port).await, &proxy).await;
}

/// Two nodes edit one document while connections are killed continuously.
async fn killed_connections_lose_nothing<E: Engine>(
    stores: [SqlStore<E>; 2],
    check: SqlStore<E>,
    kill: impl AsyncFn(),
) {
    const EDITS: usize = 150;
    const KILLS: u64 = 4;
    let (is_done, kills) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = Vec::new();
    for (writer, store) in stores.into_iter().enumerate() {
        let (mut replica, kills) = (Replica::new(Arc::new(store)), Arc::clone(&kills));
        writers.push(tokio::spawn(async move {
            let mut edits = 0;
            while edits < EDITS || kills.load(Ordering::SeqCst) < KILLS {
                replica.edit(format!("{writer} {edits:06}")).await;
                edits += 1;
            }
            edits
        }));
    }
    let killing = async {
        while !is_done.load(Ordering::SeqCst) {
            kill().await;
            let kills = kills.fetch_add(1, Ordering::SeqCst);
            // Sometimes long enough for a new connection to log in.
            tokio::time::sleep(Duration::from_millis(20 + kills % 10 * 40)).await;
        }
    };
    let writing = async {
        let mut edits = 0;
        for writer in writers {
            edits += writer.await.expect("succeeds");
        }
        is_done.store(true, Ordering::SeqCst);
        edits
    };
    let ((), edits) = futures_util::join!(killing, writing);
    let (keys, authors) = keys_and_authors(&check).await;
    assert_eq!(keys.len(), edits);
    assert_eq!(keys, authors, "every batch is stored once");
    assert_eq!(check.positions(&[id(1)]).await.expect("reads")[0].1.seq, edits as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_survives_killed_backends() {
    let place = PostgresPlace::new().await;
    let stores = [place.open().await, place.open().await];
    let admin = postgres_client("postgres").await;
    let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'", place.name);
    killed_connections_lose_nothing(stores, place.open().await, async || {
        admin.batch_execute(&sql).await.expect("kills");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_survives_cut_connections() {
    let place = PostgresPlace::new().await;
    let proxy = Proxy::new(servers::postgres().port).await;
    let stores = [place.open_at(proxy.port).await, place.open_at(proxy.port).await];
    killed_connections_lose_nothing(stores, place.open().await, async || {
        proxy.close();
        proxy.open();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_survives_cut_connections() {
    let place = MySqlPlace::new().await;
    let proxy = Proxy::new(servers::mariadb().port).await;
    let stores = [place.open_at(proxy.port).await, place.open_at(proxy.port).await];
    killed_connections_lose_nothing(stores, place.open().await, async || {
        proxy.close();
        proxy.open();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_end_while_the_database_is_away() {
    let place = PostgresPlace::new().await;
    let proxy = Proxy::new(servers::postgres().port).await;
    let engine = Postgres::open(&place.url_at(proxy.port), Default::default()).await.expect("connects");
    let options = store::sql::SqlOptions { patience: Duration::from_millis(400), ..Default::default() };
    let store = SqlStore::open(engine, options.clone()).await.expect("opens");
    let (at, _) = append(&store, 1, Position::START, &TestEditor::new().edit()).await;
    proxy.close();
    // A connection may notice a loss only when it is used. Then the first outcome is unknown.
    let batch = Batch::changes(chunk_with("away"), Vec::new());
    let error = store.append(&id(1), at, batch.clone()).await.expect_err("away");
    let is_expected = matches!(error, DatabaseError::Unavailable(_) | DatabaseError::OutcomeUnknown { .. });
    assert!(is_expected && error.is_temporary(), "{error}");
    assert!(!error.to_string().contains(servers::PASSWORD), "{error}");
    assert!(matches!(store.load(&id(1)).await, Err(DatabaseError::Unavailable(_))));
    assert!(store.probe().await.is_err());
    proxy.open();
    match store.append(&id(1), at, batch).await.expect("answers") {
        Appended::Stored { .. } => {}
        // The first attempt reached the database before the connection was cut.
        Appended::Behind => assert!(matches!(error, DatabaseError::OutcomeUnknown { .. }), "{error}"),
    }
    assert_eq!(store.positions(&[id(1)]).await.expect("reads")[0].1.seq, at.seq + 1);

    let place = MySqlPlace::new().await;
    let proxy = Proxy::new(servers::mariadb().port).await;
    let engine = MySql::open(&place.url_at(proxy.port), 4).await.expect("connects");
    let store = SqlStore::open(engine, options).await.expect("opens");
    proxy.close();
    let error = store.load(&id(1)).await.expect_err("away");
    assert!(error.is_temporary() && !error.to_string().contains(servers::PASSWORD), "{error}");
    proxy.open();
    assert!(store.load(&id(1)).await.expect("loads").is_none());
}
