//! New clients of a large document with a history: one after the other, and all at once after a restart.

use std::sync::Arc;
use std::time::{Duration, Instant};

use automerge::Automerge;
use automerge::sync::{State, SyncDoc};

use super::stage::SETTLE;
use crate::Fallible;
use crate::client::ledger::Ledger;
use crate::client::newcomer::Newcomer;
use crate::client::{Audience, Crowd, Hello, Language};
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::{Board, Latencies, Process};
use crate::plan::{LARGE, Plan};
use crate::run::{Run, Subject, thousands};
use crate::server::{Server, Workplace};

const HISTORY: usize = 5_000;
/// Longest duration of a storm of clients.
const STORM: Duration = Duration::from_secs(60);

/// New clients, one after the other.
pub fn cold(run: &mut Run) -> Fallible<()> {
    let plan = run.plan(LARGE, HISTORY)?;
    let quick = run.quick;
    let subject = Subject {
        scenario: "cold-join",
        case: "5,000 positions and 5,000 edits, newcomers one after the other",
        viewers: None,
    };
    run.measure(subject, &Kind::WITH_DOCUMENTS, async |kind, place| {
        // The other servers take much longer, so fewer clients join.
        let joins = match kind {
            Kind::Happierwork => 100,
            _ if quick => 5,
            _ => 10,
        };
        joins_in_turn(kind, &plan, place, joins).await
    });
    Ok(())
}

async fn joins_in_turn(kind: Kind, plan: &Plan, place: &Workplace, joins: usize) -> Fallible<Figures> {
    let mut server = Server::start(kind, std::slice::from_ref(plan), place).await?;
    let result = tokio::time::timeout(STORM, join_in_turn(&server, plan, joins)).await;
    match result {
        Ok(Ok(mut figures)) => {
            figures.insert("peak_rss_mib".to_owned(), server.process().peak_rss_mib()?);
            Ok(figures)
        }
        Ok(Err(error)) => Err(server.explain(error).into()),
        Err(_) => Err(server.explain(format!("{joins} joins took longer than {STORM:?}")).into()),
    }
}

async fn join_in_turn(server: &Server, plan: &Plan, joins: usize) -> Fallible<Figures> {
    let heads = &plan.heads;
    let mut all = Vec::new();
    let mut times = Latencies::default();
    let mut figures = Figures::new();
    let mut cpu = server.process().cpu()?;
    for number in 0..=joins {
        let mut newcomer = Newcomer::connect(&server.address, number).await?;
        let came = newcomer.fetch(&plan.id, heads).await?;
        // The clients stay connected.
        all.push(newcomer);
        if number == 0 {
            if Automerge::load(&came.chunks)?.get_heads() != *heads {
                return Err("what came is not the document".into());
            }
            tokio::time::sleep(SETTLE).await;
            let now = server.process().cpu()?;
            figures.insert("first_wall_ms".to_owned(), came.took.as_secs_f64() * 1e3);
            figures.insert("first_cpu_ms".to_owned(), (now - cpu).as_secs_f64() * 1e3);
            figures.insert("document_kib".to_owned(), came.chunks.len() as f64 / 1024.0);
            cpu = now;
        } else {
            times.0.push(u32::try_from(came.took.as_micros())?);
        }
    }
    tokio::time::sleep(SETTLE).await;
    let used = (server.process().cpu()? - cpu).as_secs_f64();
    figures.insert("joins".to_owned(), joins as f64);
    figures.insert("cpu_ms_per_join".to_owned(), used * 1e3 / joins as f64);
    times.describe(&mut figures);
    figures.insert("converged".to_owned(), 1.0);
    Ok(figures)
}

/// All clients at once.
pub fn storm(run: &mut Run) -> Fallible<()> {
    let plan = run.plan(LARGE, HISTORY)?;
    let clients: u32 = if run.quick { 200 } else { 1_000 };
    for (claims, what) in [(true, "which say what they had"), (false, "which have nothing")] {
        let case = format!("{} clients at once after a restart, {what}", thousands(clients));
        let subject = Subject { scenario: "join-storm", case: &case, viewers: Some(clients) };
        run.measure(subject, &Kind::OURS, async |kind, place| storm_once(kind, &plan, place, clients, claims).await);
    }
    Ok(())
}

async fn storm_once(kind: Kind, plan: &Plan, place: &Workplace, clients: u32, claims: bool) -> Fallible<Figures> {
    let mut server = Server::start(kind, std::slice::from_ref(plan), place).await?;
    let hello = if claims { back(&plan.open())? } else { Hello::Nothing };
    server.kill()?;
    let killed = Instant::now();
    server.restart()?;
    server.until_ready().await?;
    let restart = killed.elapsed();

    let (cpu, own) = (server.process().cpu()?, Process::this().cpu()?);
    let begun = Instant::now();
    let board = Arc::new(Board::default());
    let language = Language::Repo { document: plan.id.clone(), hello };
    let audience = Audience { language, ledger: Arc::new(Ledger::new(0)), viewers: clients, sleepers: None };
    let _crowd = Crowd::gather(&server.address, vec![audience], &board, clients as usize);
    if !board.until_ready(clients.into(), STORM).await {
        let why = board.failure().unwrap_or_default();
        return Err(server
            .explain(format!("{} of {clients} were in sync after {STORM:?}; {why}", board.ready()))
            .into());
    }
    let took = begun.elapsed();
    tokio::time::sleep(SETTLE).await;
    let used = (server.process().cpu()? - cpu).as_secs_f64();
    let figures = [
        ("restart_ms", restart.as_secs_f64() * 1e3),
        ("all_in_sync_s", took.as_secs_f64()),
        ("server_cpu_s", used),
        ("cpu_ms_per_join", used * 1e3 / f64::from(clients)),
        ("generator_cpu_s", (Process::this().cpu()? - own).as_secs_f64()),
        ("peak_rss_mib", server.process().peak_rss_mib()?),
        ("converged", 1.0),
    ];
    Ok(figures.into_iter().map(|(name, figure)| (name.to_owned(), figure)).collect())
}

/// The first message of a returning client that has the whole document, and remembers that the server has it too.
fn back(doc: &Automerge) -> Fallible<Hello> {
    let heads = doc.get_heads();
    let mut state = State { shared_heads: heads.clone(), ..State::new() };
    let message = doc.generate_sync_message(&mut state).ok_or("nothing to say")?.encode();
    Ok(Hello::Has { heads, message })
}
