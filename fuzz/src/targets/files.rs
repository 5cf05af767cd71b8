//! Files from other programs, or partially written ones.

use std::path::Path;
use std::sync::Arc;

use automerge::Automerge;
use happierwork::legacy;
use plan::Plan;
use store::StateFile;
use store::faults::FaultyDisk;

use super::mutations::mutated;
use super::plan::FILES;

const STATE: &str = "/plan/state.automerge";

/// A document's file that the server finds at startup.
pub fn document_file(bytes: &[u8]) {
    let disk = FaultyDisk::new(&["/plan"]);
    disk.put(STATE, bytes);
    let open = || StateFile::open_on(Arc::new(disk.clone()), Path::new(STATE));
    let Ok(first) = open() else {
        assert_eq!(disk.content(STATE).as_deref(), Some(bytes), "a refused file is unchanged");
        return;
    };
    let heads = first.document().map(Automerge::get_heads);
    drop(first);
    let second = open().expect("a repaired file is whole");
    assert!(second.repair().is_none(), "a repair is done once");
    assert_eq!(second.document().map(Automerge::get_heads), heads);
}

/// A valid file with some changed bytes.
pub fn document_mutations(bytes: &[u8]) {
    let [which, mutations @ ..] = bytes else { return };
    document_file(&mutated(&FILES[usize::from(*which) % FILES.len()], mutations));
}

/// The old server's data file.
pub fn import_json(bytes: &[u8]) {
    let mut count = 0;
    let mut new_id = || {
        count += 1;
        count.to_string()
    };
    if let Ok(rows) = legacy::import(bytes, &Plan::default().scale(), 1_795_357_260_000, &mut new_id) {
        drop(format!("{rows:?}"));
    }
}
