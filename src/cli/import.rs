//! `import`: adds the rows of the legacy backend's data.json to a document, in one change.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::position::DEFAULT_UNIT;
use plan::{Author, Budget, Edit, NewPosition, Plan, PlanPatch, parse_amount, read_view};
use primitives::DocumentId;
use runtime::clock::now_ms;
use runtime::document::{AuthoredEdit, Document, Item, Outcome};
use runtime::document_log::ActorSource;
use store::disk::{RealDisk, create_new_file};
use store::{Appended, Batch, FileMode, FileStore, Position, StateFile, Store};
use sync_engine::MessageLimits;

use super::fail;
use super::output::{OutputError, print};
use crate::cli::config::ImportArgs;
use crate::legacy::{ImportedRow, ImportedRows, read_rows};
use crate::server::new_position_id;
use crate::server::renderings::JSON_AND_CSV;

/// Maximum number of names tried for the file of skipped rows.
const MAX_NAMES: usize = 1_000;

/// Reads the whole file before it writes anything. Reports invalid rows with their lines, and imports nothing if there are
/// any, unless `--skip-odd` is given.
pub(super) fn run(args: &ImportArgs) -> ExitCode {
    match try_import(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

fn try_import(args: &ImportArgs) -> Result<(), String> {
    let source = args.file.display();
    let json = fs::read(&args.file).map_err(|error| format!("{source}: {error}"))?;
    let now = now_ms();
    let total_budget = args.total_budget.as_deref().map(|total| parse_amount(total, &new_plan().scale())).transpose();
    let total_budget = total_budget.map_err(|error| format!("--total-budget: {error}"))?;

    let read = |plan: &Plan| read_valid(&json, args, plan, now).map_err(|error| format!("{source}: {error}"));
    // Checked before the state file is created, so that a rejected import leaves no trace.
    let rows_of_new_plan = if args.state.exists() { None } else { Some(read(&new_plan())?) };

    let disk = RealDisk::with_mode(args.file_mode);
    StateFile::create_folder(&disk, &args.state).map_err(|error| error.to_string())?;
    let state = StateFile::open_with_embedded_id(Arc::new(disk), &args.state);
    let mut state = state.map_err(|error| error.to_string())?;
    let content = state.take_document();
    let empty = content.is_none();
    let content = content.unwrap_or_default();
    let id = Document::carried_id(&content).unwrap_or_else(|| DocumentId::from_random(rand::random()));
    let mut document = Document::from_automerge(
        id.clone(),
        content,
        ActorSource::default().fresh(),
        JSON_AND_CSV,
        MessageLimits::default(),
    );
    let plan = if empty { new_plan() } else { read_view(&document.view()).plan().clone() };
    let ImportedRows { valid, invalid, report } = match rows_of_new_plan {
        Some(rows) if empty => rows,
        _ => read(&plan)?,
    };
    let count = valid.len();
    let unknown = valid.iter().filter(|row| row.budget.is_none()).count();
    let positions = valid.into_iter().map(new_position).collect();
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
    let mut applied = document.engine.apply(vec![Item::Edit { edit: AuthoredEdit { edit, author }, by: None }]);
    if let Some(Outcome::Edited(Err(error))) = applied.outcomes.first() {
        return Err(format!("{}: {error}\nNothing was imported.", args.state.display()));
    }
    // Written before the import. If the import fails, the extra file is harmless; a row in neither file would be lost.
    let skipped = if invalid.is_empty() { None } else { Some(write_skipped(&args.file, &invalid, args.file_mode)?) };
    if !applied.chunks.is_empty() {
        store(state, &id, std::mem::take(&mut applied.chunks), empty.then(|| document.engine.save()))?;
    }
    document.publish(&mut applied, |_| false);
    let view = document.view();
    let print_summary = || {
        print(format_args!(
            "{count} positions imported; {} now holds {}",
            args.state.display(),
            read_view(&view).len()
        ))?;
        if unknown > 0 {
            print(format_args!("{unknown} of them without a budget"))?;
        }
        if let (Some(path), Some(report)) = (skipped, report) {
            print(format_args!("{report}\nThese rows were skipped. They are in {}", path.display()))?;
        }
        print(id.url())
    };
    // The positions are stored: without this the user would import them again.
    print_summary().map_err(|error: OutputError| format!("{count} positions are imported, but {error}"))
}

/// Reads the rows, with budgets in the unit of `plan`.
fn read_valid<'a>(json: &'a [u8], args: &ImportArgs, plan: &Plan, now: i64) -> Result<ImportedRows<'a>, String> {
    let rows = read_rows(json, &plan.scale(), now, &mut new_position_id).map_err(|error| error.to_string())?;
    match &rows.report {
        Some(report) if !args.skip_odd => Err(format!(
            "{report}\nNothing was imported. Correct the rows, or import the other {} with --skip-odd.",
            rows.valid.len()
        )),
        Some(report) if rows.valid.is_empty() => Err(format!("{report}\nNothing was imported: no valid row is left.")),
        _ => Ok(rows),
    }
}

/// Returns an empty plan that counts in lakh of rupees, like the legacy backend.
fn new_plan() -> Plan {
    Plan { currency: Some("INR".to_owned()), unit: DEFAULT_UNIT, ..Plan::default() }
}

/// Writes rows to a new file next to the source and returns its path.
fn write_skipped(source: &Path, rows: &[&str], mode: FileMode) -> Result<PathBuf, String> {
    let failed = |path: &Path, error: io::Error| {
        format!("{}: the skipped rows cannot be written: {error}\nNothing was imported.", path.display())
    };
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    for number in 1..=MAX_NAMES {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let path = source.with_file_name(format!("{stem}.skipped{suffix}.json"));
        match create_new_file(&path, mode) {
            Ok(mut file) => {
                let written = file.write_all(format!("[\n{}\n]\n", rows.join(",\n")).as_bytes());
                return written
                    .and_then(|()| file.sync_all())
                    .map(|()| path.clone())
                    .map_err(|error| failed(&path, error));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&path, error)),
        }
    }
    Err(failed(source, io::ErrorKind::AlreadyExists.into()))
}

/// Stores `snapshot` for a new document, or appends `added` to an existing one.
fn store(state: StateFile, id: &DocumentId, added: Vec<u8>, snapshot: Option<Vec<u8>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(|error| error.to_string())?;
    // The import touches no other document, so the store gets a folder that does not exist.
    let nowhere = state.path().with_extension("import-needs-no-documents");
    let store: Arc<dyn Store> =
        Arc::new(FileStore::open(state, id.clone(), nowhere).map_err(|error| error.to_string())?);
    let batch = Batch::changes(snapshot.unwrap_or(added), Vec::new());
    match runtime.block_on(store.append(id, Position::START, batch)).map_err(|error| error.to_string())? {
        Appended::Stored { .. } => Ok(()),
        // The file is locked, so nothing else appends to it.
        Appended::Behind => Err("the document was changed during the import; nothing was imported".to_owned()),
    }
}

fn new_position(row: ImportedRow) -> NewPosition {
    NewPosition {
        created_at: Some(row.created_at_ms),
        updated: Some((row.updated_by, row.updated_at_ms)),
        ..NewPosition::new(row.id, row.designation)
            .with(DEPARTMENT, row.department)
            .with(BUDGET, row.budget)
            .with(LOCATION, row.location)
    }
}
