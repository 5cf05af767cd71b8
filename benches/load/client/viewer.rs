//! A viewer: receives the edits of others, and answers like an up-to-date peer. Holds no document.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use automerge::ChangeHash;
use primitives::DocumentId;
use tokio::sync::watch;

use super::answers::{Answers, from_nothing, up_to_date};
use super::envelope::{Envelope, request};
use super::ledger::Covered;
use super::socket::{Outbox, Socket};
use crate::measure::Board;
use crate::{Fallible, floor};

/// Protocol of a viewer, and its first message.
#[derive(Clone)]
pub enum Language {
    /// automerge-repo's protocol: requests a document.
    Repo { document: DocumentId, hello: Hello },
    /// The protocol of the floor.
    Floor,
    /// The legacy protocol: receives everything without a request.
    Legacy,
}

/// The document that a viewer claims to have.
#[derive(Clone)]
pub enum Hello {
    /// `None`: it requests the document.
    Nothing,
    /// A document with these heads, in this sync message: it reconnects.
    Has { heads: Vec<ChangeHash>, message: Vec<u8> },
}

/// Prefix of the designation of rows that the benchmark adds; a number follows.
pub const LEGACY_ROW: &str = "\"designation\":\"load-";

/// A viewer of one document.
pub struct Viewer {
    socket: Socket,
    view: View,
}

/// State of a viewer.
struct View {
    voice: Voice,
    answers: Rc<RefCell<Answers>>,
    board: Arc<Board>,
    /// The received edits.
    covered: Covered,
    /// Whether it has received the initial document.
    ready: bool,
    /// Whether its latencies are recorded.
    timed: bool,
}

enum Voice {
    /// automerge-repo's protocol.
    Repo {
        envelope: Envelope,
        /// The heads that it last sent to the server; empty at first.
        said: Vec<ChangeHash>,
        /// Number of received changes minus the edits that their heads include, at least zero.
        brought: i64,
    },
    Floor,
    Legacy,
}

impl Viewer {
    /// Joins and sends the first message.
    pub async fn join(
        mut socket: Socket,
        name: &str,
        language: &Language,
        answers: Rc<RefCell<Answers>>,
        board: Arc<Board>,
        timed: bool,
    ) -> Fallible<Self> {
        let mut heads = Vec::new();
        let voice = match language {
            Language::Legacy => Voice::Legacy,
            Language::Floor => {
                socket.outbox.binary(&[&floor::join()]);
                Voice::Floor
            }
            Language::Repo { document, hello } => {
                let (envelope, server) = Envelope::join(&mut socket, name, document).await?;
                match hello {
                    Hello::Nothing => {
                        socket.outbox.binary(&[&request(name, &server, document, &from_nothing()?)?]);
                    }
                    Hello::Has { heads: mine, message } => {
                        heads.clone_from(mine);
                        envelope.sync(&mut socket.outbox, message);
                    }
                }
                Voice::Repo { envelope, said: heads.clone(), brought: 0 }
            }
        };
        let covered = answers.borrow().ledger().covered(&heads);
        socket.write_now()?;
        Ok(Self { socket, view: View { voice, answers, board, covered, ready: false, timed } })
    }

    /// Receives edits until the socket ends, which is an error. Does not read while `asleep` is true.
    pub async fn run(&mut self, mut asleep: Option<watch::Receiver<bool>>) -> Fallible<()> {
        loop {
            let now = Instant::now();
            // The first message may have arrived together with the handshake response.
            let Socket { inbox, outbox, .. } = &mut self.socket;
            while let Some(frame) = inbox.next(outbox)? {
                self.view.take(frame, outbox, now)?;
            }
            self.socket.write_now()?;
            if let Some(asleep) = &mut asleep {
                // An error means that the whole crowd was dropped.
                let _ = asleep.wait_for(|asleep| !asleep).await;
            }
            self.socket.turn().await?;
        }
    }
}

impl Viewer {
    /// Receives edits until it has all of these.
    pub async fn run_until(&mut self, wanted: &Covered) -> Fallible<()> {
        loop {
            let now = Instant::now();
            let Socket { inbox, outbox, .. } = &mut self.socket;
            while let Some(frame) = inbox.next(outbox)? {
                self.view.take(frame, outbox, now)?;
            }
            self.socket.write_now()?;
            if self.view.covered.iter().zip(wanted).all(|(has, wanted)| has >= wanted) {
                return Ok(());
            }
            self.socket.turn().await?;
        }
    }

    /// The first message to another server: what this viewer has.
    pub fn hello_again(&self) -> Hello {
        match &self.view.voice {
            Voice::Repo { said, .. } if !said.is_empty() => {
                Hello::Has { heads: said.clone(), message: up_to_date(said, true) }
            }
            _ => Hello::Nothing,
        }
    }

    /// Receives edits until the server closes the socket. Returns the time of the close.
    pub async fn until_closed(&mut self) -> Fallible<Instant> {
        // Messages before the close contain the reason.
        let _ = self.run(None).await;
        self.socket.until_closed().await?;
        Ok(Instant::now())
    }
}

impl View {
    fn take(&mut self, frame: &[u8], outbox: &mut Outbox, now: Instant) -> Fallible<()> {
        match &self.voice {
            Voice::Repo { .. } => self.take_sync(frame, outbox, now),
            Voice::Floor => match floor::read(frame)? {
                floor::Frame::Welcome => {
                    self.note_ready();
                    Ok(())
                }
                floor::Frame::Edit { writer, number } => {
                    self.take_numbered(writer, number, frame.len(), now)?;
                    outbox.binary(&[floor::answer()]);
                    Ok(())
                }
                floor::Frame::Other => Ok(()),
            },
            Voice::Legacy => {
                self.note_ready();
                let text = std::str::from_utf8(frame)?;
                let number = text.split_once(LEGACY_ROW).and_then(|(_, rest)| rest.split_once('"')?.0.parse().ok());
                match number {
                    Some(number) => self.take_numbered(0, number, frame.len(), now),
                    None => {
                        self.board.note_message(frame.len());
                        Ok(())
                    }
                }
            }
        }
    }

    /// An edit that contains its number.
    fn take_numbered(&mut self, writer: usize, number: u32, length: usize, now: Instant) -> Fallible<()> {
        self.board.note_message(length);
        let have = self.covered[writer];
        if number != have {
            return Err(format!("an edit was lost or repeated: number {number} arrived after {have} edits").into());
        }
        self.covered[writer] = number + 1;
        let made = self.answers.borrow().ledger().made(writer, number..number + 1);
        self.board.note_delivered(made.into_iter(), now, self.timed);
        Ok(())
    }

    fn take_sync(&mut self, frame: &[u8], outbox: &mut Outbox, now: Instant) -> Fallible<()> {
        let Voice::Repo { envelope, said, brought } = &mut self.voice else { return Ok(()) };
        let Some(message) = envelope.open(frame)? else { return Ok(()) };
        let mut answers = self.answers.borrow_mut();
        let answer = answers.to(message)?;
        self.board.note_message(frame.len());
        let first = !self.ready && !answer.heads.is_empty();
        let came_with = if *said == answer.heads {
            // Nothing new, so a peer does not answer.
            None
        } else {
            if said.is_empty() && answer.changes == Some(0) {
                return Err("the server named heads without sending the document".into());
            }
            envelope.sync(outbox, &answer.bytes);
            Some(std::mem::replace(said, answer.heads.clone()))
        };
        if let Some(before) = came_with {
            *brought += answer.changes.map_or(i64::from(u32::MAX), i64::from);
            for writer in 0..self.covered.len() {
                let (have, now_have) = (self.covered[writer], answer.covered[writer]);
                if have >= now_have {
                    continue;
                }
                *brought -= i64::from(now_have - have);
                self.covered[writer] = now_have;
                // The initial document was made before the viewer connected.
                if !before.is_empty() {
                    let made = answers.ledger().made(writer, have..now_have);
                    self.board.note_delivered(made.into_iter(), now, self.timed);
                }
            }
            if *brought < 0 {
                return Err("the server named heads without sending the changes".into());
            }
        }
        drop(answers);
        if first {
            self.note_ready();
        }
        Ok(())
    }

    fn note_ready(&mut self) {
        if !std::mem::replace(&mut self.ready, true) {
            self.board.note_ready();
        }
    }
}
