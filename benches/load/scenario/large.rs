//! Large plans: what grows with the number of positions, and how fast.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;

use super::stage::SETTLE;
use crate::Fallible;
use crate::client::Http;
use crate::client::newcomer::Newcomer;
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::Latencies;
use crate::plan::{Plan, legacy_row};
use crate::run::{Run, Subject, thousands};
use crate::server::{Server, Workplace, import};

/// Numbers of positions.
const SIZES: [usize; 3] = [5_000, 20_000, 100_000];
/// Number of edits, and of exports, for a median.
const EDITS: u32 = 100;
const EXPORTS: u32 = 5;

const DOCUMENT: &str = "/api/documents/default";

pub fn run(run: &mut Run) -> Fallible<()> {
    let sizes = if run.quick { &SIZES[..2] } else { &SIZES };
    for size in sizes {
        let case = format!("{} positions", thousands(*size as u64));
        let subject = Subject { scenario: "large-plan", case: &case, viewers: None };
        run.measure_once(subject, &Kind::OURS, async |_, place| measure(*size, place).await);
    }
    Ok(())
}

async fn measure(positions: usize, place: &Workplace) -> Fallible<Figures> {
    let mut figures = Figures::new();
    let mut note = |name: &str, figure: f64| {
        figures.insert(name.to_owned(), figure);
    };
    let plan = imported(positions, place, &mut note)?;
    let mut server = Server::start(Kind::Happierwork, std::slice::from_ref(&plan), place).await?;
    server.kill()?;

    // From the start of the process: serving, the first copy for a client, and the first export.
    let begun = Instant::now();
    server.restart()?;
    server.until_ready().await?;
    note("ready_ms", ms(begun.elapsed()));
    let mut first = Newcomer::connect(&server.address, 0).await?;
    first.fetch(&plan.id, &plan.heads).await?;
    note("open_to_sync_ms", ms(begun.elapsed()));
    let mut http = Http::connect(server.address.socket).await?;
    let export = get(&mut http, "/export.json").await?;
    note("open_to_export_ms", ms(begun.elapsed()));
    note("open_cpu_s", server.process().cpu()?.as_secs_f64());
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&export)?;
    if rows.len() != positions {
        return Err(format!("the export has {} positions", rows.len()).into());
    }

    let mut second = Newcomer::connect(&server.address, 1).await?;
    note("join_ms", ms(second.fetch(&plan.id, &plan.heads).await?.took));
    edits(&server, &mut http, &rows, &mut note).await?;

    // The first page of the history builds its index.
    tokio::time::sleep(SETTLE).await;
    server.process().reset_peak_rss()?;
    let before = server.process().rss_mib()?;
    let begun = Instant::now();
    get(&mut http, "/history").await?;
    note("history_ms", ms(begun.elapsed()));
    note("history_extra_mib", server.process().peak_rss_mib()? - before);
    let begun = Instant::now();
    get(&mut http, "/history").await?;
    note("history_again_ms", ms(begun.elapsed()));

    let begun = Instant::now();
    http.send_json(Method::POST, &format!("{DOCUMENT}/scenarios"), &json!({ "name": "Hiring freeze" })).await?;
    note("scenario_ms", ms(begun.elapsed()));
    note("rss_mib", server.process().rss_mib()?);
    Ok(figures)
}

/// Imports a new plan from a file of the legacy backend.
fn imported(positions: usize, place: &Workplace, note: &mut impl FnMut(&str, f64)) -> Fallible<Plan> {
    let folder = place.folder()?;
    let (source, state) = (folder.path().join("data.json"), folder.path().join("state.automerge"));
    let mut json = String::from("[");
    for position in 0..positions {
        let separator = if position == 0 { "" } else { "," };
        write!(json, "{separator}\n{}", legacy_row(position))?;
    }
    json.push_str("\n]\n");
    std::fs::write(&source, json)?;
    let (took, peak_mib) = import(place, &source, &state)?;
    note("import_ms", ms(took));
    note("import_peak_mib", peak_mib);
    let plan = Plan::read(std::fs::read(&state)?)?;
    note("file_kib", plan.bytes.len() as f64 / 1024.0);
    Ok(plan)
}

/// Edits, one after the other, and exports right after an edit.
async fn edits(
    server: &Server,
    http: &mut Http,
    rows: &[serde_json::Value],
    note: &mut impl FnMut(&str, f64),
) -> Fallible<()> {
    let (mut edits, mut exports) = (Latencies::default(), Latencies::default());
    let edit = async |http: &mut Http, number: u32| {
        let row = &rows[number as usize * rows.len() / (EDITS + EXPORTS) as usize];
        let id = row.get("id").and_then(|id| id.as_str()).ok_or("a position without an id")?;
        let begun = Instant::now();
        let path = format!("{DOCUMENT}/positions/{id}");
        http.send_json(Method::PATCH, &path, &json!({ "budget": 100_000 + number })).await?;
        Fallible::Ok(begun.elapsed())
    };
    let cpu = server.process().cpu()?;
    for number in 0..EDITS {
        let took = edit(http, number).await?;
        edits.0.push(u32::try_from(took.as_micros())?);
    }
    let used = server.process().cpu()? - cpu;
    note("edit_cpu_us", used.as_secs_f64() * 1e6 / f64::from(EDITS));
    note("edit_ms", edits.percentile_ms(0.5));
    for number in EDITS..EDITS + EXPORTS {
        edit(http, number).await?;
        let begun = Instant::now();
        get(http, "/export.json").await?;
        exports.0.push(u32::try_from(begun.elapsed().as_micros())?);
    }
    note("export_ms", exports.percentile_ms(0.5));
    Ok(())
}

async fn get(http: &mut Http, path: &str) -> Fallible<bytes::Bytes> {
    let path = format!("{DOCUMENT}{path}");
    let answer = http.get(&path, None).await?;
    if answer.status != 200 {
        return Err(format!("{path}: {}", answer.status).into());
    }
    Ok(answer.body)
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
