//! The end of a run: without faults, all must agree.

use std::collections::BTreeMap;
use std::time::Duration;

use happierwork::legacy::RENDERINGS;
use plan::View;
use runtime::hub::Requester;

use super::{PATIENCE, Rows, Violation, World, rows};

impl World {
    /// Stops all faults. All must converge within [`PATIENCE`] rounds.
    pub(super) fn converge(&mut self) -> Result<(), Violation> {
        self.log(|| "faults end".to_owned());
        if self.doomed {
            self.crash()?;
        }
        self.disk.heal();
        self.life.gate(true);
        for _ in 0..PATIENCE {
            self.life.settle();
            self.collect_api_results()?;
            self.close_ended_connections()?;
            for index in 0..self.replicas.len() {
                if self.replicas[index].link.is_none() {
                    self.connect(index);
                }
            }
            let moved = self.deliver_all()?;
            if !moved && self.pending.is_empty() && self.disagreement()?.is_none() {
                return self.check();
            }
            self.life.pass(Duration::from_secs(1));
        }
        let disagreement = self.disagreement()?.unwrap_or_else(|| "messages never end".to_owned());
        Err(format!("{disagreement}, {PATIENCE} s after the last fault"))
    }

    pub(super) fn deliver_all(&mut self) -> Result<bool, Violation> {
        let mut any = false;
        for _ in 0..200 {
            let mut moved = false;
            self.life.settle();
            for index in 0..self.replicas.len() {
                moved |= self.drain(index, usize::MAX);
                while self.deliver_next(index)? {
                    moved = true;
                }
                while self.deliver_next_to_server(index) {
                    moved = true;
                }
            }
            for index in 0..self.observers.len() {
                moved |= self.observe(index, usize::MAX);
            }
            if !moved {
                return Ok(any);
            }
            any = true;
        }
        Ok(any)
    }

    /// Describes the first device whose heads differ from those of the file.
    pub(super) fn disagreement(&mut self) -> Result<Option<String>, Violation> {
        let heads = self.stored()?.get_heads();
        for (index, replica) in self.replicas.iter_mut().enumerate() {
            let theirs = replica.heads();
            if theirs != heads {
                return Ok(Some(format!("device {index} has {theirs:?}, the file {heads:?}")));
            }
        }
        Ok(None)
    }

    pub(super) fn check(&mut self) -> Result<(), Violation> {
        self.check_promises("in the end")?;
        if self.observers.is_empty() {
            self.add_observer()?;
        }
        let fresh = rows::of(&View::new(&self.stored()?, RENDERINGS));
        let view =
            self.life.run(self.life.hub.view(&Requester::server(), &self.id)).map_err(|error| error.to_string())?;
        let shown = view.map(|view| self.read(&view)).unwrap_or_default();
        if let Some(difference) = difference(&shown, &fresh) {
            return Err(format!("the view differs from a fresh reading: {difference}"));
        }
        for observer in &self.observers {
            if let Some(difference) = difference(&observer.rows, &fresh) {
                return Err(format!("the events of an observer do not add up: {difference}"));
            }
        }
        Ok(())
    }
}

fn difference(actual: &Rows, expected: &Rows) -> Option<String> {
    if actual == expected {
        return None;
    }
    let ids: BTreeMap<&String, ()> = actual.keys().chain(expected.keys()).map(|id| (id, ())).collect();
    let id = ids.into_keys().find(|id| actual.get(*id) != expected.get(*id))?;
    Some(format!("{id} is {:?} instead of {:?}", actual.get(id), expected.get(id)))
}
