//! `import`: the old backend's data.json becomes a document, in one change or not at all.

use std::fs;
use std::process::ExitCode;
use std::sync::Arc;

use super::fail;
use crate::clock::now_ms;
use crate::config::ImportArgs;
use crate::document::position::DEFAULT_UNIT;
use crate::document::{Author, Document, Edit, Item, MessageLimits, NewPosition, Outcome, Plan, PlanPatch, read_view};
use crate::document_log::Actors;
use crate::exchange::{ImportedRow, import};
use crate::format::{Budget, DocumentId, parse_amount};
use crate::server::new_position_id;
use crate::server::renderings::RENDERINGS;
use crate::store::disk::RealDisk;
use crate::store::{FileStore, StateFile, Store};

/// Reads everything before anything is written; an odd row is reported with its line, and then nothing is.
pub(super) fn run(args: &ImportArgs) -> ExitCode {
    match try_import(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

#[expect(clippy::print_stdout, reason = "this is the program's output")]
fn try_import(args: &ImportArgs) -> Result<(), String> {
    let source = args.file.display();
    let json = fs::read(&args.file).map_err(|error| format!("{source}: {error}"))?;
    let now = now_ms();
    let total_budget = args.total_budget.as_deref().map(|total| parse_amount(total, &new_plan().scale())).transpose();
    let total_budget = total_budget.map_err(|error| format!("--total-budget: {error}"))?;

    StateFile::make_folder(&RealDisk, &args.state).map_err(|error| error.to_string())?;
    let state = StateFile::open_carrying_id(Arc::new(RealDisk), &args.state);
    let mut state = state.map_err(|error| error.to_string())?;
    let content = state.take_document();
    let empty = content.is_none();
    let content = content.unwrap_or_default();
    let id = Document::carried_id(&content).unwrap_or_else(|| DocumentId::from_random(rand::random()));
    let mut document =
        Document::of(id.clone(), content, Actors::default().fresh(), RENDERINGS, MessageLimits::default());
    let plan = if empty { new_plan() } else { read_view(&document.view()).plan().clone() };
    let rows = import(&json, &plan.scale(), now, &mut new_position_id).map_err(|error| format!("{source}: {error}"))?;
    let count = rows.len();
    let positions = rows.into_iter().map(new_position).collect();
    let edit = if empty {
        let plan = PlanPatch {
            name: Some(args.name.clone()),
            currency: plan.currency,
            unit: Budget::new_f64(plan.unit).ok(),
            total_budget,
        };
        Edit::Create { id: id.clone(), plan, positions }
    } else {
        Edit::AddAll(positions)
    };
    let author = Author { name: "import".to_owned(), now };
    let mut applied = document.apply(vec![Item::Edit { edit, author, by: None }]);
    if let Some(Outcome::Edited(Err(error))) = applied.outcomes.first() {
        return Err(format!("{}: {error}\nNothing was imported.", args.state.display()));
    }
    if !applied.chunks.is_empty() {
        store(state, &id, std::mem::take(&mut applied.chunks), empty.then(|| document.save()))?;
    }
    document.publish(&mut applied, |_| false);
    let view = document.view();
    println!("{count} positions imported; {} now holds {}", args.state.display(), read_view(&view).len());
    println!("{}", id.url());
    Ok(())
}

/// The old backend counts in lakh of rupees.
fn new_plan() -> Plan {
    Plan { currency: Some("INR".to_owned()), unit: DEFAULT_UNIT, ..Plan::default() }
}

/// A new document is stored as one snapshot; an old one gets what was added.
fn store(state: StateFile, id: &DocumentId, added: Vec<u8>, snapshot: Option<Vec<u8>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    // Other documents are not touched: a folder that nobody has.
    let nowhere = state.path().with_extension("import-needs-no-documents");
    let store: Arc<dyn Store> =
        Arc::new(FileStore::open(state, id.clone(), nowhere).map_err(|error| error.to_string())?);
    runtime.block_on(store.append(id, snapshot.unwrap_or(added))).map_err(|error| error.to_string())?;
    Ok(())
}

fn new_position(row: ImportedRow) -> NewPosition {
    NewPosition {
        id: row.id,
        designation: row.designation,
        department: row.department,
        budget: Some(row.budget),
        location: row.location,
        created_at: Some(row.created_at_ms),
        updated: Some((row.updated_by, row.updated_at_ms)),
    }
}
