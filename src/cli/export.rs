//! `export`: writes the positions of a document as JSON, CSV or an Excel workbook, also while servers use it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use automerge::ActorId;
use automerge_chunks::chunk;
use backup::OpenedStore;
use plan::{Form, View, read_view};
use primitives::DocumentId;
use runtime::document::Document;
use rust_xlsxwriter::XlsxError;
use store::FileMode;
use store::check::check_content;
use store::disk::create_new_file;
use store::sql::DatabaseOptions;
use sync_engine::MessageLimits;

use super::fail;
use super::output::{note, print_bytes};
use super::storage::runtime;
use crate::cli::config::{ExportArgs, ExportFormat};
use crate::server::csv_table::{CsvTable, omitted_in_json};
use crate::server::renderings::JSON_AND_CSV;
use crate::server::xlsx_table::{XlsxContent, XlsxTable};

pub(super) fn run(args: &ExportArgs) -> ExitCode {
    match try_export(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

fn try_export(args: &ExportArgs) -> Result<(), String> {
    let Content { name, bytes } = match args.document.storage.database.options() {
        Some(options) => {
            let runtime = runtime().map_err(|error| error.to_string())?;
            runtime.block_on(read_database(&options, args.document.document.as_ref()))?
        }
        None => read_file(&args.document.file())?,
    };
    let (id, actor) = (DocumentId::from_random([0; 16]), ActorId::from([0u8; 16]));
    let document = Document::load(id, &bytes, actor, JSON_AND_CSV, MessageLimits::default());
    let view = document.map_err(|error| format!("{name}: {error}"))?.view();
    let (out, omitted) = render(&read_view(&view), args.format).map_err(|error| format!("{name}: {error}"))?;
    if omitted > 0 {
        note(format_args!("happierwork: values that the export does not hold: {omitted}; they are still in {name}"));
    }
    match &args.output {
        Some(path) => write(path, &out, args.file_mode).map_err(|error| format!("{}: {error}", path.display())),
        None => print_bytes(&out).map_err(|error| error.to_string()),
    }
}

/// The stored content of a document: whole chunks.
struct Content {
    /// Where it is stored.
    name: String,
    bytes: Vec<u8>,
}

/// Reads a file without locks and repairs nothing. An incomplete chunk at the end (a torn write, or an append in progress) is
/// ignored.
fn read_file(path: &Path) -> Result<Content, String> {
    let name = path.display().to_string();
    let mut bytes = fs::read(path).map_err(|error| {
        format!("{name}: {error}; choose another document with --state, or one of a database with --database")
    })?;
    if let Err(damage) = check_content(path, &bytes) {
        return Err(format!("{name} cannot be exported: {damage}; see `happierwork check {name}`"));
    }
    // The file is trusted. A limit could make a valid chunk look torn.
    let whole = chunk::scan(&bytes, u64::MAX).whole_len();
    if whole < bytes.len() {
        let rest = bytes.len() - whole;
        note(format_args!("happierwork: ignored {rest} bytes of an incomplete write at the end of {name}"));
        bytes.truncate(whole);
    }
    Ok(Content { name, bytes })
}

/// Reads a document, or the default document, from a database.
async fn read_database(options: &DatabaseOptions, document: Option<&DocumentId>) -> Result<Content, String> {
    let opened = OpenedStore::open_existing_database(options).await.map_err(|error| error.to_string())?;
    let name = opened.location.clone();
    let content = match document.or(opened.default.as_ref()) {
        Some(id) => match opened.store.load(id).await {
            Ok(Some(loaded)) if !loaded.bytes.is_empty() => Ok(Content { name, bytes: loaded.bytes }),
            Ok(_) => {
                Err(format!("there is no document {id} in {name}; list the documents with `happierwork document list`"))
            }
            Err(error) => Err(format!("{error}; see `happierwork check` with the same --database")),
        },
        None => Err(format!("{name} has no default document; choose one with --document")),
    };
    opened.close().await;
    content
}

/// Writes a file. An existing file keeps its permissions.
fn write(path: &Path, bytes: &[u8], mode: FileMode) -> io::Result<()> {
    match create_new_file(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::write(path, bytes),
        created => created?.write_all(bytes),
    }
}

/// Returns the export and the number of values that it omits.
fn render(view: &View, format: ExportFormat) -> Result<(Vec<u8>, usize), XlsxError> {
    Ok(match format {
        ExportFormat::Xlsx => {
            let XlsxTable { xlsx, omitted } = XlsxContent::from_view(view).write()?;
            (xlsx, omitted)
        }
        ExportFormat::Csv => {
            let CsvTable { csv, omitted } = CsvTable::from_view(view);
            (csv, omitted)
        }
        ExportFormat::Json => {
            let mut out = b"[".to_vec();
            view.join(Form::Json, b",\n", &mut out);
            out.extend_from_slice(b"]\n");
            // A list of positions cannot hold the fields of the document's root.
            let in_root = view.extra().map_or(0, |extra| extra.fields.len() + extra.losing());
            (out, omitted_in_json(view) + in_root)
        }
    })
}
