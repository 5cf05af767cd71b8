//! The baseline ("floor"): the cost of relaying bytes without a document. An ordinary axum WebSocket server that
//! relays the frames of writers, and reads a short answer for every delivery. Frames are as long as the real ones.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use automerge::Automerge;
use automerge::sync::{Message, State, SyncDoc};
use axum::Router;
use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::broadcast;

use crate::Fallible;
use crate::measure::Board;
use crate::plan::{Plan, rows, set_budget};

/// Number of edits that are queued for a slow viewer before some are dropped.
const BEHIND: usize = 16_384;
/// Like in the measured server.
const BUFFER: usize = 4 << 10;

const JOIN: u8 = 1;
const WELCOME: u8 = 2;
const EDIT: u8 = 3;
const ANSWER: u8 = 4;
const SAVED: u8 = 5;

/// The meaning of a frame.
pub enum Frame {
    /// The server has accepted this client.
    Welcome,
    /// An edit of the writer with this number.
    Edit { writer: usize, number: u32 },
    /// Anything else.
    Other,
}

/// Lengths of the real server's frames.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    /// One edit, delivered to a viewer.
    pub delivery: usize,
    /// A viewer's answer to it.
    pub answer: usize,
}

static ANSWER_FRAME: LazyLock<Vec<u8>> = LazyLock::new(|| padded(&[ANSWER], lengths().answer));

/// Measured with the library on the small document.
pub fn lengths() -> Lengths {
    static LENGTHS: LazyLock<Lengths> = LazyLock::new(|| measure().unwrap_or(Lengths { delivery: 400, answer: 250 }));
    *LENGTHS
}

fn measure() -> Fallible<Lengths> {
    let plan = Plan::new(crate::plan::SMALL)?;
    let mut server = plan.open();
    let (mut viewer, mut ours, mut theirs) = (Automerge::new(), State::new(), State::new());
    let rows = rows(&server)?;
    let mut lengths = Lengths { delivery: 0, answer: 0 };
    let frame = |message: Message| -> Fallible<usize> {
        let sync = repo_protocol::Message::Sync {
            sender: repo_protocol::PeerId::new(&format!("happierwork-{:032x}", 0))?,
            target: repo_protocol::PeerId::new("viewer-00000")?,
            document: plan.id.clone(),
            data: message.encode().into(),
        };
        Ok(sync.encode().len())
    };
    for edit in 0..10 {
        set_budget(&mut server, &rows[0], 1_000 + edit, jiff::Timestamp::now().as_second())?;
        loop {
            let delivery = server.generate_sync_message(&mut ours);
            if let Some(delivery) = delivery.clone() {
                viewer.receive_sync_message(&mut theirs, delivery)?;
            }
            let answer = viewer.generate_sync_message(&mut theirs);
            if let Some(answer) = answer.clone() {
                server.receive_sync_message(&mut ours, answer)?;
            }
            match (delivery, answer) {
                (Some(delivery), Some(answer)) => {
                    lengths = Lengths { delivery: frame(delivery)?, answer: frame(answer)? };
                }
                (None, None) => break,
                _ => {}
            }
        }
    }
    Ok(lengths)
}

fn padded(head: &[u8], length: usize) -> Vec<u8> {
    let mut frame = head.to_vec();
    frame.resize(length, 0);
    frame
}

/// A client's first frame.
pub fn join() -> [u8; 1] {
    [JOIN]
}

/// An edit.
pub fn edit(writer: usize, number: u32) -> Vec<u8> {
    let mut head = vec![EDIT];
    head.extend((writer as u32).to_le_bytes());
    head.extend(number.to_le_bytes());
    padded(&head, lengths().delivery)
}

/// A viewer's answer to an edit.
pub fn answer() -> &'static [u8] {
    &ANSWER_FRAME
}

/// Parses a frame.
pub fn read(frame: &[u8]) -> Fallible<Frame> {
    match frame {
        [WELCOME, ..] => Ok(Frame::Welcome),
        [EDIT, a, b, c, d, e, f, g, h, ..] => Ok(Frame::Edit {
            writer: u32::from_le_bytes([*a, *b, *c, *d]) as usize,
            number: u32::from_le_bytes([*e, *f, *g, *h]),
        }),
        [_, ..] => Ok(Frame::Other),
        [] => Err("an empty frame".into()),
    }
}

/// The writers' side. The floor never blocks writers, and drops edits for slow viewers. So its writers wait for the
/// viewers, unlike those of the real server.
pub struct FloorVoice {
    board: Arc<Board>,
    viewers: u32,
    welcome: bool,
    saved: u32,
}

impl FloorVoice {
    pub fn new(board: Arc<Board>, viewers: u32) -> Self {
        Self { board, viewers, welcome: false, saved: 0 }
    }

    pub fn take(&mut self, frame: &[u8]) -> Fallible<()> {
        match frame.first() {
            Some(&WELCOME) => self.welcome = true,
            Some(&SAVED) => self.saved += 1,
            _ => {}
        }
        Ok(())
    }

    pub fn is_welcome(&self) -> bool {
        self.welcome
    }

    /// Number of this writer's edits that were saved and, on average, seen by the viewers.
    pub fn acknowledged(&self, all_made: u32, made: u32) -> u32 {
        let seen = self.board.noted().delivered / u64::from(self.viewers.max(1));
        let unseen = u64::from(all_made).saturating_sub(seen);
        self.saved.min(made.saturating_sub(u32::try_from(unseen).unwrap_or(u32::MAX)))
    }
}

/// Runs the server until it is killed.
pub fn serve(port: u16) -> Fallible<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let (room, _) = broadcast::channel(BEHIND);
        let saved = Bytes::from(padded(&[SAVED], lengths().answer));
        let next = Arc::new(AtomicU64::new(0));
        let routes = Router::new().route("/readyz", get(async || "ok\n")).route(
            "/",
            get(async move |upgrade: WebSocketUpgrade| {
                let me = next.fetch_add(1, Ordering::Relaxed);
                upgrade
                    .read_buffer_size(BUFFER)
                    .write_buffer_size(BUFFER)
                    .on_upgrade(move |socket| talk(socket, room, me, saved))
            }),
        );
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, routes).await?;
        Ok(())
    })
}

async fn talk(mut socket: WebSocket, room: broadcast::Sender<(u64, Bytes)>, me: u64, saved: Bytes) {
    let mut news = room.subscribe();
    loop {
        let answer = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(ws::Message::Binary(bytes))) => match bytes.first() {
                    Some(&JOIN) => Bytes::from_static(&[WELCOME]),
                    Some(&EDIT) => {
                        let _ = room.send((me, bytes));
                        saved.clone()
                    }
                    _ => continue,
                },
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => return,
            },
            edit = news.recv() => match edit {
                Ok((from, bytes)) if from != me => bytes,
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            },
        };
        if socket.send(ws::Message::Binary(answer)).await.is_err() {
            return;
        }
    }
}
