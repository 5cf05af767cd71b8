//! Many frames at once, and clients that do not read.

use std::collections::HashSet;

use plan::fields::{BUDGET, DEPARTMENT, DESIGNATION, LOCATION};
use plan::{Budget, Edit, NewPosition, PositionPatch};
use serde_json::Value;

use super::support::{Socket, TestServer, add};

const ADDS: usize = 100;

/// Sends all adds without waiting, then reads until all rows of both senders have arrived.
async fn pipeline(mut socket: Socket, who: &str) -> HashSet<String> {
    for number in 0..ADDS {
        socket.send(add(&format!("{who} {number}"))).await;
    }
    let (mut processed, mut own) = (0, 0);
    let mut heard = HashSet::new();
    while heard.len() < 2 * ADDS || processed < ADDS {
        let frame = socket.json().await;
        assert!(frame.get("error").is_none(), "{frame}");
        processed += usize::from(frame["status"] == "Data processed");
        if let Some(designation) = frame["entry"]["designation"].as_str()
            && heard.insert(designation.to_owned())
        {
            own += usize::from(designation.starts_with(who));
            assert!(processed >= own, "{who} received its add {own} before the answer ({processed} answers)");
        }
    }
    assert_eq!(processed, ADDS, "one answer per frame");
    heard
}

#[tokio::test]
async fn answers_precede_their_broadcasts_under_pipelining() {
    let server = TestServer::start().await;
    let (one, two) = (server.legacy().await, server.legacy().await);
    let (heard_by_one, heard_by_two) =
        tokio::join!(tokio::spawn(pipeline(one, "one")), tokio::spawn(pipeline(two, "two")));
    assert_eq!(heard_by_one.unwrap(), heard_by_two.unwrap());
    assert_eq!(server.positions().await.len(), 2 * ADDS);
}

#[tokio::test]
async fn simultaneous_adds_keep_both_rows() {
    let server = TestServer::start().await;
    let (mut one, mut two) = (server.legacy().await, server.legacy().await);
    for round in 0..200 {
        let (first, second) = (add(&format!("one {round}")), add(&format!("two {round}")));
        tokio::join!(one.send(first), two.send(second));
        // Each has received both, so the rounds do not overlap.
        for socket in [&mut one, &mut two] {
            let mut entries = 0;
            while entries < 2 {
                entries += usize::from(socket.json().await.get("entry").is_some());
            }
        }
    }
    assert_eq!(server.positions().await.len(), 400);
}

fn budget_of_first(budget: u64) -> Edit {
    let patch = PositionPatch::set(BUDGET, Budget::Int(budget));
    Edit::Patch { id: "first".to_owned(), patch }
}

/// Applies a frame to a table by the client's own rules.
fn take(table: &mut Vec<Value>, frame: &Value) {
    if frame["entry"].is_object() {
        table.insert(0, frame["entry"].clone());
    } else if let Some(id) = frame["deleted_id"].as_str() {
        table.retain(|row| row["id"] != id);
    }
}

#[tokio::test]
async fn slow_reader_delays_no_one_and_catches_up() {
    const EDITS: u64 = 2_000;
    const ROWS: usize = 20;
    let server = TestServer::start().await;
    let (mut stalled, mut reader) = (server.legacy_with_small_buffers().await, server.legacy().await);
    // Frames of 3 kB: together far more than a socket's buffers hold.
    let text = "x".repeat(1_000);
    let first = NewPosition::new("first", text.clone())
        .with(DEPARTMENT, text.clone())
        .with(BUDGET, Budget::Int(0))
        .with(LOCATION, text);
    server.edit(Edit::Add(first.clone())).await;
    for budget in 1..=EDITS {
        server.edit(budget_of_first(budget)).await;
        while reader.json().await["entry"]["budget"].as_str() != Some(budget.to_string().as_str()) {}
    }
    for row in 0..ROWS {
        let short = NewPosition { id: format!("row {row}"), ..first.clone().with(DESIGNATION, "UI") };
        server.edit(Edit::Add(short)).await;
    }
    server.edit(Edit::Delete { id: "row 0".to_owned() }).await;

    let mut table = Vec::new();
    let mut edits_heard = 0;
    while table.len() != ROWS || table.iter().all(|row: &Value| row["budget"].as_str() != Some(&EDITS.to_string())) {
        let frame = stalled.json().await;
        edits_heard += u64::from(frame["entry"]["id"] == "first");
        take(&mut table, &frame);
    }
    assert!(edits_heard < EDITS, "it received every edit, so it never lagged");
    let mut shown: Vec<&str> = table.iter().filter_map(|row| row["id"].as_str()).collect();
    let mut there = server.positions().await;
    shown.sort_unstable();
    there.sort_unstable();
    assert_eq!(shown, there, "every row once, and no deleted row");
}

/// A text that does not compress.
fn noise(seed: u64) -> String {
    let number = |part: u64| (seed * 4 + part + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (0..4).map(|part| format!("{:016x}", number(part) ^ (number(part) >> 29))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_that_join_while_a_large_plan_is_read_hear_every_edit() {
    const ROWS: u64 = 5_000;
    let server = TestServer::start().await;
    let first = NewPosition::new("first", "First").with(BUDGET, Budget::Int(0));
    let rows = (1..ROWS).map(|row| NewPosition::new(format!("row {row}"), noise(row)));
    server.edit(Edit::AddAll([first].into_iter().chain(rows).collect())).await;
    // Nobody has read the plan so far.
    let edits = async {
        for budget in 1..=20 {
            server.edit(budget_of_first(budget)).await;
        }
    };
    let (mut sockets, (), read) =
        tokio::join!(futures_util::future::join_all((0..4).map(|_| server.legacy())), edits, server.positions());
    assert_eq!(read.len() as u64, ROWS);
    for socket in &mut sockets {
        // The answer shows that the socket has joined.
        socket.send(add("new")).await;
        while socket.json().await["status"] != "Data processed" {}
    }
    server.edit(budget_of_first(99)).await;
    for mut socket in sockets {
        while socket.json().await["entry"]["budget"].as_str() != Some("99") {}
    }
}
