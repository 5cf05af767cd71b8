//! Servers on one database, each behind its own proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::postgres::{Postgres, url};
use super::proxy::{Network, Proxy};
use crate::support::process::{Running, program};

/// Servers of the cluster.
pub const SERVERS: usize = 3;

/// The current addresses of the servers. A restart changes the port.
pub type Addresses = Arc<Mutex<Vec<SocketAddr>>>;

/// The primary database server and its synchronous standby.
pub struct Databases {
    pub pair: [Postgres; 2],
    /// Which one of the pair accepts writes.
    pub primary: usize,
}

impl Databases {
    pub fn start() -> Self {
        let primary = Postgres::primary();
        let standby = primary.standby();
        Self { pair: [primary, standby], primary: 0 }
    }

    pub fn primary(&self) -> &Postgres {
        &self.pair[self.primary]
    }

    pub fn ports(&self) -> [u16; 2] {
        [self.pair[0].port, self.pair[1].port]
    }
}

/// A server with the networks to both database servers.
pub struct Node {
    pub running: Option<Running>,
    networks: [Proxy; 2],
    arguments: Vec<String>,
    database: String,
}

impl Node {
    pub fn set_network(&self, network: Network) {
        self.networks.iter().for_each(|proxy| proxy.set(network));
    }

    fn start(&mut self) -> SocketAddr {
        let url = url(&[self.networks[0].port, self.networks[1].port], &self.database);
        let (running, address) = start(&url, &self.arguments);
        self.running = Some(running);
        address
    }
}

/// Starts a server on this database.
pub fn start(url: &str, arguments: &[String]) -> (Running, SocketAddr) {
    let mut command = program(&["serve", "--listen", "127.0.0.1:0"]);
    command.args(arguments).env("HAPPIERWORK_DATABASE", url);
    Running::server(command)
}

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub addresses: Addresses,
}

impl Cluster {
    /// Starts all servers on a new database of this name.
    pub async fn start(databases: &Databases, database: &str, arguments: &[String]) -> Self {
        databases.primary().query("postgres", &format!("CREATE DATABASE {database}"));
        let mut cluster = Self { nodes: Vec::new(), addresses: Addresses::default() };
        for _ in 0..SERVERS {
            let networks = [Proxy::new(databases.pair[0].port).await, Proxy::new(databases.pair[1].port).await];
            let (arguments, database) = (arguments.to_vec(), database.to_owned());
            let mut node = Node { running: None, networks, arguments, database };
            let address = node.start();
            cluster.addresses.lock().push(address);
            cluster.nodes.push(node);
        }
        cluster
    }

    /// `kill -9`.
    pub fn kill(&mut self, node: usize) {
        if let Some(running) = self.nodes[node].running.take() {
            running.signal("KILL");
        }
    }

    pub fn restart(&mut self, node: usize) {
        let address = self.nodes[node].start();
        self.addresses.lock()[node] = address;
    }

    pub fn signal(&self, node: usize, name: &str) {
        self.nodes[node].running.as_ref().expect("runs").signal(name);
    }

    /// Stops all servers. Returns what they have logged.
    pub fn stop(self) -> Vec<String> {
        let nodes = self.nodes.into_iter().filter_map(|node| node.running);
        let ended = nodes.map(|running| {
            let ended = running.stop();
            assert_eq!(ended.code, Some(0), "{ended:?}");
            ended.err
        });
        ended.collect()
    }
}
