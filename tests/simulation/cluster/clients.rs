//! Clients: their connections to any node, their edits, and the messages between them and the node.

use std::mem;

use automerge::sync;
use rand::RngExt;
use runtime::hub::{CloseKind, Outgoing, Requester};
use sync_engine::Surface;

use super::{Cluster, DEVICE_USER, Trouble, USERS, Violation, user};
use crate::host::Host;
use crate::link::Link;
use crate::network::Life;
use crate::replica::{Flavor, Replica};

/// Summarizes a sync message for the log.
fn summary(message: &[u8]) -> String {
    match sync::Message::decode(message) {
        Ok(sync::Message { heads, need, changes, .. }) => {
            format!("heads {heads:?}, needs {need:?}, {} changes", changes.len())
        }
        Err(error) => error.to_string(),
    }
}

/// A device and its user.
pub struct Client {
    pub replica: Replica,
    /// The node to which it is connected.
    life: Option<Life>,
    /// The node that still holds its broken connection, and has not noticed.
    half_open: Option<Life>,
    requester: Requester,
}

impl Cluster {
    pub(super) fn make_clients(&mut self, seed: u64) {
        for number in 0..self.rng.random_range(1..5) {
            let flavor = if self.rng.random_bool(0.7) { Flavor::Repo } else { Flavor::Plain };
            let surface = if flavor == Flavor::Repo { Surface::Sync } else { Surface::Plain };
            let user_name = match self.trouble {
                Trouble::Failover => Some(DEVICE_USER),
                Trouble::Outages if self.rng.random_bool(0.3) => None,
                Trouble::Outages => Some(USERS[self.rng.random_range(0..USERS.len())]),
            };
            let requester = user_name.map_or_else(|| Requester::anonymous(surface), |name| user(name, surface));
            let replica = Replica::new(format!("device-{number}"), flavor, seed);
            self.clients.push(Client { replica, life: None, half_open: None, requester });
        }
    }

    fn random_client(&mut self) -> usize {
        self.rng.random_range(0..self.clients.len())
    }

    /// The node of a connection, if it is still the same process.
    fn node_of(&self, life: Option<Life>) -> Option<usize> {
        life.filter(|life| self.nodes[life.node].life == *life).map(|life| life.node)
    }

    pub(super) fn toggle_connection(&mut self) {
        let index = self.random_client();
        if self.clients[index].replica.link.is_none() {
            return self.connect(index);
        }
        if self.rng.random_bool(0.5) {
            self.log(|| format!("device {index} is cut off"));
            self.disconnect(index);
        } else {
            self.log(|| format!("device {index} is cut off, and the node does not notice"));
            self.drop_half_open(index);
            let client = &mut self.clients[index];
            client.replica.half_open = client.replica.link.take();
            client.half_open = client.life.take();
        }
    }

    pub(super) fn connect_most(&mut self) {
        for index in 0..self.clients.len() {
            if self.rng.random_bool(0.8) {
                self.connect(index);
            }
        }
    }

    /// Connects a client to any node.
    pub(super) fn connect(&mut self, index: usize) {
        let Some(node) = self.random_node().filter(|node| !self.nodes[*node].is_frozen()) else { return };
        self.log(|| format!("device {index} connects to node {node}"));
        // The same peer id joins again, so the node's old connection must end first.
        if self.clients[index].half_open == Some(self.nodes[node].life) {
            self.drop_half_open(index);
            self.pass(5);
        }
        let (client, host) = (&mut self.clients[index], &self.nodes[node]);
        let link = Link::open(host, &self.id, client.replica.storage(), client.requester.clone());
        if client.replica.flavor == Flavor::Plain {
            let (hub, id, peer) = (host.hub().clone(), self.id.clone(), link.peer.clone());
            host.spawn(async move { hub.start_sync(&id, peer).await });
        }
        client.life = Some(host.life);
        client.replica.connected(link);
    }

    pub(super) fn disconnect(&mut self, index: usize) {
        let node = self.node_of(self.clients[index].life);
        let client = &mut self.clients[index];
        client.life = None;
        if let (Some(link), Some(node)) = (client.replica.link.take(), node) {
            link.close(&self.nodes[node], &self.id);
        }
    }

    /// Disconnects the devices of users whose rights have changed. The server does not tell a refused device that it may read
    /// again.
    pub(super) fn disconnect_users(&mut self) {
        for index in 0..self.clients.len() {
            if self.clients[index].requester.user().is_some_and(|user| USERS.contains(&&*user)) {
                self.disconnect(index);
            }
        }
    }

    fn drop_half_open(&mut self, index: usize) {
        let node = self.node_of(self.clients[index].half_open);
        let client = &mut self.clients[index];
        client.half_open = None;
        if let (Some(link), Some(node)) = (client.replica.half_open.take(), node) {
            link.close(&self.nodes[node], &self.id);
        }
    }

    /// Drops all connections to a stopped node.
    pub(super) fn forget_connections(&mut self, node: usize) {
        for client in &mut self.clients {
            if client.life.is_some_and(|life| life.node == node) {
                (client.life, client.replica.link) = (None, None);
            }
            if client.half_open.is_some_and(|life| life.node == node) {
                (client.half_open, client.replica.half_open) = (None, None);
            }
        }
    }

    pub(super) fn client_edits(&mut self) {
        let (index, choice, budget) =
            (self.random_client(), self.rng.random_range(0..10), self.rng.random_range(1..99));
        if choice < 4 {
            let id = self.new_name();
            if self.clients[index].replica.add(&id, budget) {
                self.log(|| format!("device {index} adds {id}"));
                self.positions.push(id);
            }
        } else if let Some(id) = self.random_position() {
            if choice < 9 {
                self.log(|| format!("device {index} sets {id} to {budget}"));
                self.clients[index].replica.change(&id, budget);
            } else {
                self.log(|| format!("device {index} deletes {id}"));
                self.promises.may_be_deleted(&id);
                self.clients[index].replica.delete(&id);
            }
        }
    }

    pub(super) fn deliver_to_server(&mut self) {
        let index = self.random_client();
        self.deliver_next_to_server(index);
        // Messages sent before the connection broke may still arrive.
        if let Some(link) = &mut self.clients[index].replica.half_open {
            link.arrive();
        }
    }

    pub(super) fn deliver_next_to_server(&mut self, index: usize) -> bool {
        let arrived = self.clients[index].replica.link.as_mut().is_some_and(Link::arrive);
        if arrived {
            self.log(|| format!("a message of device {index} arrives"));
        }
        arrived
    }

    pub(super) fn drain_some(&mut self) -> Result<(), Violation> {
        let (index, most) = (self.random_client(), self.rng.random_range(1..20));
        self.drain(index, most)?;
        if let Some(node) = self.node_of(self.clients[index].half_open)
            && !self.nodes[node].is_frozen()
            && let Some(link) = &mut self.clients[index].replica.half_open
        {
            // The device does not get these, but they have left the node.
            let taken = link.drain(&self.nodes[node], most);
            self.record_shown(node, &taken)?;
        }
        Ok(())
    }

    pub(super) fn drain(&mut self, index: usize, most: usize) -> Result<bool, Violation> {
        let Some(node) = self.node_of(self.clients[index].life) else { return Ok(false) };
        let Some(link) = &mut self.clients[index].replica.link else { return Ok(false) };
        if self.nodes[node].is_frozen() {
            return Ok(false);
        }
        let taken = link.drain(&self.nodes[node], most);
        let any = !taken.is_empty();
        self.record_shown(node, &taken)?;
        if let Some(link) = &mut self.clients[index].replica.link {
            link.down.extend(taken);
        }
        Ok(any)
    }

    /// Records messages that have left a node. Their changes must be stored.
    fn record_shown(&mut self, node: usize, outgoing: &[Outgoing]) -> Result<(), Violation> {
        for outgoing in outgoing {
            if let Outgoing::Sync { data, .. } = outgoing
                && let Ok(message) = sync::Message::decode(data)
            {
                self.record_heads(node, &message.heads)?;
            }
        }
        Ok(())
    }

    pub(super) fn record_heads(&mut self, node: usize, heads: &[automerge::ChangeHash]) -> Result<(), Violation> {
        let network = self.network.lock();
        if let Some(violation) = network.database.log().violation() {
            return Err(violation.clone());
        }
        if let Some(early) = heads.iter().find(|hash| !network.database.log().was_ever_stored(hash)) {
            return Err(format!("node {node} shows change {early}, which is not stored"));
        }
        self.promises.named(self.nodes[node].life, heads);
        Ok(())
    }

    pub(super) fn deliver_to_client(&mut self) -> Result<(), Violation> {
        let index = self.random_client();
        self.deliver_next(index).map(drop)
    }

    pub(super) fn deliver_next(&mut self, index: usize) -> Result<bool, Violation> {
        let client = &mut self.clients[index];
        let Some(outgoing) = client.replica.link.as_mut().and_then(|link| link.down.pop_front()) else {
            return Ok(false);
        };
        match outgoing {
            Outgoing::Sync { data, .. } => {
                client.replica.receive(&data).map_err(|error| format!("device {index}: {error}"))?;
                self.log(|| format!("device {index} receives a message: {}", summary(&data)));
            }
            Outgoing::Refused { kind: CloseKind::BadMessage, message, .. } => {
                return Err(format!("device {index} is honest, but was refused: {message}"));
            }
            // The user may not read, or the database is unavailable. A real client tries again later.
            Outgoing::Missing(_) | Outgoing::Unavailable { .. } | Outgoing::Refused { .. } => {
                self.log(|| format!("device {index} is refused"));
                self.disconnect(index);
            }
            _ => {}
        }
        Ok(true)
    }

    /// Closes the connections that a node has ended.
    pub(super) fn close_ended_connections(&mut self) -> Result<(), Violation> {
        for index in 0..self.clients.len() {
            let reason = self.clients[index].replica.link.as_ref().and_then(Link::close_reason);
            if let Some(reason) = reason {
                if reason.kind == CloseKind::BadMessage {
                    return Err(format!("device {index} is honest, but was disconnected: {}", reason.message));
                }
                self.log(|| format!("device {index} is disconnected: {}", reason.message));
                self.disconnect(index);
            }
            let half_open = self.clients[index].replica.half_open.as_ref();
            if half_open.is_some_and(|link| link.close_reason().is_some()) {
                self.drop_half_open(index);
            }
        }
        Ok(())
    }

    /// Delivers all messages. Returns whether there were any.
    pub(super) fn deliver_all(&mut self) -> Result<bool, Violation> {
        let mut any = false;
        for index in 0..self.clients.len() {
            any |= self.drain(index, usize::MAX)?;
            while self.deliver_next(index)? {
                any = true;
            }
            while self.deliver_next_to_server(index) {
                any = true;
            }
        }
        Ok(mem::take(&mut any))
    }
}
