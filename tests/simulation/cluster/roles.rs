//! The owner grants and revokes roles at any node. A role that a node reports as set must be stored. The log record checks
//! that changes of a user only follow a record that allows them.

use auth::Role;
use rand::RngExt;
use runtime::hub::{EditFailure, Requester};
use tokio::task::JoinHandle;

use super::{Cluster, USERS, Violation};
use crate::host::Host;
use crate::network::Life;

/// A change of a role whose result is pending.
pub struct RoleChange {
    life: Life,
    user: &'static str,
    role: Option<Role>,
    /// The length of the log when the call began.
    log_len: usize,
    failovers: u64,
    result: JoinHandle<Result<(), EditFailure>>,
}

impl Cluster {
    pub(super) fn change_role(&mut self) {
        let Some(node) = self.random_node() else { return };
        let user = USERS[self.rng.random_range(0..USERS.len())];
        let role = match self.rng.random_range(0..10) {
            0..4 => None,
            4..6 => Some(Role::Viewer),
            _ => Some(Role::Editor),
        };
        self.set_role(node, user, role);
    }

    pub(super) fn set_role(&mut self, node: usize, user: &'static str, role: Option<Role>) {
        self.log(|| format!("node {node} is asked to set the role of {user} to {role:?}"));
        let (hub, id) = (self.nodes[node].hub().clone(), self.id.clone());
        let work = async move { hub.set_role(&Requester::server(), &id, &user.into(), role).await };
        let result = self.nodes[node].spawn(work);
        let log_len = self.network.lock().database.log().len();
        let (life, failovers) = (self.nodes[node].life, self.failovers);
        self.role_changes.push(RoleChange { life, user, role, log_len, failovers, result });
    }

    pub(super) fn collect_role_changes(&mut self) -> Result<(), Violation> {
        let changes = std::mem::take(&mut self.role_changes);
        let (over, pending) = changes.into_iter().partition(|change| change.result.is_finished());
        self.role_changes = pending;
        for RoleChange { life, user, role, log_len, failovers, result } in over {
            let result = self.nodes[life.node].result(result);
            self.log(|| format!("{user} is {role:?} according to node {}: {result:?}", life.node));
            if result.is_err() || failovers != self.failovers {
                continue;
            }
            let had = self.network.lock().database.log().roles_since(log_len, user);
            let wanted = role.map(|role| role.to_string());
            if !had.contains(&wanted) {
                return Err(format!("{user} was never {wanted:?}, as node {} reported, but {had:?}", life.node));
            }
        }
        Ok(())
    }

    /// Callers of a stopped node never receive a result.
    pub(super) fn forget_role_changes(&mut self, life: Life) {
        self.role_changes.retain(|change| change.life != life);
    }

    pub(super) fn has_role_changes(&self) -> bool {
        !self.role_changes.is_empty()
    }
}
