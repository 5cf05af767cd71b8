//! One connection: the messages in transit in both directions, and the server's end of it.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use primitives::DocumentId;
use runtime::hub::{
    CloseReason, ConnectionKey, DrainListener, MailboxQuota, OutboxReceiver, Outgoing, Refusals, Requester, SyncPeer,
    outbox,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::host::Host;

/// A sync message on its way to the server.
pub struct Up {
    pub bytes: Bytes,
    pub request: bool,
}

pub struct Link {
    pub key: ConnectionKey,
    pub peer: SyncPeer,
    pub up: VecDeque<Up>,
    pub down: VecDeque<Outgoing>,
    receiver: OutboxReceiver,
    arrives: mpsc::UnboundedSender<Up>,
    /// Passes arriving messages to the document one after the other, like a connection's task.
    task: JoinHandle<()>,
}

impl Link {
    /// Opens a socket.
    pub fn open(host: &impl Host, document: &DocumentId, storage: Option<Arc<str>>, requester: Requester) -> Self {
        let key = host.hub().new_connection();
        let (outbox, receiver) = outbox(CancellationToken::new());
        let (mailbox_quota, refusals) = (MailboxQuota::default(), Refusals::default());
        let peer = SyncPeer { requester, key, outbox, storage, mailbox_quota, refusals, relays: false };
        let (arrives, mut arrived) = mpsc::unbounded_channel::<Up>();
        let (hub, id, sender) = (host.hub().clone(), document.clone(), peer.clone());
        let task = host.spawn(async move {
            while let Some(Up { bytes, request }) = arrived.recv().await {
                if hub.sync(&id, sender.clone(), bytes, request, hub.memory_budget().reservation()).await.is_err() {
                    return;
                }
            }
        });
        Self { key, peer, up: VecDeque::new(), down: VecDeque::new(), receiver, arrives, task }
    }

    /// Delivers the oldest message in transit to the server.
    pub fn arrive(&mut self) -> bool {
        let Some(up) = self.up.pop_front() else { return false };
        let _ = self.arrives.send(up);
        true
    }

    /// The socket takes at most `most` messages. Returns them; they are now in transit.
    pub fn drain(&mut self, host: &impl Host, most: usize) -> Vec<Outgoing> {
        let mut taken = Vec::new();
        while taken.len() < most {
            match self.receiver.try_next() {
                Some(outgoing) => taken.push(outgoing),
                None => {
                    let waiters = self.receiver.take_drain_listeners();
                    if !waiters.is_empty() {
                        let (hub, key) = (host.hub().clone(), self.key);
                        host.spawn(async move {
                            for waiter in waiters {
                                if let DrainListener::Document(document) = waiter {
                                    hub.notify_drained(key, &document).await;
                                }
                            }
                        });
                    }
                    break;
                }
            }
        }
        taken
    }

    /// The reason why the server wants to end the connection, if it does.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.receiver.closing().is_cancelled().then(|| self.receiver.close_reason())
    }

    /// The server notices that the connection has broken.
    pub fn close(self, host: &impl Host, document: &DocumentId) {
        self.task.abort();
        let (hub, key, document) = (host.hub().clone(), self.key, document.clone());
        host.spawn(async move { hub.leave(key, [document]).await });
    }
}
