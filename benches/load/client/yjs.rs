//! The smallest clients of a Hocuspocus server: a writer that sends the updates that Yjs would send for one field of one row,
//! and viewers that read from updates which edits they hold. They hold no document, like the clients of the other servers.
//!
//! A row is a key of the map `positions`. All items are the writer's: item number n is the first value of row n, and later
//! items are the edits, in order. So the clock of an update identifies its edits.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Semaphore, watch};
use tokio::time::sleep_until;

use super::crowd::source;
use super::ledger::Ledger;
use super::socket::{Outbox, Socket};
use super::writer::Order;
use crate::Fallible;
use crate::kind::Address;
use crate::measure::Board;

/// Name of the document.
const DOCUMENT: &str = "plan";
/// Yjs' id of the writer.
const WRITER: u64 = 1_000_003;
/// Number of rows. The writer makes them before the edits, each with an update of its own.
pub const ROWS: u64 = 100;

const SYNC: u64 = 0;
const AUTH: u64 = 2;
const SYNC_REPLY: u64 = 4;
const SYNC_STATUS: u64 = 8;
const STEP_1: u64 = 0;
const STEP_2: u64 = 1;
const UPDATE: u64 = 2;
const PERMISSION_DENIED: u64 = 1;

const GC: u8 = 0;
const DELETED: u8 = 1;
const ANY: u8 = 8;
const SKIP: u8 = 10;
const HAS_ORIGIN: u8 = 0x80;
const HAS_RIGHT_ORIGIN: u8 = 0x40;
const HAS_KEY: u8 = 0x20;
/// An integer, in lib0's encoding of values.
const INTEGER: u8 = 125;

/// State shared by a client and its server.
struct Connection {
    socket: Socket,
    /// Number of items received, or sent by the writer.
    items: u64,
    /// Number of updates that the server has accepted.
    accepted: u64,
    /// Whether the server has sent its document.
    ready: bool,
}

impl Connection {
    async fn open(server: &Address, number: usize) -> Fallible<Self> {
        let mut socket = Socket::connect(source(number), server.socket, server.path).await?;
        // No token, as authentication is off.
        send(&mut socket.outbox, &[AUTH, 0], &[0]);
        send_bytes(&mut socket.outbox, &[SYNC, STEP_1], &[0]);
        socket.write_now()?;
        Ok(Self { socket, items: 0, accepted: 0, ready: false })
    }

    /// Reads available messages, and answers. Calls `came` with the number of items before and after each update.
    fn hear(&mut self, mut came: impl FnMut(u64, u64, usize)) -> Fallible<()> {
        let Socket { inbox, outbox, .. } = &mut self.socket;
        while let Some(frame) = inbox.next(outbox)? {
            let mut reader = Reader(frame);
            reader.skip_bytes()?;
            match reader.number()? {
                SYNC | SYNC_REPLY => match reader.number()? {
                    // This client has nothing that the server lacks: an update without items and deletions.
                    STEP_1 => send_bytes(outbox, &[SYNC, STEP_2], &[0, 0]),
                    kind => {
                        let length = frame.len();
                        let (before, items) = (self.items, reader.items_after(self.items)?);
                        self.items = items;
                        came(before, items, length);
                        self.ready |= kind == STEP_2;
                    }
                },
                AUTH if reader.number()? == PERMISSION_DENIED => {
                    return Err("the server does not let a client in".into());
                }
                SYNC_STATUS => self.accepted += reader.number()?,
                _ => {}
            }
        }
        self.socket.write_now()?;
        Ok(())
    }
}

/// Views until the connection ends, which is an error.
pub async fn view(
    server: Address,
    number: usize,
    ledger: Arc<Ledger>,
    board: Arc<Board>,
    dialing: Arc<Semaphore>,
) -> Fallible<()> {
    let mut connection = {
        let _turn = dialing.acquire().await?;
        Connection::open(&server, number).await?
    };
    loop {
        let (was_ready, now) = (connection.ready, Instant::now());
        connection.hear(|before, after, length| {
            board.note_message(length);
            // The initial document does not count as a delivery.
            if was_ready && after > before {
                let [before, after] =
                    [before, after].map(|items| u32::try_from(items.saturating_sub(ROWS)).unwrap_or(u32::MAX));
                board.note_delivered(ledger.made(0, before..after).into_iter(), now, true);
            }
        })?;
        if connection.ready && !was_ready {
            board.note_ready();
        }
        connection.socket.turn().await?;
    }
}

/// Creates the document, then edits it on the requested schedules. Records the edits in the ledger. Reports the number of
/// accepted updates each time that the server has accepted all.
pub async fn write(
    server: Address,
    ledger: Arc<Ledger>,
    mut orders: watch::Receiver<Option<(Instant, Order)>>,
    accepted: watch::Sender<u64>,
) -> Fallible<()> {
    let mut connection = Connection::open(&server, 0).await?;
    while !connection.ready {
        connection.socket.turn().await?;
        connection.hear(|_, _, _| {})?;
    }
    // The server accepts the answer to its first message as well.
    let others = connection.accepted_of_updates().await?;
    for row in 0..ROWS {
        connection.put(row)?;
    }
    loop {
        while connection.accepted < others + connection.items {
            connection.socket.turn().await?;
            connection.hear(|_, _, _| {})?;
        }
        accepted.send_replace(connection.accepted - others);
        if orders.changed().await.is_err() {
            return Ok(());
        }
        let Some((_, Order::Paced { first, every, edits })) = orders.borrow_and_update().clone() else { continue };
        for edit in 0..edits {
            let due = first + every * edit;
            loop {
                tokio::select! {
                    biased;
                    () = sleep_until(due.into()) => break,
                    turn = connection.socket.turn() => {
                        turn?;
                        connection.hear(|_, _, _| {})?;
                    }
                }
            }
            ledger.add_bare(0, Instant::now());
            connection.put(connection.items)?;
        }
    }
}

impl Connection {
    /// Waits until the server has accepted the answer to its first message. Returns how often it has said so.
    async fn accepted_of_updates(&mut self) -> Fallible<u64> {
        while self.accepted == 0 {
            self.socket.turn().await?;
            self.hear(|_, _, _| {})?;
        }
        Ok(self.accepted)
    }

    /// Sends the update that sets the row of this item, after the item that it replaces.
    fn put(&mut self, item: u64) -> Fallible<()> {
        let replaced = item.checked_sub(ROWS);
        let mut update = Vec::new();
        // One client with one item, from this clock on.
        for number in [1, 1, WRITER, item] {
            put_number(&mut update, number);
        }
        match replaced {
            Some(replaced) => {
                update.push(ANY | HAS_ORIGIN | HAS_KEY);
                put_number(&mut update, WRITER);
                put_number(&mut update, replaced);
            }
            None => {
                update.extend([ANY | HAS_KEY, 1]);
                put_bytes(&mut update, b"positions");
                put_bytes(&mut update, format!("{item:014x}").as_bytes());
            }
        }
        // One value below 2^13: six bits, a sign and a flag in the first byte.
        let value = item % (1 << 13);
        update.extend([1, INTEGER, 0x80 | (value & 0x3f) as u8, (value >> 6) as u8]);
        // The item that it replaces is deleted.
        match replaced {
            Some(replaced) => [1, WRITER, 1, replaced, 1].iter().for_each(|number| put_number(&mut update, *number)),
            None => put_number(&mut update, 0),
        }
        send_bytes(&mut self.socket.outbox, &[SYNC, UPDATE], &update);
        self.items = item + 1;
        self.socket.write_now()?;
        Ok(())
    }
}

fn send_bytes(outbox: &mut Outbox, kinds: &[u64], bytes: &[u8]) {
    let mut sized = Vec::new();
    put_bytes(&mut sized, bytes);
    send(outbox, kinds, &sized);
}

fn send(outbox: &mut Outbox, kinds: &[u64], rest: &[u8]) {
    let mut head = Vec::new();
    put_bytes(&mut head, DOCUMENT.as_bytes());
    kinds.iter().for_each(|kind| put_number(&mut head, *kind));
    outbox.binary(&[&head, rest]);
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(0x80 | (number & 0x7f) as u8);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    put_number(to, bytes.len() as u64);
    to.extend_from_slice(bytes);
}

/// Bytes in lib0's encoding.
struct Reader<'f>(&'f [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Fallible<u8> {
        let (first, rest) = self.0.split_first().ok_or("an update ends too soon")?;
        self.0 = rest;
        Ok(*first)
    }

    fn number(&mut self) -> Fallible<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return Ok(number);
            }
            if shift > 56 {
                return Err("a number is too large".into());
            }
        }
    }

    fn skip_bytes(&mut self) -> Fallible<()> {
        let length = usize::try_from(self.number()?)?;
        self.0 = self.0.get(length..).ok_or("a text ends too soon")?;
        Ok(())
    }

    fn skip_numbers(&mut self, count: u32) -> Fallible<()> {
        for _ in 0..count {
            self.number()?;
        }
        Ok(())
    }

    /// Number of items of a client that had this many and receives this update.
    fn items_after(&mut self, had: u64) -> Fallible<u64> {
        // Its length: the message ends with it.
        self.number()?;
        let clients = self.number()?;
        let mut items = had;
        for _ in 0..clients {
            let (structs, client, first) = (self.number()?, self.number()?, self.number()?);
            if client != WRITER {
                return Err("an edit of another client".into());
            }
            if first > had {
                return Err(format!("an edit was lost: item {first} arrived after {had} items").into());
            }
            let mut clock = first;
            for _ in 0..structs {
                clock += self.skip_struct()?;
            }
            items = items.max(clock);
        }
        Ok(items)
    }

    /// Returns its number of items.
    fn skip_struct(&mut self) -> Fallible<u64> {
        let info = self.byte()?;
        let kind = info & 0x1f;
        if kind == GC || kind == SKIP {
            return self.number();
        }
        let origins = u32::from(info & HAS_ORIGIN != 0) + u32::from(info & HAS_RIGHT_ORIGIN != 0);
        self.skip_numbers(2 * origins)?;
        if origins == 0 {
            // The parent: the name of a map of the document, or an item.
            match self.number()? {
                1 => self.skip_bytes()?,
                _ => self.skip_numbers(2)?,
            }
            if info & HAS_KEY != 0 {
                self.skip_bytes()?;
            }
        }
        match kind {
            DELETED => self.number(),
            ANY => {
                let count = self.number()?;
                for _ in 0..count {
                    if self.byte()? != INTEGER {
                        return Err("a value is not an integer".into());
                    }
                    // The first byte has a sign bit, which is irrelevant here.
                    self.number()?;
                }
                Ok(count)
            }
            _ => Err(format!("an item of kind {kind}").into()),
        }
    }
}
