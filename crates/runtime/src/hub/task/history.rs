//! The document task's part in serving the history.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use automerge::{Automerge, ChangeHash};
use offload::{AdaptiveOffload, run_cpu_bound};
use plan::Past;
use plan::history::{FollowError, History, PageError, Query, Since};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::DocumentTask;
use crate::document::{AttributedFollowing, AttributedPage, Document};
use crate::hub::command::{Attributed, Command, ReadFailure, Unavailable};
use crate::hub::history::history_unavailable;

/// The state of the document's history.
#[derive(Default)]
pub(super) struct HistoryState {
    /// Requests that wait for the history.
    replies: Vec<oneshot::Sender<Result<bool, Unavailable>>>,
    /// Whether the history is being built.
    building: bool,
    last_read: Option<Instant>,
    page_offload: AdaptiveOffload,
}

impl HistoryState {
    /// Whether the history is being built for a waiting request.
    pub(super) fn is_building(&self) -> bool {
        self.building
    }
}

impl DocumentTask {
    /// Answers when the history is available, and builds it if there is none.
    pub(super) fn open_history(&mut self, document: &mut Document, reply: oneshot::Sender<Result<bool, Unavailable>>) {
        self.history.last_read = Some(Instant::now());
        if let Err(unavailable) = self.check_readable() {
            let _ = reply.send(Err(unavailable));
        } else if document.history().is_some() || !document.engine.exists() {
            let _ = reply.send(Ok(document.engine.exists()));
        } else {
            self.history.replies.push(reply);
            if !self.history.building {
                self.history.building = true;
                self.build_history(document);
            }
        }
    }

    fn build_history(&self, document: &mut Document) {
        let copy = run_cpu_bound(|| document.copy());
        let (hub, id) = (self.hub.clone(), self.id.clone());
        self.hub.inner.tasks.spawn(async move {
            // Building the history takes memory.
            let permit = hub.acquire_document_permit().await;
            let built = run_cpu_bound(|| {
                let built = catch_unwind(AssertUnwindSafe(|| History::of(&copy)));
                drop(copy);
                built
            });
            drop(permit);
            let built = match built {
                Ok(Ok(history)) => Some(Box::new(history)),
                Ok(Err(error)) => {
                    tracing::error!(document = %id, %error, "cannot build the history");
                    None
                }
                Err(_) => {
                    tracing::error!(document = %id, "cannot build the history: the Automerge library panicked");
                    None
                }
            };
            hub.send_if_open(&id, Command::HistoryBuilt(built)).await;
        });
    }

    /// Installs the history that was built from a copy of the document.
    pub(super) fn history_built(&mut self, document: &mut Document, built: Option<Box<History>>) {
        self.history.building = false;
        let is_readable = self.check_readable().is_ok();
        let accepted =
            built.filter(|_| is_readable).is_some_and(|history| run_cpu_bound(|| document.set_history(history)));
        if let Some(history) = document.history().filter(|_| accepted) {
            self.hub.inner.metrics.history_changes.increment(history.len() as u64);
        }
        for reply in std::mem::take(&mut self.history.replies) {
            let _ = reply.send(if accepted { Ok(true) } else { Err(history_unavailable(&self.id)) });
        }
    }

    /// Answers with a page of the history.
    pub(super) fn history_page(
        &mut self,
        document: &Document,
        query: &Query,
        reply: oneshot::Sender<Option<Result<AttributedPage, PageError>>>,
    ) {
        let page = self.history.page_offload.run(false, || document.history_page(query));
        if let Some(Err(PageError::Failed)) = page {
            tracing::error!(document = %self.id, "the Automerge library panicked while a page of the history was read");
        }
        let _ = reply.send(page);
    }

    /// Answers with a portion of the changes after known heads.
    pub(super) fn following(
        &mut self,
        document: &Document,
        since: &Since,
        reply: oneshot::Sender<Option<Result<AttributedFollowing, FollowError>>>,
    ) {
        let following = self.history.page_offload.run(false, || document.following(since));
        if let Some(Err(FollowError::Failed)) = following {
            tracing::error!(document = %self.id, "the Automerge library panicked while changes of the history were read");
        }
        let _ = reply.send(following);
    }

    /// Answers with the heads.
    pub(super) fn heads(
        &self,
        document: &Document,
        reply: oneshot::Sender<Result<Option<Vec<ChangeHash>>, Unavailable>>,
    ) {
        let exists = document.engine.exists();
        let _ = reply.send(self.check_readable().map(|()| exists.then(|| document.engine.heads())));
    }

    /// Answers with the provenance of these changes.
    pub(super) fn attribution(
        &self,
        document: &Document,
        changes: &[ChangeHash],
        reply: oneshot::Sender<Result<Option<Attributed>, Unavailable>>,
    ) {
        let known =
            self.check_readable().map(|()| document.engine.exists().then(|| document.engine.attribution(changes)));
        let _ = reply.send(known);
    }

    /// Answers with the document at these heads.
    pub(super) fn past(
        &mut self,
        document: &mut Document,
        heads: Vec<ChangeHash>,
        reply: oneshot::Sender<Result<Option<Past>, ReadFailure>>,
    ) {
        let past = match self.check_readable() {
            Err(unavailable) => Err(unavailable.into()),
            Ok(()) if !document.engine.exists() => Ok(None),
            Ok(()) => run_cpu_bound(|| document.past(heads)).map(Some).ok_or(ReadFailure::UnknownHeads),
        };
        let _ = reply.send(past);
    }

    /// Answers with a copy of the document.
    pub(super) fn copy(
        &mut self,
        document: &mut Document,
        reply: oneshot::Sender<Result<Option<Arc<Automerge>>, Unavailable>>,
    ) {
        let exists = document.engine.exists();
        let copy = self.check_readable().map(|()| exists.then(|| run_cpu_bound(|| document.copy())));
        let _ = reply.send(copy);
    }

    /// Drops the history if it was not requested for a while, unless followers will need it for the next change.
    pub(super) fn drop_history_if_unused(&mut self, document: &mut Document) {
        if self.followers.are_there() {
            return;
        }
        let idle_after = self.hub.inner.settings.idle_after;
        if self.history.last_read.is_some_and(|look| look.elapsed() >= idle_after) {
            self.history.last_read = None;
            document.drop_history();
        }
    }

    /// Checks that the document in memory contains only stored changes, so that it may be read.
    fn check_readable(&self) -> Result<(), Unavailable> {
        if !self.pipeline.log.needs_reload() {
            return Ok(());
        }
        let message = "temporarily unreadable; try again later";
        Err(Unavailable::Store(format!("document {}: {message}", self.id)))
    }
}
