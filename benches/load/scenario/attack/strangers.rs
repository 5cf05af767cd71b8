//! Unauthenticated attackers, as a separate program that the load generator starts. At the end, it prints a line with
//! the count of each action.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use primitives::DocumentId;
use repo_protocol::PeerId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{interval, sleep, timeout};

use super::bombs;
use crate::Fallible;
use crate::client::answers::from_nothing;
use crate::client::envelope::{Envelope, join, request};
use crate::client::newcomer::Newcomer;
use crate::client::{IN_ORDER, Outbox, Socket};
use crate::kind::{Address, Kind};

/// Numbers of connections that stay: some only join, and some request the document and never read.
const IDLE: usize = 4_000;
const STALLED: usize = 1_000;
/// Number of connections that stop within the head of a request.
const HALF: usize = 300;
/// Receive buffer of a stalled connection.
const SMALL_BUFFER: u32 = 4 << 10;
/// Longest duration of one action.
const PATIENCE: Duration = Duration::from_secs(10);
/// Interval between two actions of a kind.
const GARBAGE: Duration = Duration::from_millis(10);
const BOMB: Duration = Duration::from_millis(20);
const JOIN: Duration = Duration::from_millis(20);
const OVERSIZED: Duration = Duration::from_millis(200);
const HALF_OPEN: Duration = Duration::from_millis(50);

struct Gang {
    server: Address,
    document: DocumentId,
    bombs: Vec<Vec<u8>>,
    done: RefCell<BTreeMap<&'static str, u64>>,
}

/// Attacks for this number of seconds.
#[expect(clippy::print_stdout, reason = "the load generator reads this output")]
pub fn attack(port: u16, document: DocumentId, seconds: u64) -> Fallible<()> {
    let server = Address { kind: Kind::Happierwork, socket: (Ipv4Addr::LOCALHOST, port).into(), path: "/sync" };
    let gang = Rc::new(Gang { server, document, bombs: bombs::all()?, done: RefCell::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let all = Rc::clone(&gang);
    LocalSet::new().block_on(&runtime, async move {
        let _ = timeout(Duration::from_secs(seconds), all.act()).await;
    });
    for (kind, count) in gang.done.borrow().iter() {
        println!("{kind} {count}");
    }
    Ok(())
}

impl Gang {
    async fn act(self: Rc<Self>) {
        let mut all = JoinSet::new();
        all.spawn_local(Rc::clone(&self).gather());
        for (name, every) in
            [("garbage", GARBAGE), ("bombs", BOMB), ("joins", JOIN), ("oversized", OVERSIZED), ("half_open", HALF_OPEN)]
        {
            all.spawn_local(Rc::clone(&self).keep_on(name, every));
        }
        while all.join_next().await.is_some() {}
    }

    /// The connections that stay.
    async fn gather(self: Rc<Self>) {
        let mut staying = JoinSet::new();
        let turns = Rc::new(tokio::sync::Semaphore::new(IN_ORDER));
        for number in 0..IDLE + STALLED + HALF {
            let (gang, turns) = (Rc::clone(&self), Rc::clone(&turns));
            staying.spawn_local(async move {
                // A closed connection reconnects.
                loop {
                    let turn = turns.acquire().await;
                    let stayed = match number {
                        0..IDLE => gang.idle(number, turn.ok()).await,
                        _ if number < IDLE + STALLED => gang.stall(number, turn.ok()).await,
                        _ => gang.half(number, turn.ok()).await,
                    };
                    gang.count(if stayed.is_ok() { "thrown_out" } else { "not_let_in" });
                    sleep(Duration::from_secs(1)).await;
                }
            });
        }
        while staying.join_next().await.is_some() {}
    }

    async fn keep_on(self: Rc<Self>, name: &'static str, every: Duration) {
        let (mut acting, mut times) = (JoinSet::new(), interval(every));
        for number in 0_usize.. {
            times.tick().await;
            let gang = Rc::clone(&self);
            acting.spawn_local(async move {
                let act = async {
                    match name {
                        "garbage" => gang.babble(number).await,
                        "bombs" => gang.bomb(number).await,
                        "joins" => gang.join(number).await,
                        "oversized" => gang.exceed(number).await,
                        _ => gang.vanish(number).await,
                    }
                };
                if let Ok(Ok(())) = timeout(PATIENCE, act).await {
                    gang.count(name);
                }
            });
            while acting.try_join_next().is_some() {}
        }
    }

    fn count(&self, what: &'static str) {
        *self.done.borrow_mut().entry(what).or_default() += 1;
    }

    async fn socket(&self, number: usize) -> Fallible<Socket> {
        Ok(Socket::connect(source(3, number), self.server.socket, self.server.path).await?)
    }

    async fn babble(&self, number: usize) -> Fallible<()> {
        let mut socket = self.socket(number).await?;
        socket.outbox.binary(&[&rand::random::<[u8; 64]>()]);
        until_closed(&mut socket).await;
        Ok(())
    }

    /// Sends to its own document, or to the honest clients' one.
    async fn bomb(&self, number: usize) -> Fallible<()> {
        let mut socket = self.socket(number).await?;
        let bomb = &self.bombs[number % self.bombs.len()];
        let own = DocumentId::from_random(rand::random());
        let document = if number.is_multiple_of(2) { &self.document } else { &own };
        let (envelope, _) = Envelope::join(&mut socket, &format!("bomber-{number}"), document).await?;
        envelope.sync(&mut socket.outbox, bomb);
        let _ = timeout(Duration::from_secs(2), until_closed(&mut socket)).await;
        Ok(())
    }

    async fn join(&self, number: usize) -> Fallible<()> {
        Newcomer::connect(&self.server, 100_000 + number).await?.fetch_any(&self.document).await.map(drop)
    }

    /// A frame that claims 64 MiB, and its first bytes.
    async fn exceed(&self, number: usize) -> Fallible<()> {
        let mut stream = self.upgraded(number, None).await?;
        stream.write_all(&[0x82, 0xff, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]).await?;
        let _ = stream.write_all(&vec![0; 1 << 20]).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
        Ok(())
    }

    /// Joins, and then disappears without closing: the peer no longer acknowledges packets.
    async fn vanish(&self, number: usize) -> Fallible<()> {
        let mut socket = self.socket(number).await?;
        Envelope::join(&mut socket, &format!("ghost-{number}"), &self.document).await?;
        sleep(PATIENCE / 2).await;
        Ok(())
    }

    async fn idle(&self, number: usize, turn: Option<tokio::sync::SemaphorePermit<'_>>) -> Fallible<()> {
        let mut socket = Socket::connect(source(2, number), self.server.socket, self.server.path).await?;
        Envelope::join(&mut socket, &format!("idle-{number}"), &self.document).await?;
        drop(turn);
        self.count("idle");
        until_closed(&mut socket).await;
        Ok(())
    }

    async fn stall(&self, number: usize, turn: Option<tokio::sync::SemaphorePermit<'_>>) -> Fallible<()> {
        let mut stream = self.upgraded(number, Some(SMALL_BUFFER)).await?;
        let name = format!("stalled-{number}");
        let mut outbox = Outbox::default();
        outbox.binary(&[&join(&name)?]);
        // A connection that does not read cannot know the server's peer id.
        outbox.binary(&[&request(&name, &PeerId::new("server")?, &self.document, &from_nothing()?)?]);
        stream.write_all(outbox.bytes()).await?;
        drop(turn);
        self.count("stalled");
        std::future::pending().await
    }

    async fn half(&self, number: usize, turn: Option<tokio::sync::SemaphorePermit<'_>>) -> Fallible<()> {
        let mut stream = connect(source(4, number), self.server.socket, None).await?;
        stream.write_all(b"GET /sync HTTP/1.1\r\nHost: local").await?;
        drop(turn);
        self.count("half_heads");
        let _ = stream.read_to_end(&mut Vec::new()).await;
        Ok(())
    }

    /// Upgrades a connection to a WebSocket, without reading further.
    async fn upgraded(&self, number: usize, buffer: Option<u32>) -> Fallible<tokio::net::TcpStream> {
        let mut stream = connect(source(5, number), self.server.socket, buffer).await?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n",
            self.server.path, self.server.socket
        );
        stream.write_all(request.as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        if head.starts_with(b"HTTP/1.1 101") { Ok(stream) } else { Err("refused".into()) }
    }
}

async fn connect(from: Ipv4Addr, server: SocketAddr, buffer: Option<u32>) -> std::io::Result<tokio::net::TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind((from, 0).into())?;
    socket.connect(server).await
}

async fn until_closed(socket: &mut Socket) {
    while socket.turn().await.is_ok() {
        loop {
            match socket.inbox.next(&mut socket.outbox) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

/// Source addresses on this machine: a thousand connections for each.
fn source(net: u8, number: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, net, u8::try_from(number / 1_000 % 250 + 1).unwrap_or(1))
}
