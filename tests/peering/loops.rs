//! Servers that dial each other, directly or in a ring: no change is stored twice, and the messages end.

use std::net::{Ipv4Addr, SocketAddr};

use automerge::AutoCommit;
use bytes::Bytes;
use happierwork::server::PeerOptions;
use primitives::DocumentId;
use repo_protocol::{Ephemeral, Message, presence};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::support::{TestServer, wrapped};
use super::{add, connected, create, server, until_positions};
use crate::support::ports::free_port;
use crate::support::repo_peer::{PeerDocument, RepoPeer};

/// Servers of which each dials the next. Two of them dial each other.
async fn ring<const N: usize>() -> [TestServer; N] {
    let addresses: [SocketAddr; N] = std::array::from_fn(|_| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())));
    let mut servers = Vec::new();
    for index in 0..N {
        let next = PeerOptions::new(format!("ws://{}/sync", addresses[(index + 1) % N]));
        servers.push(
            server(|options| {
                options.listen = vec![addresses[index]];
                options.peers = vec![next];
            })
            .await,
        );
    }
    for index in 0..N {
        connected(&servers[index], &servers[(index + 1) % N]).await;
    }
    servers.try_into().unwrap_or_else(|_| unreachable!("as many as addresses"))
}

fn sum(servers: &[TestServer], metric: &str) -> f64 {
    servers.iter().map(|server| server.metric(metric)).sum()
}

/// Edits a plan at all servers in turn. Returns the messages and the stored changes of all servers together.
async fn edit_in_turn(servers: &[TestServer], plan: &DocumentId, edits: usize) -> (f64, f64) {
    let counts = || (sum(servers, "happierwork_deliveries_total"), sum(servers, "happierwork_changes_total"));
    let before = counts();
    let names: Vec<String> = (0..edits).map(|number| number.to_string()).collect();
    for number in 0..edits {
        add(&servers[number % servers.len()], plan, &names[number]).await;
        let so_far: Vec<&str> = names[..=number].iter().map(String::as_str).collect();
        for server in servers {
            until_positions(server, plan, &so_far).await;
        }
    }
    let after = counts();
    (after.0 - before.0, after.1 - before.1)
}

async fn assert_no_storm<const N: usize>() {
    let servers = ring::<N>().await;
    let plan = create(&servers[0]).await;
    // The default documents arrive, too.
    for server in &servers {
        for document in servers.iter().map(|server| &server.document).chain([&plan]) {
            until_positions(server, document, &[]).await;
        }
    }
    let edits = 30;
    let (messages, changes) = edit_in_turn(&servers, &plan, edits).await;
    let (edits, links) = (f64::from(u32::try_from(edits).unwrap()), f64::from(u32::try_from(N).unwrap()));
    assert_eq!(changes, edits * links, "each server stores each change once");
    // Usually two for each link: the change and its acknowledgement, or the change in both directions.
    assert!(messages <= edits * links * 4.0, "{messages} messages for {edits} edits");
}

#[tokio::test]
async fn two_servers_that_dial_each_other_cause_no_storm() {
    assert_no_storm::<2>().await;
}

#[tokio::test]
async fn ring_of_three_servers_causes_no_storm() {
    assert_no_storm::<3>().await;
}

#[tokio::test]
async fn server_that_dials_itself_is_refused() {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let itself = server(|options| {
        options.listen = vec![address];
        options.peers = vec![PeerOptions::new(format!("ws://{address}/sync"))];
    })
    .await;
    itself.until_metric("happierwork_refusals_total{reason=\"handshake\"}", |refusals| refusals >= 1.0).await;
    itself.until_metric("happierwork_connections{kind=\"repo\"}", |open| open == 0.0).await;
    assert_eq!(itself.metric(&format!("happierwork_peering_documents{{peer=\"{address}\"}}")), 0.0);
}

/// A client with a copy of a plan.
async fn client(server: &TestServer, name: &str, plan: &DocumentId) -> RepoPeer {
    let mut client = RepoPeer::join(server, name).await;
    let mut copy = PeerDocument { doc: AutoCommit::new(), ..PeerDocument::empty(plan) };
    let data = copy.generate().unwrap();
    let request = client.request(plan, data);
    client.send(&request).await;
    client.turn(&mut copy).await;
    client
}

fn ephemeral(from: &RepoPeer, plan: &DocumentId, count: u64) -> Frame {
    let (sender, target, session) = (from.id.clone(), from.server.clone(), "a session".to_owned());
    let data = Bytes::from(format!("cursor {count}"));
    Frame::binary(
        Message::Ephemeral(Ephemeral { sender, target, count, session, document: plan.clone(), data }).encode(),
    )
}

/// The counts of the next ephemeral messages, with their senders.
async fn next_ephemerals(client: &mut RepoPeer, count: usize) -> Vec<(String, u64)> {
    let mut received = Vec::new();
    while received.len() < count {
        match client.next().await.expect("stays connected") {
            Message::Ephemeral(message) => received.push((message.sender.to_string(), message.count)),
            Message::Sync { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    received
}

#[tokio::test]
async fn ephemeral_messages_arrive_once_under_their_sender() {
    let servers = ring::<2>().await;
    let plan = create(&servers[0]).await;
    until_positions(&servers[1], &plan, &[]).await;
    let mut ceo = client(&servers[0], "ceo", &plan).await;
    let mut cfo = client(&servers[1], "cfo", &plan).await;
    for count in 1..=3 {
        ceo.socket.send(ephemeral(&ceo, &plan, count)).await;
    }
    assert_eq!(next_ephemerals(&mut cfo, 3).await, [1, 2, 3].map(|count| ("ceo".to_owned(), count)));
    // The first client receives only the other client's message.
    cfo.socket.send(ephemeral(&cfo, &plan, 1)).await;
    assert_eq!(next_ephemerals(&mut ceo, 1).await, [("cfo".to_owned(), 1)]);
}

#[tokio::test]
async fn legacy_presence_reaches_clients_of_a_peer_once() {
    let servers = ring::<2>().await;
    let plan = servers[0].document.clone();
    until_positions(&servers[1], &plan, &[]).await;
    let mut near = client(&servers[0], "near", &plan).await;
    let mut far = client(&servers[1], "far", &plan).await;
    let mut legacy = servers[0].legacy().await;
    let people = |name: &str| Bytes::from(presence::snapshot([name].into_iter()));
    let (server, mut counts) = (near.server.to_string(), Vec::new());
    for name in ["CFO", "CEO"] {
        legacy.send(wrapped(&json!(["login", name]))).await;
        for client in [&mut near, &mut far] {
            loop {
                match client.next().await.expect("stays connected") {
                    Message::Ephemeral(message) => {
                        assert_eq!(message.sender.to_string(), server);
                        counts.push(message.count);
                        assert_eq!(message.data, people(name));
                        break;
                    }
                    Message::Sync { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        }
    }
    // Each client got each message once: a repeated one would have come before the second name.
    assert_eq!((counts[0], counts[2]), (counts[1], counts[3]));
    assert!(counts[0] < counts[2]);
}
