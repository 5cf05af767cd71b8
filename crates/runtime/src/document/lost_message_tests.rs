//! Lost sync messages on a connection that stays open: both sides notice the stall, and start over.

use std::collections::VecDeque;

use automerge::sync::SyncDoc;
use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT, sync};
use bytes::Bytes;
use plan::Edit;
use proptest::prelude::*;

use super::tests::{author, plan, position};
use super::*;

/// The only peer of the document.
const PEER: PeerKey = PeerKey(7);
/// Number of messages after which an exchange counts as endless.
const MANY: usize = 200;

/// One side of a connection.
enum End {
    /// Our document: the server's, or a replica's.
    Ours { document: Box<Document>, edits: usize },
    /// Automerge as stock clients use it.
    Stock { doc: Box<AutoCommit>, state: sync::State, edits: i64 },
}

impl End {
    fn ours(mut document: Document) -> Self {
        document.engine.join(PEER, Vec::new());
        Self::Ours { document: Box::new(document), edits: 0 }
    }

    fn stock(actor: u8) -> Self {
        let doc = Box::new(AutoCommit::new().with_actor(ActorId::from([actor])));
        Self::Stock { doc, state: sync::State::new(), edits: 0 }
    }

    fn begin(&mut self) -> Vec<Bytes> {
        match self {
            Self::Ours { document, .. } => {
                document.engine.greet(PEER).map(|delivery| delivery.message).into_iter().collect()
            }
            Self::Stock { .. } => self.generate(),
        }
    }

    fn generate(&mut self) -> Vec<Bytes> {
        let Self::Stock { doc, state, .. } = self else { return Vec::new() };
        doc.sync().generate_sync_message(state).map(|message| Bytes::from(message.encode())).into_iter().collect()
    }

    fn apply(document: &mut Document, item: Item) -> Vec<Bytes> {
        let mut applied = document.engine.apply(vec![item]);
        applied.chunks.clear();
        let published = document.publish(&mut applied, |_| true);
        published.deliveries.into_iter().map(|delivery| delivery.message).collect()
    }

    fn receive(&mut self, bytes: &Bytes) -> Vec<Bytes> {
        match self {
            Self::Ours { document, .. } => Self::apply(document, Item::Sync { peer: PEER, bytes: bytes.clone() }),
            Self::Stock { doc, state, .. } => {
                let message = sync::Message::decode(bytes).unwrap();
                doc.sync().receive_sync_message(state, message).unwrap();
                self.generate()
            }
        }
    }

    fn edit(&mut self) -> Vec<Bytes> {
        match self {
            Self::Ours { document, edits } => {
                *edits += 1;
                let edit = Edit::Add(position(&format!("row {edits}")));
                Self::apply(document, Item::Edit { edit: AuthoredEdit { edit, author: author() }, by: None })
            }
            Self::Stock { doc, edits, .. } => {
                *edits += 1;
                doc.put(ROOT, "edits", *edits).unwrap();
                doc.commit();
                self.generate()
            }
        }
    }

    fn heads(&mut self) -> Vec<ChangeHash> {
        match self {
            Self::Ours { document, .. } => document.engine.heads(),
            Self::Stock { doc, .. } => doc.get_heads(),
        }
    }
}

/// Two ends, the messages in transit, and which of them get lost.
struct Link {
    ends: [End; 2],
    on_the_way: [VecDeque<Bytes>; 2],
    sent: [usize; 2],
    lost: [Option<usize>; 2],
}

impl Link {
    fn new(ends: [End; 2], lost: [Option<usize>; 2]) -> Self {
        let mut link = Self { ends, on_the_way: Default::default(), sent: [0, 0], lost };
        for from in [0, 1] {
            let messages = link.ends[from].begin();
            link.send(from, messages);
        }
        link
    }

    fn send(&mut self, from: usize, messages: Vec<Bytes>) {
        for message in messages {
            if self.lost[from] != Some(self.sent[from]) {
                self.on_the_way[from].push_back(message);
            }
            self.sent[from] += 1;
        }
    }

    fn edit(&mut self, at: usize) {
        let messages = self.ends[at].edit();
        self.send(at, messages);
    }

    /// Delivers one message from each side. Returns false if there is none.
    fn step(&mut self) -> bool {
        let mut any = false;
        for from in [0, 1] {
            if let Some(message) = self.on_the_way[from].pop_front() {
                any = true;
                let answers = self.ends[1 - from].receive(&message);
                self.send(1 - from, answers);
            }
        }
        any
    }

    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..MANY {
            if !self.step() {
                return Ok(());
            }
        }
        Err(format!("no rest after {:?} messages, lost: {:?}", self.sent, self.lost))
    }

    /// Runs the edits of both ends, with lost messages.
    fn run(mut self, steps: &[u8]) -> Result<(), String> {
        for step in steps {
            match step % 4 {
                0 => self.edit(0),
                1 => self.edit(1),
                2 => drop(self.step()),
                _ => self.settle()?,
            }
        }
        self.settle()?;
        // The loss of the last message is only noticed when a later one arrives.
        self.lost = [None, None];
        for _ in 0..2 {
            for at in [0, 1] {
                self.edit(at);
                self.settle()?;
            }
        }
        let [one, other] = &mut self.ends;
        if one.heads() == other.heads() {
            return Ok(());
        }
        Err(format!("they differ after {:?} messages, lost: {:?}", self.sent, self.lost))
    }
}

fn server() -> End {
    End::ours(plan().0)
}

fn replica() -> End {
    let forms = Renderings { json: |_, _| {}, additional: |_, _| {}, csv: |_, _| {} };
    let id = DocumentId::from_random([7; 16]);
    End::ours(Document::load(id, &[], ActorId::from([2u8]), forms, MessageLimits::default()).unwrap())
}

/// Loses each message of an ordinary exchange in turn, in each direction and in both.
fn each_lost_in_turn(other: impl Fn() -> End) -> Result<(), String> {
    const STEPS: [u8; 10] = [3, 0, 3, 1, 3, 0, 1, 3, 0, 1];
    for one in (0..12).map(Some).chain([None]) {
        for two in (0..12).map(Some).chain([None]) {
            Link::new([server(), other()], [one, two]).run(&STEPS)?;
        }
    }
    Ok(())
}

#[test]
fn stock_client_recovers_from_a_lost_message() {
    each_lost_in_turn(|| End::stock(9)).unwrap();
}

#[test]
fn replica_recovers_from_a_lost_message() {
    each_lost_in_turn(replica).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn both_sides_converge_after_any_lost_message(
        steps in proptest::collection::vec(any::<u8>(), 1..40),
        lost in (proptest::option::of(0..40usize), proptest::option::of(0..40usize)),
        stock in any::<bool>(),
    ) {
        let other = if stock { End::stock(9) } else { replica() };
        let outcome = Link::new([server(), other], [lost.0, lost.1]).run(&steps);
        prop_assert!(outcome.is_ok(), "{outcome:?}");
    }
}
