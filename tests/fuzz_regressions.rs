//! Runs the fuzz targets on their seeds and on all inputs that once caused a panic.

#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

#[path = "../fuzz/src/targets/mod.rs"]
mod targets;

use std::fs;
use std::path::Path;

/// Runs a target on all files in `fuzz/seeds/<name>` and `fuzz/crashers/<name>`.
fn all(name: &str, target: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let mut inputs = 0;
    for kind in ["seeds", "crashers"] {
        let Ok(folder) = fs::read_dir(fuzz.join(kind).join(name)) else { continue };
        for file in folder {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let result = std::panic::catch_unwind(|| target(&bytes));
            assert!(result.is_ok(), "{}", path.display());
            inputs += 1;
        }
    }
    assert!(inputs > 0, "there is nothing to run {name} on");
    target(&[]);
    // A short fuzzing run on bytes from a deterministic generator.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for length in 0..400 {
        let bytes: Vec<u8> = (0..length % 64)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        target(&bytes);
    }
}

#[test]
fn automerge_repo_frames() {
    all("repo_frame", targets::repo_frame);
}

#[test]
fn legacy_frames() {
    all("legacy_frame", targets::legacy_frame);
}

#[test]
fn sync_messages() {
    all("sync_message", targets::sync_message);
}

#[test]
fn mutated_sync_messages() {
    all("sync_mutations", targets::sync_mutations);
}

#[test]
fn forged_changes() {
    all("forged_changes", targets::forged_changes);
}

#[test]
fn requests() {
    all("http_request", targets::http_request);
}

#[test]
fn document_files() {
    all("document_file", targets::document_file);
}

#[test]
fn mutated_document_files() {
    all("document_mutations", targets::document_mutations);
}

#[test]
fn legacy_data_files() {
    all("import_json", targets::import_json);
}

#[test]
fn many_actors() {
    all("many_actors", targets::many_actors);
}

#[test]
fn many_heads() {
    all("many_heads", targets::many_heads);
}

#[test]
fn unknown_keys() {
    all("unknown_keys", targets::unknown_keys);
}

#[test]
fn inflating_changes() {
    all("inflating_columns", targets::inflating_columns);
}
