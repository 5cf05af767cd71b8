//! Notifications between nodes.
//!
//! Two connections carry them. One listens. The other notifies, after a batch is committed: a `NOTIFY` in the transaction of
//! the append would take a lock that all commits of the server wait for. Messages that wait are packed into few
//! notifications.
//!
//! Notifications can be lost: when a connection breaks, or behind a pooler that accepts `LISTEN` and delivers nothing. So each
//! node sends a heartbeat once a second, and listens for its own. While it does not receive it, it polls the database several
//! times a second. It also polls after connecting, when another node falls silent, and every ten seconds.
//!
//! A node that hears no other sends its heartbeats only: each notification costs the database as much as a small statement. When
//! it hears a new one, it tells it to look for the changes that it has not announced.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, Connection, Error, Socket};

use super::connect::{Connector, Drive, Refused};
use super::{PostgresOptions, text};
use crate::position::News;
use crate::sql::engine::{ClusterKeys, NewsMode};
use crate::sql::hint::{MAX_MESSAGES, Message, Seal, encode};
use crate::sql::news::CAPACITY;

/// Maximum number of queued messages. If there are more, the other nodes are told to check the database instead.
const OUTGOING: usize = 4_096;
/// Maximum number of notifications in one statement.
const AT_ONCE: usize = 16;
/// How long a connection for notifications may take to answer.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest wait between attempts to connect.
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// The news of a node: in and out.
pub(super) struct Exchange {
    shared: Arc<Shared>,
    outgoing: Mutex<Option<mpsc::Receiver<Message>>>,
    /// Notified when the sending task has announced that this node leaves.
    left: Arc<tokio::sync::Notify>,
}

struct Shared {
    news: broadcast::Sender<News>,
    sender: mpsc::Sender<Message>,
    /// Whether messages were dropped since the last notification.
    has_dropped: AtomicBool,
    is_polling: AtomicBool,
    heard: Mutex<Heard>,
}

/// The times when this node last received notifications, by sender.
#[derive(Default)]
struct Heard {
    own: Option<Instant>,
    others: HashMap<[u8; 8], Instant>,
}

impl Exchange {
    pub(super) fn new() -> Self {
        let (sender, outgoing) = mpsc::channel(OUTGOING);
        let shared = Shared {
            news: broadcast::channel(CAPACITY).0,
            sender,
            has_dropped: AtomicBool::new(false),
            is_polling: AtomicBool::new(true),
            heard: Mutex::default(),
        };
        Self { shared: Arc::new(shared), outgoing: Mutex::new(Some(outgoing)), left: Arc::default() }
    }

    /// Starts to listen and to notify.
    pub(super) fn start(
        &self,
        notify: &Connector,
        listen: &Connector,
        options: &PostgresOptions,
        keys: &ClusterKeys,
    ) -> Vec<JoinHandle<()>> {
        let Some(outgoing) = self.outgoing.lock().take() else { return Vec::new() };
        let seal = Arc::new(Seal::new(&keys.hint_key, keys.node));
        // Several clusters may share a database.
        let mut channel = "happierwork_".to_owned();
        for byte in &keys.storage_id[..8] {
            let _ = write!(channel, "{byte:02x}");
        }
        let shared = || Arc::clone(&self.shared);
        vec![
            tokio::spawn(receive(shared(), listen.clone(), channel.clone(), Arc::clone(&seal), keys.node)),
            tokio::spawn(send(
                shared(),
                notify.clone(),
                channel,
                seal,
                outgoing,
                options.clone(),
                Arc::clone(&self.left),
            )),
            tokio::spawn(watch(shared(), options.clone())),
        ]
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<News> {
        self.shared.news.subscribe()
    }

    pub(super) fn tell(&self, news: News) {
        // Ephemeral messages may be lost, and must not displace hints of changes.
        if matches!(news, News::Ephemeral(_)) && self.shared.sender.capacity() < OUTGOING / 2 {
            return;
        }
        if !self.shared.is_alone() {
            self.shared.queue(Message::News(news));
        }
    }

    pub(super) fn mode(&self) -> NewsMode {
        if self.shared.is_polling.load(Ordering::Acquire) { NewsMode::Polling } else { NewsMode::Notified }
    }

    /// Announces to the other nodes that this one leaves, so that they do not consider it lost.
    pub(super) async fn leave(&self) {
        let left = self.left.notified();
        self.shared.queue(Message::Leaving);
        let _ = timeout(Duration::from_millis(500), left).await;
    }
}

impl Shared {
    fn queue(&self, message: Message) {
        if self.sender.try_send(message).is_err() {
            self.has_dropped.store(true, Ordering::Release);
        }
    }

    /// Whether notifications are delivered, and no other node has sent any recently. A node that cannot send them polls the
    /// database.
    fn is_alone(&self) -> bool {
        !self.is_polling.load(Ordering::Acquire) && self.heard.lock().others.is_empty()
    }

    fn yields(&self, news: News) {
        // Fails if there is no receiver.
        let _ = self.news.send(news);
    }

    /// Handles a notification.
    fn hear(&self, payload: &str, seal: &Seal, own: [u8; 8]) {
        let Some((node, messages)) = seal.open(payload) else {
            tracing::debug!("a notification is not from this cluster");
            return;
        };
        let now = Instant::now();
        if node == own {
            self.heard.lock().own = Some(now);
            return;
        }
        if self.heard.lock().others.insert(node, now).is_none() {
            self.queue(Message::News(News::LookAtAll));
        }
        for message in messages {
            match message {
                Message::News(news) => self.yields(news),
                Message::Alive => {}
                Message::Leaving => {
                    self.heard.lock().others.remove(&node);
                }
            }
        }
    }
}

/// Listens for as long as the store is open.
async fn receive(shared: Arc<Shared>, connector: Connector, channel: String, seal: Arc<Seal>, own: [u8; 8]) {
    let mut backoff = Duration::ZERO;
    loop {
        let (sender, mut payloads) = mpsc::channel(1_024);
        match listen(&connector, &channel, sender).await {
            Ok(client) => {
                backoff = Duration::ZERO;
                // Earlier notifications are lost.
                shared.yields(News::LookAtAll);
                while let Some(payload) = payloads.recv().await {
                    shared.hear(&payload, &seal, own);
                }
                drop(client);
                tracing::warn!("the connection that listens for notifications was lost");
            }
            Err(error) => tracing::debug!(%error, "no connection to listen for notifications"),
        }
        sleep(backoff).await;
        backoff = (backoff * 2).clamp(Duration::from_millis(50), MAX_BACKOFF);
    }
}

async fn listen(connector: &Connector, channel: &str, payloads: mpsc::Sender<String>) -> Result<Client, Refused> {
    let client = connector.connect_raw(Listening(payloads)).await?;
    let sql = format!("LISTEN {channel}");
    match timeout(ANSWER, client.batch_execute(&sql)).await {
        Ok(result) => result.map(|()| client).map_err(Refused::Error),
        Err(_) => Err(Refused::Timeout),
    }
}

/// Forwards the notifications of a connection.
struct Listening(mpsc::Sender<String>);

impl Drive for Listening {
    fn drive<T: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self, mut connection: Connection<Socket, T>) {
        tokio::spawn(async move {
            let mut messages = futures_util::stream::poll_fn(move |context| connection.poll_message(context));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(notification) = message
                    && self.0.send(notification.payload().to_owned()).await.is_err()
                {
                    return;
                }
            }
        });
    }
}

/// Notifies for as long as the store is open.
async fn send(
    shared: Arc<Shared>,
    connector: Connector,
    channel: String,
    seal: Arc<Seal>,
    mut outgoing: mpsc::Receiver<Message>,
    options: PostgresOptions,
    left: Arc<tokio::sync::Notify>,
) {
    let mut client: Option<Client> = None;
    let mut heartbeat = interval(options.heartbeat);
    heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut waiting = None;
    loop {
        let mut is_leaving = false;
        let mut packer = Packer::new();
        if let Some(message) = waiting.take() {
            packer.add(&message);
        } else {
            tokio::select! {
                message = outgoing.recv() => match message {
                    Some(message) => {
                        is_leaving |= message == Message::Leaving;
                        packer.add(&message);
                    }
                    None => return,
                },
                _ = heartbeat.tick() => packer.add(&Message::Alive),
            }
        }
        while packer.payloads.len() < AT_ONCE {
            let Ok(message) = outgoing.try_recv() else { break };
            is_leaving |= message == Message::Leaving;
            packer.add(&message);
        }
        if shared.has_dropped.swap(false, Ordering::AcqRel) {
            packer.add(&Message::News(News::LookAtAll));
        }
        if client.as_ref().is_none_or(Client::is_closed) {
            client = match connector.connect().await {
                Ok(connected) => Some(connected),
                Err(error) => {
                    tracing::debug!(%error, "no connection to notify other nodes");
                    sleep(Duration::from_millis(200)).await;
                    None
                }
            };
        }
        let sent = match &client {
            Some(client) => notify(client, &channel, packer.finish(), &seal).await,
            None => false,
        };
        if !sent {
            client = None;
            // The others find the lost news when they check the database.
            waiting = Some(Message::News(News::LookAtAll));
        }
        if is_leaving {
            // After a further heartbeat, the other nodes would consider this node lost.
            left.notify_waiters();
            return;
        }
    }
}

/// Packs messages into notifications.
struct Packer {
    payloads: Vec<Vec<u8>>,
    current: Vec<u8>,
}

impl Packer {
    const fn new() -> Self {
        Self { payloads: Vec::new(), current: Vec::new() }
    }

    fn add(&mut self, message: &Message) {
        let start = self.current.len();
        encode(message, &mut self.current);
        if self.current.len() <= MAX_MESSAGES {
            return;
        }
        let last = self.current.split_off(start);
        if start > 0 {
            self.payloads.push(std::mem::take(&mut self.current));
        }
        if last.len() <= MAX_MESSAGES {
            self.current = last;
        } else {
            tracing::debug!(bytes = last.len(), "a message to other nodes is too large, and was dropped");
        }
    }

    fn finish(mut self) -> Vec<Vec<u8>> {
        if !self.current.is_empty() {
            self.payloads.push(self.current);
        }
        self.payloads
    }
}

/// Sends notifications in one transaction. Returns whether that succeeded.
async fn notify(client: &Client, channel: &str, payloads: Vec<Vec<u8>>, seal: &Seal) -> bool {
    if payloads.is_empty() {
        return true;
    }
    // A notification need not be durable: without this, its commit would wait for an fsync. The setting ends with the
    // transaction. Names and payloads have no quotes.
    let mut sql = "SELECT set_config('synchronous_commit', 'off', true)".to_owned();
    for payload in payloads {
        let _ = write!(sql, ", pg_notify('{channel}', '{}')", seal.seal(&payload));
    }
    match timeout(ANSWER, client.batch_execute(&sql)).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            let error: Error = error;
            tracing::debug!(error = text(&error), "other nodes were not notified");
            false
        }
        Err(_) => false,
    }
}

/// Monitors delivery: polls while this node does not receive its own heartbeats.
async fn watch(shared: Arc<Shared>, options: PostgresOptions) {
    let started = Instant::now();
    let mut last_look = started;
    loop {
        let is_polling = shared.is_polling.load(Ordering::Acquire);
        sleep(if is_polling { options.poll } else { options.heartbeat.min(options.silence) / 2 }).await;
        let now = Instant::now();
        let (own, silent) = {
            let mut heard = shared.heard.lock();
            let before = heard.others.len();
            heard.others.retain(|_, last| now.duration_since(*last) < options.silence);
            (heard.own, before - heard.others.len())
        };
        let hears_itself = own.is_some_and(|last| now.duration_since(last) < options.silence);
        if is_polling && hears_itself {
            tracing::debug!("the database delivers notifications");
        } else if !is_polling && !hears_itself {
            tracing::warn!(
                "the database does not deliver notifications; looking for changes several times a second instead. \
                 Behind a pooler in transaction mode, give a direct connection with --database-listen"
            );
        }
        if is_polling == hears_itself {
            shared.is_polling.store(!hears_itself, Ordering::Release);
        }
        if !hears_itself || silent > 0 || now.duration_since(last_look) >= options.look {
            last_look = now;
            shared.yields(News::LookAtAll);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ephemeral(len: usize) -> Message {
        Message::News(News::Ephemeral(vec![0; len]))
    }

    #[test]
    fn small_messages_share_a_notification() {
        let mut packer = Packer::new();
        for _ in 0..100 {
            packer.add(&ephemeral(100));
        }
        let payloads = packer.finish();
        assert_eq!(payloads.len(), 2);
        assert!(payloads.iter().all(|payload| payload.len() <= MAX_MESSAGES));
    }

    #[test]
    fn a_message_that_does_not_fit_is_dropped_alone() {
        let mut packer = Packer::new();
        for len in [10, MAX_MESSAGES, 10] {
            packer.add(&ephemeral(len));
        }
        assert_eq!(packer.finish().concat().len(), 2 * (10 + 5));
        let mut packer = Packer::new();
        for _ in 0..3 {
            packer.add(&ephemeral(MAX_MESSAGES - 5));
        }
        assert_eq!(packer.finish().len(), 3);
    }
}
