//! The end of a run: without faults, all devices and nodes must agree.

use auth::Role;
use automerge::ChangeHash;
use happierwork::legacy::RENDERINGS;
use plan::{View, read_view};
use runtime::hub::Requester;
use sync_engine::{Authors, Provenance};

use super::{Cluster, USERS, Violation};
use crate::host::Host;
use crate::rows;

/// Deadline of convergence after the last fault, in simulated milliseconds.
const PATIENCE: u64 = 60_000;
/// After this time, every node has read all changes of rights.
const HEARD: u64 = 11_000;
/// Interval between checks.
const LOOK: u64 = 100;

/// The known contributors of changes, or the reason why the node does not return them.
type Attribution = Result<Vec<(ChangeHash, Provenance)>, String>;

impl Cluster {
    /// Stops all faults. All must converge within [`PATIENCE`].
    pub(super) fn converge(&mut self) -> Result<(), Violation> {
        self.log(|| "faults end".to_owned());
        self.network.lock().heal();
        for node in 0..self.nodes.len() {
            self.thaw(node);
        }
        let end = self.network.lock().now() + PATIENCE;
        let (mut are_rights_given, mut come_back) = (false, u64::MAX);
        loop {
            self.pass(LOOK);
            self.collect()?;
            let waits = self.has_calls() || self.has_pairs() || self.has_role_changes();
            if !waits && !are_rights_given && self.nodes.iter().all(super::Node::is_up) {
                are_rights_given = self.give_rights();
                come_back = self.network.lock().now() + HEARD;
            }
            if are_rights_given && self.network.lock().now() >= come_back {
                self.disconnect_users();
                come_back = u64::MAX;
            }
            for index in 0..self.clients.len() {
                if self.clients[index].replica.link.is_none() {
                    self.connect(index);
                }
            }
            let moved = self.deliver_all()?;
            let is_done = are_rights_given && come_back == u64::MAX;
            if !moved && !waits && is_done && !self.has_role_changes() && self.disagreement()?.is_none() {
                return self.check();
            }
            if self.network.lock().now() >= end {
                let disagreement = self.disagreement()?.unwrap_or_else(|| "messages never end".to_owned());
                return Err(format!("{disagreement}, {PATIENCE} ms after the last fault"));
            }
        }
    }

    /// Gives all users write access, so that all devices can agree. Returns whether it succeeded for all.
    fn give_rights(&mut self) -> bool {
        let lacking = |user: &&str| {
            let role = self.network.lock().database.log().role(user);
            !matches!(role.as_deref(), Some("editor" | "owner"))
        };
        let lacking: Vec<&str> = USERS.into_iter().filter(lacking).collect();
        for user in &lacking {
            self.set_role(0, user, Some(Role::Editor));
        }
        lacking.is_empty()
    }

    /// Describes the first device or node whose heads differ from those of the database.
    fn disagreement(&mut self) -> Result<Option<Violation>, Violation> {
        let heads = self.network.lock().database.log().document().get_heads();
        for (index, client) in self.clients.iter_mut().enumerate() {
            let theirs = client.replica.heads();
            if theirs != heads {
                return Ok(Some(format!("device {index} has {theirs:?}, the database {heads:?}")));
            }
        }
        for node in 0..self.nodes.len() {
            if !self.nodes[node].is_up() {
                return Ok(Some(format!("node {node} does not start")));
            }
            let theirs = self.heads_at(node)?;
            if theirs.as_ref() != Some(&heads) {
                return Ok(Some(format!("node {node} has {theirs:?}, the database {heads:?}")));
            }
            // After a failure, a node shows only published changes until it has read the log again.
            if let Err(error) = self.attribution_at(node, Vec::new())? {
                return Ok(Some(format!("node {node}: {error}")));
            }
        }
        Ok(None)
    }

    /// The known contributors of changes at a node.
    fn attribution_at(&mut self, node: usize, changes: Vec<ChangeHash>) -> Result<Attribution, Violation> {
        let (hub, id) = (self.nodes[node].hub().clone(), self.id.clone());
        let known = self.wait(node, async move { hub.attribution(&Requester::server(), &id, changes).await })?;
        let known = known.map(Option::unwrap_or_default).map_err(|error| error.to_string());
        // No documents are merged here.
        let contributed = |(change, provenance, _)| Some((change, provenance?));
        Ok(known.map(|known| known.into_iter().filter_map(contributed).collect()))
    }

    /// The heads that a node shows. `None` if it cannot.
    fn heads_at(&mut self, node: usize) -> Result<Option<Vec<ChangeHash>>, Violation> {
        let (hub, id) = (self.nodes[node].hub().clone(), self.id.clone());
        let view = self.wait(node, async move { hub.view(&Requester::server(), &id).await })?;
        let heads = view.ok().flatten().map(|view| read_view(&view).heads().to_vec());
        if let Some(heads) = &heads {
            self.record_heads(node, heads)?;
        }
        Ok(heads)
    }

    fn check(&mut self) -> Result<(), Violation> {
        let network = self.network.lock();
        let log = network.database.log();
        if let Some(broken) = self.promises.broken_by(log) {
            return Err(format!("at the end: {broken}"));
        }
        let (document, len) = (log.document().clone(), log.len());
        drop(network);
        self.check_store(&document, len)?;
        let fresh = rows::of(&View::new(&document, RENDERINGS));
        for node in 0..self.nodes.len() {
            let (hub, id) = (self.nodes[node].hub().clone(), self.id.clone());
            let view = self.wait(node, async move { hub.view(&Requester::server(), &id).await })?;
            let shown = view.ok().flatten().map(|view| rows::of(&read_view(&view))).unwrap_or_default();
            if shown != fresh {
                return Err(format!("the rows of node {node} differ from a fresh reading"));
            }
        }
        self.check_attribution(&document)
    }

    /// The store must return the recorded document with an unbroken chain.
    fn check_store(&mut self, document: &automerge::Automerge, len: usize) -> Result<(), Violation> {
        let (store, id) = (self.nodes[0].store().clone(), self.id.clone());
        let loaded = self.wait(0, async move { store.load(&id).await })?.map_err(|error| error.to_string())?;
        let loaded = loaded.ok_or("the document is not stored")?;
        let stored = automerge::Automerge::load(&loaded.bytes).map_err(|error| error.to_string())?;
        if stored.get_heads() != document.get_heads() || loaded.position.seq != len as u64 {
            return Err(format!("the store reads another document, at {}", loaded.position));
        }
        Ok(())
    }

    /// All nodes, and the stored lines, must name the same contributor for each change.
    fn check_attribution(&mut self, document: &automerge::Automerge) -> Result<(), Violation> {
        let (store, id) = (self.nodes[0].store().clone(), self.id.clone());
        let lines = self.wait(0, async move { store.load_authors(&id).await })?.map_err(|error| error.to_string())?;
        let (authors, unreadable) = Authors::read(&lines);
        if unreadable > 0 {
            return Err(format!("{unreadable} lines of authors are not readable"));
        }
        let changes: Vec<ChangeHash> = document.get_changes_meta(&[]).iter().map(|change| change.hash).collect();
        let stored: Vec<_> = changes.iter().filter_map(|hash| Some((*hash, authors.of(hash)?))).collect();
        for node in 0..self.nodes.len() {
            let known = self.attribution_at(node, changes.clone())??;
            if known != stored {
                let differs = |(one, other): &(_, _)| one != other;
                let first = known.iter().zip(&stored).find(differs);
                return Err(format!("node {node} attributes changes to other users than the log: {first:?}"));
            }
        }
        Ok(())
    }
}
