//! The plan at earlier heads.
//!
//! Automerge can read a document at any heads, but each row takes as long as several rows at the current heads. So readers use a
//! copy, which is made quickly, on their own thread, while the document is in use.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Weak};

use automerge::{Automerge, ChangeHash};

use super::list_cursor::order_key;
use super::position::{Position, position_maps_at, read_position_at};
use super::snapshot::Snapshot;

/// A document at given heads.
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
    /// The heads, sorted and without duplicates.
    #[must_use]
    pub fn heads(&self) -> &[ChangeHash] {
        &self.heads
    }

    /// The document at these heads.
    pub(super) fn snapshot(&self) -> Snapshot<'_> {
        let mut now = self.doc.get_heads();
        now.sort_unstable();
        // Reading earlier heads takes several times as long.
        if now == self.heads { Snapshot::now(&self.doc) } else { Snapshot::at(&self.doc, &self.heads) }
    }

    /// The positions at these heads, in the order of the view. Slow if there are many.
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

/// A copy of a document for readers of earlier heads. It is made on first use, shared by all current readers, and dropped with the
/// last of them.
#[derive(Default)]
pub struct SharedCopy(Weak<Automerge>);

impl SharedCopy {
    /// A copy of the document that has all these heads. `None` if the document lacks one.
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

    /// The document at these heads. `None` if the document lacks one.
    pub fn at(&mut self, doc: &Automerge, mut heads: Vec<ChangeHash>) -> Option<Past> {
        heads.sort_unstable();
        heads.dedup();
        Some(Past { doc: self.with(doc, &heads)?, heads })
    }
}
