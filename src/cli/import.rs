//! `import`: adds the rows of the legacy backend's data.json to a document, in one change.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use automerge::Automerge;
use backup::{OpenedStore, StorageError, StoreKind};
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::position::DEFAULT_UNIT;
use plan::{Author, Budget, Edit, NewPosition, Plan, PlanPatch, parse_amount, read_view};
use primitives::DocumentId;
use runtime::clock::now_ms;
use runtime::document::{Applied, AuthoredEdit, Document, Item, Outcome};
use runtime::document_log::ActorSource;
use store::disk::{RealDisk, create_new_file};
use store::{Appended, Batch, FileMode, Loaded, Position, StateFile};
use sync_engine::MessageLimits;

use super::access::{deleted, load_access};
use super::fail;
use super::output::{OutputError, print};
use super::storage::{MAX_ATTEMPTS, runtime};
use crate::cli::config::ImportArgs;
use crate::legacy::{ImportReport, ImportedRow, ImportedRows, read_rows};
use crate::server::new_position_id;
use crate::server::renderings::JSON_AND_CSV;

/// Maximum number of names tried for the file of skipped rows.
const MAX_NAMES: usize = 1_000;

/// Reads the whole file before it writes anything. Reports invalid rows with their lines, and imports nothing if there are
/// any, unless `--skip-odd` is given.
pub(super) fn run(args: &ImportArgs) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(try_import(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

async fn try_import(args: &ImportArgs) -> Result<(), String> {
    let source = args.file.display();
    let json = fs::read(&args.file).map_err(|error| format!("{source}: {error}"))?;
    let total_budget = args.total_budget.as_deref().map(|total| parse_amount(total, &new_plan().scale())).transpose();
    let total_budget = total_budget.map_err(|error| format!("--total-budget: {error}"))?;
    let import = Import { args, json, now: now_ms(), total_budget };
    let target = import.open_target().await?;
    let result = import.run(&target).await;
    target.close().await;
    result
}

/// An import.
struct Import<'a> {
    args: &'a ImportArgs,
    json: Vec<u8>,
    now: i64,
    /// Total budget of a new document.
    total_budget: Option<Budget>,
}

/// A document with the imported rows, which are not stored yet.
struct Prepared<'a> {
    document: Document,
    applied: Applied,
    rows: ImportedCounts<'a>,
    is_new: bool,
}

/// The counts of imported rows, and the invalid rows with their report.
struct ImportedCounts<'a> {
    valid: usize,
    without_budget: usize,
    invalid: Vec<&'a str>,
    report: Option<ImportReport>,
}

impl Import<'_> {
    /// Opens the file of the document alone, or the database.
    async fn open_target(&self) -> Result<OpenedStore, String> {
        let choice = &self.args.document;
        if let Some(options) = choice.storage.database.options() {
            return OpenedStore::create_database(&options).await.map_err(|error| error.to_string());
        }
        let path = choice.file();
        if !path.exists() {
            // Checked before the file is created, so that a rejected import leaves no trace.
            self.read_rows(&new_plan())?;
        }
        let open = || {
            StateFile::create_folder(&RealDisk::with_mode(self.args.file_mode), &path)?;
            // The import touches no other document, so the store gets a folder that does not exist.
            let nowhere = path.with_extension("import-needs-no-documents");
            OpenedStore::open_files(&path, &nowhere, self.args.file_mode, choice.document.clone())
        };
        open().map_err(|error: StorageError| error.to_string())
    }

    /// Appends the rows after the stored content. Starts again if another process appends meanwhile.
    async fn run(&self, target: &OpenedStore) -> Result<(), String> {
        let id = self.choose_document(target).await?;
        let mut skipped = None;
        for _ in 0..MAX_ATTEMPTS {
            if let Some(deletion) = deleted(&load_access(&*target.store, &id).await?.1) {
                return Err(format!(
                    "document {id} was {deletion}. Nothing was imported. Restore it, or import into another"
                ));
            }
            let loaded = target.store.load(&id).await.map_err(|error| error.to_string())?;
            let at = loaded.as_ref().map_or(Position::START, |loaded| loaded.position);
            let Prepared { mut document, mut applied, rows, is_new } = self.prepare(&id, loaded, &target.location)?;
            // Written before the import. If the import fails, the extra file is harmless; a row in neither file would be lost.
            if skipped.is_none() && !rows.invalid.is_empty() {
                skipped = Some(write_skipped(&self.args.file, &rows.invalid, self.args.file_mode)?);
            }
            let added = std::mem::take(&mut applied.chunks);
            let chunks = if is_new { document.engine.save() } else { added };
            let appended = target.store.append(&id, at, Batch::changes(chunks, Vec::new())).await;
            if appended.map_err(|error| error.to_string())? == Appended::Behind {
                continue;
            }
            document.publish(&mut applied, |_| false);
            let held = read_view(&document.view()).len();
            // The positions are stored: without this the user would import them again.
            return print_summary(&rows, &target.location, held, skipped.as_deref(), &id)
                .map_err(|error| format!("{} positions are imported, but {error}", rows.valid));
        }
        Err(format!("document {id} is changed all the time. Nothing was imported; try again"))
    }

    /// The requested document, or the default document. Chooses one in a new database.
    async fn choose_document(&self, target: &OpenedStore) -> Result<DocumentId, String> {
        let fresh = || DocumentId::from_random(rand::random());
        match &target.kind {
            StoreKind::Files { state_id } => Ok(state_id.clone()),
            StoreKind::Database(database) => match (&self.args.document.document, &target.default) {
                (Some(id), _) | (None, Some(id)) => Ok(id.clone()),
                (None, None) => {
                    self.read_rows(&new_plan())?;
                    database.choose_default_document(&fresh()).await.map_err(|error| error.to_string())
                }
            },
        }
    }

    /// Adds the rows to the stored document, in memory.
    fn prepare(&self, id: &DocumentId, loaded: Option<Loaded>, location: &str) -> Result<Prepared<'_>, String> {
        let loaded = loaded.filter(|loaded| !loaded.bytes.is_empty());
        let is_new = loaded.is_none();
        let content = match loaded {
            None => Automerge::new(),
            Some(Loaded { document: Some(document), .. }) => document,
            Some(loaded) => {
                automerge_chunks::load::load(&loaded.bytes).map_err(|error| format!("{location}: {error}"))?
            }
        };
        let (actor, limits) = (ActorSource::default().fresh(), MessageLimits::default());
        let mut document = Document::from_automerge(id.clone(), content, actor, JSON_AND_CSV, limits);
        let plan = if is_new { new_plan() } else { read_view(&document.view()).plan().clone() };
        let ImportedRows { valid, invalid, report } = self.read_rows(&plan)?;
        let without_budget = valid.iter().filter(|row| row.budget.is_none()).count();
        let rows = ImportedCounts { valid: valid.len(), without_budget, invalid, report };
        let positions = valid.into_iter().map(new_position).collect();
        let edit = if is_new {
            let plan = PlanPatch {
                name: Some(self.args.name.clone()),
                currency: plan.currency,
                unit: Budget::new_f64(plan.unit).ok(),
                total_budget: self.total_budget,
                ..PlanPatch::default()
            };
            Edit::Create { id: id.clone(), plan, positions }
        } else {
            Edit::AddAll(positions)
        };
        let author = Author { name: "import".to_owned(), now: self.now };
        let applied = document.engine.apply(vec![Item::Edit { edit: AuthoredEdit { edit, author }, by: None }]);
        if let Some(Outcome::Edited(Err(error))) = applied.outcomes.first() {
            return Err(format!("{location}: {error}\nNothing was imported."));
        }
        Ok(Prepared { document, applied, rows, is_new })
    }

    /// Reads the rows, with budgets in the unit of `plan`.
    fn read_rows(&self, plan: &Plan) -> Result<ImportedRows<'_>, String> {
        read_valid(&self.json, self.args, plan, self.now)
            .map_err(|error| format!("{}: {error}", self.args.file.display()))
    }
}

fn print_summary(
    rows: &ImportedCounts<'_>,
    location: &str,
    held: usize,
    skipped: Option<&Path>,
    id: &DocumentId,
) -> Result<(), OutputError> {
    print(format_args!("{} positions imported; {location} now holds {held}", rows.valid))?;
    if rows.without_budget > 0 {
        print(format_args!("{} of them without a budget", rows.without_budget))?;
    }
    if let (Some(path), Some(report)) = (skipped, &rows.report) {
        print(format_args!("{report}\nThese rows were skipped. They are in {}", path.display()))?;
    }
    print(id.url())
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
