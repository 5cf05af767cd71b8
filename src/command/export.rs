//! `export`: the positions of a document's file, also while a server has it open.

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
use store::check::judge;
use store::disk::create_new;
use sync_engine::MessageLimits;

use super::fail;
use super::output::{note, print_bytes};
use crate::config::{ExportArgs, ExportFormat};
use crate::server::renderings::JSON_AND_CSV;
use crate::server::table::{Table, omitted_in_json};

/// Nothing is locked and nothing repaired: of a torn tail (or an append that is under way) only the whole part is read.
pub(super) fn run(args: &ExportArgs) -> ExitCode {
    let name = args.state.display();
    let bytes = match fs::read(&args.state) {
        Ok(bytes) => bytes,
        Err(error) => return fail(format!("{name}: {error}; give another document with --state")),
    };
    if let Err(damage) = judge(&args.state, &bytes) {
        return fail(format!("{name} cannot be exported: {damage}; see `happierwork check {name}`"));
    }
    let limits = MessageLimits::default();
    // A file of our own is not hostile: a limit could only make a good chunk look torn.
    let scan = chunk::scan(&bytes, u64::MAX);
    if scan.whole_len() < bytes.len() {
        let rest = bytes.len() - scan.whole_len();
        note(format_args!(
            "happierwork: {name} ends with {rest} bytes of a write that is under way or was cut off; they are left out"
        ));
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
        note(format_args!(
            "happierwork: values that the export does not hold: {omitted}; the file {name} itself holds them"
        ));
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

/// Writes a file. One that is there already keeps its permissions.
fn write(path: &Path, bytes: &[u8], mode: FileMode) -> io::Result<()> {
    match create_new(path, mode) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::write(path, bytes),
        created => created?.write_all(bytes),
    }
}

/// The export, and how many values of the document it does not hold.
fn render(view: &View, format: ExportFormat) -> (Vec<u8>, usize) {
    match format {
        ExportFormat::Csv => {
            let Table { csv, omitted } = Table::of(view);
            (csv, omitted)
        }
        ExportFormat::Json => {
            let mut out = b"[".to_vec();
            view.join(Form::Json, b",\n", &mut out);
            out.extend_from_slice(b"]\n");
            // A list of positions has no place for what stands in the root of the document.
            let in_root = view.extra().map_or(0, |extra| extra.fields.len() + extra.losing());
            (out, omitted_in_json(view) + in_root)
        }
    }
}
