//! One viewer: gets what others edit, and answers as a peer who is up to date would. Holds no document.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use automerge::ChangeHash;

use super::answers::{Answers, from_nothing};
use super::envelope::{Envelope, request};
use super::ledger::Covered;
use super::socket::{Outbox, Socket};
use crate::Fallible;
use crate::floor;
use crate::measure::Board;
use happierwork::format::DocumentId;

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
}

impl Viewer {
    /// Joins and asks for the document.
    pub async fn join(
        mut socket: Socket,
        name: &str,
        document: Option<&DocumentId>,
        answers: Rc<RefCell<Answers>>,
        board: Arc<Board>,
    ) -> Fallible<Self> {
        let voice = match document {
            None => {
                socket.outbox.binary(&[&floor::join()]);
                Voice::Floor
            }
            Some(document) => {
                let (envelope, server) = Envelope::join(&mut socket, name, document).await?;
                socket.outbox.binary(&[&request(name, &server, document, &from_nothing()?)?]);
                Voice::Repo { envelope, said: Vec::new(), brought: 0 }
            }
        };
        let covered = answers.borrow().ledger().covered(&[]);
        socket.write_now()?;
        Ok(Self { socket, view: View { voice, answers, board, covered, timed: true } })
    }

    /// Views until the socket ends, which is a failure.
    pub async fn run(&mut self) -> Fallible<()> {
        loop {
            self.socket.turn().await?;
            let now = Instant::now();
            let Socket { inbox, outbox, .. } = &mut self.socket;
            while let Some(frame) = inbox.next(outbox)? {
                self.view.take(frame, outbox, now)?;
            }
            self.socket.write_now()?;
        }
    }
}

impl View {
    fn take(&mut self, frame: &[u8], outbox: &mut Outbox, now: Instant) -> Fallible<()> {
        match &mut self.voice {
            Voice::Floor => match floor::read(frame)? {
                floor::Frame::Welcome => self.board.note_ready(),
                floor::Frame::Edit { writer, number } => {
                    self.board.note_message(frame.len());
                    let have = self.covered.get(writer).copied().unwrap_or_default();
                    if number != have {
                        return Err(format!("the floor lost edits: number {number} came after {have}").into());
                    }
                    self.covered[writer] = number + 1;
                    let made = self.answers.borrow().ledger().made(writer, number..number + 1);
                    self.board.note_delivered(made.into_iter(), now, self.timed);
                    outbox.binary(&[floor::answer()]);
                }
                floor::Frame::Other => {}
            },
            Voice::Repo { envelope, said, brought } => {
                let Some(message) = envelope.open(frame)? else { return Ok(()) };
                let mut answers = self.answers.borrow_mut();
                let answer = answers.to(&message)?;
                self.board.note_message(frame.len());
                if *said == answer.heads {
                    // Nothing new, which a peer does not answer.
                    return Ok(());
                }
                envelope.sync(outbox, &answer.bytes);
                let first = std::mem::replace(said, answer.heads.clone()).is_empty();
                if first {
                    if answer.changes == Some(0) {
                        return Err("the server named heads without sending the document".into());
                    }
                    // Before this it had nothing: what it is given now was made before it came.
                    self.covered.clone_from(&answer.covered);
                    self.board.note_ready();
                    return Ok(());
                }
                *brought += answer.changes.map_or(i64::from(u32::MAX), i64::from);
                for writer in 0..self.covered.len() {
                    let (have, now_have) = (self.covered[writer], answer.covered[writer]);
                    if have < now_have {
                        *brought -= i64::from(now_have - have);
                        self.covered[writer] = now_have;
                        let made = answers.ledger().made(writer, have..now_have);
                        self.board.note_delivered(made.into_iter(), now, self.timed);
                    }
                }
                if *brought < 0 {
                    return Err("the server named heads without sending the changes".into());
                }
            }
        }
        Ok(())
    }
}
