//! Two servers on one database that dial the same other server.

use std::sync::Arc;
use std::time::Duration;

use happierwork::server::Options;
use store::sql::{DatabaseOptions, DatabaseUrl};
use tempfile::TempDir;

use super::support::TestServer;
use super::{add, connected, create, dial, server, until_positions};

#[tokio::test]
async fn servers_of_one_database_may_dial_the_same_server() {
    let other = server(|_| {}).await;
    let home = Arc::new(TempDir::new().unwrap());
    let adjust = |options: &mut Options| {
        let url = DatabaseUrl::Sqlite(home.path().join("plan.db"));
        options.database = Some(DatabaseOptions { url, listen: None, wait: Duration::from_secs(10) });
        options.peers = vec![dial(&other)];
    };
    let first = TestServer::start_in(Arc::clone(&home), adjust).await;
    let second = TestServer::start_in(Arc::clone(&home), adjust).await;
    connected(&first, &other).await;
    connected(&second, &other).await;
    let plan = create(&first).await;
    let servers = [&first, &second, &other];
    for server in servers {
        for document in [&plan, &first.document] {
            until_positions(server, document, &[]).await;
        }
    }
    let mut names = Vec::new();
    for (number, server) in (0..12).zip(servers.iter().cycle()) {
        names.push(number.to_string());
        add(server, &plan, &names[number]).await;
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for server in servers {
        until_positions(server, &plan, &names).await;
    }
    // Both use one database: changes that one has stored are not stored again.
    let stored = |server: &TestServer| server.metric("happierwork_changes_total");
    // The edits, and the creation of this plan and of a default document.
    let changes = 12.0 + 2.0;
    assert_eq!(stored(&first) + stored(&second), changes);
    assert_eq!(stored(&other), changes + 1.0, "with its own default document");
}

#[tokio::test]
async fn server_of_the_same_database_is_refused_as_a_peer() {
    let home = Arc::new(TempDir::new().unwrap());
    let database = |options: &mut Options| {
        let url = DatabaseUrl::Sqlite(home.path().join("plan.db"));
        options.database = Some(DatabaseOptions { url, listen: None, wait: Duration::from_secs(10) });
    };
    let first = TestServer::start_in(Arc::clone(&home), database).await;
    let second = TestServer::start_in(Arc::clone(&home), |options| {
        database(options);
        options.peers = vec![dial(&first)];
    })
    .await;
    first.until_metric("happierwork_connections{kind=\"repo\"}", |open| open == 1.0).await;
    first.until_metric("happierwork_connections{kind=\"repo\"}", |open| open == 0.0).await;
    assert_eq!(second.metric(&super::metric("connected", &first)), 0.0);
}
