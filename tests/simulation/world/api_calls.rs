//! Callers of the API, who wait for the result of their edits.

use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::{Budget, Edit, NewPosition, PositionPatch};
use rand::RngExt;
use runtime::hub::Requester;

use super::{Pending, Violation, World, author};
use crate::host::Host;

impl World {
    pub(super) fn call_api(&mut self) {
        let budget = Budget::Int(self.rng.random_range(1..99));
        let choice = self.rng.random_range(0..10);
        let mut added = None;
        let edit = match (choice, self.random_position()) {
            (0..4, _) | (_, None) => {
                let id = self.new_name();
                self.positions.push(id.clone());
                added = Some(id.clone());
                Edit::Add(
                    NewPosition::new(id, "by the API")
                        .with(DEPARTMENT, "HR")
                        .with(BUDGET, budget)
                        .with(LOCATION, "Pune"),
                )
            }
            (4..9, Some(id)) => Edit::Patch { id, patch: PositionPatch::set(BUDGET, budget) },
            (_, Some(id)) => {
                self.promises.may_be_deleted(&id);
                Edit::Delete { id }
            }
        };
        self.log(|| format!("a call: {edit:?}"));
        let (hub, id) = (self.life.hub.clone(), self.id.clone());
        let result = self.life.spawn(async move { hub.edit(&Requester::server(), &id, edit, author()).await });
        self.pending.push(Pending { added, result });
    }

    pub(super) fn collect_api_results(&mut self) -> Result<(), Violation> {
        let (over, pending) = std::mem::take(&mut self.pending).into_iter().partition(|edit| edit.result.is_finished());
        self.pending = pending;
        for Pending { added, result } in over {
            match self.life.run(result) {
                Ok(Ok(_)) => {
                    self.log(|| format!("a call is answered: {added:?}"));
                    if let Some(id) = added {
                        self.promises.added(&id);
                    }
                }
                // The position may be deleted, or the disk may have failed.
                Ok(Err(error)) => self.log(|| format!("a call fails: {error}")),
                Err(error) => return Err(format!("a call was never answered: {error}")),
            }
        }
        Ok(())
    }
}
