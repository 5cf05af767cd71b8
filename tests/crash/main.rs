//! The program is killed or stopped at any moment, and nothing that it has acknowledged or shown is lost.
//!
//! `ROUNDS=500 cargo test --test crash` runs more rounds; `SEED=…` repeats the random choices (but not the timing,
//! which depends on the machine).

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot run fails; it prints its findings")]

mod cluster;
mod followers;
mod stopped;
#[path = "../support/mod.rs"]
mod support;
mod writers;

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use automerge::transaction::Transactable;
use automerge::{AutoCommit, ROOT};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use support::process::{FIXTURES, Running, folder, imported, names, program, run, serve};
use support::promises::Promises;
use tempfile::TempDir;
use tokio::time::sleep;
use writers::Writers;

/// Default number of rounds, for everyday tests; `ROUNDS` overrides it.
const ROUNDS: u32 = 30;
/// Rounds on one document, so that it grows and is compacted.
const ROUNDS_PER_FOLDER: u32 = 12;

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// How a round ends.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// `kill -9`.
    Killed,
    /// Suspended in the middle of its work, and killed a moment later.
    Frozen,
    /// Killed while it shuts down.
    WhileStopping,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_under_load_loses_nothing_acknowledged_or_shown() {
    let rounds = number("ROUNDS", ROUNDS);
    let mut rng = StdRng::seed_from_u64(number("SEED", 1).into());
    let mut place = folder();
    let mut promises = Promises::default();
    let (mut kept, mut torn, mut compacted) = (0, 0, 0);
    let mut snapshot = [0; 8];
    for round in 0..rounds {
        if round % ROUNDS_PER_FOLDER == 0 {
            kept += promises.len();
            place = folder();
            promises = Promises::default();
        }
        let state = place.path().join("state.automerge");
        let (server, address) = Running::server(serve(&state, &[]));
        promises.are_kept_by(&state, round);
        let writers = Writers::start(address, round).await;
        sleep(Duration::from_millis(rng.random_range(20..700))).await;
        let death = match rng.random_range(0..10) {
            0..5 => Death::Killed,
            5..8 => Death::Frozen,
            _ => Death::WhileStopping,
        };
        let pause = Duration::from_millis(rng.random_range(0..30));
        match death {
            Death::Killed => server.signal("KILL"),
            Death::Frozen => {
                server.signal("STOP");
                sleep(pause).await;
                server.signal("KILL");
            }
            Death::WhileStopping => {
                server.signal("TERM");
                sleep(pause).await;
                server.signal("KILL");
            }
        }
        drop(server);
        promises.add(writers.stop().await.promises);
        // No repair is needed: the file is whole, or its last write is cut off, which the next start handles.
        let check = run(&["check", state.to_str().unwrap()]);
        match check.code {
            Some(0) => {}
            Some(3) => torn += 1,
            _ => panic!("round {round}, {death:?}: {check:?}"),
        }
        let head = head_of(&state);
        compacted += usize::from(std::mem::replace(&mut snapshot, head) != head);
    }
    let state = place.path().join("state.automerge");
    let (server, _) = Running::server(serve(&state, &[]));
    promises.are_kept_by(&state, rounds);
    server.stop();
    kept += promises.len();
    assert!(kept > rounds as usize, "the writers have hardly written: {kept}");
    println!("{rounds} rounds: {kept} promises kept; {torn} torn tails, {compacted} new snapshots");
}

/// Kills the server while it writes the compacted copy, before the copy replaces the log, or just afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_during_compaction_loses_nothing() {
    let rounds = number("ROUNDS", ROUNDS);
    let mut rng = StdRng::seed_from_u64(number("SEED", 1).into());
    let prepared = folder();
    let about_to = about_to_be_compacted(prepared.path());
    let (mut kept, mut before, mut after) = (0, 0, 0);
    for round in 0..rounds {
        let place = folder();
        let state = place.path().join("state.automerge");
        fs::copy(&about_to, &state).unwrap();
        let first = head_of(&state);
        let (server, address) = Running::server(serve(&state, &[]));
        let (copy, log, head) = (place.path().join("state.automerge.new"), state.clone(), first);
        let compacts = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            // On a busy machine the copy may appear and replace the log between two checks.
            while !copy.exists() && head_of(&log) == head {
                assert!(begun.elapsed() < Duration::from_secs(30), "it never compacts");
            }
        });
        let writers = Writers::start(address, round).await;
        compacts.await.unwrap();
        sleep(Duration::from_micros(rng.random_range(0..4_000))).await;
        server.signal("KILL");
        drop(server);
        let promises = writers.stop().await.promises;
        let replaced = head_of(&state) != first;
        *if replaced { &mut after } else { &mut before } += 1;
        let check = run(&["check", state.to_str().unwrap()]);
        assert!(matches!(check.code, Some(0 | 3)), "round {round}: {check:?}");
        let (server, _) = Running::server(serve(&state, &[]));
        promises.are_kept_by(&state, round);
        server.stop();
        assert!(!place.path().join("state.automerge.new").exists(), "the unfinished copy is removed");
        kept += promises.len();
    }
    println!("{rounds} rounds: {kept} promises kept; killed before the log was replaced: {before}, after: {after}");
}

/// Magic bytes and checksum of the first chunk, which identify the snapshot.
fn head_of(state: &Path) -> [u8; 8] {
    let mut head = [0; 8];
    fs::File::open(state).unwrap().read_exact(&mut head).unwrap();
    head
}

/// A document whose log has nearly outgrown its snapshot.
fn about_to_be_compacted(place: &Path) -> PathBuf {
    const NEARLY: usize = 255 << 10;
    let state = place.join("state.automerge");
    let (server, _) = Running::server(serve(&state, &[]));
    server.stop();
    let mut bytes = fs::read(&state).unwrap();
    let mut doc = AutoCommit::load(&bytes).unwrap();
    while bytes.len() < NEARLY {
        let heads = doc.get_heads();
        doc.put(ROOT, "noise", (0..1_000).map(|_| rand::random::<u8>()).collect::<Vec<_>>()).unwrap();
        bytes.extend(doc.save_after(&heads));
    }
    fs::write(&state, bytes).unwrap();
    state
}

#[test]
fn kill_during_first_start_does_not_prevent_the_next() {
    let mut rng = StdRng::seed_from_u64(number("SEED", 1).into());
    let begun = Instant::now();
    let place = folder();
    drop(Running::server(serve(&place.path().join("state.automerge"), &[])));
    let whole = begun.elapsed();
    for round in 0..number("ROUNDS", ROUNDS) {
        let place = folder();
        let state = place.path().join("state.automerge");
        let starting = Running::spawn(&mut serve(&state, &[]));
        std::thread::sleep(whole.mul_f64(rng.random_range(0.0..1.2)));
        starting.signal("KILL");
        drop(starting);
        let (server, _) = Running::server(serve(&state, &[]));
        let ended = server.stop();
        assert_eq!(ended.code, Some(0), "round {round}: {ended:?}");
        assert_eq!(run(&["check", state.to_str().unwrap()]).code, Some(0), "round {round}");
    }
}

#[test]
fn kill_during_import_imports_all_or_nothing() {
    let mut rng = StdRng::seed_from_u64(number("SEED", 1).into());
    let (mut all, mut none) = (0, 0);
    let begun = Instant::now();
    let place = folder();
    imported(place.path());
    let whole = begun.elapsed();
    for round in 0..number("ROUNDS", ROUNDS) {
        let place = folder();
        let state = place.path().join("state.automerge");
        let positions = format!("{FIXTURES}/positions.json");
        let import = |state: &Path| program(&["import", &positions, "--state", state.to_str().unwrap()]);
        let importing = Running::spawn(&mut import(&state));
        std::thread::sleep(whole.mul_f64(rng.random_range(0.0..1.2)));
        importing.signal("KILL");
        drop(importing);
        // An operator who sees that the import failed tries again.
        if fs::metadata(&state).is_ok_and(|state| state.len() > 0) {
            all += 1;
        } else {
            none += 1;
            let again = import(&state).output().unwrap();
            assert!(again.status.success(), "round {round}: {again:?}");
        }
        assert_eq!(rows(&place, &state), 60, "round {round}");
    }
    println!("imported: {all}; not imported: {none}");
}

#[test]
fn kill_during_large_import_into_a_document_adds_all_or_nothing() {
    let mut rng = StdRng::seed_from_u64(number("SEED", 1).into());
    let place = folder();
    // More than one change of an import has.
    let many = 3_000;
    let positions = place.path().join("more.json");
    let row =
        |row: usize| format!(r#"{{"id": "m{row}", "designation": "Engineer", "department": "", "location": ""}}"#);
    fs::write(&positions, format!("[{}]", (0..many).map(row).collect::<Vec<_>>().join(","))).unwrap();
    let import = |state: &Path| program(&["import", positions.to_str().unwrap(), "--state", state.to_str().unwrap()]);
    let begun = Instant::now();
    assert!(import(&imported(folder().path())).output().unwrap().status.success());
    let whole = begun.elapsed();
    let (mut all, mut none) = (0, 0);
    for round in 0..number("ROUNDS", ROUNDS / 5) {
        let place = folder();
        let state = imported(place.path());
        let importing = Running::spawn(&mut import(&state));
        std::thread::sleep(whole.mul_f64(rng.random_range(0.0..1.2)));
        importing.signal("KILL");
        drop(importing);
        match rows(&place, &state) {
            60 => {
                none += 1;
                let again = import(&state).output().unwrap();
                assert!(again.status.success(), "round {round}: {again:?}");
                assert_eq!(rows(&place, &state), 60 + many, "round {round}");
            }
            rows => {
                all += 1;
                assert_eq!(rows, 60 + many, "round {round}");
            }
        }
    }
    println!("imported: {all}; not imported: {none}");
}

fn rows(place: &TempDir, state: &Path) -> usize {
    let export = run(&["export", "--format", "json", "--state", state.to_str().unwrap()]);
    assert_eq!(export.code, Some(0), "{:?}: {export:?}", names(place.path()));
    let export: serde_json::Value = serde_json::from_str(&export.out).unwrap();
    export.as_array().or_else(|| export["positions"].as_array()).unwrap().len()
}
