//! Followers of the change feed, of a server that is killed again and again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use automerge::{AutoCommit, ChangeHash};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::number;
use super::support::process::{Running, folder, serve};
use super::support::{FeedStream, http_to, post_to};
use super::writers::Writers;

const CHANGES: &str = "/api/documents/default/changes";
const FOLLOWERS: u32 = 8;
/// Name of the last position.
const LAST: &str = "the last one";

fn changes(state: &Path) -> Vec<ChangeHash> {
    let mut document = AutoCommit::load(&std::fs::read(state).unwrap()).unwrap();
    document.get_changes(&[]).iter().map(automerge::Change::hash).collect()
}

/// Follows the changes after `since` at the server that lives, up to the last position. Returns them.
async fn follow(mut server: watch::Receiver<Option<SocketAddr>>, since: String) -> Vec<ChangeHash> {
    let (path, mut last, mut read) = (format!("{CHANGES}?since={since}"), None, Vec::new());
    loop {
        let address = server.wait_for(Option::is_some).await.unwrap().unwrap();
        // A browser repeats the URL of its first request.
        let headers: Vec<(&str, &str)> = last.as_deref().map(|last| ("last-event-id", last)).into_iter().collect();
        let Some(mut feed) = FeedStream::open_while_it_lives(address, &path, &headers).await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        while let Some(event) = feed.next().await {
            if event.name == "ready" {
                continue;
            }
            let hash = event.hash();
            last = Some(event.id().to_owned());
            read.push(hash.parse().unwrap());
            let is_last = |row: &Value| row["position"] == LAST;
            if event.data["change"]["added"].as_array().unwrap().iter().any(is_last) {
                return read;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn followers_of_a_killed_server_miss_and_repeat_nothing() {
    let mut rng = StdRng::seed_from_u64(number("SEED", 1).into());
    let place = folder();
    let state = place.path().join("state.automerge");
    let (mut server, mut address) = Running::server(serve(&state, &[]));
    let (_, _, page) = http_to(address, "GET", CHANGES, &[], String::new()).await;
    let start = serde_json::from_str::<Value>(&page).unwrap()["next"].as_str().unwrap().to_owned();
    let before: BTreeSet<ChangeHash> = changes(&state).into_iter().collect();
    let (lives, living) = watch::channel(Some(address));
    let mut followers = JoinSet::new();
    for _ in 0..FOLLOWERS {
        followers.spawn(follow(living.clone(), start.clone()));
    }
    for round in 0..number("ROUNDS", 6) {
        let writers = Writers::start(address, round).await;
        sleep(Duration::from_millis(rng.random_range(50..500))).await;
        lives.send_replace(None);
        server.signal("KILL");
        drop(server);
        writers.stop().await;
        (server, address) = Running::server(serve(&state, &[]));
        lives.send_replace(Some(address));
    }
    let row = json!({ "id": LAST, "designation": "UI" });
    assert_eq!(post_to(address, "/api/documents/default/positions", &row).await.0, 201);
    let read = followers.join_all().await;
    drop(server);
    let stored: BTreeSet<ChangeHash> = changes(&state).into_iter().filter(|hash| !before.contains(hash)).collect();
    assert!(stored.len() > 50, "{} changes", stored.len());
    for read in read {
        let seen: BTreeSet<ChangeHash> = read.iter().copied().collect();
        assert_eq!(seen.len(), read.len(), "none is repeated");
        assert_eq!(seen, stored, "none is missed");
    }
}
