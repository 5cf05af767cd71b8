//! `import`: adds the rows of the legacy backend's data.json to a document: all rows, or none.
//!
//! The rows are added in changes of bounded size, so that neither the import nor a later reader of the history needs much memory. They
//! become durable in one step.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use automerge::{Automerge, ChangeHash, ReadDoc};
use backup::{OpenedStore, StorageError, StoreKind};
use plan::fields::{BUDGET, DEPARTMENT, LOCATION};
use plan::position::{DEFAULT_UNIT, read_plan};
use plan::{
    Author, Budget, LastEdit, NewPlan, NewPosition, Plan, PlanPatch, add_in_portions, count_positions, parse_amount,
};
use primitives::DocumentId;
use runtime::clock::now_ms;
use runtime::document_log::ActorSource;
use store::disk::{RealDisk, create_new_file};
use store::{Appended, Batch, FileMode, Loaded, Position, StateFile, StoreError};
use sync_engine::{DocumentFull, MessageLimits};

use super::access::{deleted, load_access};
use super::fail;
use super::output::{OutputError, print};
use super::progress::Progress;
use super::storage::{MAX_ATTEMPTS, runtime};
use crate::cli::config::ImportArgs;
use crate::legacy::{ImportReport, ImportedRow, ImportedRows, read_rows};
use crate::server::new_position_id;

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
    let (target, checked) = import.open_target().await?;
    let result = import.run(&target, checked).await;
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
    document: Automerge,
    /// Whether it did not exist before.
    is_new: bool,
    /// The heads before the import.
    before: Vec<ChangeHash>,
    /// Number of changes that the import has made.
    changes: usize,
    rows: ImportedCounts<'a>,
}

impl Prepared<'_> {
    /// Makes the import durable as a whole, after the batch at `after`.
    async fn store(&self, target: &OpenedStore, id: &DocumentId, after: Position) -> Result<Appended, StoreError> {
        // A crash during an append to a file may leave some of its chunks. A snapshot is one chunk.
        if self.changes > 1 && !self.is_new && !target.store.is_shared() {
            let lengths = target.store.recover(id, self.document.save()).await?;
            return Ok(Appended::Stored { at: Position::START, lengths });
        }
        let chunks = if self.is_new { self.document.save() } else { self.added() };
        target.store.append(id, after, Batch::changes(chunks, Vec::new())).await
    }

    /// The changes of the import as chunks.
    fn added(&self) -> Vec<u8> {
        let mut chunks = Vec::new();
        for mut change in self.document.get_changes(&self.before) {
            chunks.extend_from_slice(&change.bytes());
        }
        chunks
    }
}

/// The counts of imported rows, and the invalid rows with their report.
struct ImportedCounts<'a> {
    valid: usize,
    without_budget: usize,
    invalid: Vec<&'a str>,
    report: Option<ImportReport>,
}

impl Import<'_> {
    /// Opens the file of the document alone, or the database. Also returns the rows, if they were read for a new document.
    async fn open_target(&self) -> Result<(OpenedStore, Option<ImportedRows<'_>>), String> {
        let choice = &self.args.document;
        if let Some(options) = choice.storage.database.options() {
            let target = OpenedStore::create_database(&options).await.map_err(|error| error.to_string())?;
            return Ok((target, None));
        }
        let path = choice.file();
        // Checked before the file is created, so that a rejected import leaves no trace.
        let checked = if path.exists() { None } else { Some(self.read_rows(&new_plan())?) };
        let open = || {
            StateFile::create_folder(&RealDisk::with_mode(self.args.file_mode), &path)?;
            // The import touches no other document, so the store gets a folder that does not exist.
            let nowhere = path.with_extension("import-needs-no-documents");
            OpenedStore::open_files(&path, &nowhere, self.args.file_mode, choice.document.clone())
        };
        let target = open().map_err(|error: StorageError| error.to_string())?;
        Ok((target, checked))
    }

    /// Adds the rows to the stored content. Starts again if another process appends meanwhile. `checked`: the rows of a new document,
    /// if they were read already.
    async fn run<'s>(&'s self, target: &OpenedStore, mut checked: Option<ImportedRows<'s>>) -> Result<(), String> {
        let id = self.choose_document(target, &mut checked).await?;
        let mut skipped = None;
        for _ in 0..MAX_ATTEMPTS {
            if let Some(deletion) = deleted(&load_access(&*target.store, &id).await?.1) {
                return Err(format!(
                    "document {id} was {deletion}. Nothing was imported. Restore it, or import into another"
                ));
            }
            let loaded = target.store.load(&id).await.map_err(|error| error.to_string())?;
            let at = loaded.as_ref().map_or(Position::START, |loaded| loaded.position);
            let prepared = self.prepare(&id, loaded, &target.location, &mut checked)?;
            let rows = &prepared.rows;
            // Written before the import. If the import fails, the extra file is harmless; a row in neither file would be lost.
            if skipped.is_none() && !rows.invalid.is_empty() {
                skipped = Some(write_skipped(&self.args.file, &rows.invalid, self.args.file_mode)?);
            }
            let appended = prepared.store(target, &id, at).await;
            if appended.map_err(|error| error.to_string())? == Appended::Behind {
                continue;
            }
            let held = count_positions(&prepared.document);
            // The positions are stored: without this the user would import them again.
            return print_summary(rows, &target.location, held, skipped.as_deref(), &id)
                .map_err(|error| format!("{} positions are imported, but {error}", rows.valid));
        }
        Err(format!("document {id} is changed all the time. Nothing was imported; try again"))
    }

    /// The requested document, or the default document. Chooses one in a new database.
    async fn choose_document<'s>(
        &'s self,
        target: &OpenedStore,
        checked: &mut Option<ImportedRows<'s>>,
    ) -> Result<DocumentId, String> {
        let fresh = || DocumentId::from_random(rand::random());
        match &target.kind {
            StoreKind::Files { state_id, .. } => Ok(state_id.clone()),
            StoreKind::Database(database) => match (&self.args.document.document, &target.default) {
                (Some(id), _) | (None, Some(id)) => Ok(id.clone()),
                (None, None) => {
                    *checked = Some(self.read_rows(&new_plan())?);
                    database.choose_default_document(&fresh()).await.map_err(|error| error.to_string())
                }
            },
        }
    }

    /// Adds the rows to the stored document, in memory.
    fn prepare<'s>(
        &'s self,
        id: &DocumentId,
        loaded: Option<Loaded>,
        location: &str,
        checked: &mut Option<ImportedRows<'s>>,
    ) -> Result<Prepared<'s>, String> {
        let loaded = loaded.filter(|loaded| !loaded.bytes.is_empty());
        let is_new = loaded.is_none();
        let content = match loaded {
            None => Automerge::new(),
            Some(Loaded { document: Some(document), .. }) => document,
            Some(loaded) => {
                automerge_chunks::load::load(&loaded.bytes).map_err(|error| format!("{location}: {error}"))?
            }
        };
        let mut document = content.with_actor(ActorSource::default().fresh());
        let plan = if is_new { new_plan() } else { read_plan(&document) };
        let rows = match checked.take().filter(|_| is_new) {
            Some(rows) => rows,
            None => self.read_rows(&plan)?,
        };
        let ImportedRows { valid, invalid, report } = rows;
        let without_budget = valid.iter().filter(|row| row.budget.is_none()).count();
        let rows = ImportedCounts { valid: valid.len(), without_budget, invalid, report };
        let settings = PlanPatch {
            name: Some(self.args.name.clone()),
            currency: plan.currency,
            unit: Budget::new_f64(plan.unit).ok(),
            total_budget: self.total_budget,
            ..PlanPatch::default()
        };
        let new_plan = is_new.then(|| NewPlan { id: id.clone(), settings });
        let author = Author { name: "import".to_owned(), now: self.now };
        let before = document.get_heads();
        let progress = Progress::new("positions", rows.valid);
        let (total, positions) = (rows.valid, valid.into_iter().map(new_position));
        let added = add_in_portions(&mut document, new_plan, positions, &author, &mut |done| progress.set(done, total));
        drop(progress);
        let changes = added
            .map_err(|error| error.to_string())
            .and_then(|changes| check_size(&document).map(|()| changes).map_err(|error| error.to_string()))
            .map_err(|error| format!("{location}: {error}\nNothing was imported."))?;
        Ok(Prepared { document, is_new, before, changes, rows })
    }

    /// Reads the rows, with budgets in the unit of `plan`.
    fn read_rows(&self, plan: &Plan) -> Result<ImportedRows<'_>, String> {
        read_valid(&self.json, self.args, plan, self.now)
            .map_err(|error| format!("{}: {error}", self.args.file.display()))
    }
}

/// Rejects a document that could not be opened any more.
fn check_size(document: &Automerge) -> Result<(), DocumentFull> {
    let limit = MessageLimits::default().document_actor_changes;
    let stats = document.stats();
    if stats.num_changes.saturating_mul(stats.num_actors) > limit {
        return Err(DocumentFull::ActorChanges(limit));
    }
    Ok(())
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
        updated: Some(LastEdit::new(row.updated_by, row.updated_at_ms)),
        ..NewPosition::new(row.id, row.designation)
            .with(DEPARTMENT, row.department)
            .with(BUDGET, row.budget)
            .with(LOCATION, row.location)
    }
}
