//! Exports of the whole document as JSON: right after an edit, unchanged, and during edits.

use std::time::{Duration, Instant};

use hyper::Method;
use serde_json::json;

use super::stage::{Cast, Stage};
use crate::Fallible;
use crate::client::{Http, Order};
use crate::figures::Figures;
use crate::kind::Kind;
use crate::measure::Latencies;
use crate::plan::Plan;
use crate::run::{Run, Subject};
use crate::server::Workplace;

const EXPORT: &str = "/api/documents/default/export.json";
const HEALTH: &str = "/healthz";
/// Number of samples for a median.
const EXPORTS: u32 = 100;
const UNCHANGED: u32 = 500;
/// Edits per second during the exports.
const RATE: u32 = 20;

pub fn run(run: &mut Run) -> Fallible<()> {
    let plan = run.large()?;
    let (exports, seconds) = if run.quick { (EXPORTS / 2, 2) } else { (EXPORTS, 3) };
    let after = Subject { scenario: "export", case: "5,000 positions as JSON, right after an edit", viewers: None };
    run.measure(after, &Kind::OURS, async |_, place| after_edits(&plan, place, exports).await);
    let during = Subject { scenario: "export", case: "5,000 positions as JSON, under 20 edits/s", viewers: None };
    run.measure(during, &Kind::OURS, async |_, place| during_edits(&plan, place, seconds).await);
    Ok(())
}

async fn after_edits(plan: &Plan, place: &Workplace, exports: u32) -> Fallible<Figures> {
    let cast = Cast { plans: std::slice::from_ref(plan), writers: 0, viewers: 0, sleepers: None };
    let stage = Stage::set(Kind::Happierwork, &cast, place).await?;
    let mut http = Http::connect(stage.server.address.socket).await?;
    let list = http.get("/api/documents/default/positions", None).await?;
    let list: serde_json::Value = serde_json::from_slice(&list.body)?;
    // The list is an array, or an object that contains one.
    let rows = list.as_array().or_else(|| list.get("positions")?.as_array()).ok_or("no list of positions")?;
    let id = rows.first().and_then(|row| row.get("id")?.as_str()).ok_or("no position")?;
    let path = format!("/api/documents/default/positions/{id}");

    let (mut fresh, mut unchanged) = (Latencies::default(), Latencies::default());
    let (mut length, mut tag) = (0, String::new());
    for edit in 0..exports {
        http.send_json(Method::PATCH, &path, &json!({ "budget": 100_000 + edit })).await?;
        let begun = Instant::now();
        let answer = http.get(EXPORT, None).await?;
        note(&mut fresh, begun);
        let needle = format!("\"budget\":{}", 100_000 + edit);
        if answer.status != 200 || !String::from_utf8_lossy(&answer.body).replace(' ', "").contains(&needle) {
            return Err("the export does not show the edit before it".into());
        }
        length = answer.body.len();
        tag = answer.etag.ok_or("no ETag")?;
    }
    for _ in 0..UNCHANGED {
        let begun = Instant::now();
        let answer = http.get(EXPORT, Some(&tag)).await?;
        note(&mut unchanged, begun);
        if answer.status != 304 || !answer.body.is_empty() {
            return Err(format!("{} for a document that has not changed", answer.status).into());
        }
    }
    // Baseline: the duration of a minimal request on this machine.
    let mut smallest = Latencies::default();
    for _ in 0..UNCHANGED {
        let begun = Instant::now();
        http.get(HEALTH, None).await?;
        note(&mut smallest, begun);
    }
    let mut figures = Figures::new();
    fresh.describe(&mut figures);
    figures.insert("health_check_p50_ms".to_owned(), smallest.percentile_ms(0.5));
    figures.insert("unchanged_304_p50_ms".to_owned(), unchanged.percentile_ms(0.5));
    figures.insert("unchanged_304_p99_ms".to_owned(), unchanged.percentile_ms(0.99));
    figures.insert("body_kib".to_owned(), f64::from(u32::try_from(length)?) / 1024.0);
    Ok(figures)
}

async fn during_edits(plan: &Plan, place: &Workplace, seconds: u32) -> Fallible<Figures> {
    let cast = Cast { plans: std::slice::from_ref(plan), writers: 1, viewers: 0, sleepers: None };
    let stage = Stage::set(Kind::Happierwork, &cast, place).await?;
    let mut http = Http::connect(stage.server.address.socket).await?;
    let every = Duration::from_secs(1) / RATE;
    let begun = stage.begin()?;
    let end = begun.at + every * RATE * seconds;
    let order = Order::Paced { first: begun.at + every, every, edits: RATE * seconds };
    let exports = async {
        let mut times = Latencies::default();
        while Instant::now() < end {
            let begun = Instant::now();
            if http.get(EXPORT, None).await?.status != 200 {
                return Err("no export".into());
            }
            note(&mut times, begun);
        }
        Fallible::Ok(times)
    };
    let limit = every * RATE * seconds + Kind::Happierwork.patience();
    let (times, report) = futures_util::future::join(exports, stage.writers[0].order(order, limit)).await;
    let late = report?.late;
    let mut figures = stage.end(&begun).await?;
    figures.retain(|name, _| name.starts_with("edits_per_s") || name.ends_with("cpu_s"));
    let mut times = times?;
    figures.insert("exports".to_owned(), times.0.len() as f64);
    figures.insert("latest_edit_ms".to_owned(), late.as_secs_f64() * 1e3);
    times.describe(&mut figures);
    Ok(figures)
}

fn note(times: &mut Latencies, begun: Instant) {
    times.0.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX));
}
