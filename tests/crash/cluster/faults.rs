//! The faults of a round.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::proxy::Network;
use super::servers::{Cluster, Databases, SERVERS};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `kill -9` of a server.
    ServerKilled,
    /// `kill -9` of all servers.
    AllServersKilled,
    /// A server is suspended, and continues.
    ServerFrozen,
    /// The database ends all sessions.
    SessionsEnded,
    /// The database is stopped without a checkpoint.
    DatabaseStopped,
    /// `kill -9` of the database.
    DatabaseKilled,
    /// The primary is killed, and the standby takes over.
    StandbyPromoted,
    /// The network between a server and the database fails.
    Network(NetworkFault),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetworkFault {
    Stalls,
    LosesAnswers,
    IsHalfOpen,
    IsCut,
}

/// One of each kind.
pub const ALL: [Fault; 11] = [
    Fault::ServerKilled,
    Fault::AllServersKilled,
    Fault::ServerFrozen,
    Fault::SessionsEnded,
    Fault::DatabaseStopped,
    Fault::DatabaseKilled,
    Fault::StandbyPromoted,
    Fault::Network(NetworkFault::Stalls),
    Fault::Network(NetworkFault::LosesAnswers),
    Fault::Network(NetworkFault::IsHalfOpen),
    Fault::Network(NetworkFault::IsCut),
];

impl Fault {
    /// Causes the fault, and repairs it.
    pub async fn happen(self, cluster: &mut Cluster, databases: &mut Databases, rng: &mut StdRng) {
        let node = rng.random_range(0..SERVERS);
        let mut pause = |longest| sleep(Duration::from_millis(rng.random_range(0..longest)));
        match self {
            Self::ServerKilled => {
                cluster.kill(node);
                pause(500).await;
                cluster.restart(node);
            }
            Self::AllServersKilled => {
                (0..SERVERS).for_each(|node| cluster.kill(node));
                (0..SERVERS).for_each(|node| cluster.restart(node));
            }
            Self::ServerFrozen => {
                cluster.signal(node, "STOP");
                pause(3_000).await;
                cluster.signal(node, "CONT");
            }
            Self::SessionsEnded => {
                for _ in 0..3 {
                    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                                  WHERE pid <> pg_backend_pid() AND datname LIKE 'plan%'";
                    databases.primary().query("postgres", others);
                    pause(200).await;
                }
            }
            Self::DatabaseStopped => {
                databases.primary().stop_immediately();
                pause(1_500).await;
                databases.primary().start();
            }
            Self::DatabaseKilled => {
                databases.primary().kill();
                pause(1_500).await;
                databases.primary().start();
            }
            Self::StandbyPromoted => {
                databases.primary().kill();
                pause(1_000).await;
                let old = databases.primary;
                databases.primary = 1 - old;
                databases.primary().promote();
                pause(1_000).await;
                databases.pair[old].follow(databases.primary());
            }
            Self::Network(fault) => {
                let node = &cluster.nodes[node];
                node.set_network(match fault {
                    NetworkFault::Stalls => Network::Stalls,
                    NetworkFault::LosesAnswers => Network::LosesAnswers,
                    NetworkFault::IsHalfOpen => Network::IsHalfOpen,
                    NetworkFault::IsCut => Network::IsCut,
                });
                pause(7_000).await;
                if fault != NetworkFault::Stalls {
                    node.set_network(Network::IsCut);
                    sleep(Duration::from_millis(100)).await;
                }
                node.set_network(Network::Works);
            }
        }
    }
}
