//! Three servers on one PostgreSQL database with a synchronous standby. Servers, databases and networks fail under load, and no
//! acknowledged or published change is lost.
//!
//! `ROUNDS=200 cargo test --test crash cluster` runs as many rounds; without `ROUNDS`, each fault happens once. With
//! `FAULT=Stalls,DatabaseStopped`, only these happen.

mod clients;
mod faults;
mod postgres;
mod proxy;
mod rights;
mod servers;
mod standby;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use automerge::{Automerge, ChangeHash};
use clients::{Clients, Mode, request};
use primitives::DocumentId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use servers::{Cluster, Databases, start};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::number;
use super::support::PATIENCE;
use super::support::process::Running;

/// Rounds on one database, so that its document grows, and is compacted.
const ROUNDS_PER_DATABASE: u32 = 12;
/// One test at a time: each uses both cores.
static TURN: Mutex<()> = Mutex::const_new(());
/// Pause between two checks of a condition.
const LOOK: Duration = Duration::from_millis(50);
/// A longer time until all agree is reported.
const SLOW: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_loses_nothing_acknowledged_or_shown() {
    let _turn = TURN.lock().await;
    let rounds = number("ROUNDS", u32::try_from(faults::ALL.len()).unwrap());
    let mut rng = StdRng::seed_from_u64(number("SEED", 1).into());
    let chosen = std::env::var("FAULT").unwrap_or_default();
    let faults: Vec<_> = faults::ALL
        .into_iter()
        .filter(|fault| chosen.split(',').any(|name| format!("{fault:?}").contains(name)))
        .collect();
    let mut databases = Databases::start();
    let mut happened = BTreeMap::new();
    let (mut kept, mut round) = (0, 0);
    while round < rounds {
        let database = format!("plan_{round}");
        let mut cluster = Cluster::start(&databases, &database, &[]).await;
        let document = document(cluster.nodes[0].running.as_ref().unwrap());
        let clients = Clients::start(&cluster.addresses, &document);
        let mut promises = 0;
        for round in round..rounds.min(round + ROUNDS_PER_DATABASE) {
            // Each fault once, then random ones.
            let fault = faults.get(round as usize).copied();
            let fault = fault.unwrap_or_else(|| faults[rng.random_range(0..faults.len())]);
            let when = format!("round {round}, {fault:?}");
            clients.set(Mode::Write);
            sleep(Duration::from_millis(rng.random_range(200..900))).await;
            fault.happen(&mut cluster, &mut databases, &mut rng).await;
            sleep(Duration::from_millis(rng.random_range(100..500))).await;
            clients.set(Mode::Read);
            // An edit whose outcome was unknown may be stored when all have agreed. It is compared in the next round.
            let promised = clients.promises();
            let newcomer = postgres::url(&databases.ports(), &database);
            let agreed = agreed(&cluster, &clients, &newcomer, &when).await;
            promised.are_kept_in(&agreed, &when);
            promises = promised.len();
            println!("{when}: {promises} promises kept");
            *happened.entry(fault).or_insert(0) += 1;
        }
        round += ROUNDS_PER_DATABASE;
        kept += promises;
        clients.stop().await;
        cluster.stop().iter().for_each(|log| is_sound(log));
    }
    assert!(kept > rounds as usize, "the clients have hardly written: {kept}");
    println!("{rounds} rounds: {kept} promises kept; {happened:?}");
}

/// The id of the default document.
fn document(server: &Running) -> DocumentId {
    let url = server.printed.iter().find_map(|line| line.strip_prefix("url       automerge:"));
    url.expect("printed at the start").parse().unwrap()
}

/// The default document of a server. `None` if the server does not return it.
async fn exported(address: SocketAddr) -> Option<Automerge> {
    let (status, bytes) = request(address, "GET", "/api/documents/default/export.automerge", String::new()).await?;
    (status == 200).then(|| Automerge::load(&bytes).unwrap())
}

fn heads(doc: &Automerge) -> Vec<ChangeHash> {
    doc.get_heads()
}

/// Waits until all servers are ready, and all servers and clients hold the same document. Among the servers is a new one, which
/// reads and verifies the whole log. Returns the document.
async fn agreed(cluster: &Cluster, clients: &Clients, newcomer: &str, when: &str) -> Automerge {
    let (server, address) = start(newcomer, &[]);
    let mut addresses = cluster.addresses.lock().clone();
    addresses.push(address);
    let begun = Instant::now();
    let mut differed = Vec::new();
    let agreed = loop {
        let difference = match disagreement(&addresses, clients).await {
            Ok(agreed) => break agreed,
            Err(difference) => difference,
        };
        assert!(
            begun.elapsed() < PATIENCE,
            "{when}: {difference}; before: {differed:?}; clients: {:#?}; logged: {:#?}",
            clients.events(),
            logged(cluster),
        );
        if differed.last().is_none_or(|(_, last)| *last != difference) {
            differed.push((begun.elapsed(), difference));
        }
        sleep(LOOK).await;
    };
    let logs = logged(cluster);
    if begun.elapsed() > SLOW {
        println!("{when}: agreed after {:?}; before: {differed:?}; logged: {logs:#?}", begun.elapsed());
        println!("{:#?}", clients.events());
    }
    is_sound(&server.stop().err);
    agreed
}

/// What the servers have logged since the last call, by server, without information.
fn logged(cluster: &Cluster) -> Vec<(usize, String)> {
    let lines = cluster.nodes.iter().enumerate().flat_map(|(node, server)| {
        let lines = server.running.as_ref().map(Running::logged).unwrap_or_default();
        lines.into_iter().map(move |line| (node, line))
    });
    lines.filter(|(_, line)| !line.contains("INFO")).collect()
}

/// The document that all hold, or the difference.
async fn disagreement(addresses: &[SocketAddr], clients: &Clients) -> Result<Automerge, String> {
    let mut agreed: Option<Automerge> = None;
    for (node, address) in addresses.iter().enumerate() {
        let readiness = request(*address, "GET", "/readyz", String::new()).await;
        match readiness {
            Some((200, _)) => {}
            Some((_, why)) => return Err(format!("server {node} is not ready: {}", String::from_utf8_lossy(&why))),
            None => return Err(format!("server {node} does not answer")),
        }
        let Some(doc) = exported(*address).await else { return Err(format!("server {node} has no document")) };
        if agreed.as_ref().is_some_and(|agreed| heads(agreed) != heads(&doc)) {
            return Err(format!("server {node} has other heads than the servers before it"));
        }
        agreed = Some(doc);
    }
    let agreed = agreed.expect("there are servers");
    match clients.differing(&heads(&agreed)) {
        Some(client) => Err(format!("client {client} has other heads than the servers")),
        None => Ok(agreed),
    }
}

/// Fails if a server has logged damage.
fn is_sound(log: &str) {
    let is_bad =
        |line: &&str| ["panicked", "quarantine", "damaged", "out of service"].iter().any(|word| line.contains(word));
    let bad: Vec<&str> = log.lines().filter(is_bad).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
