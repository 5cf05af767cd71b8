//! Ports for servers that cannot listen on port 0, because somebody must know the port before they start or after they restart.
//!
//! The operating system gives ports of its own range (from 32768 on Linux, 49152 elsewhere) to every listener on port 0 and every
//! outgoing connection, so a port of that range that is free now may be used a moment later. These ports are below it, and each
//! test process has its own block.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use tokio::net::TcpSocket;

const FIRST: u16 = 10_240;
const BLOCKS: u32 = 352;
const BLOCK: u16 = 64;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 that nothing listens on, and that this process has not given away recently.
pub fn free_port() -> u16 {
    let block = u16::try_from(std::process::id() % BLOCKS).expect("below 352");
    let mut ports = (0..BLOCK).map(|_| FIRST + block * BLOCK + NEXT.fetch_add(1, Ordering::Relaxed) % BLOCK);
    ports.find(|port| is_free(*port)).expect("one of 64 ports is free")
}

/// Only binds: a child process that another thread is starting has copies of this process's files until it runs its program, and a
/// copy of a listening socket would keep the port in use after this function has returned.
fn is_free(port: u16) -> bool {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("settable");
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}
