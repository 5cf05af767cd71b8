//! Append throughput of the SQL store on PostgreSQL and MariaDB servers that this program starts, and on SQLite.

#![allow(clippy::print_stdout, reason = "a measurement")]
#![allow(async_fn_in_trait, reason = "helpers of the tests")]

#[allow(dead_code, reason = "the tests need the rest of it")]
#[path = "../../tests/sql/concurrency.rs"]
mod concurrency;
#[allow(dead_code, reason = "the tests need the rest of it")]
#[path = "../../tests/sql/documents.rs"]
mod documents;
#[allow(dead_code, reason = "the tests need the rest of it")]
#[path = "../../tests/sql/place.rs"]
mod place;
#[path = "../../../../tests/support/ports.rs"]
mod ports;
#[allow(dead_code, reason = "the tests need the rest of it")]
#[path = "../../tests/sql/servers.rs"]
mod servers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use store::conformance::{TestEditor, id};
use store::sql::{Engine, NewsMode, SqlStore};
use store::{News, Position};

use crate::concurrency::Replica;
use crate::documents::append;
use crate::place::{MySqlPlace, Place, PostgresPlace, SqlitePlace};

const TIME: Duration = Duration::from_secs(5);

/// Appends to this number of documents at once for some seconds.
async fn append_to<E: Engine>(store: &Arc<SqlStore<E>>, count: u8) -> String {
    let started = Instant::now();
    let mut tasks = Vec::new();
    for document in 0..count {
        let store = Arc::clone(store);
        tasks.push(tokio::spawn(async move {
            let (mut author, mut at, mut times) = (TestEditor::new(), Position::START, Vec::new());
            while started.elapsed() < TIME {
                let chunk = author.edit();
                let before = Instant::now();
                (at, _) = append(&store, document, at, &chunk).await;
                times.push(before.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("appends"));
    }
    times.sort();
    let rate = times.len() as f64 / started.elapsed().as_secs_f64();
    format!("{rate:.0}/s (p50 {:.1?}, p99 {:.1?})", times[times.len() / 2], times[times.len() * 99 / 100])
}

async fn rates<P: Place>(name: &str) {
    for count in [1, 8, 32] {
        let place = P::new().await;
        let store = Arc::new(place.open().await);
        println!("{name}: {count} documents at once: {}", append_to(&store, count).await);
    }
    let place = P::new().await;
    let mut tasks = Vec::new();
    let started = Instant::now();
    for writer in 0..4 {
        let mut replica = Replica::new(Arc::new(place.open().await));
        tasks.push(tokio::spawn(async move {
            let mut edits = 0;
            while started.elapsed() < TIME {
                replica.edit(format!("{writer} {edits}")).await;
                edits += 1;
            }
            (edits, replica.behind)
        }));
    }
    let (mut edits, mut behind) = (0, 0);
    for task in tasks {
        let (own, own_behind) = task.await.expect("edits");
        (edits, behind) = (edits + own, behind + own_behind);
    }
    let rate = f64::from(edits) / started.elapsed().as_secs_f64();
    let tries = 1.0 + behind as f64 / f64::from(edits);
    println!("{name}: 4 nodes on one document: {rate:.0}/s, {tries:.2} tries for each");
}

/// Time from the answer to an append until another node has been notified.
async fn hints() {
    let place = PostgresPlace::new().await;
    let (store, other) = (place.open().await, place.open().await);
    let (mut news, mut author, mut at) = (other.news(), TestEditor::new(), Position::START);
    while other.news_mode() != NewsMode::Notified {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (mut appends, mut hints) = (Vec::new(), Vec::new());
    for _ in 0..500 {
        let (chunk, before) = (author.edit(), Instant::now());
        (at, _) = append(&store, 1, at, &chunk).await;
        let stored = Instant::now();
        appends.push(stored - before);
        loop {
            match news.next().await.expect("news") {
                News::Moved { id: document, at: heard, .. } if document == id(1) && heard == at => break,
                _ => {}
            }
        }
        hints.push(stored.elapsed());
    }
    for (times, name) in [(&mut appends, "append"), (&mut hints, "from the answer to the hint at another node")] {
        times.sort();
        println!("PostgreSQL: {name}: p50 {:.2?}, p99 {:.2?}", times[250], times[495]);
    }
}

#[tokio::main]
async fn main() {
    rates::<PostgresPlace>("PostgreSQL").await;
    hints().await;
    rates::<MySqlPlace>("MariaDB").await;
    rates::<SqlitePlace>("SQLite").await;
}
