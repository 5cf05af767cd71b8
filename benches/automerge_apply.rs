//! What Automerge takes to apply one small change to documents of more and more objects: `cargo bench --bench automerge_apply`.
//!
//! Uses nothing but Automerge, so that it can be copied into a program of its own. See
//! `docs/adr/0068-keep-automerges-cost-per-object.md`.
#![allow(missing_docs, reason = "a program, not a library")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be set up must stop")]
#![allow(clippy::print_stdout, reason = "the user asked for this output")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use automerge::hydrate::{Map, Value};
use automerge::transaction::Transactable;
use automerge::{ActorId, Automerge, ObjId, ObjType, ROOT, ReadDoc};

/// Numbers of objects.
const SIZES: [usize; 5] = [1_000, 10_000, 50_000, 100_000, 500_000];
/// Changes for a median.
const CHANGES: usize = 200;

fn main() {
    println!("{:>9} {:>12} {:>12} {:>12}", "objects", "apply", "local edit", "difference");
    for objects in SIZES {
        let doc = document(objects);
        let (applied, local) = (apply(&doc), edit(&doc));
        let us = |time: Duration| format!("{:.1} µs", time.as_secs_f64() * 1e6);
        println!("{objects:>9} {:>12} {:>12} {:>12}", us(applied), us(local), us(applied.saturating_sub(local)));
    }
}

/// A map of this number of maps with one number each.
fn document(objects: usize) -> Automerge {
    let mut doc = Automerge::new().with_actor(ActorId::from([1]));
    let mut tx = doc.transaction();
    let rows: HashMap<String, Value> = (0..objects).map(|row| (key(row), row_of(row))).collect();
    tx.batch_create_object(ROOT, "rows", &Value::Map(Map::from(rows)), false).unwrap();
    tx.commit();
    doc
}

fn key(row: usize) -> String {
    format!("row {row:06}")
}

fn row_of(row: usize) -> Value {
    Value::Map(Map::from(HashMap::from([("number", Value::scalar(row as u64))])))
}

/// The row in the middle, which every change writes.
fn row(doc: &Automerge) -> ObjId {
    let (_, rows) = doc.get(ROOT, "rows").unwrap().unwrap();
    let middle = doc.keys(&rows).count() / 2;
    let (value, row) = doc.get(&rows, key(middle)).unwrap().unwrap();
    assert_eq!(value.to_objtype(), Some(ObjType::Map));
    row
}

/// The median time to apply a change of another actor.
fn apply(doc: &Automerge) -> Duration {
    let (mut writer, mut reader) = (doc.clone().with_actor(ActorId::from([2])), doc.clone());
    let row = row(&writer);
    let times = (0..CHANGES).map(|number| {
        let mut tx = writer.transaction();
        tx.put(&row, "number", number as u64).unwrap();
        tx.commit();
        let change = writer.get_last_local_change().unwrap();
        let begun = Instant::now();
        reader.apply_changes([change]).unwrap();
        begun.elapsed()
    });
    median(times.collect())
}

/// The median time to make the same change in a transaction.
fn edit(doc: &Automerge) -> Duration {
    let mut doc = doc.clone().with_actor(ActorId::from([2]));
    let row = row(&doc);
    let times = (0..CHANGES).map(|number| {
        let begun = Instant::now();
        let mut tx = doc.transaction();
        tx.put(&row, "number", number as u64).unwrap();
        tx.commit();
        begun.elapsed()
    });
    median(times.collect())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
