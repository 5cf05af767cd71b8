//! Slow connections: one that makes progress is kept, however slow; one that stalls is closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use automerge::transaction::Transactable;
use automerge::{ROOT, ScalarValue};
use client::{Replica as Client, ReplicaOptions, Status};
use happierwork::server::{Limits, SocketTimeouts};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::MaybeTlsStream;

use super::support::{PATIENCE, Socket, TestServer};
use crate::support::repo_peer::{PeerDocument, RepoPeer};

const STALLED: &str = "happierwork_refusals_total{reason=\"stalled\"}";
/// Bytes that a slow line carries every [`TICK`]: some 800 kB/s at most.
const CHUNK: usize = 16 << 10;
const TICK: Duration = Duration::from_millis(20);
/// Enough to take several times longer than the server's stall timeout.
const LARGE: usize = 4 << 20;

/// A server with a stall timeout of one second.
async fn impatient() -> TestServer {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    TestServer::start_in(folder, |options| {
        let (ping, stall) = (Duration::from_millis(300), Duration::from_secs(1));
        options.timeouts = SocketTimeouts { ping, stall, message: stall, ..SocketTimeouts::default() };
    })
    .await
}

/// A slow proxy to the server, in both directions, with small buffers.
async fn slow_line(to: SocketAddr) -> SocketAddr {
    let listener = TcpSocket::new_v4().unwrap();
    listener.set_recv_buffer_size(16 << 10).unwrap();
    listener.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener: TcpListener = listener.listen(8).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpSocket::new_v4().unwrap();
            far.set_recv_buffer_size(16 << 10).unwrap();
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.connect(to).await.unwrap().into_split();
            tokio::spawn(trickle(near_read, far_write));
            tokio::spawn(trickle(far_read, near_write));
        }
    });
    address
}

async fn trickle(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        sleep(TICK).await;
    }
}

async fn join_over(line: SocketAddr, name: &str) -> RepoPeer {
    let tcp = TcpStream::connect(line).await.unwrap();
    let stream = tokio_tungstenite::client_async("ws://localhost/sync", MaybeTlsStream::Plain(tcp));
    let (stream, _) = timeout(PATIENCE, stream).await.expect("in time").unwrap();
    RepoPeer::join_over(Socket::new(stream), name, Default::default()).await
}

fn noise() -> ScalarValue {
    ScalarValue::Bytes((0..LARGE).map(|_| rand::random()).collect())
}

/// A server with a large document.
async fn with_large_document() -> (TestServer, PeerDocument) {
    let server = impatient().await;
    let mut writer = RepoPeer::join(&server, "writer").await;
    let mut replica = PeerDocument::empty(&server.document);
    writer.until_agreed(&mut replica).await;
    replica.doc.put(ROOT, "noise", noise()).unwrap();
    writer.until_agreed(&mut replica).await;
    (server, replica)
}

#[tokio::test]
async fn slow_download_completes_on_one_connection() {
    let (server, mut replica) = with_large_document().await;
    let mut peer = join_over(slow_line(server.address).await, "slow").await;
    let mut copy = PeerDocument::empty(&server.document);
    peer.until_agreed(&mut copy).await;
    assert_eq!(copy.doc.get_heads(), replica.doc.get_heads());
    assert_eq!(server.metric(STALLED), 0.0);
}

#[tokio::test]
async fn slow_upload_completes_on_one_connection() {
    let server = impatient().await;
    let mut peer = join_over(slow_line(server.address).await, "slow").await;
    let mut replica = PeerDocument::empty(&server.document);
    peer.until_agreed(&mut replica).await;
    replica.doc.put(ROOT, "noise", noise()).unwrap();
    peer.until_agreed(&mut replica).await;
    assert_eq!(server.metric(STALLED), 0.0);
}

#[tokio::test]
async fn slow_replica_syncs_on_one_connection() {
    let (server, held) = with_large_document().await;
    let line = slow_line(server.address).await;
    let home = TempDir::new().unwrap();
    let mut options = ReplicaOptions::new(home.path().join("plan.automerge"), server.document.clone(), "ceo");
    options.ping = Duration::from_millis(300);
    let client = Client::open(options.online(format!("ws://{line}/sync"))).await.unwrap();
    let synced = client.wait_for(|status| *status == Status::Synced);
    timeout(PATIENCE * 2, synced).await.expect("in time").unwrap();
    assert!(held.doc.clone().get_heads().iter().all(|head| client.heads().contains(head)));
    assert_eq!(server.metric(STALLED), 0.0);
    client.close().await.unwrap();
}

#[tokio::test]
async fn slow_reader_gets_the_whole_export() {
    let (server, _) = with_large_document().await;
    let mut tcp = TcpStream::connect(slow_line(server.address).await).await.unwrap();
    let request =
        "GET /api/documents/default/export.automerge HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE * 2, tcp.read_to_end(&mut answer)).await.expect("in time").unwrap();
    assert!(answer.len() > LARGE, "{} bytes", answer.len());
    assert_eq!(server.metric(STALLED), 0.0);
}

#[tokio::test]
async fn unread_download_is_closed() {
    let (server, _) = with_large_document().await;
    let socket = server.connect_with_small_buffers("/sync").await;
    let mut peer = RepoPeer::join_over(socket, "idle", Default::default()).await;
    peer.push(&mut PeerDocument::empty(&server.document)).await;
    server.until_metric(STALLED, |stalled| stalled == 1.0).await;
}

#[tokio::test]
async fn stalled_upload_is_closed() {
    let server = impatient().await;
    let mut hoarder = super::limits::part_of_a_message(&server, 1 << 20).await;
    server.until_held(900_000).await;
    // A byte now and then does not count as progress.
    let trickle = async {
        while hoarder.write_all(&[0]).await.is_ok() {
            sleep(TICK).await;
        }
    };
    timeout(PATIENCE, trickle).await.expect("closed");
    assert_eq!(server.metric(STALLED), 1.0);
    server.until_held(0).await;
}

#[tokio::test]
async fn long_upload_is_closed_when_memory_is_scarce() {
    let folder = Arc::new(TempDir::new().expect("a folder"));
    let server = TestServer::start_in(folder, |options| {
        let ping = Duration::from_millis(100);
        options.timeouts = SocketTimeouts { ping, stall: PATIENCE, message: ping, ..SocketTimeouts::default() };
        options.limits = Limits { message_memory: 2 << 20, ..Limits::default() };
    })
    .await;
    let mut hoarder = super::limits::part_of_a_message(&server, 1_500_000).await;
    let mut told = Vec::new();
    timeout(PATIENCE, hoarder.read_to_end(&mut told)).await.expect("closed").unwrap();
    assert!(String::from_utf8_lossy(&told).contains("no memory for a message of this size"));
    server.until_held(0).await;
}
