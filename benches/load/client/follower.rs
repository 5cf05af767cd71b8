//! Subscribers of the change feed. They search the bytes for events without parsing them: a thousand must cost less than the
//! measured server.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use primitives::DocumentId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::task::LocalPoolHandle;

use super::crowd::{IN_ORDER, Sleepers, source};
use super::ledger::Ledger;
use crate::Fallible;
use crate::measure::Board;

/// Size of a read.
const READ: usize = 8 << 10;
/// Receive buffer of a subscriber that will stop reading: otherwise the operating system would hold everything for it.
const SMALL_BUFFER: u32 = 16 << 10;
/// Precedes the name of an event.
const EVENT: &[u8] = b"\nevent: ";
/// Bytes after which the name of an event is complete.
const NAMED: usize = EVENT.len() + b"change".len();

/// Subscribers that stay connected until this is dropped.
pub struct Followers {
    /// The runtime of their tasks.
    _thread: LocalPoolHandle,
}

impl Followers {
    /// Subscribes to the changes of a document with one writer, who must not edit until all are ready on the board. They have numbers
    /// from `first` on, which differ from those of viewers.
    pub fn gather(
        first: usize,
        count: u32,
        server: SocketAddr,
        document: &DocumentId,
        (ledger, board): (&Arc<Ledger>, &Arc<Board>),
        sleepers: &Sleepers,
    ) -> Self {
        let path = format!("/api/documents/{document}/changes");
        let (ledger, board, sleepers) = (Arc::clone(ledger), Arc::clone(board), sleepers.clone());
        let pool = LocalPoolHandle::new(1);
        pool.spawn_pinned(move || async move {
            let (mut all, dialing) = (JoinSet::new(), Rc::new(Semaphore::new(IN_ORDER)));
            for number in 0..count {
                let follower = Follower {
                    number: first + number as usize,
                    ledger: Arc::clone(&ledger),
                    board: Arc::clone(&board),
                    asleep: Some(sleepers.asleep.clone()).filter(|_| number < sleepers.count),
                };
                let (path, dialing) = (path.clone(), Rc::clone(&dialing));
                all.spawn_local(async move {
                    let (number, board) = (follower.number, Arc::clone(&follower.board));
                    if let Err(error) = follower.run(server, &path, &dialing).await {
                        board.note_failure(format!("subscriber {number}: {error}"));
                    }
                });
            }
            while all.join_next().await.is_some() {}
        });
        Self { _thread: pool }
    }
}

struct Follower {
    number: usize,
    ledger: Arc<Ledger>,
    board: Arc<Board>,
    asleep: Option<watch::Receiver<bool>>,
}

impl Follower {
    /// Receives events until the stream ends, which is an error. Does not read while `asleep` is true.
    async fn run(mut self, server: SocketAddr, path: &str, dialing: &Semaphore) -> Fallible<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        if self.asleep.is_some() {
            socket.set_recv_buffer_size(SMALL_BUFFER)?;
        }
        socket.bind((source(self.number), 0).into())?;
        let turn = dialing.acquire().await?;
        let mut stream = socket.connect(server).await?;
        stream.set_nodelay(true)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nAccept: text/event-stream\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let (mut turn, mut events, mut seen) = (Some(turn), Events::default(), self.edits());
        loop {
            if let Some(asleep) = &mut self.asleep {
                // An error means that all were dropped.
                let _ = asleep.wait_for(|asleep| !asleep).await;
            }
            let read = stream.read(events.room()).await?;
            if read == 0 {
                return Err("the stream has ended".into());
            }
            let now = Instant::now();
            let found = events.search(read)?;
            if found.begins {
                turn = None;
                seen = self.edits();
                self.board.note_ready();
            }
            if turn.is_some() || found.changes == 0 {
                continue;
            }
            self.board.note_message(read);
            let made = self.ledger.made(0, seen..seen + found.changes);
            seen += found.changes;
            self.board.note_delivered(made.into_iter(), now, self.asleep.is_none());
        }
    }

    fn edits(&self) -> u32 {
        self.ledger.totals()[0]
    }
}

/// Searches a stream for events.
#[derive(Default)]
struct Events {
    /// The last bytes of the stream, as many as may belong to the beginning of the next event, and room for a read.
    bytes: Vec<u8>,
    kept: usize,
}

#[derive(Default)]
struct Found {
    begins: bool,
    changes: u32,
}

impl Events {
    fn room(&mut self) -> &mut [u8] {
        self.bytes.resize(self.kept + READ, 0);
        &mut self.bytes[self.kept..]
    }

    /// The events that begin in the bytes that were read into the room.
    fn search(&mut self, read: usize) -> Fallible<Found> {
        let (mut found, mut at, end) = (Found::default(), 0, self.kept + read);
        while let Some(event) = self.bytes[at..end].windows(NAMED).position(|bytes| bytes.starts_with(EVENT)) {
            let name = &self.bytes[at + event + EVENT.len()..at + event + NAMED];
            match name {
                b"change" => found.changes += 1,
                b"ready\n" => found.begins = true,
                name => return Err(format!("an event {:?}", String::from_utf8_lossy(name)).into()),
            }
            at += event + NAMED;
        }
        let keep = (end - at).min(NAMED - 1);
        self.bytes.copy_within(end - keep..end, 0);
        self.kept = keep;
        Ok(found)
    }
}
