//! Messages are delivered in order, at least once, and repeated for three days. The clock is paused, so that no test waits.

use std::collections::BTreeSet;
use std::sync::Arc;

use auth::Documents;
use automerge::ChangeHash;
use parking_lot::Mutex;
use plan::{Author, Edit, NewPosition, PlanPatch, Renderings};
use runtime::document_log::ActorSource;
use runtime::hub::{APPLY_BUDGET, HubSettings};
use runtime::metrics::Metrics;
use serde_json::Value;
use store::{MemoryStore, Store};
use sync_engine::MessageLimits;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::super::definition::NewWebhook;
use super::*;

/// Longest time that a test waits for a message.
const DAY: Duration = Duration::from_secs(86_400);

/// A receiver that answers as told, and records the attempts.
#[derive(Clone, Default)]
struct Receiver {
    /// The status of the next answers; the last one stays.
    status: Arc<Mutex<Vec<u16>>>,
    /// Until then, it answers 500.
    fails_until: Option<Instant>,
    /// How long it takes to answer.
    delay: Duration,
    attempts: Arc<Mutex<Vec<(String, Value)>>>,
    arrived: Arc<Notify>,
}

impl Receiver {
    fn answering(status: &[u16]) -> Self {
        let status = Arc::new(Mutex::new(status.iter().rev().copied().collect()));
        Self { status, ..Self::default() }
    }

    fn attempts(&self) -> Vec<(String, Value)> {
        self.attempts.lock().clone()
    }

    async fn until(&self, count: usize) -> Vec<(String, Value)> {
        let arrive = async {
            while self.attempts.lock().len() < count {
                self.arrived.notified().await;
            }
        };
        let arrived = tokio::time::timeout(DAY, arrive).await;
        arrived.unwrap_or_else(|_| panic!("{count} messages in place of {:?}", self.attempts()));
        self.attempts()
    }
}

impl Transport for Receiver {
    async fn send(&self, _: &Webhook, id: &str, _: i64, body: Bytes) -> Result<(), SendError> {
        self.attempts.lock().push((id.to_owned(), serde_json::from_slice(&body).expect("JSON")));
        self.arrived.notify_one();
        sleep(self.delay).await;
        let mut status = self.status.lock();
        let answer = if status.len() > 1 { status.pop() } else { status.last().copied() };
        let fails = self.fails_until.is_some_and(|until| Instant::now() < until);
        match answer.unwrap_or(if fails { 500 } else { 200 }) {
            200..300 => Ok(()),
            410 => Err(SendError::Gone),
            status => Err(SendError::Status(status)),
        }
    }
}

/// A server with one document and one webhook.
struct Stage {
    store: Arc<MemoryStore>,
    hub: Hub,
    document: DocumentId,
    webhook: Webhook,
    folder: WebhookFolder,
    _parent: TempDir,
}

impl Stage {
    /// A server on this store, in which no document is open.
    async fn hub(store: &Arc<MemoryStore>) -> Hub {
        let settings = HubSettings {
            renderings: Renderings::default(),
            rows: |_| Vec::new(),
            legacy_presence: None,
            limits: MessageLimits::default(),
            apply_budget: APPLY_BUDGET,
            // Longer than any test, whose clock jumps.
            idle_after: Duration::from_secs(86_400 * 30),
            max_pending: 100,
            max_pending_per_connection: 10,
            new_documents_per_minute: 0,
            new_documents_at_once: 1,
            message_memory: 0,
            actors: ActorSource::default(),
            default_document: None,
            may_create: None,
        };
        let hub = Hub::new(Arc::clone(store) as Arc<dyn Store>, settings, Arc::new(Metrics::new()));
        hub.load_access().await.expect("loads");
        hub
    }

    async fn new(debounce: u64) -> Self {
        let store = Arc::new(MemoryStore::default());
        let hub = Self::hub(&store).await;
        let parent = TempDir::new().expect("a folder");
        let folder = WebhookFolder::of_documents(parent.path());
        let url = "https://example.com/".to_owned();
        let new = NewWebhook { url, documents: Documents::All, debounce, allow_private: false, added_by: None };
        let webhook = new.create(0).expect("valid");
        folder.add(webhook.clone()).expect("stored");
        let document = DocumentId::from_random([7; 16]);
        let stage = Self { store, hub, document, webhook, folder, _parent: parent };
        stage.create(&stage.document.clone()).await;
        stage
    }

    /// Starts the server again.
    async fn restart(&mut self) {
        self.hub.stop().await;
        self.hub = Self::hub(&self.store).await;
    }

    async fn create(&self, id: &DocumentId) {
        let create = Edit::Create { id: id.clone(), plan: PlanPatch::default(), positions: Vec::new() };
        self.edit(id, create).await;
    }

    async fn edit(&self, id: &DocumentId, edit: Edit) {
        let author = Author { name: "cfo".to_owned(), now: 1_790_000_000_000 };
        self.hub.edit(&Requester::server(), id, edit, author).await.expect("stored");
    }

    async fn add(&self, position: &str) {
        self.add_to(&self.document, position).await;
    }

    async fn add_to(&self, id: &DocumentId, position: &str) {
        self.edit(id, Edit::Add(NewPosition::new(position, position))).await;
    }

    /// The hashes of the changes of a document since these heads, in their order.
    async fn changes(&self, id: &DocumentId, mut known: Vec<ChangeHash>) -> Vec<String> {
        let mut hashes = Vec::new();
        loop {
            let since = Since { heads: known, until: None, limit: MAX_PORTION };
            let Ok(Some(Changes::Portion(portion))) = self.hub.changes(&Requester::server(), id, since).await else {
                panic!("no changes of {id}")
            };
            hashes.extend(portion.following.entries.iter().map(|entry| entry.hash.to_string()));
            known = portion.following.heads;
            if !portion.following.has_more {
                return hashes;
            }
        }
    }

    fn delivery(&self, receiver: &Receiver) -> Delivery<Receiver> {
        let webhook = self.folder.webhook(&self.webhook.id).expect("there");
        Delivery::new(self.hub.clone(), self.document.clone(), self.folder.clone(), webhook, receiver.clone())
    }

    /// Starts the delivery, and waits until it follows the documents.
    async fn start(&self, receiver: &Receiver) -> JoinHandle<()> {
        let task = tokio::spawn(self.delivery(receiver).run());
        while !self.progress().began {
            tokio::task::yield_now().await;
        }
        task
    }

    fn progress(&self) -> Progress {
        self.folder.progress(&self.webhook.id).expect("read")
    }
}

/// The positions that a message says were added.
fn added(message: &Value) -> Vec<&str> {
    let events = message["data"]["events"].as_array().expect("events");
    let added = events.iter().flat_map(|event| event["change"]["added"].as_array().expect("positions"));
    added.map(|row| row["position"].as_str().expect("an id")).collect()
}

#[tokio::test(start_paused = true)]
async fn changes_within_the_debounce_are_one_message() {
    let (stage, receiver) = (Stage::new(60).await, Receiver::default());
    stage.add("before the webhook").await;
    let task = stage.start(&receiver).await;
    stage.add("one").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    stage.add("two").await;
    let messages = receiver.until(1).await;
    assert_eq!(added(&messages[0].1), ["one", "two"]);
    assert_eq!(
        (&messages[0].1["type"], &messages[0].1["data"]["documentId"]),
        (&"document.changed".into(), &stage.document.as_str().into())
    );
    stage.add("three").await;
    assert_eq!(added(&receiver.until(2).await[1].1), ["three"]);
    let other = DocumentId::from_random([8; 16]);
    stage.create(&other).await;
    assert_eq!(receiver.until(3).await[2].1["data"]["documentId"], other.as_str(), "a new document is included");
    task.abort();
}

/// The hashes of the changes of a document that messages tell, each once, in the order in which they first arrive.
fn told(messages: &[(String, Value)], id: &DocumentId) -> Vec<String> {
    let of_document = messages.iter().filter(|(_, message)| message["data"]["documentId"] == id.as_str());
    let events = of_document.flat_map(|(_, message)| message["data"]["events"].as_array().expect("events"));
    let hashes = events.map(|event| event["change"]["hash"].as_str().expect("a change").to_owned());
    let mut seen = BTreeSet::new();
    hashes.filter(|hash| seen.insert(hash.clone())).collect()
}

#[tokio::test(start_paused = true)]
async fn receiver_that_fails_for_an_hour_is_told_everything() {
    let mut stage = Stage::new(5).await;
    let ids = [stage.document.clone(), DocumentId::from_random([8; 16]), DocumentId::from_random([9; 16])];
    for id in &ids[1..] {
        stage.create(id).await;
    }
    let hour = Duration::from_secs(3_600);
    let receiver = Receiver { fails_until: Some(Instant::now() + hour), ..Receiver::default() };
    let mut task = stage.start(&receiver).await;
    let mut begun = Vec::new();
    for id in &ids {
        begun.push(stage.hub.heads(&Requester::server(), id).await.expect("read").expect("exists"));
    }
    for number in 0..180 {
        stage.add_to(&ids[number % 3], &format!("p{number}")).await;
        sleep(Duration::from_secs(20)).await;
        if number % 60 == 59 {
            // The server is killed, and starts again.
            task.abort();
            let _ = task.await;
            stage.restart().await;
            task = tokio::spawn(stage.delivery(&receiver).run());
        }
    }
    let failed = receiver.attempts();
    assert!(
        failed.len() >= 3 && failed.iter().all(|attempt| *attempt == failed[0]),
        "one message at a time: {failed:?}"
    );
    let all = |messages: &[(String, Value)]| ids.iter().map(|id| told(messages, id).len()).sum::<usize>();
    let mut count = failed.len();
    while all(&receiver.attempts()) < 180 {
        count += 1;
        receiver.until(count).await;
    }
    let messages = receiver.attempts();
    for (id, heads) in ids.iter().zip(begun) {
        assert_eq!(told(&messages, id), stage.changes(id, heads).await, "in order");
    }
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn constant_edits_are_told_at_the_pace_of_the_debounce() {
    let (stage, receiver) = (Stage::new(60).await, Receiver { delay: Duration::from_secs(10), ..Receiver::default() });
    let task = stage.start(&receiver).await;
    // Also while the receiver is about to answer.
    for number in 0..120 {
        stage.add(&format!("p{number}")).await;
        sleep(Duration::from_secs(5)).await;
    }
    let messages = receiver.attempts().len();
    assert!((5..=10).contains(&messages), "{messages} messages in 10 minutes");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn large_change_set_is_told_without_further_delay() {
    let (stage, receiver) = (Stage::new(3_600).await, Receiver::default());
    let task = stage.start(&receiver).await;
    for number in 0..250 {
        stage.add(&format!("p{number}")).await;
    }
    let (started, mut count) = (Instant::now(), 0);
    let all = |messages: &[(String, Value)]| messages.iter().map(|(_, message)| added(message).len()).sum::<usize>();
    while all(&receiver.attempts()) < 250 {
        count += 1;
        receiver.until(count).await;
    }
    assert!(receiver.attempts().len() > 2, "a message has at most 100 changes");
    assert!(started.elapsed() < Duration::from_secs(2 * 3_600), "all wait for one debounce together");
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn document_that_could_not_be_read_is_told_later() {
    let (mut stage, receiver) = (Stage::new(0).await, Receiver::default());
    let task = stage.start(&receiver).await;
    task.abort();
    let _ = task.await;
    stage.add("while nothing is delivered").await;
    stage.restart().await;
    stage.store.fail_loads(1);
    let task = tokio::spawn(stage.delivery(&receiver).run());
    assert_eq!(added(&receiver.until(1).await[0].1), ["while nothing is delivered"]);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn message_of_an_unreadable_document_keeps_its_id() {
    let (mut stage, receiver) = (Stage::new(0).await, Receiver::answering(&[503]));
    let task = stage.start(&receiver).await;
    stage.add("one").await;
    let first = receiver.until(1).await.remove(0);
    task.abort();
    let _ = task.await;
    stage.add("two").await;
    stage.restart().await;
    *receiver.status.lock() = vec![200];
    // When the documents are compared, and when the message is made again.
    stage.store.fail_loads(2);
    let task = tokio::spawn(stage.delivery(&receiver).run());
    let messages = receiver.until(3).await;
    assert_eq!(messages[1], first, "the same id and content");
    assert_eq!(added(&messages[2].1), ["two"]);
    assert!(stage.progress().delayed.is_empty());
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn message_is_repeated_for_three_days_then_switched_off() {
    let (stage, receiver) = (Stage::new(0).await, Receiver::answering(&[500]));
    let task = stage.start(&receiver).await;
    let started = Instant::now();
    stage.add("one").await;
    task.await.expect("no panic");
    let attempts = receiver.attempts();
    assert_eq!(attempts.len() as u32, retry::MAX_ATTEMPTS);
    assert!(attempts.iter().all(|attempt| *attempt == attempts[0]), "the id and the content stay the same");
    let days = started.elapsed().as_secs_f64() / 86_400.0;
    assert!((2.4..4.0).contains(&days), "{days}");
    let progress = stage.progress();
    let reason = progress.disabled(0).expect("switched off").reason.clone();
    assert!(reason.contains("10 attempts") && reason.contains("500"), "{reason}");

    // It stays off after a restart, until it is enabled.
    stage.delivery(&receiver).run().await;
    assert_eq!(receiver.attempts().len(), attempts.len());
    stage.folder.enable(&stage.webhook.id).expect("enabled");
    *receiver.status.lock() = vec![200];
    let task = tokio::spawn(stage.delivery(&receiver).run());
    assert_eq!(receiver.until(attempts.len() + 1).await.last(), Some(&attempts[0]));
    stage.add("two").await;
    assert_eq!(added(&receiver.until(attempts.len() + 2).await.last().expect("a message").1), ["two"]);
    while stage.progress().pending.is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!((stage.progress().disabled(0), stage.progress().failed), (None, 0));
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn receiver_that_is_gone_switches_off_at_once() {
    let (stage, receiver) = (Stage::new(0).await, Receiver::answering(&[410]));
    let task = stage.start(&receiver).await;
    stage.add("one").await;
    task.await.expect("no panic");
    assert_eq!(receiver.attempts().len(), 1);
    assert!(stage.progress().disabled(0).is_some());
}

#[tokio::test(start_paused = true)]
async fn restart_repeats_the_message_and_continues_in_order() {
    let (stage, receiver) = (Stage::new(0).await, Receiver::answering(&[503]));
    let task = stage.start(&receiver).await;
    stage.add("one").await;
    let first = receiver.until(1).await.remove(0);
    task.abort();
    let _ = task.await;
    // Made while nothing is delivered, and after the message was.
    stage.add("two").await;
    *receiver.status.lock() = vec![200];
    let task = tokio::spawn(stage.delivery(&receiver).run());
    let messages = receiver.until(3).await;
    assert_eq!(messages[1], first, "the same id and content");
    assert_eq!(added(&messages[2].1), ["two"]);
    task.abort();
}

#[tokio::test(start_paused = true)]
async fn other_documents_are_not_told() {
    let (mut stage, receiver) = (Stage::new(0).await, Receiver::default());
    stage.folder.remove(&stage.webhook.id).expect("removed");
    stage.webhook.documents = "default".parse().expect("a set");
    stage.folder.add(stage.webhook.clone()).expect("stored");
    let task = stage.start(&receiver).await;
    stage.create(&DocumentId::from_random([8; 16])).await;
    stage.add("one").await;
    let messages = receiver.until(1).await;
    assert_eq!(messages[0].1["data"]["documentId"], stage.document.as_str());
    task.abort();
}
