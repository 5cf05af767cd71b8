//! The task of one webhook: finds documents that have changed, and delivers one message after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use limits::{BackOff, BackOffPolicy};
use offload::run_blocking;
use plan::history::{MAX_PORTION, Since};
use primitives::DocumentId;
use runtime::clock::now_ms;
use runtime::hub::{Changes, Hub, RecentFollower, Requester};
use tokio::time::{Instant, sleep, sleep_until};

use super::client::{SendError, Sender};
use super::definition::Webhook;
use super::folder::{FolderError, WebhookFolder};
use super::message::changes_message;
use super::progress::{Disabled, Heads, Pending, Progress};
use super::retry;
use crate::server::api::feed::events::FeedEvent;

/// How long to wait when the store or the disk fails.
const STORE_RETRY: Duration = Duration::from_secs(10);
/// When a document that cannot be read is tried again. Damaged ones stay unreadable until an operator restores them.
const UNREADABLE: BackOffPolicy = BackOffPolicy::new(STORE_RETRY, Duration::from_secs(600));

/// Sends messages.
pub trait Transport: Send + Sync + 'static {
    /// Makes one attempt to deliver a message. `timestamp`: its time, in seconds since 1970.
    ///
    /// # Errors
    /// When the receiver does not accept the message.
    fn send(
        &self,
        webhook: &Webhook,
        id: &str,
        timestamp: i64,
        body: Bytes,
    ) -> impl Future<Output = Result<(), SendError>> + Send;
}

impl Transport for Sender {
    async fn send(&self, webhook: &Webhook, id: &str, timestamp: i64, body: Bytes) -> Result<(), SendError> {
        self.post(webhook, id, timestamp, body).await
    }
}

/// Delivers the messages of one webhook.
pub struct Delivery<T> {
    hub: Hub,
    default_document: DocumentId,
    folder: WebhookFolder,
    webhook: Webhook,
    transport: T,
    requester: Requester,
    progress: Progress,
    /// Documents that may have changed, and when their message is due.
    due: BTreeMap<DocumentId, Instant>,
    /// Documents that could not be read.
    unreadable: BTreeMap<DocumentId, BackOff>,
    /// Whether the document of the pending message has further changes that were due with it.
    has_more: bool,
}

/// Why a step cannot be completed now.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotNow(String);

impl From<FolderError> for NotNow {
    fn from(error: FolderError) -> Self {
        Self(error.to_string())
    }
}

/// What a message is about.
struct Content {
    body: Bytes,
    until: Heads,
    /// Whether further changes follow.
    has_more: bool,
}

impl<T: Transport> Delivery<T> {
    /// A delivery that continues from the stored progress.
    pub fn new(hub: Hub, default_document: DocumentId, folder: WebhookFolder, webhook: Webhook, transport: T) -> Self {
        Self {
            hub,
            default_document,
            folder,
            webhook,
            transport,
            requester: Requester::server(),
            progress: Progress::default(),
            due: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            has_more: false,
        }
    }

    /// Delivers until the task is dropped, or the webhook is switched off.
    pub async fn run(mut self) {
        loop {
            match self.follow().await {
                Ok(()) => return,
                Err(NotNow(reason)) => {
                    tracing::warn!(webhook = self.webhook.id, reason, "messages are delayed");
                    sleep(STORE_RETRY).await;
                }
            }
        }
    }

    async fn follow(&mut self) -> Result<(), NotNow> {
        let (folder, id) = (self.folder.clone(), self.webhook.id.clone());
        self.progress = run_blocking(move || folder.progress(&id)).await?;
        // Before the documents are read, so that no change is missed.
        let mut recent = self.follow_recent().await?;
        self.look_at_all().await?;
        loop {
            if let Some(pending) = self.progress.pending.clone() {
                self.deliver(pending).await?;
            }
            if self.progress.disabled(self.webhook.enabled).is_some() {
                return Ok(());
            }
            if !self.collect(&mut recent) {
                recent = self.follow_recent().await?;
                self.look_at_all().await?;
            }
            let next = self.due.iter().min_by_key(|(_, due)| **due).map(|(id, due)| (id.clone(), *due));
            match next {
                Some((id, due)) if due <= Instant::now() => {
                    self.due.remove(&id);
                    self.prepare(id).await?;
                }
                Some((_, due)) => tokio::select! {
                    () = sleep_until(due) => {}
                    () = recent.grown() => {}
                },
                None => recent.grown().await,
            }
        }
    }

    async fn follow_recent(&self) -> Result<RecentFollower, NotNow> {
        self.hub.follow_recent(None).await.map_err(|error| NotNow(error.to_string()))
    }

    fn includes(&self, id: &DocumentId) -> bool {
        self.webhook.documents.include(id, Some(&self.default_document))
    }

    /// Compares all documents with the progress: changes were made while nothing was delivered.
    async fn look_at_all(&mut self) -> Result<(), NotNow> {
        let ids = self.hub.list(&self.requester).await.map_err(|error| NotNow(error.to_string()))?;
        let ids: BTreeSet<DocumentId> = ids.into_iter().filter(|id| self.includes(id)).collect();
        let before = self.progress.documents.len() + self.progress.delayed.len();
        self.progress.documents.retain(|id, _| ids.contains(id));
        self.progress.delayed.retain(|id, _| ids.contains(id));
        let mut is_changed = self.progress.documents.len() + self.progress.delayed.len() != before;
        for id in ids {
            // Documents that have not changed stay closed: there may be many.
            match self.hub.stored_heads(&self.requester, &id).await {
                Ok(Some(heads)) if !self.progress.began => {
                    self.progress.documents.insert(id, Heads(heads));
                }
                Ok(Some(heads)) if self.progress.documents.get(&id).is_none_or(|known| known.0 != heads) => {
                    self.due.insert(id, Instant::now());
                }
                Ok(_) => {}
                // It may have changes that were not delivered.
                Err(error) => self.postpone(id, &error.to_string()),
            }
        }
        is_changed |= !std::mem::replace(&mut self.progress.began, true);
        if is_changed { self.save().await } else { Ok(()) }
    }

    /// Takes over what was published since the last call. Returns false if changes were missed.
    fn collect(&mut self, recent: &mut RecentFollower) -> bool {
        loop {
            match recent.peek() {
                Ok(None) => return true,
                Ok(Some(change)) => {
                    if self.includes(&change.document) {
                        let due = Instant::now() + Duration::from_secs(self.webhook.debounce);
                        self.due.entry(change.document).or_insert(due);
                    }
                    recent.advance();
                }
                Err(_) => return false,
            }
        }
    }

    /// Makes the next message about a document, and stores what it is about.
    async fn prepare(&mut self, id: DocumentId) -> Result<(), NotNow> {
        let at = now_ms();
        let content = match self.content(&id, None, at).await {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(()),
            Err(NotNow(reason)) => {
                self.postpone(id, &reason);
                return Ok(());
            }
        };
        let pending = if let Some(delayed) = self.progress.delayed.remove(&id) {
            // Changes may follow those of the delayed message.
            self.has_more = true;
            delayed
        } else {
            self.has_more = content.has_more;
            let message = format!("msg_{:032x}", rand::random::<u128>());
            Pending { message, document: id, until: content.until, at }
        };
        self.progress.pending = Some(pending);
        (self.progress.failed, self.progress.next_attempt, self.progress.last_error) = (0, 0, None);
        self.save().await
    }

    /// Tries a document again later that cannot be read now. Others are not affected.
    fn postpone(&mut self, id: DocumentId, reason: &str) {
        let delay = self.unreadable.entry(id.clone()).or_insert(BackOff::new(UNREADABLE)).record_failure();
        tracing::warn!(webhook = self.webhook.id, document = %id, reason, ?delay, "a message is delayed");
        self.due.insert(id, Instant::now() + delay);
    }

    /// The changes of a document that were not delivered yet: the next portion, or those up to these heads. `None` if there are none.
    async fn content(&mut self, id: &DocumentId, until: Option<Heads>, at: i64) -> Result<Option<Content>, NotNow> {
        let known = self.progress.documents.get(id).cloned().unwrap_or_default();
        let since = Since { heads: known.0, until: until.map(|heads| heads.0), limit: MAX_PORTION };
        let changes = self.hub.changes(&self.requester, id, since).await.map_err(|error| NotNow(error.to_string()))?;
        self.unreadable.remove(id);
        let (events, until, has_more) = match changes {
            // The document was deleted.
            None => return Ok(None),
            Some(Changes::Portion(portion)) => {
                let (heads, has_more) = (Heads(portion.following.heads.clone()), portion.following.has_more);
                (FeedEvent::of_portion(id, portion, |_| None), heads, has_more)
            }
            Some(Changes::Reset(heads)) => {
                (vec![FeedEvent::reset(id, Some(&heads), String::new())], Heads(heads), false)
            }
        };
        if events.is_empty() {
            return Ok(None);
        }
        let body = changes_message(at, id, &events, &until);
        Ok(Some(Content { body, until, has_more }))
    }

    /// Delivers a message: repeats it until the receiver accepts it, or the webhook is switched off.
    async fn deliver(&mut self, pending: Pending) -> Result<(), NotNow> {
        let Pending { message, document, until, at } = pending.clone();
        let Content { body, until, .. } = match self.content(&document, Some(until), at).await {
            Ok(Some(content)) => content,
            Ok(None) => {
                // The document was deleted meanwhile.
                self.progress.pending = None;
                self.progress.documents.remove(&document);
                return self.save().await;
            }
            Err(NotNow(reason)) => {
                self.progress.pending = None;
                self.progress.delayed.insert(document.clone(), pending);
                self.postpone(document, &reason);
                return self.save().await;
            }
        };
        loop {
            if self.progress.disabled(self.webhook.enabled).is_some() {
                return Ok(());
            }
            if self.progress.disabled.take().is_some() {
                // It was enabled again.
                (self.progress.failed, self.progress.next_attempt) = (0, 0);
            }
            // The clock may have been set back.
            let wait = u64::try_from(self.progress.next_attempt.saturating_sub(now_ms())).unwrap_or(0);
            sleep(Duration::from_millis(wait).min(retry::MAX_DELAY)).await;
            let now = now_ms();
            let sent = self.transport.send(&self.webhook, &message, now / 1_000, body.clone()).await;
            let metrics = self.hub.metrics();
            match sent {
                Ok(()) => {
                    metrics.webhook_messages.increment(1);
                    self.progress.documents.insert(document.clone(), until);
                    (self.progress.pending, self.progress.last_error) = (None, None);
                    (self.progress.failed, self.progress.next_attempt) = (0, 0);
                    self.progress.last_delivery = Some(now);
                    if std::mem::take(&mut self.has_more) {
                        self.due.insert(document, Instant::now());
                    }
                    return self.save().await;
                }
                Err(error) => {
                    metrics.webhook_failures.increment(1);
                    self.note_failure(&error, now).await?;
                }
            }
        }
    }

    async fn note_failure(&mut self, error: &SendError, now: i64) -> Result<(), NotNow> {
        self.progress.failed += 1;
        let reason = error.to_string();
        let delay =
            if matches!(error, SendError::Gone) { None } else { retry::delay(self.progress.failed, rand::random()) };
        match delay {
            Some(delay) => {
                tracing::warn!(
                    webhook = self.webhook.id,
                    failed = self.progress.failed,
                    reason,
                    ?delay,
                    "a message was not accepted"
                );
                self.progress.next_attempt = now.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
            }
            None => {
                tracing::error!(
                    webhook = self.webhook.id,
                    failed = self.progress.failed,
                    reason,
                    "a webhook is switched off"
                );
                let reason =
                    format!("{} attempts to deliver a message failed; the last: {reason}", self.progress.failed);
                self.progress.disabled = Some(Disabled { reason, at: now, enabled: self.webhook.enabled });
            }
        }
        self.progress.last_error = Some(reason);
        self.save().await
    }

    async fn save(&self) -> Result<(), NotNow> {
        let (folder, id, progress) = (self.folder.clone(), self.webhook.id.clone(), self.progress.clone());
        Ok(run_blocking(move || folder.save_progress(&id, &progress)).await?)
    }
}

#[cfg(test)]
mod tests;
