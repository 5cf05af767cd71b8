//! Shared states send the same messages as a private state for each peer.

use std::collections::{BTreeMap, VecDeque};

use automerge::sync::SyncDoc;
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ROOT};
use proptest::prelude::*;

use super::*;
use crate::incoming::Incoming;
use crate::message_limits::MessageLimits;

/// A remote peer, which uses the library.
struct Remote {
    doc: AutoCommit,
    state: sync::State,
    /// The server's state of this peer, not shared: the reference.
    private: sync::State,
    /// Messages in transit to the remote peer, and from it.
    down: VecDeque<Bytes>,
    up: VecDeque<Bytes>,
    /// Whether its socket accepts messages.
    reads: bool,
    /// Whether it has local changes.
    edited: bool,
}

struct World {
    doc: AutoCommit,
    peers: Peers,
    remotes: BTreeMap<PeerKey, Remote>,
    next: u64,
}

impl World {
    fn new() -> Self {
        let mut doc = AutoCommit::new().with_actor(ActorId::from([0u8]));
        doc.put(ROOT, "start", 1).unwrap();
        doc.commit();
        Self { doc, peers: Peers::default(), remotes: BTreeMap::new(), next: 1 }
    }

    fn join(&mut self) {
        let key = PeerKey(self.next);
        let doc = AutoCommit::new().with_actor(ActorId::from(self.next.to_be_bytes()));
        self.next += 1;
        self.peers.join(key, Vec::new());
        let mut remote = Remote {
            doc,
            state: sync::State::new(),
            private: sync::State::new(),
            down: VecDeque::new(),
            up: VecDeque::new(),
            reads: true,
            edited: false,
        };
        let hello = remote.doc.sync().generate_sync_message(&mut remote.state).unwrap();
        remote.up.push_back(hello.encode().into());
        self.remotes.insert(key, remote);
    }

    fn key(&self, index: usize) -> Option<PeerKey> {
        (!self.remotes.is_empty()).then(|| *self.remotes.keys().nth(index % self.remotes.len()).unwrap())
    }

    /// The server applies the messages of up to `count` peers as one batch, then publishes.
    fn server_batch(&mut self, count: usize) {
        let mut batch = Vec::new();
        for (key, remote) in self.remotes.iter_mut().take(count) {
            if let Some(bytes) = remote.up.pop_front() {
                batch.push((*key, bytes));
            }
        }
        let decoded: Vec<_> = batch
            .into_iter()
            .map(|(key, bytes)| {
                let incoming = Incoming::decode(&bytes, &MessageLimits::default()).unwrap();
                (key, bytes, incoming)
            })
            .collect();
        let before = self.doc.get_heads();
        self.doc.apply_changes(decoded.iter().flat_map(|(_, _, incoming)| incoming.changes.clone())).unwrap();
        let doc = self.doc.document().clone();
        if doc.get_heads() != before {
            self.peers.document_changed(&doc);
        }
        for (key, bytes, incoming) in decoded {
            let remote = self.remotes.get_mut(&key).unwrap();
            remote.private = receive(&doc, &remote.private, incoming.message.clone());
            if incoming.carried_changes || !self.peers.acknowledge(key, &bytes) {
                let keep = (!incoming.carried_changes).then_some(&bytes);
                self.peers.receive(&doc, key, incoming.message, keep);
            }
        }
        self.publish();
    }

    fn publish(&mut self) {
        let doc = self.doc.document().clone();
        let due: Vec<PeerKey> = self.remotes.keys().copied().filter(|key| self.peers.is_due(*key)).collect();
        let deliveries = self.peers.generate(&doc, |key| self.remotes[&key].reads);
        let mut delivered: BTreeMap<PeerKey, Bytes> =
            deliveries.into_iter().map(|delivery| (delivery.peer, delivery.message)).collect();
        for key in due {
            let remote = self.remotes.get_mut(&key).unwrap();
            let (message, moved) = generate(&doc, &remote.private, &mut self.peers.saved.clone());
            if message.is_some() && !remote.reads {
                assert_eq!(delivered.remove(&key), None, "generated for a peer that is behind");
                continue;
            }
            remote.private = moved;
            assert_eq!(delivered.remove(&key), message, "the shared message is the private one");
            remote.down.extend(message);
        }
        assert!(delivered.is_empty(), "no other peer got a message");
    }

    /// The socket of a peer accepts messages again.
    fn drain(&mut self, key: PeerKey) {
        let doc = self.doc.document().clone();
        let remote = self.remotes.get_mut(&key).unwrap();
        remote.reads = true;
        if !self.peers.is_due(key) {
            return;
        }
        let delivered = self.peers.generate_one(&doc, key).map(|delivery| delivery.message);
        let (message, moved) = generate(&doc, &remote.private, &mut self.peers.saved.clone());
        assert_eq!(delivered, message, "the shared message is the private one");
        remote.private = moved;
        remote.down.extend(message);
    }

    fn remote_reads(&mut self, key: PeerKey) {
        let remote = self.remotes.get_mut(&key).unwrap();
        let Some(bytes) = remote.down.pop_front() else { return };
        let message = sync::Message::decode(&bytes).unwrap();
        remote.doc.sync().receive_sync_message(&mut remote.state, message).unwrap();
        let answer = remote.doc.sync().generate_sync_message(&mut remote.state);
        let silent = answer.as_ref().is_none_or(|message| message.changes.is_empty());
        assert!(silent || remote.edited, "sent changes are not returned");
        remote.up.extend(answer.map(|message| Bytes::from(message.encode())));
    }

    fn remote_edits(&mut self, key: PeerKey, value: i64) {
        let remote = self.remotes.get_mut(&key).unwrap();
        remote.edited = true;
        remote.doc.put(ROOT, format!("key {}", value % 5), value).unwrap();
        remote.doc.commit();
        let message = remote.doc.sync().generate_sync_message(&mut remote.state);
        remote.up.extend(message.map(|message| Bytes::from(message.encode())));
    }

    /// Loses the messages in transit and connects again, with the shared heads of both sides.
    fn reconnect(&mut self, key: PeerKey) {
        let shared = self.peers.leave(key).unwrap();
        let mut remote = self.remotes.remove(&key).unwrap();
        remote.down.clear();
        remote.up.clear();
        remote.state = sync::State::decode(&remote.state.encode()).unwrap();
        let key = PeerKey(self.next);
        self.next += 1;
        remote.private = if shared.is_empty() {
            sync::State::new()
        } else {
            sync::State { shared_heads: shared.clone(), their_have: Some(Vec::new()), ..sync::State::new() }
        };
        remote.reads = true;
        self.peers.join(key, shared);
        let hello = remote.doc.sync().generate_sync_message(&mut remote.state);
        remote.up.extend(hello.map(|message| Bytes::from(message.encode())));
        self.remotes.insert(key, remote);
    }

    fn settle(&mut self) {
        for key in self.remotes.keys().copied().collect::<Vec<_>>() {
            self.drain(key);
        }
        for _ in 0..200 {
            self.server_batch(usize::MAX);
            for key in self.remotes.keys().copied().collect::<Vec<_>>() {
                while !self.remotes[&key].down.is_empty() {
                    self.remote_reads(key);
                }
            }
            if self.remotes.values().all(|remote| remote.up.is_empty() && remote.down.is_empty()) {
                return;
            }
        }
        panic!("the peers do not stop sending");
    }
}

#[derive(Debug, Clone)]
enum Step {
    Join,
    Leave(usize),
    Reconnect(usize),
    ServerEdit(i64),
    RemoteEdit(usize, i64),
    RemoteReads(usize),
    ServerBatch(usize),
    Stall(usize),
    Drain(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let peer = 0..8usize;
    let step = prop_oneof![
        2 => Just(Step::Join),
        1 => peer.clone().prop_map(Step::Leave),
        1 => peer.clone().prop_map(Step::Reconnect),
        4 => any::<i64>().prop_map(Step::ServerEdit),
        3 => (peer.clone(), 0..1_000i64).prop_map(|(peer, value)| Step::RemoteEdit(peer, value)),
        8 => peer.clone().prop_map(Step::RemoteReads),
        6 => (1..9usize).prop_map(Step::ServerBatch),
        1 => peer.clone().prop_map(Step::Stall),
        1 => peer.prop_map(Step::Drain),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Any schedule through the shared states yields the messages of one private state per peer, and all converge.
    #[test]
    fn shared_states_send_the_same_as_private_states(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Join => world.join(),
                Step::Leave(index) => if let Some(key) = world.key(index) {
                    world.peers.leave(key);
                    world.remotes.remove(&key);
                },
                Step::Reconnect(index) => if let Some(key) = world.key(index) { world.reconnect(key) },
                Step::ServerEdit(value) => {
                    world.doc.put(ROOT, "server", value).unwrap();
                    world.doc.commit();
                    world.peers.document_changed(world.doc.document());
                    world.publish();
                }
                Step::RemoteEdit(index, value) => if let Some(key) = world.key(index) { world.remote_edits(key, value) },
                Step::RemoteReads(index) => if let Some(key) = world.key(index) { world.remote_reads(key) },
                Step::ServerBatch(count) => world.server_batch(count),
                Step::Stall(index) => if let Some(key) = world.key(index) {
                    world.remotes.get_mut(&key).unwrap().reads = false;
                },
                Step::Drain(index) => if let Some(key) = world.key(index) {
                    world.drain(key);
                },
            }
        }
        world.settle();
        let heads = world.doc.get_heads();
        for remote in world.remotes.values_mut() {
            prop_assert_eq!(remote.doc.get_heads(), heads.clone());
        }
    }
}

#[test]
fn thousand_viewers_cost_one_message_and_acknowledgement() {
    let mut world = World::new();
    for _ in 0..1_000 {
        world.join();
    }
    world.settle();
    assert_eq!(world.peers.distinct_states(), 1);
    let before = world.peers.generations();
    world.doc.put(ROOT, "budget", 45_000).unwrap();
    world.doc.commit();
    world.peers.document_changed(world.doc.document());
    world.publish();
    assert_eq!(world.peers.generations(), before + 1, "one message for all");
    world.settle();
    assert_eq!(world.peers.distinct_states(), 1);
    assert!(world.peers.generations() <= before + 3, "acknowledgements are computed once");
}

#[test]
fn peer_without_anything_answers_after_a_reset() {
    for flags in [true, false] {
        let mut remote = Automerge::new();
        let mut state = sync::State::new();
        let mut hello = remote.generate_sync_message(&mut state).unwrap();
        if !flags {
            hello.flags = None;
        }
        for was_heard in [true, false] {
            let (mut peers, key, mut empty) = (Peers::default(), PeerKey(1), Automerge::new());
            peers.join(key, Vec::new());
            if was_heard {
                peers.receive(&empty, key, hello.clone(), None);
                let _ = peers.generate(&empty, |_| true);
            }
            // The document is read again, and then another process creates it.
            peers.reset();
            for delivery in peers.generate(&empty, |_| true) {
                let message = sync::Message::decode(&delivery.message).unwrap();
                remote.receive_sync_message(&mut state, message).unwrap();
                if let Some(answer) = remote.generate_sync_message(&mut state) {
                    peers.receive(&empty, key, answer, None);
                }
            }
            let mut made = AutoCommit::new();
            made.put(ROOT, "key", 1).unwrap();
            empty.apply_changes(made.get_changes(&[])).unwrap();
            peers.document_changed(&empty);
            let deliveries = peers.generate(&empty, |_| true);
            assert_eq!(deliveries.len(), 1, "flags {flags}, heard {was_heard}");
            let message = sync::Message::decode(&deliveries[0].message).unwrap();
            assert_eq!(message.heads, empty.get_heads());
        }
    }
}

#[test]
fn consecutive_newcomers_share_one_saved_document() {
    let mut world = World::new();
    world.join();
    world.settle();
    let before = world.peers.generations();
    for _ in 0..20 {
        world.join();
        world.settle();
    }
    assert_eq!(world.peers.generations(), before);
}
