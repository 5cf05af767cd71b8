//! Those who look at a document's rows: JSON clients. Frames are rendered once and shared. A client that is behind
//! keeps the set of changed ids (bounded by the document) and gets their current state when its socket has drained.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use plan::{RowEvent, View, ViewChange};

use super::access::Denied;
use super::caller::Caller;
use super::outbox::{ConnectionKey, FarewellKind, Outbox, Outgoing, Waiter};
use super::text::Text;

/// Renders changes of rows as frames of a protocol.
pub type RenderRows = fn(&ViewChange) -> Vec<Text>;

/// All watchers of one document.
pub(super) struct Watchers {
    render: RenderRows,
    waiter: Waiter,
    watchers: HashMap<ConnectionKey, Watcher>,
}

struct Watcher {
    caller: Caller,
    outbox: Outbox,
    missed: Missed,
}

/// What a socket that is behind has not been told.
#[derive(Default)]
struct Missed {
    rows: BTreeSet<Arc<str>>,
    plan: bool,
}

impl Missed {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && !self.plan
    }

    fn add(&mut self, change: &ViewChange) {
        self.plan |= change.plan.is_some();
        self.rows.extend(change.rows.iter().map(|event| Arc::clone(event.id())));
    }

    /// What was missed, told as what is there now.
    fn current(&self, view: &View) -> ViewChange {
        let rows = self.rows.iter().map(|id| match view.get(id) {
            Some(row) => RowEvent::Edited(Arc::clone(row)),
            None => RowEvent::Deleted(Arc::clone(id)),
        });
        ViewChange { rows: rows.collect(), plan: self.plan.then(|| view.plan().clone()) }
    }
}

impl Watchers {
    pub(super) fn new(render: RenderRows, waiter: Waiter) -> Self {
        Self { render, waiter, watchers: HashMap::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    pub(super) fn insert(&mut self, key: ConnectionKey, caller: Caller, outbox: Outbox) {
        self.watchers.insert(key, Watcher { caller, outbox, missed: Missed::default() });
    }

    /// Ends the connections of those who may not look any more.
    pub(super) fn retain(&mut self, may: impl Fn(&Caller) -> bool, denied: &Denied) {
        self.watchers.retain(|_, watcher| {
            let stays = may(&watcher.caller);
            if !stays {
                watcher.outbox.close(FarewellKind::Forbidden, denied.to_string());
            }
            stays
        });
    }

    pub(super) fn remove(&mut self, key: ConnectionKey) {
        self.watchers.remove(&key);
    }

    /// Tells everybody what changed.
    pub(super) fn tell(&mut self, change: &ViewChange) {
        if self.watchers.is_empty() || (change.rows.is_empty() && change.plan.is_none()) {
            return;
        }
        let texts: Arc<[Text]> = (self.render)(change).into();
        if texts.is_empty() {
            return;
        }
        for watcher in self.watchers.values_mut() {
            // A watcher that has missed changes gets all of them in one message, which keeps their order.
            let place = if watcher.missed.is_empty() { watcher.outbox.place(&self.waiter) } else { None };
            match place {
                Some(place) => place.fill(Outgoing::Texts(Arc::clone(&texts))),
                None => watcher.missed.add(change),
            }
        }
    }

    /// A socket has drained.
    pub(super) fn drained(&mut self, key: ConnectionKey, view: &View) {
        let Some(watcher) = self.watchers.get_mut(&key) else { return };
        if watcher.missed.is_empty() {
            return;
        }
        if let Some(place) = watcher.outbox.place(&self.waiter) {
            let missed = std::mem::take(&mut watcher.missed);
            place.fill(Outgoing::Texts((self.render)(&missed.current(view)).into()));
        }
    }
}
