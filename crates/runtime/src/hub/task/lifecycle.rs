//! Opening a document, its upkeep, and letting go of it.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use offload::run_cpu_bound;
use plan::SharedView;
use store::{Lengths, Loaded, Position};
use sync_engine::{Authors, LoadError};
use tokio::time::{Instant, sleep_until};

use super::{DocumentTask, LARGE_DOCUMENT};
use crate::document::Document;
use crate::document_log::DocumentLog;
use crate::hub::command::{Command, EditFailure, SyncPeer, Unavailable};
use crate::hub::outbox::{FarewellKind, Outgoing};

/// How often a document looks after itself.
pub(super) const UPKEEP: Duration = Duration::from_secs(10);
/// The same while something is broken or to be let go of, or for a document that does not exist.
const QUICK_UPKEEP: Duration = Duration::from_secs(1);
/// Percent of a limit from which on a document is said to be nearly full.
const NEARLY_FULL: u64 = 80;

impl DocumentTask {
    pub(super) async fn open(&mut self) -> Result<Box<Document>, Unavailable> {
        let store = &self.hub.inner.store;
        let failed = |error: &dyn std::fmt::Display, public: &str| {
            tracing::error!(document = %self.id, %error, "the document could not be opened");
            Unavailable::Store(format!("document {}: {public}", self.id))
        };
        let unopened = &self.hub.inner.unopened;
        let loaded = store.load(&self.id).await.map_err(|error| {
            unopened.failed(&self.id, error.is_too_large());
            let unavailable = failed(&error, error.public_message());
            if error.is_too_large() { Unavailable::TooLarge(self.id.clone()) } else { unavailable }
        })?;
        let (authors, unreadable) = Authors::read(&store.load_authors(&self.id).await.map_err(|error| {
            unopened.failed(&self.id, false);
            failed(&error, error.public_message())
        })?);
        if unreadable > 0 {
            tracing::error!(document = %self.id, unreadable, "lines of who brought changes in cannot be read; of these changes it is not known any more");
        }
        let records = match store.load_peers(&self.id).await {
            Ok(records) => records,
            Err(error) => {
                tracing::warn!(document = %self.id, %error, "the remembered peers could not be read; they sync anew");
                Vec::new()
            }
        };
        let lengths = loaded.as_ref().map_or(Lengths { snapshot: 0, log: 0 }, |loaded| loaded.lengths());
        let settings = &self.hub.inner.settings;
        let position = loaded.as_ref().map_or(Position::START, |loaded| loaded.position);
        self.pipeline.log =
            DocumentLog::new(Arc::clone(store), self.id.clone(), settings.actors.clone(), position, lengths);
        let actor = settings.actors.fresh();
        // Messages that hold more are taken apart before they come to the document.
        let (id, renderings, limits) = (self.id.clone(), settings.renderings, settings.limits.ordinary());
        // Reading a long history takes a while.
        let read = || match loaded {
            Some(Loaded { document: Some(content), .. }) => Ok(Document::of(id, content, actor, renderings, limits)),
            loaded => {
                let log = loaded.map(|loaded| loaded.bytes).unwrap_or_default();
                Document::load(id, &log, actor, renderings, limits)
            }
        };
        let document = run_cpu_bound(|| catch_unwind(AssertUnwindSafe(read))).unwrap_or(Err(LoadError::Panicked));
        let document = document.map_err(|error| {
            unopened.failed(&self.id, true);
            failed(&error, "the server cannot read it; its operator finds the reason in the log")
        })?;
        let mut document = document;
        document.engine.set_authors(authors);
        unopened.opened(&self.id);
        self.remembered = super::Remembered::new(records);
        tracing::debug!(document = %self.id, exists = document.engine.exists(), "opened");
        Ok(Box::new(document))
    }

    /// The document cannot be opened: everybody who asks is told so, for a while; then it is tried again, if anybody is
    /// still here. (Else the next one who comes does.) Peers are remembered: they wait without asking again.
    pub(super) async fn refuse_all(&mut self, unavailable: Unavailable) -> ControlFlow<()> {
        // A document that cannot be opened must not keep the disk busy.
        let until = Instant::now() + self.hub.inner.unopened.pause(&self.id);
        loop {
            let command = tokio::select! {
                command = self.mailbox.recv() => command,
                () = sleep_until(until) => {
                    if !self.subscribers.turned_away.is_empty() {
                        return ControlFlow::Continue(());
                    }
                    if self.hub.forget_if_idle(&self.id, &mut self.mailbox) { break } else { continue }
                }
            };
            match command {
                None | Some(Command::Stop) => break,
                Some(command) => self.refuse(command, &unavailable),
            }
        }
        self.hand_on().await;
        ControlFlow::Break(())
    }

    /// Peers who were turned away as the document could not be opened are served after all. What they had sent is gone;
    /// they send it again when they hear from us.
    pub(super) fn make_up(&mut self, document: &mut Document) {
        for (key, (peer, request)) in std::mem::take(&mut self.subscribers.turned_away) {
            if !self.admit(document, peer) || !self.note_arrival(document, key, !request) {
                continue;
            }
            if request && !document.engine.exists() {
                document.engine.wait_for_document(key);
            } else {
                self.greet(document, key);
            }
        }
    }

    /// Who had looked this task up before it was out of the table may have sent something since: the next one gets it.
    async fn hand_on(&mut self) {
        self.mailbox.close();
        while let Some(command) = self.mailbox.recv().await {
            // Refused only when the server stops.
            let _ = self.hub.send(&self.id, command).await;
        }
    }

    fn refuse(&mut self, command: Command, unavailable: &Unavailable) {
        match command {
            Command::Greet(peer) => self.turn_away(peer, false, unavailable),
            Command::Sync { peer, request, .. } => self.turn_away(peer, request, unavailable),
            Command::Leave(key) => {
                self.subscribers.turned_away.remove(&key);
            }
            Command::Watch { reply, .. } | Command::Open { reply } => {
                let _ = reply.send(Err(unavailable.clone()));
            }
            Command::Edit { reply, .. } => {
                let _ = reply.send(Err(EditFailure::from(unavailable.clone())));
            }
            Command::OpenHistory { reply } => {
                let _ = reply.send(Err(unavailable.clone()));
            }
            Command::HistoryPage { reply, .. } => {
                // The caller asks again, and is told then why there is no history.
                let _ = reply.send(None);
            }
            Command::Past { reply, .. } => {
                let _ = reply.send(Err(unavailable.clone().into()));
            }
            Command::Attribution { reply, .. } => {
                let _ = reply.send(Err(unavailable.clone()));
            }
            _ => {}
        }
    }

    /// The other documents on this connection are fine: it only learns that this one is not to be had now.
    fn turn_away(&mut self, peer: SyncPeer, request: bool, unavailable: &Unavailable) {
        match peer.outbox.place(&self.waiter) {
            Some(place) => place.fill(Outgoing::Unavailable {
                document: self.id.clone(),
                reason: Some(unavailable.to_string().into()),
            }),
            None => return peer.outbox.close(FarewellKind::TryAgainLater, unavailable.to_string()),
        }
        let (_, asks) = self.subscribers.turned_away.entry(peer.key).or_insert((peer, request));
        *asks &= request;
    }

    pub(super) fn upkeep_interval(&self, document: &Document) -> Duration {
        if self.pipeline.log.is_broken()
            || !self.creation.exists
            || document.engine.holds_cache()
            || !self.rescue.suspended.is_empty()
        {
            QUICK_UPKEEP
        } else {
            UPKEEP.min(self.hub.inner.settings.idle_after)
        }
    }

    /// Saves what is remembered, mends what is broken, and ends the task when nobody needs it.
    pub(super) async fn upkeep(&mut self, document: &mut Document) -> ControlFlow<()> {
        self.save_peers().await;
        let was_lost = self.pipeline.log.is_lost();
        if self.mend(document).await && was_lost {
            self.begin_anew(document);
        }
        self.resume_suspended(document).await;
        if !self.pipeline.log.is_lost() && document.engine.retry_stalled() {
            self.begin_anew(document);
        }
        if self.shown.was_looked_at() {
            self.usage.last_look = Instant::now();
            self.usage.last_use = self.usage.last_look;
        }
        self.hide_if_unused(document);
        self.forget_history_if_unused(document);
        document.engine.evict_unused_cache();
        let used = !self.subscribers.peers.is_empty()
            || !self.subscribers.refused.is_empty()
            || !self.subscribers.watchers.is_empty()
            || self.pipeline.log.is_broken()
            || self.history.is_making();
        let patience = if document.engine.exists() { self.hub.inner.settings.idle_after } else { QUICK_UPKEEP };
        if used || self.usage.last_use.elapsed() < patience {
            return ControlFlow::Continue(());
        }
        // Closed while still in the table: whoever comes now waits in the mailbox, and the file is opened again by the
        // next load, never by two at once.
        self.pipeline.log.close().await;
        if self.hub.forget_if_idle(&self.id, &mut self.mailbox) {
            self.usage.unloaded = true;
            tracing::debug!(document = %self.id, "unloaded");
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// The view for somebody who looks; made if there is none.
    pub(super) fn show(&mut self, document: &mut Document) -> Result<SharedView, Unavailable> {
        self.usage.last_look = Instant::now();
        if document.shown().is_none() && self.pipeline.log.is_lost() {
            // What is in memory may hold what could not be stored.
            let message = "the server cannot read it at the moment; try again later";
            return Err(Unavailable::Store(format!("document {}: {message}", self.id)));
        }
        let Lengths { snapshot, log } = self.pipeline.log.lengths();
        let large = document.shown().is_none() && snapshot + log >= LARGE_DOCUMENT;
        let view = if large { run_cpu_bound(|| document.view()) } else { document.view() };
        self.shown.set(&view);
        Ok(view)
    }

    /// Lets go of the view when nobody has looked for a while.
    fn hide_if_unused(&mut self, document: &mut Document) {
        if self.subscribers.watchers.is_empty() && self.usage.last_look.elapsed() >= self.hub.inner.settings.idle_after
        {
            self.shown.clear();
            document.hide();
        }
    }

    /// Says, once for as long as the document is open, that it comes near a limit: there is time to make room.
    pub(super) fn note_fullness(&mut self, document: &mut Document) {
        if self.usage.nearly_full {
            return;
        }
        let Lengths { snapshot, log } = self.pipeline.log.lengths();
        document.engine.set_stored(snapshot + log);
        let percent = document.engine.used_percent();
        if percent >= NEARLY_FULL {
            self.usage.nearly_full = true;
            self.hub.inner.metrics.documents_nearly_full.increment(1.0);
            tracing::warn!(
                document = %self.id, percent,
                "the document comes near a limit: raise it, or export the document and go on in a new one"
            );
        }
    }

    /// Counts the document among those that are waited for, or no longer.
    pub(super) fn note_existence(&mut self, document: &Document) {
        self.creation.exists = document.engine.exists();
        if self.creation.exists {
            self.hub.inner.access.note_existing(&self.id);
        }
        if self.creation.awaited.is_none() {
            return;
        }
        if self.creation.exists {
            self.subscribers.peers.values_mut().for_each(|member| member.wait = None);
        }
        if self.subscribers.peers.values().all(|member| member.wait.is_none()) {
            self.creation.awaited = None;
        }
    }

    async fn save_peers(&mut self) {
        if let Some(records) = self.remembered.take_dirty()
            && let Err(error) = self.hub.inner.store.save_peers(&self.id, records).await
        {
            tracing::warn!(document = %self.id, %error, "the remembered peers could not be saved; they will sync anew");
        }
    }

    pub(super) async fn close(mut self) {
        let hub = self.hub.clone();
        hub.in_store(async {
            self.save_peers().await;
            self.subscribers.peers.clear();
            self.creation.awaited = None;
            if self.usage.unloaded {
                self.hand_on().await;
            } else {
                self.pipeline.log.close().await;
            }
        })
        .await;
    }
}
