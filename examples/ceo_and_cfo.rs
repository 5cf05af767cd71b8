//! Two people edit the same plan offline on two laptops, and both keep their work after syncing.
//!
//! `cargo run --example ceo_and_cfo` starts a server in this process and two replicas, edits both offline, and reconnects
//! them. It fails if the replicas do not converge.

#![allow(clippy::disallowed_methods, reason = "uses clocks, disks and sockets")]

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use client::{Replica, ReplicaOptions};
use happierwork::server::{self, Options};
use plan::fields::{BUDGET, DEPARTMENT, DESIGNATION, LOCATION};
use plan::{Author, Budget, Edit, NewPosition, PlanPatch, Position, PositionPatch, read_view};
use runtime::hub::Requester;
use serde_json::Value as Json;
use tokio::sync::oneshot;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
#[allow(dead_code, reason = "the test of this example calls what it calls")]
async fn main() -> Result<()> {
    tokio::time::timeout(Duration::from_secs(30), play(&mut io::stdout())).await?
}

/// Runs the example and writes its output to `out`.
pub async fn play(out: &mut (impl Write + Send)) -> Result<()> {
    let home = tempfile::tempdir()?;
    let started = server::start(server_options(home.path())).await?;
    let (url, id) = (format!("ws://{}/sync", started.addresses[0]), started.document.clone());
    let hub = started.server.app().hub.clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(started.server.run(async {
        let _ = stopped.await;
    }));
    let author = || Author { name: "seed".to_owned(), now: 1_767_225_600_000 };
    let plan = PlanPatch { name: Some("Growth 2027".to_owned()), ..PlanPatch::default() };
    hub.edit(&Requester::server(), &id, Edit::Describe(plan), author()).await?;
    hub.edit(&Requester::server(), &id, position("ui", "UI Designer", "Product", 30, "Bengaluru"), author()).await?;

    // Each laptop has its own file, which is enough to work offline.
    let open = |name: &str| {
        Replica::open(ReplicaOptions::new(home.path().join(format!("{name}.automerge")), id.clone(), name).online(&url))
    };
    let (ceo, cfo) = (open("CEO").await?, open("CFO").await?);
    ceo.wait_until_synced().await?;
    cfo.wait_until_synced().await?;
    let name = read_view(ceo.view()).plan().name.clone().unwrap_or_default();
    writeln!(out, "Both laptops have fetched \"{name}\":")?;
    show(out, &ceo)?;

    ceo.disconnect().await?;
    cfo.disconnect().await?;
    writeln!(out, "\nBoth go offline, and edit:")?;
    let edits = [
        ("CEO", "adds a Sales Lead", position("sales", "Sales Lead", "Sales", 50, "Mumbai")),
        ("CEO", "makes the UI Designer a Head of Design", designation("ui", "Head of Design")),
        ("CEO", "sets that budget to 45", budget("ui", 45)),
        ("CFO", "adds an Accountant", position("acc", "Accountant", "Other", 20, "Pune")),
        ("CFO", "moves the UI Designer to Pune", location("ui", "Pune")),
        ("CFO", "sets that budget to 35", budget("ui", 35)),
    ];
    for (who, what, edit) in edits {
        let laptop = if who == "CEO" { &ceo } else { &cfo };
        laptop.edit(edit).await?;
        writeln!(out, "  {who} {what}")?;
    }

    ceo.connect(&url).await?;
    cfo.connect(&url).await?;
    agree(&ceo, &cfo).await?;
    writeln!(out, "\nBoth are online again, and have the same:")?;
    show(out, &cfo)?;
    let (field, wins, loses) = conflict(&cfo, "ui").ok_or("the conflict is not shown")?;
    writeln!(
        out,
        "\nOne conflict, the same on both: the {field} of \"ui\" is {wins}, and {loses} was written as well."
    )?;

    cfo.edit(budget("ui", 40)).await?;
    agree(&ceo, &cfo).await?;
    if conflict(&ceo, "ui").is_some() {
        return Err("the conflict was not settled".into());
    }
    writeln!(out, "The CFO settles it at 40:")?;
    show(out, &ceo)?;

    ceo.close().await?;
    cfo.close().await?;
    let _ = stop.send(());
    server.await?;
    writeln!(out, "\nBoth agree, and nothing was lost.")?;
    Ok(())
}

/// Waits until both replicas have equal heads, and compares their positions.
async fn agree(one: &Replica, other: &Replica) -> Result<()> {
    let (mut changes_of_one, mut changes_of_other) = (one.changes(), other.changes());
    while one.heads() != other.heads() {
        let _something_changed = tokio::select! {
            change = changes_of_one.recv() => change?,
            change = changes_of_other.recv() => change?,
        };
    }
    one.wait_until_synced().await?;
    other.wait_until_synced().await?;
    let same = positions(one) == positions(other);
    if same { Ok(()) } else { Err("the two laptops do not agree".into()) }
}

fn positions(replica: &Replica) -> Vec<Position> {
    read_view(replica.view()).rows().map(|row| row.position.clone()).collect()
}

/// Returns the conflicting field, the winning value, and the losing one.
fn conflict(replica: &Replica, id: &str) -> Option<(&'static str, String, String)> {
    let view = read_view(replica.view());
    let position = &view.get(id)?.position;
    let losing = position.conflicts.get("budget")?;
    Some(("budget", shown(&position.fields[BUDGET]), losing.first()?.to_string()))
}

fn show(out: &mut impl Write, replica: &Replica) -> io::Result<()> {
    for Position { id, fields, .. } in positions(replica) {
        let [designation, department, location, budget] =
            [DESIGNATION, DEPARTMENT, LOCATION, BUDGET].map(|field| shown(&fields[field]));
        writeln!(out, "  {id:<6} {designation:<16} {department:<8} {location:<10} {budget:>4} lakh")?;
    }
    Ok(())
}

fn shown(value: &Option<Json>) -> String {
    match value {
        Some(Json::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "-".to_owned(),
    }
}

fn position(id: &str, designation: &str, department: &str, budget: u64, location: &str) -> Edit {
    Edit::Add(
        NewPosition::new(id, designation)
            .with(DEPARTMENT, department)
            .with(BUDGET, Budget::Int(budget))
            .with(LOCATION, location),
    )
}

fn patch(id: &str, patch: PositionPatch) -> Edit {
    Edit::Patch { id: id.to_owned(), patch }
}

fn designation(id: &str, text: &str) -> Edit {
    patch(id, PositionPatch::set(DESIGNATION, text))
}

fn location(id: &str, text: &str) -> Edit {
    patch(id, PositionPatch::set(LOCATION, text))
}

fn budget(id: &str, amount: u64) -> Edit {
    patch(id, PositionPatch::set(BUDGET, Budget::Int(amount)))
}

fn server_options(home: &Path) -> Options {
    Options { state: home.join("state.automerge"), documents: home.join("documents"), ..Options::default() }
}
