//! Observers, who read the view and follow its events.

use plan::{SharedView, read_view};
use rand::RngExt;
use runtime::hub::Requester;

use super::{Link, Observer, Rows, Trouble, Violation, World, anonymous, rows};

impl World {
    pub(super) fn toggle_observer(&mut self) -> Result<(), Violation> {
        if self.observers.len() > 1 || (!self.observers.is_empty() && self.rng.random_bool(0.3)) {
            self.log(|| "an observer leaves".to_owned());
            self.observers.remove(0).link.close(&self.life, &self.id);
            return Ok(());
        }
        // The observer would wait for the disk, and nothing else could open the gate meanwhile.
        if !self.life.is_open() || self.doomed {
            return Ok(());
        }
        self.add_observer()
    }

    pub(super) fn add_observer(&mut self) -> Result<(), Violation> {
        self.log(|| "an observer arrives".to_owned());
        let link = Link::open(&self.life, &self.id, None, anonymous());
        let watched =
            self.life.run(self.life.hub.watch(&Requester::server(), &self.id, link.key, link.peer.outbox.clone()));
        match watched {
            Ok(view) => {
                let rows = self.read(&view);
                self.observers.push(Observer { link, rows });
                Ok(())
            }
            // The disk has failed, and the document is temporarily unavailable.
            Err(error) if self.trouble != Trouble::Network => {
                self.log(|| format!("… and is refused: {error}"));
                Ok(())
            }
            Err(error) => Err(format!("the document could not be opened: {error}")),
        }
    }

    pub(super) fn read(&mut self, view: &SharedView) -> Rows {
        let view = read_view(view);
        self.promises.named(view.heads());
        rows::of(&view)
    }
}
