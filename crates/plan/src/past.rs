//! A document as it was.
//!
//! Automerge reads any moment of a document, which takes as long for each row as reading it now takes for several. So it is
//! read from a copy, which is quickly made, and by whoever wants to know: the document goes on meanwhile.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Weak};

use automerge::{Automerge, ChangeHash};

use super::position::{Position, position_maps_at, read_position_at};
use super::snapshot::Snapshot;
use super::view::order_key;

/// A document at some moment.
pub struct Past {
    doc: Arc<Automerge>,
    heads: Vec<ChangeHash>,
}

impl fmt::Debug for Past {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Past").field("heads", &self.heads).finish_non_exhaustive()
    }
}

impl Past {
    /// Its heads then, in order and each once.
    #[must_use]
    pub fn heads(&self) -> &[ChangeHash] {
        &self.heads
    }

    /// The positions as they were, in the order of the view. Takes long if there are many.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        let snapshot = Snapshot::at(&self.doc, &self.heads);
        let maps = position_maps_at(snapshot);
        let ids: BTreeSet<String> = maps.iter().flat_map(|map| snapshot.keys(map)).collect();
        let read = |id: String| read_position_at(snapshot, &maps, &Arc::from(id)).map(|reading| reading.position);
        let mut positions: Vec<Position> = ids.into_iter().filter_map(read).collect();
        positions.sort_by_cached_key(order_key);
        positions
    }
}

/// A copy of a document for readers of the past. It is made when it is first needed, shared by all who read at that time, and
/// dropped with the last of them.
#[derive(Default)]
pub struct SharedCopy(Weak<Automerge>);

impl SharedCopy {
    /// A copy of the document that has all these heads. `None`: the document does not have them.
    pub fn with(&mut self, doc: &Automerge, heads: &[ChangeHash]) -> Option<Arc<Automerge>> {
        let has_all = |doc: &Automerge| heads.iter().all(|head| doc.get_change_meta_by_hash(head).is_some());
        if let Some(copy) = self.0.upgrade().filter(|copy| has_all(copy)) {
            return Some(copy);
        }
        if !has_all(doc) {
            return None;
        }
        let copy = Arc::new(doc.clone());
        self.0 = Arc::downgrade(&copy);
        Some(copy)
    }

    /// The document at these heads. `None`: it has never had them.
    pub fn at(&mut self, doc: &Automerge, mut heads: Vec<ChangeHash>) -> Option<Past> {
        heads.sort_unstable();
        heads.dedup();
        Some(Past { doc: self.with(doc, &heads)?, heads })
    }
}
