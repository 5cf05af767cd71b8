//! `export`: writes the positions of a document file as JSON or CSV, also while a server has the file open.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use automerge::ActorId;
use automerge_chunks::chunk;
use plan::{Form, View, read_view};
use primitives::DocumentId;
use runtime::document::Document;
use store::FileMode;
use store::check::check_content;
use store::disk::create_new_file;
use sync_engine::MessageLimits;

use super::fail;
use super::output::{note, print_bytes};
use crate::cli::config::{ExportArgs, ExportFormat};
use crate::server::csv_table::{CsvTable, omitted_in_json};
use crate::server::renderings::JSON_AND_CSV;

/// Reads without locks and repairs nothing. An incomplete chunk at the end (a torn write, or an append in progress) is
/// ignored.
pub(super) fn run(args: &ExportArgs) -> ExitCode {
    let name = args.state.display();
    let bytes = match fs::read(&args.state) {
        Ok(bytes) => bytes,
        Err(error) => return fail(format!("{name}: {error}; choose another document with --state")),
    };
    if let Err(damage) = check_content(&args.state, &bytes) {
        return fail(format!("{name} cannot be exported: {damage}; see `happierwork check {name}`"));
    }
    let limits = MessageLimits::default();
    // The file is trusted. A limit could make a valid chunk look torn.
    let scan = chunk::scan(&bytes, u64::MAX);
    if scan.whole_len() < bytes.len() {
        let rest = bytes.len() - scan.whole_len();
        note(format_args!("happierwork: ignored {rest} bytes of an incomplete write at the end of {name}"));
    }
    let id = DocumentId::from_random([0; 16]);
    let actor = ActorId::from([0u8; 16]);
    let mut document = match Document::load(id, &bytes[..scan.whole_len()], actor, JSON_AND_CSV, limits) {
        Ok(document) => document,
        Err(error) => return fail(format!("{name}: {error}")),
    };
    let view = document.view();
    let (out, omitted) = render(&read_view(&view), args.format);
    if omitted > 0 {
        note(format_args!("happierwork: values that the export does not hold: {omitted}; they are still in {name}"));
    }
    let written = match &args.output {
        Some(path) => write(path, &out, args.file_mode).map_err(|error| format!("{}: {error}", path.display())),
        None => print_bytes(&out).map_err(|error| error.to_string()),
    };
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// Writes a file. An existing file keeps its permissions.
fn write(path: &Path, bytes: &[u8], mode: FileMode) -> io::Result<()> {
    match create_new_file(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::write(path, bytes),
        created => created?.write_all(bytes),
    }
}

/// Returns the export and the number of values that it omits.
fn render(view: &View, format: ExportFormat) -> (Vec<u8>, usize) {
    match format {
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
    }
}
