//! A database that comes back without its synchronous standby.

use std::net::SocketAddr;

use serde_json::json;
use tokio::time::sleep;

use super::clients::request;
use super::servers::{Cluster, Databases};
use super::{LOOK, TURN};

async fn add(address: SocketAddr, id: &str) -> Option<u16> {
    let row = json!({ "id": id, "designation": id, "department": "HR", "budget": 7, "location": "Pune" });
    Some(request(address, "POST", "/api/documents/default/positions", row.to_string()).await?.0)
}

async fn has(address: SocketAddr, id: &str) -> bool {
    let path = format!("/api/documents/default/positions/{id}");
    request(address, "GET", &path, String::new()).await.is_some_and(|(status, _)| status == 200)
}

/// After a crash, PostgreSQL shows commits that were waiting for the standby. A failover would lose them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn row_that_no_standby_has_is_not_acknowledged_or_shown() {
    let _turn = TURN.lock().await;
    let databases = Databases::start();
    let cluster = Cluster::start(&databases, "plan", &[]).await;
    let addresses = cluster.addresses.lock().clone();
    assert_eq!(add(addresses[0], "replicated").await, Some(201));
    let [primary, standby] = &databases.pair;
    standby.stop_immediately();
    let waiting = tokio::spawn(add(addresses[0], "waiting"));
    while primary.query("postgres", "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == "0" {
        sleep(LOOK).await;
    }
    primary.kill();
    primary.start();
    let answer = waiting.await.unwrap();
    // 500: the server got no answer to the commit, so the row may be stored. 503 would promise that it is not.
    assert_eq!(answer, Some(500), "a row without a standby copy is acknowledged");
    assert_eq!(primary.query("plan", "SELECT count(*) FROM batch"), "3", "the row is in the primary database");
    for address in &addresses {
        assert!(!has(*address, "waiting").await, "a row without a standby copy is shown");
    }
    // The standby makes it safe.
    standby.start();
    for address in &addresses {
        while !has(*address, "waiting").await {
            sleep(LOOK).await;
        }
    }
    assert_eq!(add(addresses[1], "later").await, Some(201));
    cluster.stop();
}
