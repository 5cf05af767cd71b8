//! Runs a writer: its document, its socket, and its orders.

use std::sync::Arc;
use std::time::{Duration, Instant};

use automerge::sync::{Message, State, SyncDoc};
use automerge::{Automerge, ObjId};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep_until, timeout};

use super::crowd::source;
use super::envelope::Envelope;
use super::ledger::{Covered, Ledger, merge};
use super::socket::{Outbox, Socket};
use super::writer::{Order, Report, Role};
use crate::Fallible;
use crate::floor::{self, FloorVoice};
use crate::plan::{rows, set_budget};

/// Number of consecutive edits before the socket is polled again.
const BURST: u32 = 8;
/// Number of unsent bytes at which editing pauses.
const MAX_UNSENT: usize = 64 << 10;

/// A running writer.
pub(super) struct Desk {
    socket: Socket,
    voice: Voice,
    ledger: Arc<Ledger>,
    number: usize,
    made: u32,
}

enum Voice {
    Repo(Box<RepoVoice>),
    Floor(FloorVoice),
}

struct RepoVoice {
    envelope: Envelope,
    doc: Automerge,
    state: State,
    rows: Vec<ObjId>,
    /// The edits in the document.
    has: Covered,
    acknowledged: u32,
    fresh: bool,
}

impl Desk {
    /// Connects, and syncs until server and writer have the same document.
    pub(super) async fn open(role: Role) -> Fallible<Self> {
        let Role { server, document, doc, state, ledger, number, name, board, viewers } = role;
        let mut socket = Socket::connect(source(number), server.socket, server.path).await?;
        let voice = if server.knows_documents() {
            let (envelope, _) = Envelope::join(&mut socket, &name, &document).await?;
            let rows = rows(&doc)?;
            let has = ledger.covered(&doc.get_heads());
            Voice::Repo(Box::new(RepoVoice { envelope, doc, state, rows, has, acknowledged: 0, fresh: true }))
        } else {
            socket.outbox.binary(&[&floor::join()]);
            Voice::Floor(FloorVoice::new(board, viewers))
        };
        let made = ledger.totals()[number];
        let mut desk = Self { socket, voice, ledger, number, made };
        loop {
            desk.say()?;
            if desk.agrees() {
                return Ok(desk);
            }
            desk.socket.turn().await?;
            desk.listen()?;
        }
    }

    /// Executes orders, and syncs meanwhile.
    pub(super) async fn work(
        &mut self,
        mut orders: mpsc::UnboundedReceiver<(Order, oneshot::Sender<Report>)>,
    ) -> Fallible<()> {
        loop {
            tokio::select! {
                order = orders.recv() => {
                    let Some((order, reply)) = order else { return Ok(()) };
                    let _ = reply.send(self.carry_out(order).await?);
                }
                turn = self.socket.turn() => {
                    turn?;
                    self.hear()?;
                }
            }
        }
    }

    /// Edits on schedule until the connection is lost. Returns the document and the number of edits that were acknowledged by
    /// then.
    pub(super) async fn edit_until_lost(mut self, every: Duration) -> Fallible<(Automerge, u32)> {
        let mut due = Instant::now();
        loop {
            let turn = tokio::select! {
                biased;
                () = sleep_until(due.into()) => {
                    due += every;
                    self.edit()
                }
                turn = self.socket.turn() => match turn {
                    Ok(()) => self.hear(),
                    Err(error) => Err(error.into()),
                },
            };
            if turn.is_err() {
                // Acknowledgements that arrived before the end count.
                let _ = self.listen();
                let acknowledged = self.acknowledged();
                let Voice::Repo(voice) = self.voice else { return Err("this writer has no document".into()) };
                return Ok((voice.doc, acknowledged));
            }
        }
    }

    async fn carry_out(&mut self, order: Order) -> Fallible<Report> {
        let mut late = Duration::ZERO;
        match order {
            Order::Paced { first, every, edits } => {
                for edit in 0..edits {
                    let due = first + every * edit;
                    loop {
                        tokio::select! {
                            biased;
                            () = sleep_until(due.into()) => break,
                            turn = self.socket.turn() => {
                                turn?;
                                self.hear()?;
                            }
                        }
                    }
                    late = late.max(due.elapsed());
                    self.edit()?;
                }
            }
            Order::FlatOut { until, window } => {
                while Instant::now() < until {
                    let room = window.saturating_sub(self.made.saturating_sub(self.acknowledged()));
                    if room == 0 || self.socket.outbox.len() > MAX_UNSENT {
                        // The floor's viewers progress without notifying the writer.
                        timeout(Duration::from_millis(1), self.socket.turn()).await.unwrap_or(Ok(()))?;
                    } else {
                        for _ in 0..room.min(BURST) {
                            self.edit()?;
                        }
                        self.socket.read_now()?;
                        tokio::task::yield_now().await;
                    }
                    self.hear()?;
                }
            }
            Order::Settle { totals } => {
                while !(self.agrees() && self.has() == totals) {
                    self.socket.turn().await?;
                    self.hear()?;
                }
            }
        }
        while self.acknowledged() < self.made {
            timeout(Duration::from_millis(1), self.socket.turn()).await.unwrap_or(Ok(()))?;
            self.hear()?;
        }
        Ok(Report { late })
    }

    fn edit(&mut self) -> Fallible<()> {
        let made = Instant::now();
        match &mut self.voice {
            Voice::Floor(_) => {
                self.ledger.add_bare(self.number, made);
                self.socket.outbox.binary(&[&floor::edit(self.number, self.made)]);
            }
            Voice::Repo(voice) => {
                let row = &voice.rows[(self.number * 31 + self.made as usize) % voice.rows.len()];
                // Never the current value: that would not be a change.
                let budget = 1_000 + i64::from(self.made) * 64 + i64::try_from(self.number)?;
                let hash = set_budget(&mut voice.doc, row, budget, now_s())?;
                voice.has[self.number] += 1;
                self.ledger.add(self.number, hash, voice.has.clone(), made);
                voice.fresh = true;
                voice.say(&mut self.socket.outbox);
            }
        }
        self.made += 1;
        self.socket.write_now()?;
        Ok(())
    }

    /// Processes received messages, and answers them.
    fn hear(&mut self) -> Fallible<()> {
        self.listen()?;
        self.say()
    }

    fn listen(&mut self) -> Fallible<()> {
        let Socket { inbox, outbox, .. } = &mut self.socket;
        while let Some(frame) = inbox.next(outbox)? {
            match &mut self.voice {
                Voice::Floor(voice) => voice.take(frame)?,
                Voice::Repo(voice) => {
                    if let Some(message) = voice.envelope.open(frame)? {
                        voice.doc.receive_sync_message(&mut voice.state, Message::decode(message)?)?;
                        voice.fresh = true;
                    }
                }
            }
        }
        if let Voice::Repo(voice) = &mut self.voice
            && voice.fresh
        {
            merge(&mut voice.has, &self.ledger.covered(&voice.doc.get_heads()));
            if let Some(heads) = &voice.state.their_heads {
                voice.acknowledged = voice.acknowledged.max(self.ledger.covered(heads)[self.number]);
            }
        }
        Ok(())
    }

    fn say(&mut self) -> Fallible<()> {
        if let Voice::Repo(voice) = &mut self.voice {
            voice.say(&mut self.socket.outbox);
        }
        self.socket.write_now()?;
        Ok(())
    }

    fn acknowledged(&self) -> u32 {
        match &self.voice {
            Voice::Repo(voice) => voice.acknowledged,
            Voice::Floor(voice) => voice.acknowledged(self.ledger.totals().iter().sum(), self.made),
        }
    }

    /// Whether the server has acknowledged exactly this document.
    fn agrees(&self) -> bool {
        match &self.voice {
            Voice::Repo(voice) => voice.state.their_heads.as_ref() == Some(&voice.doc.get_heads()),
            Voice::Floor(voice) => voice.is_welcome(),
        }
    }

    fn has(&self) -> Covered {
        match &self.voice {
            Voice::Repo(voice) => voice.has.clone(),
            Voice::Floor(_) => self.ledger.totals(),
        }
    }
}

impl RepoVoice {
    fn say(&mut self, outbox: &mut Outbox) {
        if std::mem::take(&mut self.fresh)
            && let Some(message) = self.doc.generate_sync_message(&mut self.state)
        {
            self.envelope.sync(outbox, &message.encode());
        }
    }
}

fn now_s() -> i64 {
    jiff::Timestamp::now().as_second()
}
