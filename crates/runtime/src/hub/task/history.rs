//! For those who look back: what the task itself does, and what is done beside it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::ChangeHash;
use offload::{AdaptiveOffload, run_cpu_bound};
use plan::Past;
use plan::history::{History, PageError, Query};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::DocumentTask;
use crate::document::{AttributedPage, Document};
use crate::hub::command::{Attributed, Command, ReadFailure, Unavailable};
use crate::hub::history::no_history;

/// The history of one document, as far as its task has to do with it.
#[derive(Default)]
pub(super) struct Keeper {
    /// Those who wait for it.
    waiting: Vec<oneshot::Sender<Result<bool, Unavailable>>>,
    /// It is being made.
    making: bool,
    last_look: Option<Instant>,
    collecting: AdaptiveOffload,
}

impl Keeper {
    /// Whether it is being made, for somebody who waits.
    pub(super) fn is_making(&self) -> bool {
        self.making
    }
}

impl DocumentTask {
    /// Tells when there is a history. It is made if there is none.
    pub(super) fn open_history(&mut self, document: &mut Document, reply: oneshot::Sender<Result<bool, Unavailable>>) {
        self.history.last_look = Some(Instant::now());
        if let Err(unavailable) = self.may_look_back() {
            let _ = reply.send(Err(unavailable));
        } else if document.history().is_some() || !document.engine.exists() {
            let _ = reply.send(Ok(document.engine.exists()));
        } else {
            self.history.waiting.push(reply);
            if !self.history.making {
                self.history.making = true;
                self.make_history(document);
            }
        }
    }

    fn make_history(&self, document: &mut Document) {
        let copy = run_cpu_bound(|| document.copy());
        let (hub, id) = (self.hub.clone(), self.id.clone());
        self.hub.inner.tasks.spawn(async move {
            // It takes memory as long as it is made.
            let turn = hub.document_turn().await;
            let made = run_cpu_bound(|| {
                let made = catch_unwind(AssertUnwindSafe(|| History::of(&copy)));
                drop(copy);
                made
            });
            drop(turn);
            let made = match made {
                Ok(Ok(history)) => Some(Box::new(history)),
                Ok(Err(error)) => {
                    tracing::error!(document = %id, %error, "the history could not be made");
                    None
                }
                Err(_) => {
                    tracing::error!(document = %id, "the history could not be made: the Automerge library failed");
                    None
                }
            };
            hub.send_if_open(&id, Command::HistoryMade(made)).await;
        });
    }

    /// The history was made, from the document as it was a while ago.
    pub(super) fn history_made(&mut self, document: &mut Document, made: Option<Box<History>>) {
        self.history.making = false;
        let may_show = self.may_look_back().is_ok();
        let kept = made.filter(|_| may_show).is_some_and(|history| run_cpu_bound(|| document.keep_history(history)));
        if let Some(history) = document.history().filter(|_| kept) {
            self.hub.inner.metrics.history_changes.increment(history.len() as u64);
        }
        for reply in std::mem::take(&mut self.history.waiting) {
            let _ = reply.send(if kept { Ok(true) } else { Err(no_history(&self.id)) });
        }
    }

    pub(super) fn history_page(
        &mut self,
        document: &Document,
        query: &Query,
        reply: oneshot::Sender<Option<Result<AttributedPage, PageError>>>,
    ) {
        let page = self.history.collecting.run(false, || document.history_page(query));
        if let Some(Err(PageError::Failed)) = page {
            tracing::error!(document = %self.id, "the Automerge library failed while a page of the history was read");
        }
        let _ = reply.send(page);
    }

    pub(super) fn attribution(
        &self,
        document: &Document,
        changes: &[ChangeHash],
        reply: oneshot::Sender<Result<Option<Attributed>, Unavailable>>,
    ) {
        let known =
            self.may_look_back().map(|()| document.engine.exists().then(|| document.engine.attribution(changes)));
        let _ = reply.send(known);
    }

    pub(super) fn past(
        &mut self,
        document: &mut Document,
        heads: Vec<ChangeHash>,
        reply: oneshot::Sender<Result<Option<Past>, ReadFailure>>,
    ) {
        let past = match self.may_look_back() {
            Err(unavailable) => Err(unavailable.into()),
            Ok(()) if !document.engine.exists() => Ok(None),
            Ok(()) => run_cpu_bound(|| document.past(heads)).map(Some).ok_or(ReadFailure::UnknownHeads),
        };
        let _ = reply.send(past);
    }

    /// Lets go of the history when nobody has asked for it for a while.
    pub(super) fn forget_history_if_unused(&mut self, document: &mut Document) {
        let patience = self.hub.inner.settings.idle_after;
        if self.history.last_look.is_some_and(|look| look.elapsed() >= patience) {
            self.history.last_look = None;
            document.forget_history();
        }
    }

    /// What is in memory may hold what could not be stored: nothing of it is shown.
    fn may_look_back(&self) -> Result<(), Unavailable> {
        if !self.pipeline.log.is_lost() {
            return Ok(());
        }
        let message = "the server cannot read it at the moment; try again later";
        Err(Unavailable::Store(format!("document {}: {message}", self.id)))
    }
}
