//! Notifications between nodes on PostgreSQL.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use store::conformance::{TestEditor, id};
use store::sql::{NewsMode, Postgres, PostgresOptions, SqlStore};
use store::{Batch, News, Position};
use tokio::time::{sleep, timeout};

use crate::documents::append;
use crate::place::{Place, PostgresPlace, options, postgres_client, postgres_client_at};
use crate::servers;

/// The first matching news within some seconds.
async fn hear<T>(news: &mut BoxStream<'static, News>, wanted: impl Fn(&News) -> Option<T>) -> T {
    let heard = timeout(Duration::from_secs(10), async {
        loop {
            let next = news.next().await.expect("news");
            if let Some(found) = wanted(&next) {
                return found;
            }
        }
    });
    heard.await.expect("heard")
}

/// Waits until notifications are delivered.
async fn notified(store: &SqlStore<Postgres>) {
    let ready = timeout(Duration::from_secs(10), async {
        while store.news_mode() != NewsMode::Notified {
            sleep(Duration::from_millis(10)).await;
        }
    });
    ready.await.expect("notified");
}

/// Waits until notifications of one node reach another. Before it hears of the other, a node sends heartbeats only.
async fn connected(from: &SqlStore<Postgres>, to: &SqlStore<Postgres>) {
    let hello = News::Ephemeral(b"hello".to_vec());
    let mut news = to.news();
    let heard = timeout(Duration::from_secs(10), async {
        loop {
            from.tell(hello.clone());
            let mut repeat = std::pin::pin!(sleep(Duration::from_millis(20)));
            loop {
                tokio::select! {
                    next = news.next() => if next.expect("news") == hello { return },
                    () = &mut repeat => break,
                }
            }
        }
    });
    heard.await.expect("heard");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hints_carry_batches() {
    let place = PostgresPlace::new().await;
    let (store, other) = (place.open().await, place.open().await);
    notified(&store).await;
    notified(&other).await;
    connected(&store, &other).await;
    let mut news = other.news();
    let batch = Batch::changes(TestEditor::new().edit(), b"ceo\n".to_vec());
    store.append(&id(1), Position::START, batch.clone()).await.expect("appends");
    let moved = |news: &News| match news {
        News::Moved { id: document, at, batch } if *document == id(1) => Some((*at, batch.clone())),
        _ => None,
    };
    let (at, heard) = hear(&mut news, moved).await;
    assert_eq!((Position::START.next(&batch), Some(batch)), (at, heard));
    // A large batch is announced without its content.
    let batch = Batch::changes(TestEditor::new().edit(), vec![b'x'; 10_000]);
    store.append(&id(1), at, batch.clone()).await.expect("appends");
    assert_eq!(hear(&mut news, moved).await, (at.next(&batch), None));
    store.change_access(&id(2), 0, b"{}".to_vec()).await.expect("stores");
    hear(&mut news, |news| (*news == News::Control(1)).then_some(())).await;
    store.tell(News::Ephemeral(b"present".to_vec()));
    hear(&mut news, |news| (*news == News::Ephemeral(b"present".to_vec())).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_look_after_a_lost_connection() {
    let place = PostgresPlace::new().await;
    let (store, other) = (place.open().await, place.open().await);
    notified(&other).await;
    connected(&store, &other).await;
    let mut news = other.news();
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND query LIKE 'LISTEN%'",
        place.name
    );
    postgres_client("postgres").await.batch_execute(&sql).await.expect("kills");
    hear(&mut news, |news| (*news == News::LookAtAll).then_some(())).await;
    let (at, _) = append(&store, 1, Position::START, &TestEditor::new().edit()).await;
    hear(&mut news, |news| matches!(news, News::Moved { at: heard, .. } if *heard == at).then_some(())).await;
    assert_eq!(other.news_mode(), NewsMode::Notified);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_that_joins_learns_what_was_not_announced() {
    let place = PostgresPlace::new().await;
    let patient = PostgresOptions { look: Duration::from_secs(3_600), ..PostgresOptions::default() };
    let engine = async || Postgres::open(&place.url(), patient.clone()).await.expect("connects");
    let store = SqlStore::open(engine().await, options()).await.expect("opens");
    notified(&store).await;
    let client = postgres_client(&place.name).await;
    let channel: String = store.storage_id()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let sent = format!("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_notify%happierwork_{channel}%'");
    assert!(client.query_one(&sent, &[]).await.expect("reads").get::<_, i64>(0) > 0, "heartbeats are sent");
    let (alone, _) = append(&store, 1, Position::START, &TestEditor::new().edit()).await;
    let other = SqlStore::open(engine().await, options()).await.expect("opens");
    let mut news = other.news();
    // Once for its own connection, and once because the first node has heard of it.
    for _ in 0..2 {
        hear(&mut news, |news| (*news == News::LookAtAll).then_some(())).await;
    }
    assert_eq!(other.positions(&[id(1)]).await.expect("reads"), [(id(1), alone)]);
    let (at, _) = append(&store, 1, alone, &TestEditor::new().edit()).await;
    hear(&mut news, |news| matches!(news, News::Moved { at: heard, .. } if *heard == at).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_poll_while_notifications_are_not_delivered() {
    let place = PostgresPlace::new().await;
    // Notifications of another database are not delivered, as behind a pooler in transaction mode.
    let elsewhere = PostgresPlace::new().await;
    let deaf = PostgresOptions {
        listen: Some(elsewhere.url()),
        heartbeat: Duration::from_millis(50),
        silence: Duration::from_millis(200),
        poll: Duration::from_millis(20),
        ..PostgresOptions::default()
    };
    let engine = Postgres::open(&place.url(), deaf).await.expect("connects");
    let store = SqlStore::open(engine, options()).await.expect("opens");
    let mut news = store.news();
    for _ in 0..10 {
        hear(&mut news, |news| (*news == News::LookAtAll).then_some(())).await;
    }
    assert_eq!(store.news_mode(), NewsMode::Polling);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_pooler_needs_a_direct_connection_for_hints() {
    let place = PostgresPlace::new().await;
    let port = servers::pgbouncer();
    let pooled = async |listen| {
        let pooled = PostgresOptions { listen, ..PostgresOptions::default() };
        let engine = Postgres::open(&place.url_at(port), pooled).await.expect("connects");
        SqlStore::open(engine, options()).await.expect("opens")
    };
    let (store, deaf) = (pooled(Some(place.url())).await, pooled(None).await);
    notified(&store).await;
    let mut news = store.news();
    let (first, _) = append(&deaf, 1, Position::START, &TestEditor::new().edit()).await;
    hear(&mut news, |news| matches!(news, News::Moved { at, .. } if *at == first).then_some(())).await;
    let (second, _) = append(&store, 1, first, &TestEditor::new().edit()).await;
    sleep(Duration::from_secs(4)).await;
    assert_eq!((store.news_mode(), deaf.news_mode()), (NewsMode::Notified, NewsMode::Polling));
    hear(&mut deaf.news(), |news| (*news == News::LookAtAll).then_some(())).await;
    assert_eq!(deaf.positions(&[id(1)]).await.expect("reads"), [(id(1), second)]);
    deaf.change_access(&id(1), 0, b"{}".to_vec()).await.expect("stores");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_prepared_statements_do_no_harm() {
    let place = PostgresPlace::new().await;
    let port = servers::pgbouncer();
    let wrong = PostgresOptions { has_sessions: Some(true), ..PostgresOptions::default() };
    let engine = Postgres::open(&place.url_at(port), wrong).await.expect("connects");
    let store = SqlStore::open(engine, options()).await.expect("opens");
    let (mut at, _) = append(&store, 1, Position::START, &TestEditor::new().edit()).await;
    for _ in 0..3 {
        (at, _) = append(&store, 1, at, &TestEditor::new().edit()).await;
        // As if the pooler had moved the store to another session of the server.
        let other = postgres_client_at(&place.name, port).await;
        other.batch_execute("DEALLOCATE ALL").await.expect("runs");
    }
    assert_eq!(store.positions(&[id(1)]).await.expect("reads"), [(id(1), at)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_node_makes_the_others_look() {
    let place = PostgresPlace::new().await;
    let quick = PostgresOptions {
        heartbeat: Duration::from_millis(50),
        silence: Duration::from_secs(3),
        look: Duration::from_secs(3_600),
        ..PostgresOptions::default()
    };
    let engine = async || Postgres::open(&place.url(), quick.clone()).await.expect("connects");
    let store = SqlStore::open(engine().await, options()).await.expect("opens");
    let leaving = SqlStore::open(engine().await, options()).await.expect("opens");
    let dying = SqlStore::open(engine().await, options()).await.expect("opens");
    notified(&store).await;
    sleep(Duration::from_millis(500)).await;
    let mut news = store.news();
    leaving.shut_down().await;
    assert!(timeout(Duration::from_secs(4), news.next()).await.is_err(), "a node that leaves says so");
    drop(dying);
    hear(&mut news, |news| (*news == News::LookAtAll).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notifications_of_other_programs_are_ignored() {
    let place = PostgresPlace::new().await;
    let patient = PostgresOptions {
        silence: Duration::from_secs(60),
        look: Duration::from_secs(3_600),
        ..PostgresOptions::default()
    };
    let engine = Postgres::open(&place.url(), patient).await.expect("connects");
    let store = SqlStore::open(engine, options()).await.expect("opens");
    notified(&store).await;
    let mut news = store.news();
    let client = postgres_client(&place.name).await;
    let channel: String = store.storage_id()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    for payload in ["", "hello", "AQAAAAAAAAAABA"] {
        client
            .batch_execute(&format!("SELECT pg_notify('happierwork_{channel}', '{payload}')"))
            .await
            .expect("notifies");
    }
    assert!(timeout(Duration::from_millis(500), news.next()).await.is_err());
}
