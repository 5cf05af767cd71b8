//! The commands of the mailbox: added to the batch, or executed at once.

use sync_engine::{carries_chunks, names_heads};
use tokio::time::Instant;

use super::DocumentTask;
use super::commit::{Batch, ItemSource};
use super::portions::Portions;
use super::suspension::SuspensionCause;
use super::view::NewWatcher;
use crate::document::{AuthoredEdit, Document, Item};
use crate::hub::access::{Denied, Right};
use crate::hub::command::{Command, Unavailable};
use crate::memory_budget::OutOfMemory;
use crate::metrics::RefusalReason;

impl DocumentTask {
    /// Adds a command to the batch, or executes it.
    pub(super) fn handle_command(&mut self, document: &mut Document, command: Command, batch: &mut Batch) {
        if !matches!(command, Command::Leave(_)) {
            self.usage.last_use = Instant::now();
        }
        self.note_use(&command);
        let Some(command) = self.pipeline.portions.defer(command) else { return };
        match command {
            Command::StartSync(peer) if self.is_denied(document, &peer) => self.hub.deny(&self.id, &peer, false, None),
            Command::StartSync(peer) => {
                let key = peer.key;
                // The peer may have the document. Its first message will show that.
                if self.admit(document, peer) && self.track_pending_peer(document, key, true) {
                    batch.new_peers.push(key);
                }
            }
            Command::Sync { peer, bytes, incoming, request, mailbox_permit } => {
                let key = peer.key;
                // Messages that were queued before the refusal.
                if peer.outbox.is_closed() || peer.refusals.drops(&self.id, carries_chunks(&bytes)) {
                    return;
                }
                if self.is_denied(document, &peer) {
                    return self.hub.deny(&self.id, &peer, request, Some(&bytes));
                }
                if !self.admit(document, peer) || !self.track_pending_peer(document, key, names_heads(&bytes)) {
                    return;
                }
                if request && !document.engine.exists() {
                    document.engine.wait_for_document(key);
                    batch.requesting_peers.push(key);
                } else if !request {
                    // A sender of `sync` has the document, even if it requested it before.
                    document.engine.stop_waiting(key);
                }
                if carries_chunks(&bytes) && !self.accepts_changes(document, key, &mut batch.creator) {
                    return;
                }
                if !self.reserve_lists(document, key, &bytes) {
                    return;
                }
                let incoming = match incoming {
                    Some(incoming) if document.engine.exists() && Portions::needs_portions(&incoming) => {
                        return self.pipeline.portions.push(key, bytes, *incoming, mailbox_permit);
                    }
                    incoming => incoming,
                };
                batch.bytes += bytes.len();
                batch.mailbox_permits.extend(mailbox_permit);
                batch.items.push(Item::Sync { peer: key, bytes });
                batch.incoming.push(incoming);
                batch.senders.push(ItemSource::Peer(key));
            }
            Command::Edit { requester, reply, .. } | Command::Merge { requester, reply, .. }
                if self.is_requester_quarantined(&requester) =>
            {
                self.hub.inner.metrics.record_refusal(RefusalReason::TooSlow);
                let _ = reply.send(Err(Unavailable::Quarantined(self.id.clone()).into()));
            }
            Command::Edit { edit, author, requester, request, reply } => {
                batch
                    .items
                    .push(Item::Edit { edit: AuthoredEdit { edit: *edit, author }, by: requester.contributor() });
                batch.incoming.push(None);
                batch.senders.push(ItemSource::Edit { requester, heads: None, request, reply });
            }
            Command::Merge { changes, edit, author, requester, heads, request, reply } => {
                let edit = edit.map(|edit| AuthoredEdit { edit: *edit, author });
                batch.items.push(Item::Merge { changes, edit, by: requester.contributor() });
                batch.incoming.push(None);
                batch.senders.push(ItemSource::Edit { requester, heads, request, reply });
            }
            Command::Ephemeral { from, message } => {
                self.record_ephemeral_reader(from);
                self.relay_ephemeral(from, &message);
            }
            Command::RemoteEphemeral { user, message } => self.forward_remote_ephemeral(user.as_ref(), &message),
            Command::LegacyPresenceChanged => self.update_presence(),
            Command::RemoteHeads { from, heads } => self.forward_remote_heads(from, heads),
            Command::WatchStorages { peer, storages } => self.send_known_heads(document, peer, &storages),
            // The right may have been lost while the command was queued.
            Command::Watch { requester, reply, .. } if self.hub.right(&requester, &self.id) < Right::Read => {
                let _ = reply.send(Err(Denied::Missing(self.id.clone()).into()));
            }
            Command::Watch { requester, key, outbox, reply } => {
                self.open_view(document, Some(NewWatcher { requester, key, outbox }), reply);
            }
            Command::Open { reply } => self.open_view(document, None, reply),
            Command::ViewBuilt(view) => self.view_built(document, view),
            Command::Copy { reply } => self.copy(document, reply),
            Command::Recheck => self.recheck(document),
            Command::OpenHistory { reply } => self.open_history(document, reply),
            Command::HistoryBuilt(history) => self.history_built(document, history),
            Command::HistoryPage { query, reply } => self.history_page(document, &query, reply),
            Command::Heads { reply } => self.heads(document, reply),
            Command::Following { since, reply } => self.following(document, &since, reply),
            Command::Attribution { changes, reply } => self.attribution(document, &changes, reply),
            Command::Past { heads, reply } => self.past(document, heads, reply),
            Command::Follow { opened } => {
                let _ = opened.send(());
            }
            // The requests that waited for the answer are answered after the batch.
            Command::PeerLacks(key) => self.creation.pending_requests.withdraw_announcement(key),
            Command::Postpone(peer) => {
                let key = peer.key;
                if !self.is_denied(document, &peer) && self.admit(document, peer) {
                    self.refuse_temporarily(document, key, SuspensionCause::temporary(), &OutOfMemory.to_string());
                }
            }
            Command::Leave(key) => {
                self.pipeline.portions.remove_peer(key);
                self.view.forget(key);
                self.subscribers.disconnected.push(key);
            }
            Command::Drained(key) => batch.drained.push(key),
            Command::Stop => self.usage.stop = true,
        }
    }
}
