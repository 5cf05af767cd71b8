//! Families: a plan and its scenarios, as the access records tell.

use std::collections::{BTreeSet, HashMap};

use parking_lot::RwLock;
use primitives::DocumentId;

use super::{Access, AccessRecord, Denied, Right};
use crate::hub::requester::Requester;

/// The scenarios of each plan. May hold documents that were not created after all, which are no scenarios by their record.
#[derive(Default)]
pub(super) struct Scenarios(RwLock<HashMap<DocumentId, BTreeSet<DocumentId>>>);

impl Scenarios {
    /// Notes a record that was read or is about to be stored.
    pub(super) fn note(&self, id: &DocumentId, record: &AccessRecord) {
        if let Some(plan) = &record.scenario_of {
            let mut plans = self.0.write();
            plans.entry(plan.clone()).or_default().insert(id.clone());
        }
    }

    fn of(&self, plan: &DocumentId) -> Vec<DocumentId> {
        let plans = self.0.read();
        plans.get(plan).into_iter().flatten().cloned().collect()
    }
}

impl Access {
    /// The plan that a document is a scenario of.
    pub(in crate::hub) fn scenario_of(&self, id: &DocumentId) -> Option<DocumentId> {
        self.record(id)?.scenario_of.clone()
    }

    /// All scenarios of a plan, including deleted ones.
    pub(in crate::hub) fn scenarios_of(&self, plan: &DocumentId) -> Vec<DocumentId> {
        let mut scenarios = self.scenarios.of(plan);
        scenarios.retain(|id| self.scenario_of(id).as_ref() == Some(plan));
        scenarios
    }

    /// The plan of the family that a document belongs to. `None` for a document without scenarios that is none itself.
    pub(in crate::hub) fn family_of(&self, id: &DocumentId) -> Option<DocumentId> {
        self.scenario_of(id).or_else(|| (!self.scenarios_of(id).is_empty()).then(|| id.clone()))
    }

    /// Checks whether `requester` may delete the document: an owner, or the user who made it, if it is a scenario.
    pub(in crate::hub) fn check_may_delete(&self, requester: &Requester, id: &DocumentId) -> Result<(), Denied> {
        let made_it = || {
            let record = self.record(id)?;
            record.scenario_of.as_ref()?;
            Some(record.owner.is_some() && record.owner == requester.user())
        };
        if self.right(requester, id) >= Right::Read && made_it() == Some(true) {
            return Ok(());
        }
        self.check_owner(requester, id)
    }

    /// Checks whether `requester` may make a scenario of a plan.
    pub(in crate::hub) fn check_scenario(&self, requester: &Requester, plan: &DocumentId) -> Result<(), Denied> {
        match self.right(requester, plan) {
            Right::None => Err(Denied::Missing(plan.clone())),
            Right::Read => Err(Denied::ReadOnly),
            Right::Write | Right::Own if self.may_create(requester) => Ok(()),
            Right::Write | Right::Own => Err(Denied::Create),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use auth::Role;
    use store::MemoryStore;

    use super::*;

    fn id(seed: u8) -> DocumentId {
        DocumentId::from_random([seed; 16])
    }

    /// Access to a plan (document 1) with a scenario (document 2) and to another document (3).
    async fn access() -> Access {
        let access = Access::new(Arc::new(MemoryStore::default()), None, Some(Role::Editor));
        access.change(&id(2), |record| record.scenario_of = Some(id(1))).await.unwrap();
        access.change(&id(3), |record| record.owner = Some("ceo".into())).await.unwrap();
        access
    }

    #[tokio::test]
    async fn plan_and_scenarios_are_one_family() {
        let access = access().await;
        assert_eq!(access.scenario_of(&id(2)), Some(id(1)));
        assert_eq!(access.scenarios_of(&id(1)), [id(2)]);
        assert_eq!((access.family_of(&id(1)), access.family_of(&id(2))), (Some(id(1)), Some(id(1))));
        assert_eq!(access.family_of(&id(3)), None, "a document without scenarios");
    }

    #[tokio::test]
    async fn rejected_record_makes_no_scenario() {
        let access = access().await;
        let record = AccessRecord { scenario_of: Some(id(1)), ..AccessRecord::default() };
        access.scenarios.note(&id(4), &record);
        assert_eq!(access.scenarios_of(&id(1)), [id(2)], "no record of document 4 was stored");
    }

    #[tokio::test]
    async fn scenario_is_deleted_with_its_plan() {
        let access = access().await;
        assert!(!access.is_deleted(&id(2)));
        let deletion = super::super::Deletion { by: None, at: 1, removed: false };
        access.change(&id(1), |record| record.deleted = Some(deletion.clone())).await.unwrap();
        assert!(access.is_deleted(&id(2)) && !access.is_deleted(&id(3)));
        assert_eq!(access.right(&Requester::server(), &id(2)), Right::None);
        let deleted: BTreeSet<DocumentId> = access.deleted_before(2).into_iter().collect();
        assert_eq!(deleted, [id(1), id(2)].into());
        assert_eq!(access.scenarios_of(&id(1)), [id(2)], "its changes are still those of the family");
    }

    #[tokio::test]
    async fn server_may_make_and_delete_scenarios() {
        let access = access().await;
        let server = Requester::server();
        assert_eq!(access.check_scenario(&server, &id(1)), Ok(()));
        assert_eq!(access.check_may_delete(&server, &id(2)), Ok(()));
    }
}
