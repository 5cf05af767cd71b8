//! Devices: their edits, and the messages to and from the server.

use automerge::{ChangeHash, sync};
use rand::RngExt;
use runtime::hub::{CloseKind, Outgoing};

use super::{Mutant, Violation, World, rows};

impl World {
    pub(super) fn device_edits(&mut self) {
        let (index, choice, budget) =
            (self.random_replica(), self.rng.random_range(0..10), self.rng.random_range(1..99));
        if choice < 4 {
            let id = self.new_name();
            if self.replicas[index].add(&id, budget) {
                self.log(|| format!("device {index} adds {id}"));
                self.positions.push(id);
            }
        } else if let Some(id) = self.random_position() {
            if choice < 9 {
                self.log(|| format!("device {index} sets {id} to {budget}"));
                self.replicas[index].change(&id, budget);
            } else {
                self.log(|| format!("device {index} deletes {id}"));
                self.promises.may_be_deleted(&id);
                self.replicas[index].delete(&id);
            }
        }
    }

    pub(super) fn deliver_to_server(&mut self) {
        let index = self.random_replica();
        self.deliver_next_to_server(index);
        // Messages sent before the connection broke may still arrive.
        if let Some(link) = &mut self.replicas[index].half_open {
            link.arrive();
        }
    }

    pub(super) fn deliver_next_to_server(&mut self, index: usize) -> bool {
        let Some(link) = &mut self.replicas[index].link else { return false };
        let Some(message) = link.up.front().map(|up| summary(&up.bytes)) else { return false };
        link.arrive();
        self.log(|| format!("the server receives {message} from device {index}"));
        true
    }

    pub(super) fn drain_sockets(&mut self) {
        let (index, most) = (self.random_replica(), self.rng.random_range(1..20));
        self.drain(index, most);
        if let Some(link) = &mut self.replicas[index].half_open {
            // The device does not get these, but they have left the server.
            let taken = link.drain(&self.life, most);
            self.record_shown(&taken);
        }
        if !self.observers.is_empty() {
            let index = self.rng.random_range(0..self.observers.len());
            self.observe(index, most);
        }
    }

    pub(super) fn drain(&mut self, index: usize, most: usize) -> bool {
        let Some(link) = &mut self.replicas[index].link else { return false };
        let mut taken = link.drain(&self.life, most);
        if self.mutant == Mutant::DroppedMessage && !taken.is_empty() && self.rng.random_bool(0.05) {
            taken.pop();
        }
        self.record_shown(&taken);
        let any = !taken.is_empty();
        if let Some(link) = &mut self.replicas[index].link {
            link.down.extend(taken);
        }
        any
    }

    pub(super) fn observe(&mut self, index: usize, most: usize) -> bool {
        let taken = self.observers[index].link.drain(&self.life, most);
        for outgoing in &taken {
            rows::follow(&mut self.observers[index].rows, outgoing);
        }
        !taken.is_empty()
    }

    /// Records the heads in messages that have left the server: they must be durable.
    pub(super) fn record_shown(&mut self, outgoing: &[Outgoing]) {
        for outgoing in outgoing {
            if let Outgoing::Sync { data, .. } = outgoing
                && let Ok(message) = sync::Message::decode(data)
            {
                self.promises.named(&message.heads);
            }
        }
    }

    pub(super) fn deliver_to_device(&mut self) -> Result<(), Violation> {
        let index = self.random_replica();
        self.deliver_next(index).map(drop)
    }

    pub(super) fn deliver_next(&mut self, index: usize) -> Result<bool, Violation> {
        let Some(outgoing) = self.replicas[index].link.as_mut().and_then(|link| link.down.pop_front()) else {
            return Ok(false);
        };
        match outgoing {
            Outgoing::Sync { data, .. } => {
                self.log(|| format!("device {index} receives {}", summary(&data)));
                self.replicas[index].receive(&data).map_err(|error| format!("device {index}: {error}"))?;
            }
            Outgoing::Refused { kind: CloseKind::BadMessage, message, .. } => {
                return Err(format!("device {index} is honest, but was refused: {message}"));
            }
            Outgoing::Refused { message, .. } => self.log(|| format!("device {index} is refused: {message}")),
            _ => {}
        }
        Ok(true)
    }
}

/// Summarizes a sync message.
fn summary(bytes: &[u8]) -> String {
    fn short(hashes: &[ChangeHash]) -> String {
        hashes.iter().map(|hash| hash.to_string()[..6].to_owned()).collect::<Vec<_>>().join(" ")
    }
    let Ok(sync::Message { heads, need, have, changes, .. }) = sync::Message::decode(bytes) else {
        return "rubbish".to_owned();
    };
    let have: Vec<String> = have
        .iter()
        .map(|have| format!("{} and {} bytes", short(&have.last_sync), have.bloom.to_bytes().len()))
        .collect();
    let bytes: usize = changes.iter().map(<[u8]>::len).sum();
    format!("heads [{}], need [{}], have [{}], {bytes} bytes of changes", short(&heads), short(&need), have.join(", "))
}
