//! The document task's part in serving the view.
//!
//! Reading all rows of a large document takes seconds. It happens outside of the task, on a copy, so that peers are served meanwhile.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use offload::run_cpu_bound;
use plan::{SharedView, View};
use store::Lengths;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{DocumentTask, LARGE_DOCUMENT};
use crate::document::Document;
use crate::hub::access::{Denied, Right};
use crate::hub::command::{Command, Unavailable};
use crate::hub::outbox::{ConnectionKey, Outbox};
use crate::hub::requester::Requester;

/// The answer to a reader that waits for the view.
pub(super) type ViewReply = oneshot::Sender<Result<SharedView, Unavailable>>;

/// A connection that receives row changes from the time when it gets the view.
pub(super) struct NewWatcher {
    pub(super) requester: Requester,
    pub(super) key: ConnectionKey,
    pub(super) outbox: Outbox,
}

/// The readers that wait for the view.
#[derive(Default)]
pub(super) struct ViewState {
    waiting: Vec<(Option<NewWatcher>, ViewReply)>,
    building: bool,
}

impl ViewState {
    /// Whether the view is being built.
    pub(super) fn is_building(&self) -> bool {
        self.building
    }

    /// Forgets a connection that was closed.
    pub(super) fn forget(&mut self, key: ConnectionKey) {
        self.waiting.retain(|(watcher, _)| watcher.as_ref().is_none_or(|watcher| watcher.key != key));
    }
}

impl DocumentTask {
    /// Answers with the view, and creates it if there is none. A watcher receives the changes after it.
    pub(super) fn open_view(&mut self, document: &mut Document, watcher: Option<NewWatcher>, reply: ViewReply) {
        self.usage.last_read = Instant::now();
        if document.existing_view().is_none() {
            if self.pipeline.log.needs_reload() {
                // The document in memory may contain changes that were not stored.
                let _ = reply.send(Err(self.unreadable()));
                return;
            }
            let Lengths { snapshot, log } = self.pipeline.log.lengths();
            if snapshot + log >= LARGE_DOCUMENT {
                self.view.waiting.push((watcher, reply));
                if !std::mem::replace(&mut self.view.building, true) {
                    self.build_view(document);
                }
                return;
            }
        }
        let view = document.view();
        self.published_view.set(&view);
        self.answer_reader(watcher, reply, Ok(view));
    }

    fn build_view(&self, document: &mut Document) {
        let copy = run_cpu_bound(|| document.copy());
        let renderings = self.hub.inner.settings.renderings;
        let (hub, id) = (self.hub.clone(), self.id.clone());
        self.hub.inner.tasks.spawn(async move {
            let built = run_cpu_bound(|| {
                let built = catch_unwind(AssertUnwindSafe(|| View::new(&copy, renderings)));
                drop(copy);
                built
            });
            if built.is_err() {
                tracing::error!(document = %id, "cannot read the positions: the Automerge library panicked");
            }
            hub.send_if_open(&id, Command::ViewBuilt(built.ok().map(Box::new))).await;
        });
    }

    /// Brings the view that was built from a copy up to date, and answers those that wait for it.
    pub(super) fn view_built(&mut self, document: &mut Document, built: Option<Box<View>>) {
        self.view.building = false;
        self.usage.last_read = Instant::now();
        // Readers keep a view that they got meanwhile, from a smaller document or from another build.
        let view = match document.existing_view() {
            Some(view) => Some(Arc::clone(view)),
            None => built
                .filter(|_| !self.pipeline.log.needs_reload())
                .and_then(|built| run_cpu_bound(|| document.set_view(*built))),
        };
        if let Some(view) = &view {
            self.published_view.set(view);
        }
        for (watcher, reply) in std::mem::take(&mut self.view.waiting) {
            let view = view.clone().ok_or_else(|| self.unreadable());
            self.answer_reader(watcher, reply, view);
        }
    }

    fn answer_reader(&mut self, watcher: Option<NewWatcher>, reply: ViewReply, view: Result<SharedView, Unavailable>) {
        if let (Some(NewWatcher { requester, key, outbox }), Ok(_)) = (watcher, &view) {
            // The right may have been lost while the view was built.
            if self.hub.right(&requester, &self.id) < Right::Read {
                let _ = reply.send(Err(Denied::Missing(self.id.clone()).into()));
                return;
            }
            self.subscribers.watchers.insert(key, requester, outbox);
        }
        let _ = reply.send(view);
    }

    /// Drops the view if it was not read for a while.
    pub(super) fn drop_view_if_unused(&mut self, document: &mut Document) {
        if self.subscribers.watchers.is_empty() && self.usage.last_read.elapsed() >= self.hub.inner.settings.idle_after
        {
            self.published_view.clear();
            document.drop_view();
        }
    }

    fn unreadable(&self) -> Unavailable {
        let message = "temporarily unreadable; try again later";
        Unavailable::Store(format!("document {}: {message}", self.id))
    }
}
