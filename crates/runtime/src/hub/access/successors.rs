//! Rights in the successors of documents.

use auth::Grant;
use primitives::DocumentId;

use super::{Access, AccessRecord, Right};

/// Most predecessors of a document that are considered.
const MAX_PREDECESSORS: usize = 32;

impl Access {
    /// The right that a token gives on a document: that for the document itself or for one of its predecessors, since tokens are not
    /// issued again for a successor.
    pub(super) fn right_by_token(&self, grant: &Grant, id: &DocumentId, record: Option<&AccessRecord>) -> Right {
        let right = |id: &DocumentId| grant.role_for(id, self.default.as_ref()).map_or(Right::None, Right::from);
        let mut highest = right(id);
        let mut predecessor = record.and_then(|record| record.successor_of.clone());
        for _ in 0..MAX_PREDECESSORS {
            let Some(id) = predecessor else { break };
            highest = highest.max(right(&id));
            predecessor = self.record(&id).and_then(|record| record.successor_of.clone());
        }
        highest
    }
}
