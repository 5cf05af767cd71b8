//! What goes through a document as one batch, and what comes of it.

use automerge::{Change, sync};
use bytes::Bytes;

use super::authors::{self, Attribution, Bringer};
use super::edit::{Author, Done, Edit, EditError};
use super::incoming::{BadMessage, Incoming, Part};
use super::peers::{Delivery, PeerKey};
use super::view::ViewChange;

/// One thing to be done in a batch. Cloning is cheap: message bytes are shared.
#[derive(Debug, Clone)]
pub enum Item {
    /// A sync message as it came.
    Sync {
        /// From whom.
        peer: PeerKey,
        /// The encoded message.
        bytes: Bytes,
    },
    /// An edit.
    Edit {
        /// What.
        edit: Edit,
        /// By whom, as the change is to say, and when.
        author: Author,
        /// By whom, as far as that is known for sure.
        by: Option<Bringer>,
    },
}

impl Item {
    /// Whether this one alone takes long to apply.
    #[must_use]
    pub fn is_large(&self) -> bool {
        match self {
            Self::Sync { .. } => false,
            Self::Edit { edit, .. } => edit.rows() > 20,
        }
    }
}

/// An item that was taken apart, which is most of the work where it is large.
#[derive(Debug)]
pub struct Prepared(pub(super) Ready);

impl Prepared {
    /// About how many bytes it takes while it is applied, if that is much.
    #[must_use]
    pub fn weight(&self) -> u64 {
        match &self.0 {
            Ready::Sync { incoming: Ok(Some(incoming)), .. } => incoming.weight,
            Ready::Part { part, .. } => part.weight,
            _ => 0,
        }
    }

    /// Operations that it brings.
    #[must_use]
    pub fn operations(&self) -> u64 {
        match &self.0 {
            Ready::Sync { incoming: Ok(Some(incoming)), .. } => incoming.operations,
            Ready::Part { part, .. } => part.operations,
            _ => 0,
        }
    }
}

#[derive(Debug)]
pub(super) enum Ready {
    /// None: an acknowledgement whose bytes are known.
    Sync {
        peer: PeerKey,
        bytes: Bytes,
        incoming: Result<Option<Incoming>, BadMessage>,
    },
    /// Some of a message's changes; the message itself comes with the last of them.
    Part {
        peer: PeerKey,
        part: Part,
    },
    Edit {
        edit: Edit,
        author: Author,
        by: Option<Bringer>,
    },
}

/// What became of an item, in the batch's order.
#[derive(Debug)]
pub enum Outcome {
    /// The sync message was taken.
    Synced,
    /// The sync message is refused; the peer that sent it has to go.
    Refused(BadMessage),
    /// The edit was made, or refused.
    Edited(Result<Done, EditError>),
}

/// A batch that was applied in memory and is not durable yet.
#[derive(Debug)]
#[must_use = "the changes must be made durable, and then published"]
pub struct Applied {
    /// Whole Automerge chunks to append to the log: the new changes in causal order. Empty: nothing changed.
    pub chunks: Vec<u8>,
    /// How many changes these are.
    pub change_count: usize,
    /// What became of each item. To be told only after the append.
    pub outcomes: Vec<Outcome>,
    /// For each item whether it brought changes: these are the ones that fail when the append does.
    pub brought_changes: Vec<bool>,
    pub(super) changes: Vec<Change>,
    pub(super) received: Vec<Received>,
    pub(super) attributions: Vec<Attribution>,
    pub(super) spoiled: Option<BadMessage>,
}

impl Applied {
    /// The document in memory is ruined: a change was applied that would make it unreadable, or the library failed
    /// halfway. Nothing was made durable. It has to be read again ([`Document::reload`]), and the items to be tried one by
    /// one to find whose fault it is; here is what to tell the one who sent the last that is left.
    #[must_use]
    pub fn spoiled(&self) -> Option<&BadMessage> {
        self.spoiled.as_ref()
    }

    /// A batch of nothing yet.
    pub(super) fn empty() -> Self {
        Self {
            chunks: Vec::new(),
            change_count: 0,
            outcomes: Vec::new(),
            brought_changes: Vec::new(),
            changes: Vec::new(),
            received: Vec::new(),
            attributions: Vec::new(),
            spoiled: None,
        }
    }

    pub(super) fn ruined(error: BadMessage) -> Self {
        Self { spoiled: Some(error), ..Self::empty() }
    }

    /// What is to be written down of who brought these changes in, before they are stored: whole lines. Empty: nothing is
    /// known of that. `time_ms`: now.
    #[must_use]
    pub fn authors(&self, time_ms: i64) -> Vec<u8> {
        authors::lines(&self.attributions, time_ms)
    }

    /// The peers whose messages were taken.
    pub fn senders(&self) -> impl Iterator<Item = PeerKey> + '_ {
        self.received.iter().map(|received| received.peer)
    }
}

#[derive(Debug)]
pub(super) struct Received {
    pub(super) peer: PeerKey,
    pub(super) bytes: Bytes,
    /// None: an acknowledgement that was looked up by its bytes, if the document did not change.
    pub(super) decoded: Option<(sync::Message, bool)>,
}

/// What is to be sent after a batch.
#[derive(Debug, Default)]
pub struct Published {
    /// Sync messages. They must be delivered.
    pub deliveries: Vec<Delivery>,
    /// What changed for those who look at rows.
    pub view: ViewChange,
    /// Whether the document changed at all.
    pub changed: bool,
}
