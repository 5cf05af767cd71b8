//! Connections of devices and of the intruder.

use rand::RngExt;
use runtime::hub::CloseKind;

use super::{Attack, Flavor, Link, Violation, World, anonymous, intruder};
use crate::host::Host;

impl World {
    pub(super) fn toggle_connection(&mut self) {
        let index = self.random_replica();
        match self.replicas[index].link.take() {
            None => self.connect(index),
            Some(link) if self.rng.random_bool(0.5) => {
                self.log(|| format!("device {index} is cut off"));
                link.close(&self.life, &self.id);
            }
            Some(link) => {
                self.log(|| format!("device {index} is cut off, and the server does not notice"));
                if let Some(old) = self.replicas[index].half_open.replace(link) {
                    old.close(&self.life, &self.id);
                }
            }
        }
    }

    pub(super) fn connect_most(&mut self) {
        for index in 0..self.replicas.len() {
            if self.rng.random_bool(0.7) {
                self.connect(index);
            }
        }
    }

    pub(super) fn connect(&mut self, index: usize) {
        self.log(|| format!("device {index} connects"));
        let replica = &mut self.replicas[index];
        // The same peer id joins again, so the old connection has to end first.
        if let Some(old) = replica.half_open.take() {
            old.close(&self.life, &self.id);
            self.life.settle();
        }
        let replica = &mut self.replicas[index];
        let link = Link::open(&self.life, &self.id, replica.storage(), anonymous());
        if replica.flavor == Flavor::Plain {
            let (hub, id, peer) = (self.life.hub.clone(), self.id.clone(), link.peer.clone());
            self.life.spawn(async move { hub.start_sync(&id, peer).await });
            self.life.settle();
        }
        replica.connected(link);
    }

    pub(super) fn attack(&mut self) {
        let attack = Attack::pick(&mut self.intruder_rng);
        self.log(|| format!("an intruder attacks: {attack:?}"));
        // A rejected intruder returns on a new connection.
        if self.intruder_rng.random_bool(0.5)
            && let Some(old) = self.intruder.take()
        {
            old.close(&self.life, &self.id);
        }
        let mut link = self.intruder.take().unwrap_or_else(|| Link::open(&self.life, &self.id, None, anonymous()));
        intruder::send(&mut link, attack, &mut self.intruder_rng);
        let taken = intruder::look(&mut link, &self.life, &mut self.intruder_rng);
        self.record_shown(&taken);
        self.intruder = Some(link);
    }

    /// Closes the connections that the server has ended.
    pub(super) fn close_ended_connections(&mut self) -> Result<(), Violation> {
        if self.intruder.as_ref().is_some_and(|link| link.close_reason().is_some())
            && let Some(link) = self.intruder.take()
        {
            self.log(|| "the intruder is disconnected".to_owned());
            link.close(&self.life, &self.id);
        }
        for index in 0..self.replicas.len() {
            let replica = &mut self.replicas[index];
            let close_reason = replica.link.as_ref().and_then(Link::close_reason);
            if let Some(close_reason) = close_reason {
                if close_reason.kind == CloseKind::BadMessage {
                    return Err(format!("device {index} is honest, but was disconnected: {}", close_reason.message));
                }
                if let Some(link) = replica.link.take() {
                    link.close(&self.life, &self.id);
                }
                self.log(|| format!("device {index} is disconnected: {}", close_reason.message));
            }
            let replica = &mut self.replicas[index];
            if replica.half_open.as_ref().is_some_and(|link| link.close_reason().is_some())
                && let Some(link) = replica.half_open.take()
            {
                link.close(&self.life, &self.id);
            }
        }
        Ok(())
    }
}
