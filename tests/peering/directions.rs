//! Edits in both directions, also after one side was unavailable.

use std::sync::Arc;
use std::time::Duration;

use super::support::TestServer;
use super::{add, connected, create, dial, dialler, metric, server, until_positions};

#[tokio::test]
async fn edits_flow_in_both_directions() {
    let other = server(|_| {}).await;
    let ours = dialler(&[&other]).await;
    let plan = create(&ours).await;
    until_positions(&other, &plan, &[]).await;
    add(&other, &plan, "theirs").await;
    until_positions(&ours, &plan, &["theirs"]).await;
    add(&ours, &plan, "ours").await;
    until_positions(&other, &plan, &["ours", "theirs"]).await;
    // The plan, and the default document.
    ours.until_metric(&metric("documents", &other), |documents| documents == 2.0).await;
    assert_eq!(ours.metric("happierwork_connections{kind=\"peering\"}"), 1.0);
    assert_eq!(ours.http("GET", "/readyz", &[]).await.0, 200);
}

#[tokio::test]
async fn stored_documents_are_sent_to_a_new_peer() {
    let first = server(|_| {}).await;
    let plan = create(&first).await;
    add(&first, &plan, "old").await;
    let folder = Arc::clone(&first.folder);
    assert!(first.stop().await);
    let other = server(|_| {}).await;
    let ours = TestServer::start_in(folder, |options| options.peers = vec![dial(&other)]).await;
    until_positions(&other, &plan, &["old"]).await;
    until_positions(&other, &ours.document, &[]).await;
}

#[tokio::test]
async fn many_documents_are_sent_to_a_new_peer() {
    let (first, count) = (server(|_| {}).await, 200);
    let mut plans = Vec::new();
    for _ in 0..count {
        plans.push(create(&first).await);
    }
    let folder = Arc::clone(&first.folder);
    assert!(first.stop().await);
    let other = server(|_| {}).await;
    let ours = TestServer::start_in(folder, |options| options.peers = vec![dial(&other)]).await;
    for plan in &plans {
        until_positions(&other, plan, &[]).await;
    }
    ours.until_metric(&metric("documents", &other), |documents| documents == f64::from(count) + 1.0).await;
}

#[tokio::test]
async fn edits_made_while_the_other_server_was_away_are_exchanged() {
    let other = server(|_| {}).await;
    let ours = dialler(&[&other]).await;
    let plan = create(&ours).await;
    until_positions(&other, &plan, &[]).await;
    let (folder, address) = (Arc::clone(&other.folder), other.address);
    assert!(other.stop().await);
    add(&ours, &plan, "while away").await;
    // The other server is edited before the peering reconnects.
    let alone = TestServer::start_in(Arc::clone(&folder), |_| {}).await;
    add(&alone, &plan, "elsewhere").await;
    assert!(alone.stop().await);
    let other = TestServer::start_in(folder, |options| options.listen = vec![address]).await;
    until_positions(&other, &plan, &["elsewhere", "while away"]).await;
    until_positions(&ours, &plan, &["elsewhere", "while away"]).await;
    assert!(ours.metric(&metric("reconnects_total", &other)) >= 1.0);
}

#[tokio::test]
async fn edits_made_while_the_dialling_server_was_away_are_exchanged() {
    let other = server(|_| {}).await;
    let ours = dialler(&[&other]).await;
    let plan = create(&ours).await;
    until_positions(&other, &plan, &[]).await;
    let folder = Arc::clone(&ours.folder);
    assert!(ours.stop().await);
    add(&other, &plan, "while away").await;
    let ours = TestServer::start_in(folder, |options| options.peers = vec![dial(&other)]).await;
    until_positions(&ours, &plan, &["while away"]).await;
}

#[tokio::test]
async fn documents_are_unloaded_and_still_followed() {
    let other = server(|_| {}).await;
    let ours = server(|options| {
        options.peers = vec![dial(&other)];
        options.idle_after = Duration::from_secs(1);
    })
    .await;
    connected(&ours, &other).await;
    let plan = create(&ours).await;
    until_positions(&other, &plan, &[]).await;
    ours.until_metric("happierwork_documents_open", |open| open == 0.0).await;
    assert_eq!(other.metric("happierwork_documents_open"), 3.0, "for that server the peering is a client");
    add(&other, &plan, "theirs").await;
    until_positions(&ours, &plan, &["theirs"]).await;
    ours.until_metric("happierwork_documents_open", |open| open == 0.0).await;
    add(&ours, &plan, "ours").await;
    until_positions(&other, &plan, &["ours", "theirs"]).await;
}
