//! Callers of the API at any node, which wait for the result of their edits.

use plan::fields::{BUDGET, DEPARTMENT};
use plan::{Budget, Done, Edit, NewPosition, PositionPatch};
use rand::RngExt;
use runtime::hub::{EditFailure, Requester};
use sync_engine::Surface;
use tokio::task::JoinHandle;

use super::{Cluster, USERS, Violation, author, user};
use crate::host::Host;
use crate::network::Life;

/// An edit whose result is pending.
pub struct Call {
    life: Life,
    added: Option<String>,
    result: JoinHandle<Result<Done, EditFailure>>,
}

/// Whether the error states that the edit was not stored.
pub fn is_certainly_not_stored(error: &EditFailure) -> bool {
    match error {
        EditFailure::Edit(_) | EditFailure::Denied(_) | EditFailure::Merge(_) | EditFailure::Full(_) => true,
        EditFailure::Storage { message, .. } => message.contains("not stored"),
        EditFailure::Unavailable(_) | EditFailure::Panicked | EditFailure::Unknown => false,
    }
}

impl Cluster {
    pub(super) fn call_api(&mut self) {
        let Some(node) = self.random_node() else { return };
        let budget = Budget::Int(self.rng.random_range(1..99));
        let choice = self.rng.random_range(0..10);
        let mut added = None;
        let edit = match (choice, self.random_position()) {
            (0..5, _) | (_, None) => {
                let id = self.new_name();
                self.positions.push(id.clone());
                added = Some(id.clone());
                Edit::Add(NewPosition::new(id, "by the API").with(DEPARTMENT, "HR").with(BUDGET, budget))
            }
            (5..9, Some(id)) => Edit::Patch { id, patch: PositionPatch::set(BUDGET, budget) },
            (_, Some(id)) => {
                self.promises.may_be_deleted(&id);
                Edit::Delete { id }
            }
        };
        let caller = self.rng.random_range(0..=USERS.len());
        let by = USERS.get(caller).map_or_else(Requester::server, |name| user(name, Surface::Api));
        self.log(|| format!("a call at node {node} of user {caller}: {edit:?}"));
        let (hub, id) = (self.nodes[node].hub().clone(), self.id.clone());
        let result = self.nodes[node].spawn(async move { hub.edit(&by, &id, edit, author()).await });
        self.calls.push(Call { life: self.nodes[node].life, added, result });
    }

    pub(super) fn collect_calls(&mut self) -> Result<(), Violation> {
        let (over, pending) = std::mem::take(&mut self.calls).into_iter().partition(|call| call.result.is_finished());
        self.calls = pending;
        for Call { life, added, result } in over {
            match self.nodes[life.node].result(result) {
                Ok(_) => {
                    self.log(|| format!("a call at node {} is answered: {added:?}", life.node));
                    if let Some(id) = added {
                        self.promises.added(life, &id);
                    }
                }
                Err(error) => {
                    self.log(|| format!("a call at node {} fails: {added:?}: {error}", life.node));
                    if let Some(id) = added.filter(|_| is_certainly_not_stored(&error)) {
                        self.promises.refused(&id);
                    }
                }
            }
        }
        Ok(())
    }

    /// Callers of a stopped node never receive a result.
    pub(super) fn forget_calls(&mut self, life: Life) {
        self.calls.retain(|call| call.life != life);
    }

    pub(super) fn has_calls(&self) -> bool {
        !self.calls.is_empty()
    }
}
