//! What goes through a document as one batch, and what comes of it.

use automerge::{Change, sync};
use bytes::Bytes;

use crate::bad_message::BadMessage;
use crate::incoming::{Incoming, Part};
use crate::peers::{Delivery, PeerKey};
use crate::provenance::{self, Attribution, Bringer};
use crate::schema::{EditRefused, Schema};

/// One thing to be done in a batch. Cloning is cheap: message bytes are shared.
pub enum Item<S: Schema> {
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
        edit: S::Edit,
        /// By whom, as far as that is known for sure.
        by: Option<Bringer>,
    },
}

impl<S: Schema> Clone for Item<S> {
    fn clone(&self) -> Self {
        match self {
            Self::Sync { peer, bytes } => Self::Sync { peer: *peer, bytes: bytes.clone() },
            Self::Edit { edit, by } => Self::Edit { edit: edit.clone(), by: by.clone() },
        }
    }
}

impl<S: Schema> Item<S> {
    /// Whether this one alone takes long to apply.
    #[must_use]
    pub fn is_large(&self) -> bool {
        match self {
            Self::Sync { .. } => false,
            Self::Edit { edit, .. } => S::is_large(edit),
        }
    }
}

/// An item that was taken apart, which is most of the work where it is large.
pub struct Prepared<S: Schema>(pub(crate) Ready<S>);

impl<S: Schema> Prepared<S> {
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

pub(crate) enum Ready<S: Schema> {
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
        edit: S::Edit,
        by: Option<Bringer>,
    },
}

/// What became of an item, in the batch's order.
#[derive(Debug)]
pub enum Outcome<S: Schema> {
    /// The sync message was taken.
    Synced,
    /// The sync message is refused; the peer that sent it has to go.
    Refused(BadMessage),
    /// The edit was made, or refused.
    Edited(Result<S::Done, EditRefused<S::Error>>),
}

/// A batch that was applied in memory and is not durable yet.
#[derive(Debug)]
#[must_use = "the changes must be made durable, and then published"]
pub struct Applied<S: Schema> {
    /// Whole Automerge chunks to append to the log: the new changes in causal order. Empty: nothing changed.
    pub chunks: Vec<u8>,
    /// How many changes these are.
    pub change_count: usize,
    /// What became of each item. To be told only after the append.
    pub outcomes: Vec<Outcome<S>>,
    /// For each item whether it brought changes: these are the ones that fail when the append does.
    pub brought_changes: Vec<bool>,
    pub(crate) changes: Vec<Change>,
    pub(crate) received: Vec<Received>,
    pub(crate) attributions: Vec<Attribution>,
    pub(crate) spoiled: Option<BadMessage>,
}

impl<S: Schema> Applied<S> {
    /// The document in memory is ruined: a change was applied that would make it unreadable, or the library failed
    /// halfway. Nothing was made durable. It has to be read again ([`crate::Engine::reload`]), and the items to be tried one by
    /// one to find whose fault it is; here is what to tell the one who sent the last that is left.
    #[must_use]
    pub fn spoiled(&self) -> Option<&BadMessage> {
        self.spoiled.as_ref()
    }

    /// A batch of nothing yet.
    pub(crate) fn empty() -> Self {
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

    pub(crate) fn ruined(error: BadMessage) -> Self {
        Self { spoiled: Some(error), ..Self::empty() }
    }

    /// What is to be written down of who brought these changes in, before they are stored: whole lines. Empty: nothing is
    /// known of that. `time_ms`: now.
    #[must_use]
    pub fn authors(&self, time_ms: i64) -> Vec<u8> {
        provenance::lines(&self.attributions, time_ms)
    }

    /// The peers whose messages were taken.
    pub fn senders(&self) -> impl Iterator<Item = PeerKey> + '_ {
        self.received.iter().map(|received| received.peer)
    }
}

#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) peer: PeerKey,
    pub(crate) bytes: Bytes,
    /// None: an acknowledgement that was looked up by its bytes, if the document did not change.
    pub(crate) decoded: Option<(sync::Message, bool)>,
}

/// What is to be sent after a batch.
#[derive(Debug, Default)]
pub struct Published {
    /// Sync messages. They must be delivered.
    pub deliveries: Vec<Delivery>,
    /// What changed the document, in causal order.
    pub changes: Vec<Change>,
}
