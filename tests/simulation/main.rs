//! The real hub, the real store and real Automerge peers in a simulated world. The network delays, reorders between
//! connections, and breaks. The disk fails, fills up, tears writes, and loses unsynced data in a crash. One peer is hostile.
//!
//! In another world, several servers share a simulated database (`cluster/`). Calls on it are late or lost, servers crash and freeze,
//! and the database restarts and forgets.
//!
//! A seed makes the same choices in every run, and almost always the same run: only the timing of the thread that loads a
//! document is not deterministic. `SEED=17 cargo test --test simulation one_seed -- --nocapture` repeats one seed and prints
//! every step; `SEEDS=10000 cargo test --release --test simulation` runs many.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot run fails; what it found is told")]

mod broken;
mod cluster;
mod database;
mod engine;
mod gated_store;
mod host;
mod intruder;
mod life;
mod link;
mod log_record;
mod mutants;
mod network;
mod node;
mod promises;
mod replica;
mod rows;
#[allow(dead_code, reason = "the fuzzer uses the rest")]
#[path = "../../fuzz/src/targets/structure.rs"]
mod structure;
mod world;

use std::env;

use broken::Broken;
use cluster::Cluster;
use mutants::Mutant;
use world::{Trouble, World};

/// Default number of seeds per kind of fault; `SEEDS` overrides it.
const SEEDS: u64 = 400;
/// Number of seeds within which every mutant has to be detected.
const SEEDS_FOR_A_MUTANT: u64 = 1_000;

/// Default number of seeds per kind of fault for several servers, whose runs take longer.
const SEEDS_OF_NODES: u64 = 100;

fn seeds(usual: u64) -> u64 {
    env::var("SEEDS").map_or(usual, |seeds| seeds.parse().expect("SEEDS is a number"))
}

/// Runs the seeds `0..count` on all cores; returns the first seed with a violation, and its description.
fn first_violation(count: u64, run: impl Fn(u64) -> Result<(), String> + Sync) -> Option<(u64, String)> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let next = std::sync::atomic::AtomicU64::new(0);
    let found = std::sync::Mutex::new(None::<(u64, String)>);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let over = found.lock().unwrap().as_ref().is_some_and(|(found, _)| *found < seed);
                    if seed >= count || over {
                        return;
                    }
                    if let Err(violation) = run(seed) {
                        let mut found = found.lock().unwrap();
                        if found.as_ref().is_none_or(|(found, _)| seed < *found) {
                            *found = Some((seed, violation));
                        }
                    }
                }
            });
        }
    });
    found.into_inner().unwrap()
}

fn no_violation(trouble: Trouble) {
    if let Some((seed, violation)) = first_violation(seeds(SEEDS), |seed| World::run(seed, trouble, Mutant::None)) {
        panic!(
            "seed {seed} with {trouble:?}: {violation}\nrun it again: SEED={seed} TROUBLE={trouble:?} cargo test --test simulation one_seed -- --nocapture"
        );
    }
}

/// Repeats one run and prints every step.
#[test]
fn one_seed() {
    let seed = env::var("SEED").map_or(0, |seed| seed.parse().expect("SEED is a number"));
    let trouble = match env::var("TROUBLE").as_deref() {
        Ok("Network") => Trouble::Network,
        Ok("LyingDisk") => Trouble::LyingDisk,
        _ => Trouble::NetworkAndDisk,
    };
    World::traced(seed, trouble, Mutant::None).expect("no violation");
}

#[test]
fn network_faults_converge() {
    no_violation(Trouble::Network);
}

#[test]
fn disk_faults_lose_nothing_and_converge() {
    no_violation(Trouble::NetworkAndDisk);
}

#[test]
fn lying_disk_is_healed_by_clients() {
    no_violation(Trouble::LyingDisk);
}

#[test]
fn mutants_are_detected() {
    for mutant in Mutant::BROKEN {
        let found = first_violation(SEEDS_FOR_A_MUTANT, |seed| World::run(seed, Trouble::NetworkAndDisk, mutant));
        let (seed, violation) = found.unwrap_or_else(|| panic!("{mutant:?} was not detected"));
        println!("{mutant:?}: seed {seed}: {violation}");
    }
}

fn no_violation_of_nodes(trouble: cluster::Trouble) {
    if let Some((seed, violation)) =
        first_violation(seeds(SEEDS_OF_NODES), |seed| Cluster::run(seed, trouble, Broken::Nothing))
    {
        panic!(
            "seed {seed} with {trouble:?}: {violation}\nrun it again: SEED={seed} TROUBLE={trouble:?} cargo test --test simulation one_seed_of_nodes -- --nocapture"
        );
    }
}

/// Repeats one run of several nodes and prints every step.
#[test]
fn one_seed_of_nodes() {
    let seed = env::var("SEED").map_or(0, |seed| seed.parse().expect("SEED is a number"));
    let trouble = match env::var("TROUBLE").as_deref() {
        Ok("Outages") => cluster::Trouble::Outages,
        _ => cluster::Trouble::Failover,
    };
    Cluster::traced(seed, trouble, Broken::Nothing).expect("no violation");
}

#[test]
fn nodes_on_one_database_converge_after_outages() {
    no_violation_of_nodes(cluster::Trouble::Outages);
}

#[test]
fn nodes_restore_batches_lost_in_a_failover() {
    no_violation_of_nodes(cluster::Trouble::Failover);
}

#[test]
fn broken_nodes_are_detected() {
    for broken in Broken::ALL {
        let run = |seed| {
            Cluster::run(seed, cluster::Trouble::Outages, broken)
                .and_then(|()| Cluster::run(seed, cluster::Trouble::Failover, broken))
        };
        let (seed, violation) =
            first_violation(SEEDS_FOR_A_MUTANT, run).unwrap_or_else(|| panic!("{broken:?} was not detected"));
        println!("{broken:?}: seed {seed}: {violation}");
    }
}
