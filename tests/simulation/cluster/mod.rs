//! Several servers on one database, their clients, the network between them, and the choices of one seed.

mod api_calls;
mod clients;
mod conditional_edits;
mod convergence;
mod faults;
mod promises;
mod roles;

use std::sync::Arc;
use std::time::Duration;

use api_calls::Call;
use auth::{Documents, Grant, Role};
use clients::Client;
use conditional_edits::Pair;
use plan::{Author, Condition, Edit, PlanPatch};
use primitives::DocumentId;
use promises::Promises;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use roles::RoleChange;
use runtime::hub::Requester;
use sync_engine::Surface;
use tokio::task::JoinHandle;

use super::broken::Broken;
use super::host::Host;
use super::network::{Life, Network};
use super::node::Node;

/// The kinds of faults in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Calls and hints are late or lost, nodes crash and freeze, the database restarts and fills up.
    Outages,
    /// In addition, the database forgets its last transactions.
    Failover,
}

type Violation = String;

/// Longest step of the clock.
const STEP: u64 = 20;
/// Users whose rights are in the access record of the document.
const USERS: [&str; 3] = ["ceo", "cfo", "hr"];
/// The user of all devices in runs with failovers.
///
/// A change that only a device still has is attributed to the user of that device. The actor could therefore pass to
/// another user, whose next changes would be refused.
const DEVICE_USER: &str = "devices";

pub struct Cluster {
    rng: StdRng,
    trouble: Trouble,
    broken: Broken,
    network: Network,
    id: DocumentId,
    nodes: Vec<Node>,
    lives: u64,
    idle_after: Duration,
    clients: Vec<Client>,
    calls: Vec<Call>,
    pairs: Vec<Pair>,
    role_changes: Vec<RoleChange>,
    /// Compactions and other work whose result is irrelevant.
    background: Vec<JoinHandle<()>>,
    promises: Promises,
    names: u64,
    positions: Vec<String>,
    /// Number of failovers so far.
    failovers: u64,
    tell: bool,
}

impl Cluster {
    /// Runs a seed to its end.
    pub fn run(seed: u64, trouble: Trouble, broken: Broken) -> Result<(), Violation> {
        Self::new(seed, trouble, broken, false).and_then(Self::play)
    }

    /// Runs a seed and prints every step.
    pub fn traced(seed: u64, trouble: Trouble, broken: Broken) -> Result<(), Violation> {
        Self::new(seed, trouble, broken, true).and_then(Self::play)
    }

    fn new(seed: u64, trouble: Trouble, broken: Broken, tell: bool) -> Result<Self, Violation> {
        let mut rng = StdRng::seed_from_u64(seed);
        let id = DocumentId::from_random(rng.random());
        let network = Network::new(seed, id.clone());
        // After a failover, only changes in the memory of a node can come back.
        let idle_after = match trouble {
            Trouble::Outages => Duration::from_secs(if rng.random_bool(0.5) { 3 } else { 1_000 }),
            Trouble::Failover => Duration::from_secs(100_000),
        };
        let count = rng.random_range(2..5);
        let mut cluster = Self {
            rng,
            trouble,
            broken,
            network,
            id,
            nodes: Vec::new(),
            lives: 0,
            idle_after,
            clients: Vec::new(),
            calls: Vec::new(),
            pairs: Vec::new(),
            role_changes: Vec::new(),
            background: Vec::new(),
            promises: Promises::default(),
            names: 0,
            positions: Vec::new(),
            failovers: 0,
            tell,
        };
        if trouble == Trouble::Failover {
            cluster.network.lock().database.log_mut().trust([DEVICE_USER.to_owned()]);
        }
        for number in 0..count {
            let node = cluster.start(number);
            cluster.nodes.push(node);
            cluster.wait_until_up(number)?;
        }
        cluster.make_clients(seed);
        cluster.create_plan()?;
        cluster.network.lock().database.checkpoint();
        Ok(cluster)
    }

    fn start(&mut self, node: usize) -> Node {
        self.lives += 1;
        let life = Life { node, number: self.lives };
        Node::start(&self.network, life, self.idle_after, self.broken)
    }

    fn wait_until_up(&mut self, node: usize) -> Result<(), Violation> {
        for _ in 0..600 {
            if self.nodes[node].is_up() {
                return Ok(());
            }
            self.pass(100);
        }
        Err(format!("node {node} does not start"))
    }

    /// A user creates the plan. Then all users get their roles, before the faults begin.
    fn create_plan(&mut self) -> Result<(), Violation> {
        if self.rng.random_bool(0.5) {
            let weather = self.random_weather();
            self.network.lock().weather = weather;
        }
        let create = Edit::Create { id: self.id.clone(), plan: PlanPatch::default(), positions: Vec::new() };
        let (hub, id, by) = (self.nodes[0].hub().clone(), self.id.clone(), user(USERS[0], Surface::Api));
        let edit = create.clone();
        let created = self.wait(0, async move { hub.edit(&by, &id, edit, author()).await })?;
        self.log(|| format!("{} creates the plan: {created:?}", USERS[0]));
        self.network.lock().heal();
        let (hub, id) = (self.nodes[1].hub().clone(), self.id.clone());
        let unless_stored = Edit::OnlyIf { condition: Condition::Heads(Vec::new()), edit: Box::new(create) };
        let work = async move {
            // The faults may be too frequent at the moment.
            let _ = hub.edit(&Requester::server(), &id, unless_stored, author()).await;
            for user in USERS {
                let set = hub.set_role(&Requester::server(), &id, &user.into(), Some(Role::Editor)).await;
                set.map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(())
        };
        self.wait(1, work)?
    }

    fn play(mut self) -> Result<(), Violation> {
        self.connect_most();
        for _ in 0..self.rng.random_range(60..200) {
            self.step()?;
        }
        self.converge()?;
        self.check_conditional_edits_in_good_weather()
    }

    fn log(&mut self, what: impl FnOnce() -> String) {
        if self.tell {
            println!("{:>8} ms: {}", self.network.lock().now(), what());
        }
    }

    fn step(&mut self) -> Result<(), Violation> {
        match self.rng.random_range(0..100) {
            0..18 => self.client_edits(),
            18..34 => self.deliver_to_server(),
            34..50 => self.drain_some()?,
            50..64 => self.deliver_to_client()?,
            64..74 => self.call_api(),
            74..78 => self.edit_conditionally(),
            78..83 => self.toggle_connection(),
            83..87 => self.change_role(),
            87..89 => self.compact(),
            89..91 => {
                let seconds = self.rng.random_range(1..15);
                self.log(|| format!("{seconds} s pass"));
                self.pass(seconds * 1_000);
            }
            _ => self.inject_fault()?,
        }
        // Short steps overlap.
        let ms = if self.rng.random_bool(0.6) { self.rng.random_range(0..3) } else { self.rng.random_range(3..60) };
        self.pass(ms);
        self.collect()
    }

    /// Collects the results of finished tasks.
    fn collect(&mut self) -> Result<(), Violation> {
        self.collect_calls()?;
        self.collect_pairs()?;
        self.collect_role_changes()?;
        self.close_ended_connections()?;
        match self.network.lock().database.log().violation() {
            Some(violation) => Err(violation.clone()),
            None => Ok(()),
        }
    }

    /// Lets time pass at all nodes, and in the network.
    fn pass(&mut self, ms: u64) {
        let now = self.network.lock().now();
        let end = now + ms;
        let mut now = now;
        while now < end {
            let next = self.network.lock().next_arrival().unwrap_or(end).clamp(now + 1, now + STEP).min(end);
            for node in &mut self.nodes {
                node.pass(Duration::from_millis(next - now));
            }
            now = next;
            self.network.lock().advance(now);
        }
    }

    /// Runs work of a node to its end.
    fn wait<T: Send + 'static>(
        &mut self,
        node: usize,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Violation> {
        let task = self.nodes[node].spawn(work);
        for _ in 0..60_000 {
            if task.is_finished() {
                return Ok(self.nodes[node].result(task));
            }
            self.pass(1);
        }
        Err(format!("node {node} does not answer"))
    }

    /// A random node, if it serves clients.
    fn random_node(&mut self) -> Option<usize> {
        let node = self.rng.random_range(0..self.nodes.len());
        self.nodes[node].is_up().then_some(node)
    }

    fn random_position(&mut self) -> Option<String> {
        if self.positions.is_empty() {
            return None;
        }
        let index = self.rng.random_range(0..self.positions.len());
        Some(self.positions[index].clone())
    }

    fn new_name(&mut self) -> String {
        self.names += 1;
        format!("position-{:04}", self.names)
    }

    /// Replaces the rows of the log by a snapshot, at any node.
    fn compact(&mut self) {
        let Some(node) = self.random_node() else { return };
        self.log(|| format!("node {node} compacts"));
        let (store, id) = (Arc::clone(self.nodes[node].store()), self.id.clone());
        let task = self.nodes[node].spawn(async move {
            if let Ok(Some(loaded)) = store.load(&id).await
                && let Ok(document) = automerge::Automerge::load(&loaded.bytes)
            {
                let _ = store.compact(&id, loaded.position, document.save()).await;
            }
        });
        self.background.retain(|task| !task.is_finished());
        self.background.push(task);
    }
}

fn author() -> Author {
    Author { name: "the API".to_owned(), now: 1_795_357_260_000 }
}

/// A user whose rights are only in the access record.
fn user(name: &str, surface: Surface) -> Requester {
    let documents = if name == DEVICE_USER { Documents::All } else { Documents::none() };
    Requester::authenticated(
        surface,
        Grant {
            user: name.into(),
            role: Role::Editor,
            documents,
            expires: i64::MAX,
            key: "key".into(),
            id: None,
            session: false,
            generation: 0,
            issued: 0,
        },
    )
}
