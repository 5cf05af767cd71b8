//! Watchers: JSON clients that receive the row changes of a document. Frames are rendered once and shared.
//!
//! For a client that is behind, a watcher keeps the set of changed ids, which is bounded by the document, and sends
//! their current state when the outbox has drained.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use plan::{PlanEvent, RowEvent, View, ViewChange};

use super::access::Denied;
use super::outbox::{CloseKind, ConnectionKey, DrainListener, Outbox, Outgoing};
use super::requester::Requester;
use super::text::Text;

/// Renders row changes as text frames of a protocol.
pub type RenderRows = fn(&ViewChange) -> Vec<Text>;

/// All watchers of one document.
pub(super) struct Watchers {
    render: RenderRows,
    drain_listener: DrainListener,
    watchers: HashMap<ConnectionKey, Watcher>,
}

struct Watcher {
    requester: Requester,
    outbox: Outbox,
    missed: MissedChanges,
}

/// The changes that a watcher has not received.
#[derive(Default)]
struct MissedChanges {
    rows: BTreeSet<Arc<str>>,
    plan: bool,
}

impl MissedChanges {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && !self.plan
    }

    fn add(&mut self, change: &ViewChange) {
        self.plan |= matches!(change.plan, Some(PlanEvent::Edited(_)));
        self.rows.extend(change.rows.iter().map(|event| Arc::clone(event.id())));
    }

    /// The missed changes, with the current state of their rows.
    fn current(&self, view: &View) -> ViewChange {
        let rows = self.rows.iter().map(|id| match view.get(id) {
            Some(row) => RowEvent::Edited(Arc::clone(row)),
            None => RowEvent::Deleted(Arc::clone(id)),
        });
        ViewChange { rows: rows.collect(), plan: self.plan.then(|| PlanEvent::Edited(view.plan().clone())) }
    }
}

impl Watchers {
    pub(super) fn new(render: RenderRows, drain_listener: DrainListener) -> Self {
        Self { render, drain_listener, watchers: HashMap::new() }
    }

    /// Whether there are no watchers.
    pub(super) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Adds a connection, which receives changes from now on.
    pub(super) fn insert(&mut self, key: ConnectionKey, requester: Requester, outbox: Outbox) {
        self.watchers.insert(key, Watcher { requester, outbox, missed: MissedChanges::default() });
    }

    /// Closes the connections of watchers that may no longer read.
    pub(super) fn retain(&mut self, may: impl Fn(&Requester) -> bool, denied: &Denied) {
        self.watchers.retain(|_, watcher| {
            let stays = may(&watcher.requester);
            if !stays {
                watcher.outbox.close(CloseKind::Forbidden, denied.to_string());
            }
            stays
        });
    }

    /// Removes a connection.
    pub(super) fn remove(&mut self, key: ConnectionKey) {
        self.watchers.remove(&key);
    }

    /// Sends changes to all watchers.
    pub(super) fn notify(&mut self, change: &ViewChange) {
        if self.watchers.is_empty() || (change.rows.is_empty() && change.plan.is_none()) {
            return;
        }
        let texts: Arc<[Text]> = (self.render)(change).into();
        if texts.is_empty() {
            return;
        }
        for watcher in self.watchers.values_mut() {
            // A watcher that has missed changes gets all of them in one message, which keeps their order.
            let permit =
                if watcher.missed.is_empty() { watcher.outbox.try_reserve(&self.drain_listener) } else { None };
            match permit {
                Some(permit) => permit.send(Outgoing::Texts(Arc::clone(&texts))),
                None => watcher.missed.add(change),
            }
        }
    }

    /// Sends the missed changes of a watcher whose outbox has drained.
    pub(super) fn send_missed(&mut self, key: ConnectionKey, view: &View) {
        let Some(watcher) = self.watchers.get_mut(&key) else { return };
        if watcher.missed.is_empty() {
            return;
        }
        if let Some(permit) = watcher.outbox.try_reserve(&self.drain_listener) {
            let missed = std::mem::take(&mut watcher.missed);
            permit.send(Outgoing::Texts((self.render)(&missed.current(view)).into()));
        }
    }
}
