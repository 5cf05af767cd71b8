//! Opening, maintaining and closing a document.

use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use offload::run_cpu_bound;
use store::{Lengths, Loaded, Position};
use sync_engine::{Authors, LoadError};
use tokio::time::{Instant, sleep_until};

use super::DocumentTask;
use crate::document::Document;
use crate::document_log::DocumentLog;
use crate::hub::command::{Command, EditFailure, SyncPeer, Unavailable};
use crate::hub::outbox::{CloseKind, Outgoing};

/// Interval of maintenance.
pub(super) const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(10);
/// Interval of maintenance for documents that are in recovery, hold a cache or suspended peers, or do not exist.
const SHORT_MAINTENANCE_INTERVAL: Duration = Duration::from_secs(1);
/// Percentage of a limit from which on a document counts as nearly full.
const NEARLY_FULL: u64 = 80;

impl DocumentTask {
    /// Opens the document from the store. Failures count for the back-off.
    pub(super) async fn open(&mut self) -> Result<Box<Document>, Unavailable> {
        let store = &self.hub.inner.store;
        let failed = |error: &dyn std::fmt::Display, public: &str| {
            tracing::error!(document = %self.id, %error, "cannot open the document");
            Unavailable::Store(format!("document {}: {public}", self.id))
        };
        let open_failures = &self.hub.inner.open_failures;
        let mut loaded = store.load(&self.id).await.map_err(|error| {
            open_failures.record_failure(&self.id, error.is_too_large());
            let unavailable = failed(&error, error.public_message());
            if error.is_too_large() { Unavailable::TooLarge(self.id.clone()) } else { unavailable }
        })?;
        let authors = match &mut loaded {
            Some(loaded) => std::mem::take(&mut loaded.authors),
            // Lines are stored before the changes, so a document that does not exist yet may have some.
            None => store.load_authors(&self.id).await.map_err(|error| {
                open_failures.record_failure(&self.id, false);
                failed(&error, error.public_message())
            })?,
        };
        let (authors, unreadable) = Authors::read(&authors);
        if unreadable > 0 {
            tracing::error!(document = %self.id, unreadable, "cannot read some provenance records; the contributors of their changes are unknown");
        }
        let access_changed = self.hub.inner.access.refresh(&self.id).await.map_err(|error| {
            open_failures.record_failure(&self.id, false);
            failed(&error, error.public_message())
        })?;
        if access_changed {
            self.hub.recheck_document(&self.id);
        }
        let records = match store.load_peers(&self.id).await {
            Ok(records) => records,
            Err(error) => {
                tracing::warn!(document = %self.id, %error, "cannot read the peer records; the next sync of these peers is a full one");
                Vec::new()
            }
        };
        let lengths = loaded.as_ref().map_or(Lengths { snapshot: 0, log: 0 }, |loaded| loaded.lengths());
        let settings = &self.hub.inner.settings;
        let position = loaded.as_ref().map_or(Position::START, |loaded| loaded.position);
        self.pipeline.log =
            DocumentLog::new(Arc::clone(store), self.id.clone(), settings.actors.clone(), position, lengths);
        let actor = settings.actors.fresh();
        // Larger messages are decoded before they reach the document.
        let (id, renderings, limits) = (self.id.clone(), settings.renderings, settings.limits.ordinary());
        // Reading a long history takes long.
        let read = || match loaded {
            Some(Loaded { document: Some(content), .. }) => {
                Ok(Document::from_automerge(id, content, actor, renderings, limits))
            }
            loaded => {
                let log = loaded.map(|loaded| loaded.bytes).unwrap_or_default();
                Document::load(id, &log, actor, renderings, limits)
            }
        };
        let document = run_cpu_bound(|| catch_unwind(AssertUnwindSafe(read))).unwrap_or(Err(LoadError::Panicked));
        let document = document.map_err(|error| {
            open_failures.record_failure(&self.id, true);
            failed(&error, "the server cannot read it; the reason is in the server's log")
        })?;
        let mut document = document;
        document.engine.set_authors(authors);
        document.set_plan(self.hub.inner.access.scenario_of(&self.id));
        open_failures.record_success(&self.id);
        self.peer_records = super::PeerRecords::new(records);
        tracing::debug!(document = %self.id, exists = document.engine.exists(), "opened");
        Ok(Box::new(document))
    }

    /// Rejects commands while the document cannot be opened, until the next attempt is due. Then continues if peers
    /// are waiting; otherwise the task ends, and the next command starts a new one.
    pub(super) async fn refuse_until_retry(&mut self, unavailable: Unavailable) -> ControlFlow<()> {
        // The back-off keeps a broken document from occupying the disk.
        let until = Instant::now() + self.hub.inner.open_failures.delay(&self.id);
        loop {
            let command = tokio::select! {
                command = self.mailbox.recv() => command,
                () = sleep_until(until) => {
                    if !self.subscribers.waiting_peers.is_empty() {
                        return ControlFlow::Continue(());
                    }
                    if self.hub.unregister_if_idle(&self.id, &mut self.mailbox) { break } else { continue }
                }
            };
            match command {
                None | Some(Command::Stop) => break,
                Some(command) => self.refuse_command(command, &unavailable),
            }
        }
        self.forward_mailbox().await;
        ControlFlow::Break(())
    }

    /// Adds the peers that joined while the document could not be opened. Their messages were dropped; they send them
    /// again after the document's first message.
    pub(super) fn admit_waiting_peers(&mut self, document: &mut Document) {
        for (key, (peer, request)) in std::mem::take(&mut self.subscribers.waiting_peers) {
            if !self.admit(document, peer) || !self.track_pending_peer(document, key, !request) {
                continue;
            }
            if request && !document.engine.exists() {
                document.engine.wait_for_document(key);
            } else {
                self.send_first_message(document, key);
            }
        }
    }

    /// Forwards the remaining commands to the successor task: senders may have looked this task up before it was
    /// unregistered.
    async fn forward_mailbox(&mut self) {
        self.mailbox.close();
        while let Some(command) = self.mailbox.recv().await {
            // Fails only if the server is shutting down.
            let _ = self.hub.send(&self.id, command).await;
        }
    }

    fn refuse_command(&mut self, command: Command, unavailable: &Unavailable) {
        match command {
            Command::StartSync(peer) => self.defer_peer(peer, false, unavailable),
            Command::Sync { peer, request, .. } => self.defer_peer(peer, request, unavailable),
            Command::Leave(key) => {
                self.subscribers.waiting_peers.remove(&key);
            }
            Command::Watch { reply, .. } | Command::Open { reply } => {
                let _ = reply.send(Err(unavailable.clone()));
            }
            Command::Edit { reply, .. } | Command::Merge { reply, .. } => {
                let _ = reply.send(Err(EditFailure::from(unavailable.clone())));
            }
            Command::OpenHistory { reply } => {
                let _ = reply.send(Err(unavailable.clone()));
            }
            Command::HistoryPage { reply, .. } => {
                // The caller asks again, and then gets the reason.
                let _ = reply.send(None);
            }
            Command::Past { reply, .. } => {
                let _ = reply.send(Err(unavailable.clone().into()));
            }
            Command::Copy { reply } => {
                let _ = reply.send(Err(unavailable.clone()));
            }
            Command::Attribution { reply, .. } => {
                let _ = reply.send(Err(unavailable.clone()));
            }
            Command::Heads { reply } => {
                let _ = reply.send(Err(unavailable.clone()));
            }
            Command::Following { reply, .. } => {
                // The caller asks again, and then gets the reason.
                let _ = reply.send(None);
            }
            // Nobody waits for an answer to these. `Follow` is answered by dropping its sender.
            Command::Ephemeral { .. }
            | Command::RemoteEphemeral { .. }
            | Command::RemoteHeads { .. }
            | Command::WatchStorages { .. }
            | Command::Follow { .. }
            | Command::PeerLacks(_)
            | Command::Postpone(_)
            | Command::LegacyPresenceChanged
            | Command::Recheck
            | Command::Drained(_)
            | Command::HistoryBuilt(_)
            | Command::ViewBuilt(_)
            | Command::Stop => {}
        }
    }

    /// Tells a peer that the document is unavailable, and remembers the peer for the next attempt. Other documents on
    /// its connection are not affected.
    fn defer_peer(&mut self, peer: SyncPeer, request: bool, unavailable: &Unavailable) {
        match peer.outbox.try_reserve(&self.drain_listener) {
            Some(permit) => permit.send(Outgoing::Unavailable {
                document: self.id.clone(),
                reason: Some(unavailable.to_string().into()),
            }),
            None => return peer.outbox.close(CloseKind::TryAgainLater, unavailable.to_string()),
        }
        let (_, only_requests) = self.subscribers.waiting_peers.entry(peer.key).or_insert((peer, request));
        *only_requests &= request;
    }

    /// Time until the next maintenance.
    pub(super) fn maintenance_interval(&self, document: &Document) -> Duration {
        if self.pipeline.log.needs_recovery()
            || !self.creation.exists
            || document.engine.holds_cache()
            || !self.recovery.suspended.is_empty()
        {
            SHORT_MAINTENANCE_INTERVAL
        } else {
            MAINTENANCE_INTERVAL.min(self.hub.inner.settings.idle_after)
        }
    }

    /// Saves the peer records, recovers from failures, drops unused caches, and ends the task when the document is
    /// idle.
    pub(super) async fn maintain(&mut self, document: &mut Document) -> ControlFlow<()> {
        self.save_peers().await;
        self.recover_log(document).await;
        self.resume_suspended(document).await;
        if !self.pipeline.log.needs_reload() && document.engine.retry_stalled() {
            self.restart_sync(document);
        }
        if self.published_view.take_was_read() {
            self.usage.last_read = Instant::now();
            self.usage.last_use = self.usage.last_read;
        }
        self.drop_view_if_unused(document);
        self.drop_history_if_unused(document);
        document.engine.evict_unused_cache();
        let used = self.is_followed(document)
            || !self.subscribers.unsent_refusals.is_empty()
            || !self.subscribers.watchers.is_empty()
            || self.followers.are_there()
            || self.pipeline.log.needs_recovery()
            || self.history.is_building()
            || self.view.is_building();
        let idle_after = if document.engine.exists() { self.idle_after() } else { SHORT_MAINTENANCE_INTERVAL };
        if used || self.usage.last_use.elapsed() < idle_after {
            return ControlFlow::Continue(());
        }
        self.release_peerings(document);
        self.save_peers().await;
        // The file is closed while the task is still registered: new clients wait in the mailbox, so the file is
        // never opened twice.
        self.pipeline.log.close().await;
        if self.hub.unregister_if_idle(&self.id, &mut self.mailbox) {
            if self.hints.has_some() {
                // Nobody would tell that the document has changed: its next task begins with the changes.
                self.hub.inner.recent_changes.moved(&self.id);
            }
            self.usage.unloaded = true;
            tracing::debug!(document = %self.id, "unloaded");
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Logs, once while the document is open, that it approaches a limit, so that the operator can react in time.
    pub(super) fn record_fullness(&mut self, document: &mut Document) {
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
                "the document approaches a limit: raise the limit, or export the document and continue in a new one"
            );
        }
    }

    /// Updates the metric of values that do not fit the schema.
    #[expect(clippy::cast_precision_loss, reason = "a number of values in memory")]
    pub(super) fn record_problems(&mut self, problems: usize) {
        let gauge = &self.hub.inner.metrics.schema_problems;
        match problems.cmp(&self.usage.problems) {
            Ordering::Equal => return,
            Ordering::Greater => gauge.increment((problems - self.usage.problems) as f64),
            Ordering::Less => gauge.decrement((self.usage.problems - problems) as f64),
        }
        self.usage.problems = problems;
    }

    /// Updates whether the document exists, and releases the permits to wait for it.
    pub(super) fn record_existence(&mut self, document: &Document) {
        self.creation.exists = document.engine.exists();
        if self.creation.exists {
            self.hub.inner.access.record_existing(&self.id);
        }
        if self.creation.pending_document.is_none() {
            return;
        }
        if self.creation.exists {
            self.subscribers.peers.values_mut().for_each(|subscription| subscription.pending_permit = None);
        }
        if self.subscribers.peers.values().all(|subscription| subscription.pending_permit.is_none()) {
            self.creation.pending_document = None;
        }
    }

    async fn save_peers(&mut self) {
        if let Some(records) = self.peer_records.take_dirty()
            && let Err(error) = self.hub.inner.store.save_peers(&self.id, records).await
        {
            tracing::warn!(document = %self.id, %error, "cannot save the peer records; the next sync of these peers is a full one");
        }
    }

    /// Ends the task: saves the peer records, and closes the file or forwards the mailbox to the successor.
    pub(super) async fn close(mut self) {
        let hub = self.hub.clone();
        hub.in_store(async {
            self.save_peers().await;
            self.subscribers.peers.clear();
            self.creation.pending_document = None;
            if self.usage.unloaded {
                self.forward_mailbox().await;
            } else {
                self.pipeline.log.close().await;
            }
        })
        .await;
    }
}
