//! The same load on Hocuspocus servers that share a document through Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::task::LocalPoolHandle;

use super::servers::Servers;
use crate::Fallible;
use crate::client::ledger::Ledger;
use crate::client::{IN_ORDER, Order, yjs};
use crate::figures::{Figures, Taken};
use crate::measure::{Board, Process};
use crate::scenario::stage::SETTLE;

/// Edits before the measurement.
const WARM_UP: u32 = 5;

/// Measures the time from an edit at the first server until viewers at this and the other servers have it.
pub async fn measure(mut servers: Servers, viewers: u32, rate: u32, seconds: u32) -> Fallible<Taken> {
    let patience = servers.address(0).kind.patience();
    let (ledger, boards) = (Arc::new(Ledger::new(1)), <[Arc<Board>; 2]>::default());
    let (order, orders) = watch::channel(None);
    let (accepting, mut accepted) = watch::channel(0);
    let (writer, server) = (LocalPoolHandle::new(1), servers.address(0).clone());
    let (edits, board) = (Arc::clone(&ledger), Arc::clone(&boards[0]));
    writer.spawn_pinned(move || async move {
        if let Err(error) = yjs::write(server, edits, orders, accepting).await {
            board.note_failure(format!("the writer: {error}"));
        }
    });
    let made = async { accepted.wait_for(|accepted| *accepted > 0).await.is_ok() };
    if !timeout(patience, made).await.unwrap_or(false) {
        let failure = boards[0].failure().unwrap_or_default();
        return Err(servers.explain(format!("the document was not made: {failure}")).into());
    }
    let (wanted, _crowds) = gather(&servers, viewers, &ledger, &boards);
    for (board, wanted) in boards.iter().zip(wanted) {
        if !board.until_ready(wanted, patience).await {
            let error = format!("{} of {wanted} viewers joined: {:?}", board.ready(), board.failure());
            return Err(servers.explain(error).into());
        }
    }
    let delivered = async || {
        let edits = u64::from(ledger.totals()[0]);
        for (board, wanted) in boards.iter().zip(wanted) {
            if !board.until_delivered(edits * wanted, patience).await {
                return false;
            }
        }
        true
    };
    let warm_up = |edits| Order::Paced { first: Instant::now(), every: Duration::from_millis(20), edits };
    order.send_replace(Some((Instant::now(), warm_up(WARM_UP))));
    let warm = async { accepted.wait_for(|accepted| *accepted >= yjs::ROWS + u64::from(WARM_UP)).await.is_ok() };
    if !timeout(patience, warm).await.unwrap_or(false) || !delivered().await {
        return Err(servers.explain("the first edits were not delivered").into());
    }

    boards.iter().for_each(|board| board.set_phase(1));
    let before = ledger.totals()[0];
    let noted = || boards.iter().map(|board| board.noted().delivered).sum::<u64>();
    let (cpu, database, own, had) = (servers.cpu()?, servers.database_cpu()?, Process::this().cpu()?, noted());
    let (begun, every) = (Instant::now(), Duration::from_secs(1) / rate);
    let paced = Order::Paced { first: begun + every, every, edits: rate * seconds };
    order.send_replace(Some((begun, paced)));
    let all = yjs::ROWS + u64::from(before + rate * seconds);
    let made = async { accepted.wait_for(|accepted| *accepted >= all).await.is_ok() };
    let made = timeout(Duration::from_secs(seconds.into()) + patience, made).await.unwrap_or(false);
    let converged = made && delivered().await;
    let wall = begun.elapsed().as_secs_f64();
    tokio::time::sleep(SETTLE).await;
    let edits = f64::from(ledger.totals()[0] - before);
    let cpu = servers.cpu()?.saturating_sub(cpu).as_secs_f64();
    let database = servers.database_cpu()?.saturating_sub(database).as_secs_f64();
    let mut figures: Figures = [
        ("edits", edits),
        ("edits_per_s", edits / wall),
        ("cpu_us_per_delivered_edit", cpu * 1e6 / (noted() - had) as f64),
        ("database_cpu_us_per_edit", database * 1e6 / edits),
        ("server_cpu_s", cpu),
        ("generator_cpu_s", Process::this().cpu()?.saturating_sub(own).as_secs_f64()),
        ("converged", f64::from(u8::from(converged))),
    ]
    .into_iter()
    .map(|(name, figure)| (name.to_owned(), figure))
    .collect();
    for (board, whose) in boards.iter().zip(["same_server", "other_servers"]) {
        let mut latencies = board.latencies(1);
        for (name, part) in [("p50_ms", 0.5), ("p99_ms", 0.99)] {
            figures.insert(format!("{whose}_{name}"), latencies.percentile_ms(part));
        }
    }
    figures.retain(|_, figure| figure.is_finite());
    let failure = boards.iter().find_map(|board| board.failure());
    Ok(Taken { figures, failure: failure.map(|failure| servers.explain(failure)) })
}

/// Viewers at all servers, with a thread per server. Returns the number of viewers on each board.
fn gather(
    servers: &Servers,
    viewers: u32,
    ledger: &Arc<Ledger>,
    boards: &[Arc<Board>; 2],
) -> ([u64; 2], Vec<LocalPoolHandle>) {
    let mut wanted = [0; 2];
    let crowds: Vec<LocalPoolHandle> = servers.all.iter().map(|_| LocalPoolHandle::new(1)).collect();
    let dialing = Arc::new(Semaphore::new(IN_ORDER));
    for number in 0..viewers as usize {
        let place = (number + 1) % crowds.len();
        let which = usize::from(place != 0);
        wanted[which] += 1;
        let (server, ledger, board) = (servers.address(place).clone(), Arc::clone(ledger), Arc::clone(&boards[which]));
        let dialing = Arc::clone(&dialing);
        crowds[place].spawn_pinned(move || async move {
            if let Err(error) = yjs::view(server, number, ledger, Arc::clone(&board), dialing).await {
                board.note_failure(format!("viewer {number}: {error}"));
            }
        });
    }
    (wanted, crowds)
}
