//! One viewer: gets what others edit, and answers as a peer who is up to date would. Holds no document.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use automerge::ChangeHash;
use primitives::DocumentId;
use tokio::sync::watch;

use super::answers::{Answers, from_nothing};
use super::envelope::{Envelope, request};
use super::ledger::Covered;
use super::socket::{Outbox, Socket};
use crate::measure::Board;
use crate::{Fallible, floor};

/// What a viewer speaks, and how it begins.
#[derive(Clone)]
pub enum Language {
    /// automerge-repo's protocol: asks for a document.
    Repo { document: DocumentId, hello: Hello },
    /// What the floor speaks.
    Floor,
    /// The legacy protocol: is told everything unasked.
    Legacy,
}

/// What a viewer says that it has.
#[derive(Clone)]
pub enum Hello {
    /// Nothing: it asks for the document.
    Nothing,
    /// These heads, in this sync message: it comes back.
    Has { heads: Vec<ChangeHash>, message: Vec<u8> },
}

/// What a legacy row's designation begins with, if it was added here; a number follows.
pub const LEGACY_ROW: &str = "\"designation\":\"load-";

/// A viewer of one document.
pub struct Viewer {
    socket: Socket,
    view: View,
}

/// What a viewer knows.
struct View {
    voice: Voice,
    answers: Rc<RefCell<Answers>>,
    board: Arc<Board>,
    /// The edits that it has.
    covered: Covered,
    /// Whether it has what there was when it came.
    ready: bool,
    /// Whether its latencies count.
    timed: bool,
}

enum Voice {
    /// automerge-repo's protocol.
    Repo {
        envelope: Envelope,
        /// The heads that it has last told the server; none at first.
        said: Vec<ChangeHash>,
        /// Changes that messages have brought, less the edits that their heads have claimed: never below zero.
        brought: i64,
    },
    Floor,
    Legacy,
}

impl Viewer {
    /// Joins and says hello.
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

    /// Views until the socket ends, which is a failure. While `asleep` is true it does not read.
    pub async fn run(&mut self, mut asleep: Option<watch::Receiver<bool>>) -> Fallible<()> {
        loop {
            let now = Instant::now();
            // The first may have come with the answer to the handshake.
            let Socket { inbox, outbox, .. } = &mut self.socket;
            while let Some(frame) = inbox.next(outbox)? {
                self.view.take(frame, outbox, now)?;
            }
            self.socket.write_now()?;
            if let Some(asleep) = &mut asleep {
                // An error means that the whole crowd has ended.
                let _ = asleep.wait_for(|asleep| !asleep).await;
            }
            self.socket.turn().await?;
        }
    }
}

impl Viewer {
    /// Views until the server closes the socket. Returns when that was.
    pub async fn until_closed(&mut self) -> Fallible<Instant> {
        // What it is told before is the reason.
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

    /// An edit that says which it is.
    fn take_numbered(&mut self, writer: usize, number: u32, length: usize, now: Instant) -> Fallible<()> {
        self.board.note_message(length);
        let have = self.covered[writer];
        if number != have {
            return Err(format!("an edit was lost or came twice: number {number} came after {have} edits").into());
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
            // Nothing new, which a peer does not answer.
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
                // What a newcomer is given was made before it came.
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
