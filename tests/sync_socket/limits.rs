//! Behaviour at each limit: only the client that exceeds it is told, and others are unaffected.

use std::sync::Arc;
use std::time::Duration;

use automerge::ROOT;
use automerge::transaction::Transactable;
use bytes::Bytes;
use happierwork::server::Limits;
use repo_protocol::{Ephemeral, Message};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::support::{PATIENCE, Socket, TestServer};
use crate::support::repo_peer::{PeerDocument, RepoPeer, new_id, receive};

async fn server(limits: Limits) -> TestServer {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    TestServer::start_in(folder, |options| options.limits = limits).await
}

fn refusals(server: &TestServer, reason: &str) -> f64 {
    server.metric(&format!("happierwork_refusals_total{{reason=\"{reason}\"}}"))
}

/// Reads an automerge-repo `error` and the close after it.
async fn refused(socket: &mut Socket, code: u16) -> String {
    let error = receive(socket).await;
    let Some(Message::Error { message, .. }) = error else { panic!("an error message, not {error:?}") };
    assert!(receive(socket).await.is_none());
    assert_eq!(socket.closed_with.as_ref().map(|close| close.code.into()), Some(code), "{message}");
    message
}

async fn code_and_reason(mut socket: Socket) -> (u16, String) {
    let close = socket.closed().await.expect("a close frame");
    (close.code.into(), close.reason.to_string())
}

/// The answer to a request on a new connection.
async fn answer(connection: TcpStream, path: &str) -> String {
    answer_to(connection, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
}

async fn posted(server: &TestServer, path: &str, json: &str) -> String {
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json");
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{json}", json.len());
    answer_to(server.tcp_from("127.0.0.1").await, &request).await
}

async fn answer_to(mut connection: TcpStream, request: &str) -> String {
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, connection.read_to_string(&mut answer)).await.expect("in time").unwrap();
    answer
}

#[tokio::test]
async fn full_server_rejects_connections_until_one_ends() {
    let server = server(Limits { connections: 2, ..Limits::default() }).await;
    let one = RepoPeer::join(&server, "one").await;
    let mut two = RepoPeer::join(&server, "two").await;

    let message = refused(&mut server.connect("/sync").await, 1013).await;
    assert!(message.contains("too many connections to this server; try again later"), "{message}");
    for path in ["/sync/default", "/"] {
        let (code, reason) = code_and_reason(server.connect(path).await).await;
        assert_eq!((code, reason.contains("try again later")), (1013, true), "{path}: {reason}");
    }
    let mut legacy = server.connect("/ws/dashboard/").await;
    assert!(legacy.json().await["error"].as_str().unwrap().contains("try again later"));
    assert_eq!(code_and_reason(legacy).await.0, 1013);
    let (status, headers, body) = server.http("GET", "/api/documents", &[]).await;
    assert_eq!((status, headers["retry-after"].to_str().unwrap()), (503, "5"), "{body}");
    assert_eq!(headers["content-type"], "application/problem+json");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.http("GET", path, &[]).await.0, 200, "{path}: a full server is healthy");
    }
    assert!(refusals(&server, "too_many_connections") >= 8.0);

    // Connected clients are unaffected.
    two.until_agreed(&mut PeerDocument::empty(&server.document)).await;
    one.socket.close().await;
    let newcomer = async {
        loop {
            let mut socket = server.connect("/sync").await;
            socket.try_send(crate::support::repo_peer::join("three", Default::default()).encode()).await;
            if matches!(receive(&mut socket).await, Some(Message::Peer { .. })) {
                return;
            }
        }
    };
    timeout(PATIENCE, newcomer).await.expect("let in");
}

#[tokio::test]
async fn connections_are_limited_per_address() {
    let server = server(Limits { connections_per_address: 1, ..Limits::default() }).await;
    let _first = server.connect_from("127.0.0.2", "/ws/dashboard/", &[]).await;
    let message = refused(&mut server.connect_from("127.0.0.2", "/sync", &[]).await, 1013).await;
    assert!(message.contains("from your address"), "{message}");
    let answered = answer(server.tcp_from("127.0.0.2").await, "/").await;
    assert!(answered.starts_with("HTTP/1.1 429 ") && answered.contains("retry-after: 5"), "{answered}");
    let mut other = server.connect_from("127.0.0.3", "/ws/dashboard/", &[]).await;
    assert_eq!(other.json().await["type"], "login_update");
    assert_eq!(refusals(&server, "too_many_from_address"), 2.0);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_distinguished() {
    let limits =
        Limits { connections_per_address: 1, trusted_proxies: vec!["127.0.0.2".parse().unwrap()], ..Limits::default() };
    let server = server(limits).await;
    let client = |address| [("x-forwarded-for", address)];
    let mut one = server.connect_from("127.0.0.2", "/ws/dashboard/", &client("192.0.2.1")).await;
    let mut two = server.connect_from("127.0.0.2", "/ws/dashboard/", &client("192.0.2.2")).await;
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.json().await["type"], "login_update");
    }
    let again = server.connect_from("127.0.0.2", "/sync/default", &client("8.8.8.8, 192.0.2.1")).await;
    assert_eq!(code_and_reason(again).await.0, 1013);
    // Forwarded addresses of other clients are ignored.
    let _first = server.connect_from("127.0.0.3", "/sync", &client("192.0.2.3")).await;
    let second = server.connect_from("127.0.0.3", "/sync/default", &client("192.0.2.4")).await;
    assert_eq!(code_and_reason(second).await.0, 1013);
}

#[tokio::test]
async fn rejected_idle_client_is_closed() {
    // One connection, and eight rejected ones that may wait for the error at a time.
    let server = server(Limits { connections: 1, ..Limits::default() }).await;
    let mut inside = RepoPeer::join(&server, "inside").await;
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(server.tcp_from("127.0.0.2").await);
    }
    assert_eq!(code_and_reason(server.connect("/sync/default").await).await.0, 1013);
    inside.until_agreed(&mut PeerDocument::empty(&server.document)).await;
}

#[tokio::test]
async fn socket_that_never_joins_is_closed() {
    let server = server(Limits { handshake: Duration::from_millis(100), ..Limits::default() }).await;
    let mut quiet = RepoPeer::join(&server, "quiet").await;
    let mut silent = server.connect("/sync").await;
    let message = refused(&mut silent, 1008).await;
    assert!(message.contains("no join message within 0.1 s"), "{message}");
    assert_eq!(refusals(&server, "handshake"), 1.0);
    quiet.until_agreed(&mut PeerDocument::empty(&server.document)).await;
}

#[tokio::test]
async fn incomplete_request_times_out() {
    let server = server(Limits { handshake: Duration::from_millis(100), ..Limits::default() }).await;
    for beginning in ["", "GET /data/ HTTP/1.1\r\nhost: loc"] {
        let mut connection = server.tcp_from("127.0.0.1").await;
        connection.write_all(beginning.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        timeout(PATIENCE, connection.read_to_end(&mut rest)).await.expect("the end").unwrap();
    }
}

#[tokio::test]
async fn fast_sender_is_throttled_and_loses_nothing() {
    // So few that even a busy machine exceeds it.
    let server = server(Limits { messages_per_second: 5, ..Limits::default() }).await;
    let mut peer = RepoPeer::join(&server, "fast").await;
    let mut replica = PeerDocument::empty(&server.document);
    peer.until_agreed(&mut replica).await;
    let mut edits = 0_i64;
    while refusals(&server, "slowed") < 3.0 {
        edits += 1;
        replica.doc.put(ROOT, "edits", edits).unwrap();
        peer.until_agreed(&mut replica).await;
    }
    assert_eq!(server.metric("happierwork_connections{kind=\"repo\"}"), 1.0);
    let mut other = RepoPeer::join(&server, "other").await;
    let mut copy = PeerDocument::empty(&server.document);
    other.until_agreed(&mut copy).await;
    assert_eq!(copy.doc.get_heads(), replica.doc.get_heads());
}

#[tokio::test]
async fn bytes_are_rate_limited_like_messages() {
    let server = server(Limits { bytes_per_second: 10_000, ..Limits::default() }).await;
    let mut peer = RepoPeer::join(&server, "large").await;
    let mut replica = PeerDocument::empty(&server.document);
    let noise: Vec<u8> = (0..1 << 17).map(|_| rand::random()).collect();
    replica.doc.put(ROOT, "noise", automerge::ScalarValue::Bytes(noise)).unwrap();
    peer.until_agreed(&mut replica).await;
    assert!(refusals(&server, "slowed") > 0.0);
}

#[tokio::test]
async fn documents_per_connection_are_limited() {
    let server = server(Limits { documents_per_connection: 2, ..Limits::default() }).await;
    let mut peer = RepoPeer::join(&server, "greedy").await;
    let mut kept = PeerDocument::empty(&new_id());
    for replica in [&mut PeerDocument::empty(&new_id()), &mut kept] {
        replica.doc.put(ROOT, "name", "one of two").unwrap();
        peer.until_agreed(replica).await;
    }
    // One more is refused, with the reason. The others continue: the client would only return with the same documents.
    peer.push(&mut PeerDocument::empty(&server.document)).await;
    match peer.next().await {
        Some(Message::DocUnavailable { document, message: Some(message), .. }) => {
            assert_eq!(
                (document, message.contains("at most 2 documents")),
                (server.document.clone(), true),
                "{message}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(refusals(&server, "too_many_documents"), 1.0);
    kept.doc.put(ROOT, "name", "still synced").unwrap();
    peer.until_agreed(&mut kept).await;
}

#[tokio::test]
async fn ephemeral_messages_over_the_limit_are_dropped() {
    let server = server(Limits { ephemeral_bytes: 100, ephemerals_per_second: 1, ..Limits::default() }).await;
    let mut sender = RepoPeer::join(&server, "sender").await;
    let mut listener = RepoPeer::join(&server, "listener").await;
    let (mut replica, mut copy) = (PeerDocument::empty(&server.document), PeerDocument::empty(&server.document));
    sender.until_agreed(&mut replica).await;
    listener.until_agreed(&mut copy).await;
    let ephemeral = |count, size| {
        Message::Ephemeral(Ephemeral {
            sender: sender.id.clone(),
            target: sender.server.clone(),
            count,
            session: "session".to_owned(),
            document: server.document.clone(),
            data: Bytes::from(vec![0x20; size]),
        })
    };
    let messages: Vec<Message> = std::iter::once(ephemeral(1, 101)).chain((2..40).map(|n| ephemeral(n, 100))).collect();
    for message in &messages {
        sender.send(message).await;
    }
    let Some(Message::Ephemeral(heard)) = listener.next().await else { panic!("an ephemeral message") };
    assert_eq!((heard.count, heard.data.len()), (2, 100), "the first message was too large");
    server.until_metric("happierwork_refusals_total{reason=\"ephemeral\"}", |dropped| dropped > 1.0).await;
    replica.doc.put(ROOT, "edited", true).unwrap();
    sender.until_agreed(&mut replica).await;
}

#[tokio::test]
async fn full_document_is_read_only() {
    for limits in [
        Limits { document_changes: 3, ..Limits::default() },
        Limits { document_bytes: 2_000, ..Limits::default() },
        // A new plan has 44 operations.
        Limits { document_operations: 47, ..Limits::default() },
    ] {
        let server = server(limits).await;
        let mut writer = RepoPeer::join(&server, "writer").await;
        let mut replica = PeerDocument::empty(&server.document);
        writer.until_agreed(&mut replica).await;
        let mut edits = 0_i64;
        let message = loop {
            let heads = replica.doc.get_heads();
            edits += 1;
            replica.doc.put(ROOT, "noise", rand::random::<[u8; 500]>().to_vec()).unwrap();
            writer.push(&mut replica).await;
            match writer.next().await {
                Some(Message::Sync { data, .. }) => drop(replica.receive(&data)),
                Some(Message::Error { document, message, .. }) => {
                    assert_eq!(document.as_ref(), Some(&server.document));
                    replica.doc = replica.doc.fork_at(&heads).unwrap();
                    break message;
                }
                other => panic!("{other:?}"),
            }
        };
        assert!((2..=6).contains(&edits), "{edits} edits");
        assert!(message.contains("ask the operator of the server for a higher limit"), "{message}");
        assert_eq!(refusals(&server, "document_full"), 1.0);
        let mut elsewhere = PeerDocument::empty(&server.document);
        // The connection continues: the content can be read over the same socket.
        writer.send(&writer.sync(&server.document, elsewhere.generate().unwrap())).await;
        elsewhere.receive(&writer.next_sync(&server.document).await);

        let mut reader = RepoPeer::join(&server, "reader").await;
        let mut copy = PeerDocument::empty(&server.document);
        reader.until_agreed(&mut copy).await;
        assert_eq!(copy.doc.get_heads(), replica.doc.get_heads(), "the content is unchanged");
    }
}

#[tokio::test]
async fn edit_of_a_full_document_is_rejected_with_a_reason() {
    let server = server(Limits { document_changes: 1, ..Limits::default() }).await;
    let path = "/api/documents/default/positions";
    let answer = posted(&server, path, r#"{"designation":"UI","department":"HR","budget":1,"location":"Pune"}"#).await;
    assert!(answer.starts_with("HTTP/1.1 507 ") && answer.contains("\"type\":\"document-full\""), "{answer}");
}

#[tokio::test]
async fn oversized_request_head_is_rejected() {
    let server = TestServer::start().await;
    let cookie = |size| [("cookie", "c".repeat(size))];
    let (status, headers, body) = server.http("GET", &format!("/data/?{}", "q".repeat(8 << 10)), &[]).await;
    assert_eq!((status, body.contains("8192 bytes")), (414, true), "{body}");
    assert_eq!(headers["content-type"], "application/problem+json");
    for (size, status) in [(15 << 10, 200), (20 << 10, 431), (40 << 10, 431)] {
        let cookie = cookie(size);
        let headers: Vec<(&str, &str)> = cookie.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(server.http("GET", "/healthz", &headers).await.0, status, "{size}");
    }
    assert_eq!(refusals(&server, "large_request"), 2.0);
}

#[tokio::test]
async fn unread_answer_closes_its_connection() {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    let server = TestServer::start_in(folder, |options| options.timeouts.stall = Duration::from_millis(200)).await;
    let positions = (0..100).map(|n| {
        plan::NewPosition::new(format!("{n}"), "d".repeat(1_000))
            .with(plan::fields::DEPARTMENT, "HR")
            .with(plan::fields::BUDGET, plan::Budget::Int(1))
            .with(plan::fields::LOCATION, "l".repeat(1_000))
    });
    server.edit(plan::Edit::AddAll(positions.collect())).await;
    let tcp = tokio::net::TcpSocket::new_v4().unwrap();
    tcp.set_recv_buffer_size(4 << 10).unwrap();
    let mut reluctant = tcp.connect(server.address).await.unwrap();
    // Together some megabytes, which exceed the system's buffers.
    let requests = "GET /data/ HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(100);
    reluctant.write_all(requests.as_bytes()).await.unwrap();
    server.until_metric("happierwork_refusals_total{reason=\"stalled\"}", |stalled| stalled > 0.0).await;
}

/// A socket on which part of a larger message has arrived.
pub async fn part_of_a_message(server: &TestServer, bytes: usize) -> TcpStream {
    let mut connection = server.tcp_from("127.0.0.1").await;
    let request = "GET /sync HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                   sec-websocket-version: 13\r\nsec-websocket-key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    // A binary frame, the last of its message, with a zero mask, of eight megabytes.
    connection.write_all(&[0x82, 0xff, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0]).await.unwrap();
    connection.write_all(&vec![0; bytes]).await.unwrap();
    connection
}

#[tokio::test]
async fn large_messages_share_memory_and_small_ones_pass() {
    let server = server(Limits { message_memory: 4 << 20, ..Limits::default() }).await;
    let mut small = RepoPeer::join(&server, "small").await;
    let mut replica = PeerDocument::empty(&server.document);
    small.until_agreed(&mut replica).await;
    let hoarder = part_of_a_message(&server, 3_800_000).await;
    server.until_held(3_500_000).await;

    let mut large = RepoPeer::join(&server, "large").await;
    let mut other = PeerDocument::empty(&server.document);
    large.until_agreed(&mut other).await;
    let noise: Vec<u8> = (0..1 << 20).map(|_| rand::random()).collect();
    other.doc.put(ROOT, "noise", automerge::ScalarValue::Bytes(noise)).unwrap();
    large.push(&mut other).await;
    // The memory belongs to the connection: the message has not reached any document yet.
    let message = refused(&mut large.socket, 1013).await;
    assert!(message.contains("no memory for a message of this size"), "{message}");
    assert_eq!(refusals(&server, "memory"), 1.0);
    replica.doc.put(ROOT, "name", "a small change").unwrap();
    small.until_agreed(&mut replica).await;

    // A copy for a client that does not read would count until it does.
    drop((hoarder, small));
    server.until_held(0).await;
    let mut again = RepoPeer::join(&server, "again").await;
    other.state = automerge::sync::State::new();
    again.until_agreed(&mut other).await;
    // Handled messages hold no memory.
    server.until_held(0).await;
}

#[tokio::test]
async fn listed_hashes_are_charged_to_the_memory_budget() {
    let server = server(Limits { message_memory: 800_000, ..Limits::default() }).await;
    let mut replica = PeerDocument::empty(&server.document);
    let mut one = RepoPeer::join(&server, "one").await;
    one.until_agreed(&mut replica).await;
    let heads = replica.doc.get_heads();
    let says = |need: usize| {
        let message = automerge::sync::Message {
            heads: heads.clone(),
            need: vec![automerge::ChangeHash([7; 32]); need],
            have: Vec::new(),
            changes: automerge::sync::ChunkList::empty(),
            flags: None,
            version: automerge::sync::MessageVersion::V1,
        };
        Bytes::from(message.encode())
    };
    one.send(&one.sync(&replica.id, says(10_000))).await;
    server.until_held(320_000).await;

    let mut other = RepoPeer::join(&server, "other").await;
    other.send(&other.sync(&replica.id, says(10_000))).await;
    let message = other.until_refused(&replica.id).await;
    assert!(message.contains("no memory for a message of this size"), "{message}");
    one.send(&one.sync(&replica.id, says(1))).await;
    server.until_held(0).await;
}
