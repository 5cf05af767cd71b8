//! The simulated world: a server, devices, the network between them, the disk under it, and the choices of one seed.

mod api_calls;
mod connections;
mod convergence;
mod devices;
mod disk;
mod observers;

use std::time::Duration;

use plan::{Author, Done, Edit, PlanPatch};
use primitives::DocumentId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use runtime::hub::{EditFailure, Requester};
use store::faults::FaultyDisk;
use sync_engine::Surface;
use tokio::task::JoinHandle;

use super::intruder::{self, Attack};
use super::life::{Life, STATE, empty_disk};
use super::link::Link;
use super::mutants::Mutant;
use super::promises::Promises;
use super::replica::{Flavor, Replica};
use super::rows::{self, Rows};

/// The kinds of faults in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Connections are slow, stall, break, and break without the server noticing.
    Network,
    /// In addition, the disk fails, is full or slow, and the server crashes at any step.
    NetworkAndDisk,
    /// In addition, the disk acknowledges syncs that it does not perform.
    LyingDisk,
}

/// Deadline of convergence after the last fault, in rounds of one second.
const PATIENCE: usize = 60;

type Violation = String;

/// A client that reads rows and follows their events.
struct Observer {
    link: Link,
    rows: Rows,
}

/// An edit through the API whose result is pending.
struct Pending {
    added: Option<String>,
    result: JoinHandle<Result<Done, EditFailure>>,
}

pub struct World {
    rng: StdRng,
    /// Random choices of the intruder only, so that they do not shift those of `rng`.
    intruder_rng: StdRng,
    trouble: Trouble,
    mutant: Mutant,
    id: DocumentId,
    disk: FaultyDisk,
    life: Life,
    lives: u64,
    replicas: Vec<Replica>,
    observers: Vec<Observer>,
    /// The connection of a hostile peer.
    intruder: Option<Link>,
    pending: Vec<Pending>,
    promises: Promises,
    names: u64,
    /// Ids of all positions that were added or tried to be.
    positions: Vec<String>,
    /// Every disk call fails until the next crash.
    doomed: bool,
    /// Prints every step.
    tell: bool,
}

impl World {
    /// Runs a seed to its end.
    pub fn run(seed: u64, trouble: Trouble, mutant: Mutant) -> Result<(), Violation> {
        Self::new(seed, trouble, mutant, false).and_then(Self::play)
    }

    /// Runs a seed and prints every step.
    pub fn traced(seed: u64, trouble: Trouble, mutant: Mutant) -> Result<(), Violation> {
        Self::new(seed, trouble, mutant, true).and_then(Self::play)
    }

    fn new(seed: u64, trouble: Trouble, mutant: Mutant, tell: bool) -> Result<Self, Violation> {
        let mut rng = StdRng::seed_from_u64(seed);
        let id = DocumentId::from_random(rng.random());
        let disk = empty_disk();
        let life = Life::begin(&disk, &id, 0, mutant)?;
        let replicas = (0..rng.random_range(2..6))
            .map(|number| {
                let flavor = if rng.random_bool(0.7) { Flavor::Repo } else { Flavor::Plain };
                Replica::new(format!("device-{number}"), flavor, seed)
            })
            .collect();
        let mut world = Self {
            rng,
            intruder_rng: StdRng::seed_from_u64(!seed),
            trouble,
            mutant,
            id,
            disk,
            life,
            lives: 1,
            replicas,
            observers: Vec::new(),
            intruder: None,
            pending: Vec::new(),
            promises: Promises::default(),
            names: 0,
            positions: Vec::new(),
            doomed: false,
            tell,
        };
        world.create_plan()?;
        if trouble == Trouble::LyingDisk || mutant == Mutant::NoSync {
            world.disk.ignore_syncs();
        }
        Ok(world)
    }

    /// Creates the plan, before any fault.
    fn create_plan(&mut self) -> Result<(), Violation> {
        let create = Edit::Create { id: self.id.clone(), plan: PlanPatch::default(), positions: Vec::new() };
        let made = self.life.run(self.life.hub.edit(&Requester::server(), &self.id, create, author()));
        // The mutant that defers writes performs them now.
        self.life.settle();
        made.map(drop).map_err(|error| error.to_string())
    }

    fn play(mut self) -> Result<(), Violation> {
        self.connect_most();
        for _ in 0..self.rng.random_range(40..160) {
            self.step()?;
        }
        self.converge()?;
        // Everything survives one more crash.
        if self.trouble != Trouble::LyingDisk {
            self.crash()?;
            self.converge()?;
        }
        Ok(())
    }

    fn log(&mut self, what: impl FnOnce() -> String) {
        if self.tell {
            println!("{}", what());
        }
    }

    fn step(&mut self) -> Result<(), Violation> {
        match self.rng.random_range(0..100) {
            0..22 => self.device_edits(),
            22..40 => self.deliver_to_server(),
            40..60 => self.drain_sockets(),
            60..76 => self.deliver_to_device()?,
            76..82 => self.call_api(),
            82..87 => self.toggle_connection(),
            87..89 => self.toggle_observer()?,
            89..91 => self.advance_time(),
            91..96 if self.trouble != Trouble::Network => self.inject_disk_fault(),
            96..98 if self.trouble != Trouble::Network => {
                self.crash()?;
                self.connect_most();
            }
            98..100 => self.attack(),
            _ => {}
        }
        // Without settling, steps overlap.
        if self.rng.random_bool(0.6) {
            self.life.settle();
        }
        self.collect_api_results()?;
        self.close_ended_connections()
    }

    fn random_replica(&mut self) -> usize {
        self.rng.random_range(0..self.replicas.len())
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

    fn advance_time(&mut self) {
        let seconds = self.rng.random_range(1..15);
        self.log(|| format!("{seconds} s pass"));
        self.life.pass(Duration::from_secs(seconds));
    }
}

fn author() -> Author {
    Author { name: "the API".to_owned(), now: 1_795_357_260_000 }
}

/// A client of a server without authentication.
fn anonymous() -> Requester {
    Requester::anonymous(Surface::Sync)
}
