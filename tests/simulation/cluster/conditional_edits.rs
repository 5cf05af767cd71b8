//! Edits at two nodes on condition that the document is unchanged: at most one of them may succeed.

use automerge::ChangeHash;
use plan::{Condition, Done, Edit, NewPosition};
use rand::RngExt;
use runtime::hub::{EditFailure, Requester};
use tokio::task::JoinHandle;

use super::api_calls::is_certainly_not_stored;
use super::{Cluster, Violation, author};
use crate::host::Host;
use crate::network::Life;

/// Two edits on one condition.
pub struct Pair {
    edits: [Conditional; 2],
    /// Number of failovers when the edits began.
    failovers: u64,
}

struct Conditional {
    life: Life,
    added: String,
    result: Option<JoinHandle<Result<Done, EditFailure>>>,
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Made,
    NotMade,
    /// The node has stopped, or does not know the result.
    Unknown,
}

impl Cluster {
    pub(super) fn edit_conditionally(&mut self) {
        let (Some(one), Some(two)) = (self.random_node(), self.random_node()) else { return };
        let heads = self.network.lock().database.log().document().get_heads();
        self.log(|| format!("conditional edits at nodes {one} and {two}"));
        let pair = self.begin_pair([one, two], heads);
        self.pairs.push(pair);
    }

    fn begin_pair(&mut self, nodes: [usize; 2], heads: Vec<ChangeHash>) -> Pair {
        let edits = nodes.map(|node| {
            let added = self.new_name();
            let edit = Box::new(Edit::Add(NewPosition::new(&*added, "on condition")));
            let edit = Edit::OnlyIf { condition: Condition::Heads(heads.clone()), edit };
            let (hub, id) = (self.nodes[node].hub().clone(), self.id.clone());
            let work = async move { hub.edit(&Requester::server(), &id, edit, author()).await };
            let result = Some(self.nodes[node].spawn(work));
            Conditional { life: self.nodes[node].life, added, result, outcome: None }
        });
        Pair { edits, failovers: self.failovers }
    }

    pub(super) fn collect_pairs(&mut self) -> Result<(), Violation> {
        for mut pair in std::mem::take(&mut self.pairs) {
            self.look_at(&mut pair);
            if pair.edits.iter().any(|edit| edit.outcome.is_none()) {
                self.pairs.push(pair);
                continue;
            }
            self.check_pair(&pair)?;
        }
        Ok(())
    }

    fn look_at(&mut self, pair: &mut Pair) {
        for edit in &mut pair.edits {
            let Some(result) = edit.result.take_if(|result| result.is_finished()) else { continue };
            let result = self.nodes[edit.life.node].result(result);
            self.log(|| format!("conditional {} at node {}: {result:?}", edit.added, edit.life.node));
            edit.outcome = Some(match result {
                Ok(_) => {
                    self.promises.added(edit.life, &edit.added);
                    Outcome::Made
                }
                Err(error) if is_certainly_not_stored(&error) => {
                    self.promises.refused(&edit.added);
                    Outcome::NotMade
                }
                Err(_) => Outcome::Unknown,
            });
        }
    }

    fn check_pair(&self, pair: &Pair) -> Result<(), Violation> {
        // After a failover, forgotten changes may come back beside those that were stored in their place.
        if pair.failovers != self.failovers {
            return Ok(());
        }
        let stored = self.network.lock().database.log().positions();
        if pair.edits.iter().all(|edit| edit.outcome == Some(Outcome::Made) || stored.contains(&edit.added)) {
            let names = pair.edits.each_ref().map(|edit| &*edit.added);
            return Err(format!("{names:?} both succeeded on one condition"));
        }
        Ok(())
    }

    /// Callers of a stopped node never receive a result.
    pub(super) fn forget_pairs(&mut self, life: Life) {
        for edit in self.pairs.iter_mut().flat_map(|pair| &mut pair.edits) {
            if edit.life == life && edit.outcome.is_none() {
                (edit.result, edit.outcome) = (None, Some(Outcome::Unknown));
            }
        }
    }

    pub(super) fn has_pairs(&self) -> bool {
        !self.pairs.is_empty()
    }

    /// When all nodes agree and nothing fails, exactly one of two edits succeeds.
    pub(super) fn check_conditional_edits_in_good_weather(&mut self) -> Result<(), Violation> {
        let heads = self.network.lock().database.log().document().get_heads();
        let one = self.rng.random_range(0..self.nodes.len());
        let two = (one + 1) % self.nodes.len();
        let mut pair = self.begin_pair([one, two], heads);
        for _ in 0..10_000 {
            self.pass(1);
            self.look_at(&mut pair);
            if pair.edits.iter().all(|edit| edit.outcome.is_some()) {
                break;
            }
        }
        let made = pair.edits.iter().filter(|edit| edit.outcome == Some(Outcome::Made)).count();
        let refused = pair.edits.iter().filter(|edit| edit.outcome == Some(Outcome::NotMade)).count();
        if (made, refused) != (1, 1) {
            return Err(format!("of two edits on one condition, {made} succeeded and {refused} were refused"));
        }
        self.check_pair(&pair)
    }
}
