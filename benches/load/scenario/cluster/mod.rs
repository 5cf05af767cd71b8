//! Several servers on one database, beside one server with files.
//!
//! | module | holds |
//! |---|---|
//! | [`propagation`] | one document, viewers at all servers |
//! | [`writers`] | one document, writers at all servers |
//! | [`documents`] | many documents |
//! | [`failover`] | a server is killed |
//! | [`hocuspocus`] | the clients of the other servers |
//! | [`servers`], [`stage`] | the servers, and their clients |

mod documents;
mod failover;
mod hocuspocus;
mod propagation;
mod servers;
mod stage;
mod writers;

use crate::Fallible;
use crate::run::Run;

/// Name of the scenario.
const NAME: &str = "cluster";

/// Runs all cases.
pub fn run(run: &mut Run) -> Fallible<()> {
    propagation::run(run)?;
    writers::run(run)?;
    documents::run(run)?;
    failover::run(run)
}
