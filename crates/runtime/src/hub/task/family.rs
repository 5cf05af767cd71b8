//! A document as a part of its family: a plan with its scenarios.
//!
//! A new document is a scenario if its content names another document as its own, and shares the change that wrote this. The
//! server then records its plan in the access record. See [`crate::hub::families`] for the provenance of its changes.

use automerge::Change;
use store::StoreError;
use sync_engine::{Authors, BadMessage, Contributor, Relatives};

use super::DocumentTask;
use super::commit::ItemSource;
use crate::document::{Applied, Document, Prepared};
use crate::hub::access::{Denied, Right};
use crate::hub::command::EditFailure;
use crate::hub::families::Recipient;
use crate::hub::refusals::RefusalDuration;
use crate::hub::requester::Requester;
use crate::metrics::RefusalReason;
use primitives::DocumentId;

/// Why a scenario is not created.
pub(super) enum NotCreated {
    /// The store failed.
    Store(StoreError),
    /// Its bringer may not make it, or another user's actor was continued.
    Refused(EditFailure),
}

impl From<StoreError> for NotCreated {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl DocumentTask {
    /// Adapts the schema to whether the document is a scenario.
    pub(super) fn update_plan(&self, document: &mut Document) {
        document.set_plan(self.hub.inner.access.scenario_of(&self.id));
    }

    /// What the family of the document knows of the changes of a batch.
    pub(super) async fn relatives(
        &mut self,
        document: &mut Document,
        prepared: &[Prepared],
        senders: &[ItemSource],
    ) -> Result<Relatives, StoreError> {
        let mut changes: Vec<(&Change, Option<Contributor>)> = Vec::new();
        for (prepared, sender) in prepared.iter().zip(senders) {
            let by = self.requester_of(sender).and_then(Requester::contributor);
            changes.extend(prepared.changes().iter().map(|change| (change, by.clone())));
        }
        if self.may_have_unknown_family(document.engine.authors(), &changes) {
            self.hub.take_control().await;
        }
        let Some(plan) = self.hub.inner.access.family_of(&self.id) else { return Ok(Relatives::default()) };
        let family = self.hub.family(&plan);
        if family.has_lost_actor(document.engine.automerge().get_actor()).await {
            document.engine.use_actor(self.hub.inner.settings.actors.fresh());
        }
        let recipient = Recipient::new(&self.id, document, document.engine.authors());
        let relatives = family.relatives(&self.hub, &changes, recipient).await;
        self.family = Some(family);
        relatives
    }

    /// Whether another process may have created a scenario of which this one does not know, so that its changes would be taken for
    /// new ones. Changes under an actor of their contributor are attributed to the same user in any case.
    fn may_have_unknown_family(&self, own: &Authors, changes: &[(&Change, Option<Contributor>)]) -> bool {
        self.hub.inner.store.is_shared()
            && changes.iter().any(|(change, by)| {
                by.as_ref().is_some_and(|by| !own.is_bound_to(change.actor_id(), &by.user))
                    && !own.knows(&change.hash())
            })
    }

    pub(super) fn requester_of<'a>(&'a self, sender: &'a ItemSource) -> Option<&'a Requester> {
        match sender {
            ItemSource::Peer(key) => self.subscribers.peers.get(key).map(|subscription| &subscription.peer.requester),
            ItemSource::Edit { requester, .. } => Some(requester),
        }
    }

    /// Whether a document that is about to be created is a scenario, and of which plan. Attributes its changes as its family does.
    pub(super) async fn recognize_scenario(
        &mut self,
        document: &mut Document,
        applied: &mut Applied,
        creator: Option<&Requester>,
    ) -> Result<Option<DocumentId>, NotCreated> {
        document.set_plan(None);
        let Some((named, written_by)) = document.named_plan().filter(|(named, _)| *named != self.id) else {
            return Ok(None);
        };
        let access = &self.hub.inner.access;
        let plan = access.scenario_of(&named).unwrap_or(named);
        let right = creator.map_or(Right::None, |creator| self.hub.right(creator, &plan));
        if plan == self.id || right < Right::Read {
            return Ok(None);
        }
        let family = self.hub.family(&plan);
        if !family.knows(&self.hub, &written_by).await? {
            return Ok(None);
        }
        if right < Right::Write {
            return Err(NotCreated::Refused(Denied::ReadOnly.into()));
        }
        let by = creator.and_then(Requester::contributor);
        let changes: Vec<(&Change, Option<Contributor>)> =
            applied.changes().iter().map(|change| (change, by.clone())).collect();
        let no_authors = Authors::default();
        let recipient = Recipient::new(&self.id, document, &no_authors);
        let relatives = family.relatives(&self.hub, &changes, recipient).await;
        self.family = Some(family);
        let relatives = relatives?.for_clone();
        if let Err(error) = document.engine.attribute_again(applied, &relatives) {
            return Err(NotCreated::Refused(EditFailure::Merge(error)));
        }
        document.set_plan(Some(plan.clone()));
        Ok(Some(plan))
    }

    /// Rejects a batch that would create a scenario, and tells its senders why.
    pub(super) async fn refuse_scenario(
        &mut self,
        document: &mut Document,
        applied: Applied,
        senders: Vec<ItemSource>,
        failure: EditFailure,
    ) {
        self.hub.inner.metrics.record_refusal(RefusalReason::Denied);
        self.reload(document).await;
        let message = failure.to_string();
        let mut failure = Some(failure);
        for (sender, contributed) in senders.into_iter().zip(&applied.contributed_changes) {
            match sender {
                ItemSource::Edit { reply, .. } => {
                    let _ = reply.send(Err(failure.take().unwrap_or(EditFailure::Unknown)));
                }
                ItemSource::Peer(key) if *contributed => {
                    self.creation.pending_requests.withdraw_announcement(key);
                    if let Some(subscription) = self.subscribers.peers.get(&key) {
                        subscription.peer.refuse(&self.id, RefusalDuration::Connection, &message);
                    }
                    self.subscribers.disconnected.push(key);
                }
                ItemSource::Peer(_) => {}
            }
        }
    }

    /// Tells the family what the document has stored.
    pub(super) async fn note_in_family(&self, applied: &Applied, time_ms: i64) {
        if let Some(plan) = self.hub.inner.access.family_of(&self.id) {
            self.hub.note_in_family(&plan, &self.id, &applied.authors(time_ms), applied.changes()).await;
        }
    }
}

/// The failure of a merge whose changes were rejected.
pub(super) fn merge_failure(error: BadMessage) -> EditFailure {
    match error {
        BadMessage::Full(full) => full.into(),
        error => EditFailure::Merge(error),
    }
}
