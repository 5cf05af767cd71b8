//! Memory of an idle process.

use std::fs;

use repo_protocol::{Message, PROTOCOL_VERSION, PeerId, PeerMetadata};
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as Piece;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::support::process::{Running, folder, imported, serve};
use super::support::{Socket, socket_to};

const CONNECTIONS: usize = 60;
const LARGE: usize = 8 << 20;

/// A message of an unknown type, which is read to its end and ignored.
fn large() -> Vec<u8> {
    let pad = [&b"\x63pad\x5a"[..], &u32::try_from(LARGE).unwrap().to_be_bytes(), &vec![0; LARGE]].concat();
    [&b"\xa2\x64type\x67sparkle"[..], &pad].concat()
}

async fn joined(address: std::net::SocketAddr, number: usize) -> Socket {
    let mut socket = socket_to(address, "/sync").await;
    let join = Message::Join {
        sender: PeerId::new(&format!("large-{number}")).unwrap(),
        metadata: PeerMetadata::default(),
        versions: vec![PROTOCOL_VERSION.to_owned()],
    };
    socket.send(Frame::binary(join.encode())).await;
    socket.next().await.unwrap();
    socket
}

fn resident_mib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn connection_releases_memory_of_a_large_message() {
    let folder = folder();
    let (running, address) = Running::server(serve(&imported(folder.path()), &[]));
    let large = large();
    let mut sockets = Vec::new();
    for number in 0..CONNECTIONS {
        let mut socket = joined(address, number).await;
        if number % 2 == 0 {
            socket.send(Frame::binary(large.clone())).await;
        } else {
            // In pieces: the last one is small, and a ping comes before it.
            let (first, last) = large.split_at(LARGE - 10);
            socket.send(Frame::Frame(Piece::message(first.to_vec(), OpCode::Data(Data::Binary), false))).await;
            socket.send(Frame::Ping("between".into())).await;
            socket.send(Frame::Frame(Piece::message(last.to_vec(), OpCode::Data(Data::Continue), true))).await;
        }
        socket.send(Frame::Ping("read to its end".into())).await;
        while socket.next_raw().await.unwrap() != Frame::Pong("read to its end".into()) {}
        sockets.push(socket);
    }
    let resident = resident_mib(running.pid());
    let sent = (CONNECTIONS * LARGE) >> 20;
    assert!(resident < 150, "{resident} MiB after {sent} MiB were sent and handled");
    // The messages were read, and the connections still work.
    for socket in &mut sockets {
        socket.send(Frame::Ping("still".into())).await;
        while socket.next_raw().await.unwrap() != Frame::Pong("still".into()) {}
    }
    assert_eq!(running.stop().code, Some(0));
}
