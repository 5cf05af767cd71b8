//! The commands of the mailbox, sorted into a batch or carried out at once.

use sync_engine::{carries_chunks, names_heads};
use tokio::time::Instant;

use super::DocumentTask;
use super::commit::{Batch, Sender};
use super::portions::Portions;
use super::suspended::Cause;
use crate::document::{AuthoredEdit, Document, Item};
use crate::hub::access::{Denied, Right};
use crate::hub::command::{Command, Unavailable};
use crate::memory_budget::OutOfMemory;
use crate::metrics::Refusal;

impl DocumentTask {
    pub(super) fn sort(&mut self, document: &mut Document, command: Command, batch: &mut Batch) {
        if !matches!(command, Command::Leave(_)) {
            self.usage.last_use = Instant::now();
        }
        let Some(command) = self.pipeline.portions.hold(command) else { return };
        match command {
            Command::Greet(peer) if self.denies(document, &peer) => self.hub.turn_down(&self.id, &peer, false, None),
            Command::Greet(peer) => {
                let key = peer.key;
                // It has not said yet whether it has the document: its first message tells.
                if self.admit(document, peer) && self.note_arrival(document, key, true) {
                    batch.greeted.push(key);
                }
            }
            Command::Sync { peer, bytes, incoming, request, allowed } => {
                let key = peer.key;
                // There may be more of what was refused.
                if peer.outbox.is_closed() || peer.refusals.drops(&self.id, carries_chunks(&bytes)) {
                    return;
                }
                if self.denies(document, &peer) {
                    return self.hub.turn_down(&self.id, &peer, request, Some(&bytes));
                }
                if !self.admit(document, peer) || !self.note_arrival(document, key, names_heads(&bytes)) {
                    return;
                }
                if request && !document.engine.exists() {
                    document.engine.wait_for_document(key);
                    batch.requesters.push(key);
                } else if !request {
                    // Who sends `sync` has the document: one that was asked for before has been made there since.
                    document.engine.stop_waiting(key);
                }
                if carries_chunks(&bytes) && !self.takes_changes(document, key, &mut batch.maker) {
                    return;
                }
                if !self.makes_room(document, key, &bytes) {
                    return;
                }
                let incoming = match incoming {
                    Some(incoming) if document.engine.exists() && Portions::are_for(&incoming) => {
                        return self.pipeline.portions.begin(key, bytes, *incoming, allowed);
                    }
                    incoming => incoming,
                };
                batch.bytes += bytes.len();
                batch.allowed.extend(allowed);
                batch.items.push(Item::Sync { peer: key, bytes });
                batch.incoming.push(incoming);
                batch.senders.push(Sender::Peer(key));
            }
            Command::Edit { caller, reply, .. } if self.is_caller_quarantined(&caller) => {
                self.hub.inner.metrics.refuse(Refusal::TooSlow);
                let _ = reply.send(Err(Unavailable::Quarantined(self.id.clone()).into()));
            }
            Command::Edit { edit, author, caller, reply } => {
                batch.items.push(Item::Edit { edit: AuthoredEdit { edit: *edit, author }, by: caller.bringer() });
                batch.incoming.push(None);
                batch.senders.push(Sender::Caller { caller, reply });
            }
            Command::Ephemeral { from, message } => {
                self.hears(from);
                self.relay(from, &message);
            }
            Command::People => self.people_changed(),
            Command::RemoteHeads { from, heads } => self.hear_of_storage(from, heads),
            Command::WatchStorages { peer, storages } => self.tell_of_storages(document, peer, &storages),
            // What they may do may have changed while this waited, and who has lost it been told before they came.
            Command::Watch { caller, reply, .. } if self.hub.right(&caller, &self.id) < Right::Read => {
                let _ = reply.send(Err(Denied::Missing(self.id.clone()).into()));
            }
            Command::Watch { caller, key, outbox, reply } => {
                let view = self.show(document);
                if view.is_ok() {
                    self.subscribers.watchers.insert(key, caller, outbox);
                }
                let _ = reply.send(view);
            }
            Command::Open { reply } => {
                let _ = reply.send(self.show(document));
            }
            Command::Recheck => self.recheck(document),
            Command::OpenHistory { reply } => self.open_history(document, reply),
            Command::HistoryMade(history) => self.history_made(document, history),
            Command::HistoryPage { query, reply } => self.history_page(document, &query, reply),
            Command::Attribution { changes, reply } => self.attribution(document, &changes, reply),
            Command::Past { heads, reply } => self.past(document, heads, reply),
            Command::Postpone(peer) => {
                let key = peer.key;
                if !self.denies(document, &peer) && self.admit(document, peer) {
                    self.refuse_for_now(document, key, Cause::passing(), &OutOfMemory.to_string());
                }
            }
            Command::Leave(key) => {
                self.pipeline.portions.forget(key);
                self.subscribers.gone.push(key);
            }
            Command::Drained(key) => batch.drained.push(key),
            Command::Stop => self.usage.stop = true,
        }
    }
}
